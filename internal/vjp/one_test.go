package vjp_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// block is a part of a network: it maps [batch, tokens, values] to [batch, tokens, values] with
// other numbers of tokens and values.
type block struct {
	name string
	fn   func(x *Node) *Node
}

func sizes(x *Node) (batch, tokens, values int) {
	dims := x.Shape().Dimensions
	return dims[0], dims[1], dims[2]
}

// timeMajor applies f to [tokens, batch, values].
func timeMajor(x *Node, f func(x *Node) *Node) *Node {
	return TransposeAllAxes(f(TransposeAllAxes(x, 1, 0, 2)), 1, 0, 2)
}

// blocks move the batch between axes, in ways that the shapes do not show in a batch of one.
var blocks = []block{
	{"dense on merged tokens", func(x *Node) *Node {
		b, t, d := sizes(x)
		return Reshape(DotProduct(Reshape(x, b*t, d), irregular(x, d, 3)), b, t, 3)
	}},
	{"dense on merged tokens, tokens first", func(x *Node) *Node {
		b, t, d := sizes(x)
		return timeMajor(x, func(x *Node) *Node {
			return Reshape(DotProduct(Reshape(x, t*b, d), irregular(x, d, 2)), t, b,
				2)
		})
	}},
	{"dense on all values", func(x *Node) *Node {
		b, t, d := sizes(x)
		return Reshape(DotProduct(Reshape(x, b, t*d), irregular(x, t*d, 4)), b, 2, 2)
	}},
	{"mean over tokens beside them", func(x *Node) *Node { return Add(x, Tanh(ReduceAndKeep(x, ReduceMean, 1))) }},
	{"mean over values beside them", func(x *Node) *Node { return Add(x, Tanh(ReduceAndKeep(x, ReduceMean, 2))) }},
	{"batch last", func(x *Node) *Node {
		y := TransposeAllAxes(x, 2, 1, 0)
		return TransposeAllAxes(Add(y, Tanh(ReduceAndKeep(y, ReduceSum, 0))), 2, 1, 0)
	}},
	{"normalized over merged tokens and values, batch last", func(x *Node) *Node {
		b, t, d := sizes(x)
		y := Transpose(Reshape(x, b, t*d), 0, 1)
		return Reshape(Transpose(Sub(y, ReduceAndKeep(y, ReduceMean, 0)), 0, 1), b, t, d)
	}},
	{"a token more", func(x *Node) *Node {
		b, _, d := sizes(x)
		return Concatenate([]*Node{BroadcastToDims(irregular(x, 1, 1, d), b, 1, d), x}, 1)
	}},
	{"the first token", func(x *Node) *Node { return Add(Sin(x), SliceAxis(x, 1, AxisElem(0))) }},
	{"tokens reversed", func(x *Node) *Node { return Add(Sin(x), Reverse(x, 1)) }},
	{"cumulative sum over tokens", func(x *Node) *Node { return Mul(x, CumSum(x, 1, nil)) }},
	{"softmax over tokens", func(x *Node) *Node { return Mul(x, Softmax(x, 1)) }},
	{"attention", func(x *Node) *Node {
		scores := Dot(x, Sin(x)).General([]int{2}, []int{0}, []int{2}, []int{0})
		return Add(x, Dot(Softmax(scores, -1), x).General([]int{2}, []int{0}, []int{1}, []int{0}))
	}},
	{"heads merged with the batch", func(x *Node) *Node {
		b, t, d := sizes(x)
		heads := Reshape(DotProduct(Reshape(x, b*t, d), irregular(x, d, 4)), b, t, 2, 2)
		heads = Reshape(TransposeAllAxes(heads, 0, 2, 1, 3), b*2, t, 2)
		scores := Softmax(Dot(heads, heads).General([]int{2}, []int{0}, []int{2}, []int{0}), -1)
		heads = Dot(scores, Sin(heads)).General([]int{2}, []int{0}, []int{1}, []int{0})
		return Reshape(TransposeAllAxes(Reshape(heads, b, 2, t, 2), 0, 2, 1, 3), b, t, 4)
	}},
	{"recurrent", func(x *Node) *Node {
		b, t, d := sizes(x)
		var states []*Node
		state := Zeros(x.Graph(), shapes.Make(x.DType(), b, d))
		for i := range t {
			step := Reshape(SliceAxis(x, 1, AxisElem(i)), b, d)
			state = Tanh(Add(step, DotProduct(state, irregular(x, d, d))))
			states = append(states, state)
		}
		return Stack(states, 1)
	}},
	{"recurrent, many steps first", func(x *Node) *Node {
		b, t, d := sizes(x)
		tokens := TransposeAllAxes(x, 1, 0, 2)
		var states []*Node
		state := Zeros(x.Graph(), shapes.Make(x.DType(), b, d))
		for i := range 3 * t {
			state = Tanh(Add(Squeeze(SliceAxis(tokens, 0, AxisElem(i%t)), 0), DotProduct(state, irregular(x, d, d))))
			states = append(states, state)
		}
		return TransposeAllAxes(Stack(states, 0), 1, 0, 2)
	}},
	{"a token picked for each example", func(x *Node) *Node {
		b, t, _ := sizes(x)
		example := Iota(x.Graph(), shapes.Make(dtypes.Int32, b, 1), 0)
		token := Reshape(ConvertDType(isPositive(SliceAxis(x, 2, AxisElem(0))), dtypes.Int32), b, t)
		token = Min(SliceAxis(token, 1, AxisRange(0, 1)), Const(x.Graph(), int32(t-1)))
		picked := Gather(Sin(x), Concatenate([]*Node{example, token}, 1))
		return Add(x, InsertAxes(picked, 1))
	}},
	{"tokens picked and put in heads merged with the batch", func(x *Node) *Node {
		b, t, d := sizes(x)
		heads := Reshape(DotProduct(Reshape(x, b*t, d), irregular(x, d, 4)), b, t, 2, 2)
		heads = Reshape(TransposeAllAxes(heads, 0, 2, 1, 3), b*2, t, 2)
		own := Iota(x.Graph(), shapes.Make(dtypes.Int32, b*2, t, 1), 0)
		token := ConvertDType(isPositive(SliceAxis(heads, 2, AxisRange(0, 1))), dtypes.Int32)
		token = Min(token, Const(x.Graph(), int32(t-1)))
		picked := Gather(Sin(heads), Concatenate([]*Node{own, token}, 2))
		put := ScatterSum(heads, Concatenate([]*Node{own, token}, 2), picked, false, false)
		return Reshape(TransposeAllAxes(Reshape(put, b, 2, t, 2), 0, 2, 1, 3), b, t, 4)
	}},
	{"axes put in and taken out", func(x *Node) *Node {
		y := InsertAxes(x, 0, 2)
		return Squeeze(Add(y, Tanh(ReduceAndKeep(y, ReduceSum, -1))), 0, 3)
	}},
	{"two views", func(x *Node) *Node {
		b, _, _ := sizes(x)
		both := Tanh(Concatenate([]*Node{x, Sin(x)}, 0))
		return Mul(SliceAxis(both, 0, AxisRange(0, b)), SliceAxis(both, 0, AxisRange(b)))
	}},
	{"convolution over tokens", func(x *Node) *Node {
		_, _, d := sizes(x)
		return Convolve(x, irregular(x, 3, d, 3)).PadSame().Done()
	}},
	{"pooled tokens", func(x *Node) *Node { return MeanPool(x).Window(2).Strides(1).PadSame().Done() }},
	{"mixed with the reversed batch", func(x *Node) *Node {
		return Add(MulScalar(x, 0.7), MulScalar(Reverse(x, 0), 0.3))
	}},
}

