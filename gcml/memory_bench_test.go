//go:build linux

package gcml_test

import (
	"flag"
	"syscall"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"example.com/geometric-complexity/backend"
	"example.com/geometric-complexity/gcml"
	"example.com/geometric-complexity/layers"
)

var (
	memoryBatch      = flag.Int("gc_batch", 32, "BenchmarkResNet18: examples of a batch")
	memoryCotangents = flag.Int("gc_cotangents", 0, "BenchmarkResNet18: WithCotangents, and WithGradientInParts in a step")
)

// BenchmarkResNet18 reports the time of an evaluation of GC and of a training step with its exact penalty, of a ResNet18
// for 32×32 images without normalization, and the peak of the process's memory, in MiB. That is of all that ran before as
// well: choose one by -bench.
func BenchmarkResNet18(b *testing.B) {
	for _, what := range []string{"GC", "Step"} {
		b.Run(what, func(b *testing.B) { benchmarkResNet18(b, what == "Step") })
	}
}

func benchmarkResNet18(b *testing.B, step bool) {
	engine, _, err := backend.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Finalize()
	network := func(scope *model.Scope, _ any, inputs []*Node) []*Node {
		return []*Node{layers.ResNet18(scope, inputs[0]).Outputs(10).Norm(layers.NormNone).Done()}
	}
	store := model.NewStore()
	store.SetParam(gcml.ParamCoefficient, 1e-3)
	store.SetParam(optimizer.ParamLearningRate, 1e-3)
	images := tensors.FromScalarAndDimensions(float32(0.5), *memoryBatch, 32, 32, 3)
	labels := tensors.FromScalarAndDimensions(int32(1), *memoryBatch, 1)
	var opts []gcml.Option
	if *memoryCotangents > 0 {
		opts = append(opts, gcml.WithGradientInParts(*memoryCotangents))
	}
	trainer := train.NewTrainer(engine, store, gcml.Regularize(network, opts...),
		loss.SparseCategoricalCrossEntropyLogits, optimizer.StochasticGradientDescent(), nil, nil)
	measure, err := model.NewExec1(engine, store, func(scope *model.Scope, x *Node) *Node {
		return gcml.Complexity(network(scope, nil, []*Node{x})[0], x, gcml.WithCotangents(*memoryCotangents))
	})
	if err != nil {
		b.Fatal(err)
	}
	run := func() {
		if step {
			_, err = trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{images}, Labels: []*tensors.Tensor{labels}})
		} else {
			_, err = measure.Call(images)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	run() // Compiles.
	for b.Loop() {
		run()
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(usage.Maxrss)/1024, "peak-MiB")
}
