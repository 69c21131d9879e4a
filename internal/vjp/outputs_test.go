package vjp_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/nn"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// branches are functions of [3, T, 4] with ops that have several outputs, or a fused form that
// GoMLX differentiates through other nodes. They do not mix examples, and the first axis of each
// result is the batch.
var branches = []struct {
	name string
	fn   func(x *Node) []*Node
}{
	{"fused query, key and value", func(x *Node) []*Node {
		q, k, v := attention.QKVProjection(x, irregular(x, 4, 12), nil, nil, nil, 4, 4)
		return []*Node{q, k, v}
	}},
	{"fused query, key and value with biases", func(x *Node) []*Node {
		q, k, v := attention.QKVProjection(x, irregular(x, 4, 8), irregular(x, 4), irregular(x, 2), irregular(x, 2), 4, 2)
		return []*Node{q, k, v}
	}},
	{"fused attention", func(x *Node) []*Node {
		q, k, v := attention.QKVProjection(x, irregular(x, 4, 12), nil, nil, nil, 4, 4)
		heads := func(y *Node) *Node { return Reshape(y, 3, y.Shape().Dimensions[1], 2, 2) }
		y, _ := attention.Core(heads(q), heads(k), heads(v), attention.LayoutBSHD, attention.CoreOptions{UseCausalMask: true})
		return []*Node{Reshape(y, x.Shape().Dimensions...), v}
	}},
	{"fused softmax", func(x *Node) []*Node { return []*Node{Softmax(x, -1), Softmax(x, 1)} }},
	{"fused layer norm", func(x *Node) []*Node {
		scaled := nn.LayerNorm(x, []int{-1}, 1e-3, irregular(x, 4), irregular(x, 4), nil)
		return []*Node{scaled, nn.LayerNorm(x, []int{1, 2}, 1e-3, nil, nil, nil)}
	}},
	{"gated activation", func(x *Node) []*Node {
		return []*Node{activation.Apply(activation.TypeSwiGLU, x), activation.Apply(activation.TypeSwiGLU, Sin(x))}
	}},
	{"dense layer with a gated activation", func(x *Node) []*Node {
		return []*Node{nn.Dense(x, irregular(x, 4, 6), irregular(x, 6), compute.DenseLayoutInputOutputs,
			activation.TypeSwiGLU)}
	}},
	{"barrier of several nodes", func(x *Node) []*Node {
		return OptimizationBarriers(Sin(x), Mul(x, x), Cos(x))
	}},
	{"barrier of one node", func(x *Node) []*Node { return []*Node{OptimizationBarrier(Sin(x)), Tanh(x).Checkpoint()} }},
	{"scheduling barrier", func(x *Node) []*Node { return []*Node{SchedulingBarrier(Sin(x), Exp(x)), Exp(x)} }},
}

// irregular returns constants without a pattern.
func irregular(x *Node, dims ...int) *Node {
	return Sin(MulScalar(AddScalar(IotaFull(x.Graph(), shapes.Make(x.DType(), dims...)), 1), 12.9898))
}

// flatten reshapes y to [batch, values].
func flatten(y *Node) *Node { return Reshape(y, y.Shape().Dimensions[0], -1) }

// TestSeveralOutputs checks networks that use all outputs or only one, each with and without a path
// around the op.
func TestSeveralOutputs(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x := gctest.RandomTensor(rand.New(rand.NewPCG(1, 2)), 3, 2, 4)
		for _, f := range branches {
			t.Run(f.name, func(t *testing.T) {
				all := func(x *Node) *Node {
					var parts []*Node
					for _, y := range f.fn(x) {
						parts = append(parts, flatten(y))
					}
					return Sin(Concatenate(parts, 1))
				}
				checkPull(t, b, "the last output, with a way around", func(x *Node) *Node {
					outputs := f.fn(x)
					y := flatten(outputs[len(outputs)-1])
					return Add(y, SliceAxis(flatten(x), 1, AxisRange(0, y.Shape().Dimensions[1])))
				}, x)
				checkPull(t, b, "all outputs, with a way around", func(x *Node) *Node {
					return Concatenate([]*Node{all(x), Mul(flatten(x), irregular(x, 1, 8))}, 1)
				}, x)
				if !isGo(b) {
					return // XLA has no fused ops, and takes a second to compile each graph.
				}
				checkPull(t, b, "all outputs", all, x)
				checkPull(t, b, "the first output", func(x *Node) *Node { return flatten(f.fn(x)[0]) }, x)
			})
		}
	})
}

// checkPull compares the Jacobian of every example with central differences.
func checkPull(t *testing.T, b compute.Backend, what string, f func(x *Node) *Node, x *tensors.Tensor) {
	t.Helper()
	jacobians, err := CallOnce(b, func(x *Node) *Node { return jacobian(f(x), x) }, x)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	exec := MustNewExec(b, f)
	defer exec.Finalize()
	got, want := gctest.Flat(jacobians), differences(exec, x)
	gctest.AssertClose(t, got, want, 1e-7, 1e-8, what)
}

// jacobian returns the Jacobians, [outputs, batch, inputs...], from unit cotangents.
func jacobian(y, x *Node) *Node {
	y = flatten(y)
	k := y.Shape().Dimensions[1]
	numbers := shapes.Make(dtypes.Int32, k, 1, k)
	unit := ConvertDType(Equal(Iota(x.Graph(), numbers, 0), Iota(x.Graph(), numbers, 2)), x.DType())
	return vjp.New(y, x).Pull(unit)
}

// differences is the oracle of jacobian by central differences. It changes input j of all examples
// at once.
func differences(exec *Exec, x *tensors.Tensor, others ...*tensors.Tensor) []float64 {
	const h = 1e-5
	batch := x.Shape().Dimensions[0]
	inputs := x.Shape().Size() / batch
	var values []float64
	for j := range inputs {
		direction := make([]float64, x.Shape().Size())
		for e := range batch {
			direction[e*inputs+j] = 1
		}
		d := tensors.FromFlatDataAndDimensions(direction, x.Shape().Dimensions...)
		call := func(step float64) []float64 {
			args := []any{gctest.Moved(x, step, d)}
			for _, o := range others {
				args = append(args, o)
			}
			return gctest.Flat(exec.MustCall(args...)[0])
		}
		up, down := call(h), call(-h)
		outputs := len(up) / batch
		if values == nil {
			values = make([]float64, outputs*batch*inputs)
		}
		for i := range up {
			e, k := i/outputs, i%outputs
			values[(k*batch+e)*inputs+j] = (up[i] - down[i]) / (2 * h)
		}
	}
	return values
}

// isGo reports whether b is the pure-Go backend, the only one with fused dense layers.
func isGo(b compute.Backend) bool { return b.Capabilities().Operations[compute.OpTypeFusedDense] }

// TestSameAdjointForEveryExample checks an op with several outputs whose adjoint arrives as one row
// for all examples: a batch norm op, which only XLA has, with the examples as its features.
func TestSameAdjointForEveryExample(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if !b.Capabilities().Operations[compute.OpTypeBatchNormForTraining] {
			t.Skip("the backend has no batch normalization ops")
		}
		x := gctest.RandomTensor(rand.New(rand.NewPCG(5, 6)), 3, 4)
		checkPull(t, b, "examples as features", func(x *Node) *Node {
			y, _, _ := InternalBatchNormForTraining(Transpose(x, 0, 1), irregular(x, 3), irregular(x, 3), 1e-2, 1)
			return Transpose(y, 0, 1)
		}, x)
	})
}
