package gcml_test

import (
	"context"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/layers"
)

// benchmarks are the graphs that `make benchstat` times, one for each way to compute GC.
var benchmarks = []struct {
	name  string
	batch []int // The shape of the inputs.
	model func(scope *model.Scope, x *Node) *Node
	opts  []gcml.Option
}{
	{"ExactDense", []int{128, 784}, dense(10), nil}, // By the Gram matrix.
	{"ExactConv", []int{32, 32, 32, 3}, func(scope *model.Scope, x *Node) *Node {
		for i, channels := range []int{16, 32} {
			x = layers.Conv(scope.In("conv%d", i), x).Channels(channels).KernelSize(3).Strides(2).PadSame().Done()
			x = activation.Relu(x)
		}
		return layers.MLP(scope, Reshape(x, x.Shape().Dim(0), -1)).Hidden(0, 0).Outputs(10).Done()
	}, nil},
	{"Projection", []int{128, 784}, dense(1000), []gcml.Option{gcml.WithEstimator(gcml.Projection(1))}},
}

// dense returns an MLP with 3 hidden layers of 300 units.
func dense(outputs int) func(scope *model.Scope, x *Node) *Node {
	return func(scope *model.Scope, x *Node) *Node {
		return layers.MLP(scope, x).Hidden(3, 300).Outputs(outputs).Done()
	}
}

// BenchmarkMeasure times a Measurer on a data set of one batch, after it has compiled its graph.
func BenchmarkMeasure(b *testing.B) {
	eachBenchmark(b, func(b *testing.B, backend compute.Backend, i int) {
		c := benchmarks[i]
		data, err := dataset.InMemoryFromData(backend, "batch", []any{benchmarkInputs(c.batch)}, nil)
		if err != nil {
			b.Fatal(err)
		}
		data.BatchSize(c.batch[0], false)
		measurer, err := gcml.NewMeasurer(backend, benchmarkStore(b), c.model, c.opts...)
		if err != nil {
			b.Fatal(err)
		}
		defer measurer.Finalize()
		benchmarkCalls(b, func() error {
			_, err := measurer.Measure(context.Background(), data)
			return err
		})
	})
}

// BenchmarkPenaltyStep times a training step with the penalty.
func BenchmarkPenaltyStep(b *testing.B) {
	eachBenchmark(b, func(b *testing.B, backend compute.Backend, i int) {
		c := benchmarks[i]
		opts := append([]gcml.Option{gcml.WithCoefficient(1e-3)}, c.opts...)
		trainer := train.NewTrainer(backend, benchmarkStore(b), gcml.Regularize(c.model, opts...),
			loss.SparseCategoricalCrossEntropyLogits, optimizer.StochasticGradientDescent().WithLearningRate(1e-3), nil, nil)
		inputs := benchmarkInputs(c.batch)
		labels := tensors.FromScalarAndDimensions(int32(1), c.batch[0], 1)
		benchmarkCalls(b, func() error {
			metrics, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{inputs}, Labels: []*tensors.Tensor{labels}})
			if err == nil {
				_ = tensors.ToScalar[float32](metrics[0]) // Waits for the step.
			}
			return err
		})
	})
}

func eachBenchmark(b *testing.B, fn func(b *testing.B, backend compute.Backend, i int)) {
	for i, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			gctest.BenchmarkBackends(b, func(b *testing.B, backend compute.Backend) { fn(b, backend, i) })
		})
	}
}

// benchmarkCalls times calls, without the first, which compiles.
func benchmarkCalls(b *testing.B, call func() error) {
	b.Helper()
	if err := call(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkStore(b *testing.B) *model.Store {
	b.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		b.Fatal(err)
	}
	return store
}

// benchmarkInputs returns float32 values between 0 and 1.
func benchmarkInputs(dims []int) *tensors.Tensor {
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = float32(i*7919%1000) / 1000
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}
