//go:build linux

package gcml_test

import (
	"flag"
	"slices"
	"syscall"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlxlayers "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/layers"
)

var (
	memoryBatch      = flag.Int("gc_batch", 32, "BenchmarkMemory: examples of a batch")
	memoryCotangents = flag.Int("gc_cotangents", 0, "BenchmarkMemory: WithCotangents")
	memoryParts      = flag.Int("gc_parts", 0, "BenchmarkMemory: WithGradientInParts, in a step")
	memoryBudget     = flag.Int("gc_budget", 0, "BenchmarkMemory: WithMemoryBudget, in MiB")
)

// memoryNetworks take images of 32×32 pixels and 3 colours.
var memoryNetworks = []struct {
	name  string
	model func(scope *model.Scope, images *Node) *Node
}{
	{"ResNet18", func(scope *model.Scope, images *Node) *Node {
		return layers.ResNet18(scope, images).Outputs(10).Norm(layers.NormNone).Done()
	}},
	{"ResNet18BatchNorm", func(scope *model.Scope, images *Node) *Node {
		return layers.ResNet18(scope, images).Outputs(10).Done()
	}},
	{"NarrowResNet18", func(scope *model.Scope, images *Node) *Node {
		return layers.ResNet18(scope, images).Outputs(10).Width(16).Norm(layers.NormNone).Done()
	}},
	{"Convolutions1000", func(scope *model.Scope, images *Node) *Node {
		x := images
		for i, channels := range []int{16, 32} {
			x = activation.Relu(gomlxlayers.Convolution(scope.In("conv%d", i),
				x).Channels(channels).KernelSize(3).Strides(2).PadSame().Done())
		}
		return gomlxlayers.Dense(scope.In("logits"), Reshape(x, x.Shape().Dimensions[0], -1), true, 1000)
	}},
	{"MLP", func(scope *model.Scope, images *Node) *Node {
		return layers.MLP(scope, Reshape(images, images.Shape().Dimensions[0], -1)).Hidden(3, 500).Outputs(10).Done()
	}},
	{"MLP1000", func(scope *model.Scope, images *Node) *Node {
		return layers.MLP(scope, Reshape(images, images.Shape().Dimensions[0], -1)).Hidden(3, 500).Outputs(1000).Done()
	}},
}

// BenchmarkMemory reports the time of an evaluation of GC and of a training step with the exact
// penalty, and the process's peak memory in MiB. The peak includes everything that ran before, so
// select a single benchmark by -bench.
func BenchmarkMemory(b *testing.B) {
	for _, network := range memoryNetworks {
		for _, what := range []string{"GC", "Step"} {
			b.Run(network.name+"/"+what, func(b *testing.B) { benchmarkMemory(b, network.model, what == "Step") })
		}
	}
}

func benchmarkMemory(b *testing.B, network func(*model.Scope, *Node) *Node, step bool) {
	engine, _, err := backend.Open()
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Finalize()
	store := model.NewStore()
	store.SetParam(optimizer.ParamLearningRate, 1e-3)
	images := tensors.FromScalarAndDimensions(float32(0.5), *memoryBatch, 32, 32, 3)
	labels := tensors.FromScalarAndDimensions(int32(1), *memoryBatch, 1)
	var opts []gcml.Option
	if *memoryCotangents > 0 {
		opts = append(opts, gcml.WithCotangents(*memoryCotangents))
	}
	if *memoryBudget > 0 {
		opts = append(opts, gcml.WithMemoryBudget(*memoryBudget<<20))
	}
	measure, err := model.NewExec1(engine, store, func(scope *model.Scope, x *Node) *Node {
		return gcml.Complexity(network(scope, x), x, opts...)
	})
	if err != nil {
		b.Fatal(err)
	}
	penalty := append(slices.Clone(opts), gcml.WithCoefficient(1e-3))
	if *memoryParts > 0 {
		penalty = append(penalty, gcml.WithGradientInParts(*memoryParts))
	}
	trainer := train.NewTrainer(engine, store, gcml.Regularize(network, penalty...),
		loss.SparseCategoricalCrossEntropyLogits, optimizer.StochasticGradientDescent(), nil, nil)
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
