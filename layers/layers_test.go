package layers

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	stock "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestLayerDerivatives checks the first and second derivatives of this package's layers and of
// GoMLX's, with respect to input and parameters.
func TestLayerDerivatives(t *testing.T) {
	for _, test := range []struct {
		name     string
		x        []int
		training bool
		layer    modelFn
	}{
		{"Conv", []int{2, 5, 6, 2}, false, func(scope *model.Scope, x *Node) *Node {
			return Conv(scope, x).Channels(4).KernelSize(3).Strides(2).PadSame().Done()
		}},
		{"Conv with options", []int{2, 5, 6, 2}, false, func(scope *model.Scope, x *Node) *Node {
			return Conv(scope, x).Channels(3).KernelSize(2, 3).Strides(1, 2).
				PaddingPerAxis([2]int{2, 0}, [2]int{0, 1}).UseBias(false).Done()
		}},
		{"Conv without the padding set before", []int{2, 3, 4, 2}, false, func(scope *model.Scope, x *Node) *Node {
			y := Conv(scope, x).Channels(2).KernelSize(2, 3).PadSame().NoPadding().Done()
			y.AssertDims(2, 2, 2, 2)
			return y
		}},
		{"stock Convolution", []int{2, 5, 6, 2}, false, func(scope *model.Scope, x *Node) *Node {
			return stock.Convolution(scope, x).Channels(4).KernelSize(1).Strides(2).PadSame().Done()
		}},
		{"BatchNorm in training", []int{4, 2, 3}, true, func(scope *model.Scope, x *Node) *Node {
			return BatchNorm(scope, x).Epsilon(0.01).Done()
		}},
		{"BatchNorm in evaluation", []int{4, 2, 3}, false, func(scope *model.Scope, x *Node) *Node {
			return BatchNorm(scope, x).Epsilon(0.01).Done()
		}},
		{"GroupNorm", []int{2, 2, 3, 4}, false, func(scope *model.Scope, x *Node) *Node { return GroupNorm(scope, x, 2) }},
		{"stock LayerNorm", []int{3, 5}, false, func(scope *model.Scope, x *Node) *Node {
			return norm.LayerNorm(scope, x, -1).Done()
		}},
		{"stock RMSNorm", []int{3, 5}, false,
			func(scope *model.Scope, x *Node) *Node { return norm.RMSNorm(scope, x).Done() }},
		{"GlobalMeanPool", []int{2, 3, 2, 2}, false,
			func(_ *model.Scope, x *Node) *Node { return Square(GlobalMeanPool(x)) }},
		{"GlobalMaxPool", []int{2, 3, 2, 2}, false, func(_ *model.Scope, x *Node) *Node { return Square(GlobalMaxPool(x)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				checkLayer(t, b, test.training, test.layer, test.x...)
			})
		})
	}
}

// TestStockBatchNorm checks GoMLX's layer on XLA, in training and evaluation.
func TestStockBatchNorm(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if !b.Capabilities().Operations[compute.OpTypeBatchNormForTraining] {
			t.Skip("GoMLX's batch normalization needs ops that the Go backend lacks")
		}
		for _, training := range []bool{true, false} {
			t.Run(fmt.Sprintf("training=%t", training), func(t *testing.T) {
				checkLayer(t, b, training, func(scope *model.Scope, x *Node) *Node {
					return norm.BatchNorm(scope, x, -1).Done()
				}, 4, 2, 3)
			})
		}
	})
}

// TestGroupNormValues checks the definition: mean 0 and variance 1 over each group of one example.
func TestGroupNormValues(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		out := model.MustCallOnce(b, model.NewStore(), func(scope *model.Scope, g *Graph) *Node {
			x := Sin(MulScalar(IotaFull(g, shapes.Make(dtypes.Float64, 2, 3, 3, 4)), 1.7))
			y := Reshape(GroupNorm(scope, x, 2), 2, 9, 2, 2)
			return Concatenate([]*Node{ReduceMean(y, 1, 3), ReduceMean(Square(y), 1, 3)}, 0)
		})
		gctest.AssertClose(t, gctest.Flat(out), []float64{0, 0, 0, 0, 1, 1, 1, 1}, 1e-4, 0, "means and variances")
	})
}

