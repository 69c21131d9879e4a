package regularizers_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/layers"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// BenchmarkPenaltyStep times a training step with each penalty, which `make benchstat` watches.
func BenchmarkPenaltyStep(b *testing.B) {
	network := train.ModelFn(func(scope *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		return []*graph.Node{layers.MLP(scope, inputs[0]).Hidden(2, 300).Outputs(10).Done()}
	})
	lossFn := train.LossFn(loss.SparseCategoricalCrossEntropyLogits)
	coefficient := regularizers.WithCoefficient(1e-3)
	for _, c := range []struct {
		name   string
		model  train.ModelFn
		lossFn train.LossFn
	}{
		{"None", network, lossFn},
		{"L2", regularizers.L2(network, coefficient), lossFn},
		{"Spectral", regularizers.Spectral(network, coefficient), lossFn},
		{"Flatness", network, regularizers.Flatness(lossFn, coefficient)},
	} {
		b.Run(c.name, func(b *testing.B) {
			gctest.BenchmarkBackends(b, func(b *testing.B, backend compute.Backend) {
				trainer := train.NewTrainer(backend, seeded(b, nil), c.model, c.lossFn,
					optimizer.StochasticGradientDescent().WithLearningRate(1e-3), nil, nil)
				inputs := tensors.FromScalarAndDimensions(float32(0.5), 128, 784)
				batch := train.Batch{Inputs: []*tensors.Tensor{inputs}, Labels: []*tensors.Tensor{classes(1, 128, 10)}}
				step := func() {
					metrics, err := trainer.TrainStep(batch)
					if err != nil {
						b.Fatal(err)
					}
					_ = tensors.ToScalar[float32](metrics[0]) // Waits for the step.
				}
				step() // Compiles.
				for b.Loop() {
					step()
				}
			})
		})
	}
}
