package layers

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	stock "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestParameterCounts compares with the published counts of kuangliu/pytorch-cifar for the networks
// with batch norm on colour images; the other counts follow from them, as the comments say.
func TestParameterCounts(t *testing.T) {
	for _, test := range []struct {
		name  string
		image []int
		build modelFn
		want  int
	}{
		{"ResNet18", []int{32, 32, 3}, func(s *model.Scope, x *Node) *Node { return ResNet18(s, x).Outputs(10).Done() },
			11_173_962},
		// Each of the two missing input channels saves 64·9 weights.
		{"ResNet18 for grey images", []int{28, 28, 1},
			func(s *model.Scope, x *Node) *Node { return ResNet18(s, x).Outputs(10).Done() },
			11_173_962 - 2*64*9},
		{"ResNet18 with group norm", []int{32, 32, 3}, func(s *model.Scope, x *Node) *Node {
			return ResNet18(s, x).Outputs(10).Norm(NormGroup).Done()
		}, 11_173_962},
		// Each of the 4,800 normalized channels has 2 parameters, and 1 bias without normalization.
		{"ResNet18 without norm", []int{32, 32, 3}, func(s *model.Scope, x *Node) *Node {
			return ResNet18(s, x).Outputs(10).Norm(NormNone).Done()
		}, 11_173_962 - 4800},
		{"ResNet18 without norm and biases", []int{32, 32, 3}, func(s *model.Scope, x *Node) *Node {
			return ResNet18(s, x).Outputs(10).Norm(NormNone).UseBias(false).Done()
		}, 11_173_962 - 2*4800},
		{"VGG13", []int{32, 32, 3}, func(s *model.Scope, x *Node) *Node { return VGG13(s, x).Outputs(10).Done() }, 9_416_010},
		// Each of the 2·(64+128+256+512+512) channels has 2 normalization parameters less.
		{"VGG13 without norm", []int{32, 32, 3}, func(s *model.Scope, x *Node) *Node {
			return VGG13(s, x).Outputs(10).Norm(NormNone).Done()
		}, 9_416_010 - 2*2944},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := model.NewStore()
			g := NewGraph(gctest.GoBackend(t), "count")
			test.build(store.RootScope(), Zeros(g, makeShape(append([]int{1}, test.image...)...)))
			if got := trainableParameters(store); got != test.want {
				t.Errorf("%d parameters, want %d", got, test.want)
			}
		})
	}
}

// stockResNet18 is ResNet18 without normalization, built from GoMLX's own layers.
func stockResNet18(scope *model.Scope, x *Node, outputs, width int) *Node {
	convolution := func(scope *model.Scope, x *Node, channels, kernel, stride int) *Node {
		return stock.Convolution(scope, x).Channels(channels).KernelSize(kernel).Strides(stride).PadSame().Done()
	}
	x = activation.Relu(convolution(scope.In("stem"), x, width, 3, 1))
	for stage := range 4 {
		for block := range 2 {
			scope := scope.In("stage_%d_block_%d", stage, block)
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			y := activation.Relu(convolution(scope.In("first"), x, width<<stage, 3, stride))
			y = convolution(scope.In("second"), y, width<<stage, 3, 1)
			if stride != 1 {
				x = convolution(scope.In("shortcut"), x, width<<stage, 1, stride)
			}
			x = activation.Relu(Add(y, x))
		}
	}
	return stock.DenseWithBias(scope.In("head"), ReduceMean(x, 1, 2), outputs)
}