func TestMisuse(t *testing.T) {
	g := NewGraph(gctest.GoBackend(t), "misuse")
	images := Zeros(g, makeShape(2, 8, 8, 3))
	scope := model.NewStore().RootScope()
	conv := func() *ConvBuilder { return Conv(scope, images).Channels(4) }
	for _, test := range []struct {
		name  string
		fn    func()
		words []string
	}{
		{"kernel larger than the image", func() { conv().KernelSize(9).Done() },
			[]string{"layers.Conv", "larger", "[2, 8, 8, 3]"}},
		{"stride 0", func() { conv().KernelSize(3).Strides(0) }, []string{"layers.Conv: Strides(0)", "at least 1"}},
		{"no kernel", func() { conv().Done() }, []string{"layers.Conv", "KernelSize"}},
		{"no channels", func() { Conv(scope, images).KernelSize(3).Done() }, []string{"layers.Conv", "Channels(n)"}},
		{"three strides", func() { conv().Strides(1, 2, 3) }, []string{"Strides got 3 values", "2 spatial axes"}},
		{"one padding", func() { conv().PaddingPerAxis([2]int{1, 1}) }, []string{"PaddingPerAxis got 1"}},
		{"not images", func() { Conv(scope, Zeros(g, makeShape(2, 3))) }, []string{"layers.Conv", "[2, 3]"}},
		{"channels that do not match", func() {
			conv().KernelSize(3).Done()
			again := Zeros(g, makeShape(2, 8, 8, 5))
			Conv(scope.ResetVisited(), again).Channels(4).KernelSize(3).Done()
		}, []string{"[3, 3, 3, 4]", "[3, 3, 5, 4]"}},
		{"batch of one in training", func() {
			store := model.NewStore()
			store.SetTraining(g, true)
			BatchNorm(store.RootScope(), Zeros(g, makeShape(1, 4))).Done()
		}, []string{"layers.BatchNorm", "2 or more", "[1, 4]"}},
		{"momentum above 1", func() { BatchNorm(scope, images).Momentum(1.5) }, []string{"layers.BatchNorm: Momentum(1.5)"}},
		{"negative epsilon", func() { BatchNorm(scope, images).Epsilon(-1) }, []string{"layers.BatchNorm: Epsilon(-1)"}},
		{"groups", func() { GroupNorm(scope, images, 2) }, []string{"layers.GroupNorm", "2 groups", "[2, 8, 8, 3]"}},
		{"global pooling", func() { GlobalMeanPool(Zeros(g, makeShape(2, 3))) }, []string{"[2, 3]"}},
		{"ResNet18 without outputs", func() { ResNet18(scope, images).Done() }, []string{"layers.ResNet18", "Outputs(n)"}},
		{"ResNet18 of vectors", func() { ResNet18(scope, Zeros(g, makeShape(2, 3))).Outputs(1).Done() },
			[]string{"layers.ResNet18", "[2, 3]"}},
		{"VGG13 of small images", func() { VGG13(scope, images).Outputs(1).Done() },
			[]string{"layers.VGG13", "32×32", "[2, 8, 8, 3]"}},
	} {
		t.Run(test.name, func(t *testing.T) { wantPanic(t, test.fn, test.words...) })
	}
}

// TestGlobalMaxPoolTies checks that the first of equal largest elements gets the gradient.
func TestGlobalMaxPoolTies(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		gradient := MustExecOnce(b, func(x *Node) *Node { return Gradient(ReduceAllSum(GlobalMaxPool(x)), x)[0] },
			[][][]float32{{{2}, {3}, {3}}})
		gctest.AssertClose(t, gctest.Flat(gradient), []float64{0, 1, 0}, 0, 0, "gradient")
	})
}