// centred subtracts the mean of the batch, which is held constant. A batch of one has another mean,
// but the same Jacobian.
var centred = block{"centred on the batch", func(x *Node) *Node { return Sub(x, ReduceAndKeep(x, ReduceMean, 0)) }}

// TestBatchesOfOne compares the Jacobian of every example in a batch with the Jacobian of the
// example alone. It does so for every block, for networks of random blocks, and for shapes in which
// the batch axis is as long as others.
func TestBatchesOfOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var networks [][]block
	for _, b := range append(blocks, centred) {
		networks = append(networks, []block{b})
	}
	for range 40 {
		var n []block
		for range 2 + rng.IntN(4) {
			n = append(n, blocks[rng.IntN(len(blocks)-1)]) // Not the last block, a mixture: later blocks would get other values.
		}
		networks = append(networks, n)
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for i, network := range networks {
			if !isGo(b) && i%10 != 3 {
				continue // Each takes seconds to compile.
			}
			for _, dims := range [][]int{{3, 2, 4}, {3, 3, 3}, {2, 1, 3}, {3, 2, 1}} {
				if !isGo(b) && dims[2] != 4 {
					continue
				}
				name := fmt.Sprint(dims)
				for _, p := range network {
					name += ", " + p.name
				}
				t.Run(name, func(t *testing.T) { compareWithBatchesOfOne(t, b, network, dims) })
			}
		}
	})
}

func compareWithBatchesOfOne(t *testing.T, b compute.Backend, network []block, dims []int) {
	exec := MustNewExec(b, func(x *Node) *Node {
		y := x
		for _, p := range network {
			y = p.fn(y)
		}
		return jacobian(y, x)
	})
	defer exec.Finalize()
	x := gctest.RandomTensor(rand.New(rand.NewPCG(5, 6)), dims...)
	whole, err := exec.Call1(x)
	if err != nil {
		t.Fatal(err)
	}
	inputs := dims[1] * dims[2]
	values, all := gctest.Flat(x), gctest.Flat(whole)
	for e := range dims[0] {
		alone := append([]int{1}, dims[1:]...)
		one, err := exec.Call1(tensors.FromFlatDataAndDimensions(values[e*inputs:(e+1)*inputs], alone...))
		if err != nil {
			t.Fatal(err)
		}
		got := gctest.Flat(one)
		var want []float64
		for k := range len(got) / inputs {
			at := (k*dims[0] + e) * inputs
			want = append(want, all[at:at+inputs]...)
		}
		gctest.AssertClose(t, got, want, 1e-10, 1e-12, fmt.Sprintf("example %d", e))
	}
}