// TestNetworkComplexityGradients checks the derivative of the geometric complexity with respect to
// the input and every variable, for narrow networks. In training mode batch norm couples the
// examples; the sum of squared gradients is then not the geometric complexity, but still tests all
// derivatives.
func TestNetworkComplexityGradients(t *testing.T) {
	for _, test := range []struct {
		name     string
		image    []int
		training bool
		build    modelFn
		each     bool // Whether the Go backend checks each variable separately.
		xla      bool // Whether XLA runs too, which takes many seconds to compile.
	}{
		{"ResNet18, batch norm in training", []int{3, 9, 8, 2}, true, func(s *model.Scope, x *Node) *Node {
			return ResNet18(s, x).Outputs(2).Width(2).Done()
		}, true, true},
		{"ResNet18, batch norm in evaluation", []int{3, 9, 8, 2}, false, func(s *model.Scope, x *Node) *Node {
			return ResNet18(s, x).Outputs(2).Width(2).Done()
		}, false, false},
		{"ResNet18, no norm", []int{2, 9, 8, 2}, false, func(s *model.Scope, x *Node) *Node {
			return ResNet18(s, x).Outputs(2).Width(2).Norm(NormNone).Done()
		}, true, false},
		{"ResNet18, group norm", []int{2, 9, 8, 2}, false, func(s *model.Scope, x *Node) *Node {
			return ResNet18(s, x).Outputs(2).Width(2).Norm(NormGroup).Done()
		}, false, false},
		{"ResNet18 of stock layers, no norm", []int{2, 9, 8, 2}, false, func(s *model.Scope, x *Node) *Node {
			return stockResNet18(s, x, 2, 2)
		}, false, true},
		{"VGG13, batch norm in training", []int{2, 32, 32, 1}, true, func(s *model.Scope, x *Node) *Node {
			return VGG13(s, x).Outputs(2).Width(1).Done()
		}, false, false},
		{"VGG13, no norm", []int{1, 32, 33, 1}, false, func(s *model.Scope, x *Node) *Node {
			return VGG13(s, x).Outputs(2).Width(1).Norm(NormNone).Done()
		}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			check := func(t *testing.T, b compute.Backend) {
				m := newCheckedModel(t, b, test.training, test.image, func(scope *model.Scope, x *Node) []*Node {
					return []*Node{plainComplexity(test.build(scope, x), x)}
				})
				// The step is so small that no ReLU's input changes sign within it.
				if b.String() == "go" && test.each {
					m.check(t, 1, 1e-7, 1e-5)
				} else {
					m.checkJointly(t, 1, 1e-7, 1e-5)
				}
			}
			if test.xla {
				gctest.ForEachBackend(t, check)
			} else {
				check(t, gctest.GoBackend(t))
			}
		})
	}
}

// TestBackendsAgree compares the outputs and the geometric complexity of one ResNet18 with batch
// norm in evaluation mode on both backends, in float32.
func TestBackendsAgree(t *testing.T) {
	var want []float64
	weights := map[string][]float32{}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(11); err != nil {
			t.Fatal(err)
		}
		exec := model.MustNewExec(b, store, func(scope *model.Scope, g *Graph) (*Node, *Node) {
			x := Sin(MulScalar(AddScalar(IotaFull(g, makeShape(4, 16, 16, 3)), 1), 0.37))
			logits := ResNet18(scope, x).Outputs(3).Width(4).Done()
			return logits, plainComplexity(logits, x)
		})
		exec.MustCall()
		for v := range store.IterVariables() {
			if v.DType() != dtypes.Float32 {
				continue
			}
			if _, ok := weights[v.Path()]; !ok { // The first backend sets the weights for both.
				weights[v.Path()] = tensors.MustCopyFlatData[float32](v.MustValue())
			}
			setValue(t, v, tensors.FromFlatDataAndDimensions(weights[v.Path()], v.Shape().Dimensions...))
		}
		out := exec.MustCall()
		got := append(gctest.Flat(out[0]), gctest.Flat(out[1])...)
		if want == nil {
			want = got
		}
		logits, complexity := len(got)-1, got[len(got)-1]
		gctest.AssertClose(t, got[:logits], want[:logits], 2e-5, 0, "logits")
		gctest.AssertClose(t, got[logits:], want[logits:], 2e-5, 0, "geometric complexity")
		if complexity <= 0 {
			t.Errorf("geometric complexity %g, want a positive number", complexity)
		}
	})
}

// TestResNet18Features: the features are what the dense layer maps to the outputs.
func TestResNet18Features(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		const n, outputs, width = 3, 2, 1
		store := model.NewStore()
		exec := model.MustNewExec(b, store, func(scope *model.Scope, x *Node) []*Node {
			scope.Store().SetTraining(x.Graph(), false)
			out, features := ResNet18(scope, x).Outputs(outputs).Width(width).DoneWithFeatures()
			return []*Node{out, features}
		})
		images := make([]float32, n*8*8)
		for i := range images {
			images[i] = float32(i%7) / 7
		}
		got := exec.MustCall(tensors.FromFlatDataAndDimensions(images, n, 8, 8, 1))
		got[1].Shape().AssertDims(n, 8*width)
		out, features := tensors.MustCopyFlatData[float32](got[0]), tensors.MustCopyFlatData[float32](got[1])
		weights := tensors.MustCopyFlatData[float32](store.GetVariable("/head/dense/weights").MustValue())
		biases := tensors.MustCopyFlatData[float32](store.GetVariable("/head/dense/biases").MustValue())
		for i := range n {
			for k := range outputs {
				want := float64(biases[k])
				for j := range 8 * width {
					want += float64(features[i*8*width+j]) * float64(weights[j*outputs+k])
				}
				gctest.AssertClose(t, []float64{float64(out[i*outputs+k])}, []float64{want}, 1e-5, 1e-6, "output")
			}
		}
	})
}
