package vjp_test

import (
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// mixtures are functions of a batch whose examples depend on each other, or seem to. fn(x, others)
// gets the batch twice: it takes from others the values that the derivative holds constant. The
// oracle perturbs only x.
var mixtures = []struct {
	name  string
	dims  []int
	fn    func(x, others *Node) *Node
	model func(x *Node) *Node // The measured function, if it is not fn(x, x).
	only  string
}{
	{name: "mixup with the batch reversed", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return Add(MulScalar(x, 0.7), MulScalar(Reverse(others, 0), 0.3))
	}},
	{name: "mixup by numbers", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		numbers := Const(x.Graph(), [][]int32{{2}, {0}, {3}, {1}})
		return Add(MulScalar(Sin(x), 0.7), MulScalar(Gather(Sin(others), numbers), 0.3))
	}},
	{name: "mixup by a shuffle", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return Add(MulScalar(Sin(x), 0.7), MulScalar(Gather(Sin(others), shuffle(x)), 0.3))
	}},
	{name: "mixup with the next example", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		next := Concatenate([]*Node{SliceAxis(others, 0, AxisRange(1)), SliceAxis(others, 0, AxisRange(0, 1))}, 0)
		return Mul(Sin(x), next)
	}},
	{name: "the example before, by padding", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		before := Pad(SliceAxis(others, 0, AxisRange(0, 3)), ScalarZero(x.Graph(), x.DType()), PadAxis{Start: 1}, PadAxis{})
		return Mul(Sin(x), AddScalar(before, 1.0))
	}},
	{name: "ghost statistics", dims: []int{6, 4}, fn: func(x, others *Node) *Node {
		groups := Reshape(others, 2, 3, 4)
		centered := Sub(Reshape(x, 2, 3, 4), ReduceAndKeep(groups, ReduceMean, 1))
		deviation := Sqrt(AddScalar(ReduceAndKeep(Square(groups), ReduceMean, 1), 0.1))
		return Reshape(Div(centered, deviation), 6, 4)
	}},
	{name: "ghost statistics of strided groups", dims: []int{6, 4}, fn: func(x, others *Node) *Node {
		return Reshape(Sub(Reshape(x, 2, 3, 4), ReduceAndKeep(Reshape(others, 2, 3, 4), ReduceMean, 0)), 6, 4)
	}},
	{name: "less the first example", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return Sub(Sin(x), SliceAxis(Sin(others), 0, AxisRange(0, 1)))
	}},
	{name: "times the last example as a row", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return Mul(Sin(x), BroadcastToDims(Reshape(SliceAxis(others, 0, AxisRange(3)), 1, 3), 4, 3))
	}},
	{name: "a slice that moves", dims: []int{4, 3}, only: "xla", fn: func(x, others *Node) *Node {
		start := Const(x.Graph(), int32(2))
		return Mul(Sin(x), DynamicSlice(others, []*Node{start, Const(x.Graph(), int32(0))}, []int{1, 3}))
	}},
	{name: "minibatch standard deviation", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		deviation := Sqrt(ReduceMean(Square(Sub(others, ReduceAndKeep(others, ReduceMean, 0))), 0))
		feature := BroadcastToDims(Reshape(ReduceAllMean(deviation), 1, 1), 4, 1)
		return Tanh(DotProduct(Concatenate([]*Node{x, feature}, 1), irregular(x, 4, 2)))
	}},
	{name: "cumulative sum over the batch", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return Mul(x, CumSum(others, 0, nil))
	}},
	{name: "sorted over the batch", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return Mul(x, Sort(others, 0, true))
	}},
	{name: "softmax over the batch", dims: []int{4, 3},
		fn: func(x, others *Node) *Node {
			return Div(Exp(x), ReduceAndKeep(Exp(others), ReduceSum, 0))
		},
		model: func(x *Node) *Node { return Softmax(x, 0) }},
	{name: "attention between examples", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		query, key := DotProduct(others, irregular(x, 3, 2)), DotProduct(Sin(others), irregular(x, 3, 2))
		scores := Softmax(Dot(query, key).General([]int{1}, nil, []int{1}, nil), -1)
		return Add(Sin(x), DotProduct(scores, DotProduct(others, irregular(x, 3, 3))))
	}},
	{name: "attention between as many examples as values", dims: []int{4, 4}, fn: func(x, others *Node) *Node {
		query, key := DotProduct(others, irregular(x, 4, 4)), DotProduct(Sin(others), irregular(x, 4, 4))
		scores := Softmax(Dot(query, key).General([]int{1}, nil, []int{1}, nil), -1)
		return Add(Sin(x), DotProduct(scores, DotProduct(others, irregular(x, 4, 4))))
	}},
	{name: "similarities as features", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return Concatenate([]*Node{Sin(x), Dot(others, others).General([]int{1}, nil, []int{1}, nil)}, 1)
	}},
	{name: "distances between examples", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		d := ReduceSum(Square(Sub(InsertAxes(others, 1), InsertAxes(others, 0))), -1) // [4, 4]
		return Mul(Sin(x), ReduceAndKeep(Exp(Neg(d)), ReduceSum, 1))
	}},
	{name: "covariances", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return DotProduct(x, Dot(others, others).General([]int{0}, nil, []int{0}, nil))
	}},
	{name: "centred with the tokens merged", dims: []int{4, 2, 3}, fn: func(x, others *Node) *Node {
		mean := ReduceAndKeep(Reshape(others, 8, 3), ReduceMean, 0)
		return Reshape(Sub(Reshape(x, 8, 3), mean), 4, 6)
	}},
	{name: "the largest of the batch", dims: []int{4, 3}, fn: func(x, others *Node) *Node {
		return Div(x, ReduceAllMax(others))
	}},
	{name: "batch norm op in training", dims: []int{4, 2, 3}, only: "xla",
		fn: func(x, others *Node) *Node {
			mean := ReduceMean(others, 0, 1)
			variance := ReduceMean(Square(Sub(others, Reshape(mean, 1, 1, 3))), 0, 1)
			y := normalized(Square(x), Square(others), []int{0, 1}, 3)
			return Mul(y, Reshape(Add(mean, variance), 1, 1, 3))
		},
		model: func(x *Node) *Node {
			y, _, _ := InternalBatchNormForTraining(Square(x), irregular(x, 3), irregular(x, 3), 1e-2, 2)
			_, mean, variance := InternalBatchNormForTraining(x, irregular(x, 3), irregular(x, 3), 1e-2, 2)
			return Mul(y, Reshape(Add(mean, variance), 1, 1, 3))
		}},

	// These only seem to mix examples.
	{name: "parts of the batch in turn", dims: []int{4, 3}, fn: func(x, _ *Node) *Node {
		f := func(from, to int) *Node {
			return Tanh(DotProduct(SliceAxis(x, 0, AxisRange(from, to)), irregular(x, 3, 2)))
		}
		return Add(Concatenate([]*Node{f(0, 1), f(1, 4)}, 0), SliceAxis(x, 1, AxisRange(0, 2)))
	}},
	{name: "one example at a time", dims: []int{4, 3}, fn: func(x, _ *Node) *Node {
		var rows []*Node
		for i := range 4 {
			rows = append(rows, Reshape(Tanh(SliceAxis(x, 0, AxisElem(i))), 3))
		}
		return Add(Stack(rows, 0), x)
	}},
	{name: "every other example", dims: []int{4, 3}, fn: func(x, _ *Node) *Node {
		even, odd := Sin(SliceAxis(x, 0, AxisRange(0).Stride(2))), Exp(SliceAxis(x, 0, AxisRange(1).Stride(2)))
		return Add(x, Reshape(Concatenate([]*Node{InsertAxes(even, 1), InsertAxes(odd, 1)}, 1), 4, 3))
	}},
	{name: "two views in one batch", dims: []int{4, 3}, fn: func(x, _ *Node) *Node {
		both := Tanh(DotProduct(Concatenate([]*Node{x, Sin(x)}, 0), irregular(x, 3, 2)))
		return Mul(SliceAxis(both, 0, AxisRange(0, 4)), SliceAxis(both, 0, AxisRange(4)))
	}},
	{name: "reversed and back", dims: []int{4, 3}, fn: func(x, _ *Node) *Node {
		return Add(x, Reverse(Sin(Reverse(x, 0)), 0))
	}},
	{name: "shifted and back", dims: []int{4, 3}, fn: func(x, _ *Node) *Node {
		zero := ScalarZero(x.Graph(), x.DType())
		shifted := Pad(Sin(x), zero, PadAxis{Start: 2, End: 1}, PadAxis{})
		return Add(x, SliceAxis(Square(shifted), 0, AxisRange(2, 6)))
	}},
	{name: "a token of every example", dims: []int{4, 3, 2}, fn: func(x, _ *Node) *Node {
		example := Iota(x.Graph(), shapes.Make(dtypes.Int32, 4, 1), 0)
		token := ConvertDType(ReduceSum(isPositive(x), 1, 2),
			dtypes.Int32) // Depends on the inputs, like the length of a sequence.
		y := Gather(Sin(x), Concatenate([]*Node{example, Reshape(Min(token, Const(x.Graph(), int32(2))), 4, 1)}, 1))
		return Add(y, ReduceMean(x, 1))
	}},
	{name: "put where numbers say", dims: []int{4, 3}, only: "go", fn: func(x, _ *Node) *Node {
		example := Iota(x.Graph(), shapes.Make(dtypes.Int32, 4, 3, 1), 0)
		to := Add(Iota(x.Graph(), shapes.Make(dtypes.Int32, 4, 3, 1), 1), Const(x.Graph(), int32(1)))
		zeros := Zeros(x.Graph(), shapes.Make(x.DType(), 4, 5))
		return ScatterSum(zeros, Concatenate([]*Node{example, to}, 2), Sin(x), false, true)
	}},
	{name: "assigned to columns, as PyTorch's exporter writes it", dims: []int{4, 3}, only: "go",
		fn: func(x, _ *Node) *Node {
			g := x.Graph()
			column := Slice(Iota(g, shapes.Make(dtypes.Int64, 3), 0), AxisRange(0, 3).Stride(2))
			column = BroadcastToDims(Reshape(column, 1, 2), 4, 2)
			example := BroadcastToDims(Iota(g, shapes.Make(dtypes.Int64, 4, 1), 0), 4, 2)
			to := Concatenate([]*Node{InsertAxes(example, -1), InsertAxes(column, -1)}, 2)
			to = Where(LessThan(to, ScalarZero(g, dtypes.Int64)), AddScalar(to, 3), to)
			return ScatterSum(Cos(x), to, Sin(Slice(x, AxisRange(), AxisRange(1))), false, true)
		}},
	{name: "assigned to columns of other examples", dims: []int{4, 3}, only: "go", fn: func(x, others *Node) *Node {
		g := x.Graph()
		example := BroadcastToDims(Slice(Iota(g, shapes.Make(dtypes.Int64, 5, 1), 0), AxisRange(1)), 4, 2)
		example = Where(LessThan(example, Const(g, int64(4))), example, ZerosLike(example)) // 1, 2, 3, 0
		column := BroadcastToDims(Reshape(Const(g, []int64{0, 2}), 1, 2), 4, 2)
		to := Concatenate([]*Node{InsertAxes(example, -1), InsertAxes(column, -1)}, 2)
		put := ScatterSum(Zeros(g, x.Shape()), to, Sin(Slice(others, AxisRange(), AxisRange(1))), false, true)
		return Add(Cos(x), put)
	}},
	{name: "kernels of every example's own", dims: []int{4, 3, 2}, fn: func(x, _ *Node) *Node {
		images := Reshape(TransposeAllAxes(Sin(x), 1, 0, 2), 1, 3, 8) // [1, length, 4·2]
		kernel := Reshape(TransposeAllAxes(Reshape(Cos(x), 4, 3, 2), 1, 2, 0), 3, 2, 4)
		y := Convolve(images, kernel).PadSame().ChannelGroupCount(4).Done() // [1, 3, 4·1]
		return Transpose(Reshape(y, 3, 4), 0, 1)
	}},
	{name: "times the gradient of a depthwise kernel", dims: []int{4, 3, 2}, fn: func(x, others *Node) *Node {
		kernel := irregular(x, 2, 1, 2)
		y := Convolve(others, kernel).PadSame().ChannelGroupCount(2).Done()
		return Mul(Sin(x), ReduceAllSum(Gradient(ReduceAllSum(Sin(y)), kernel)[0])) // The gradient sums over the examples.
	}},
	{name: "batch norm op on each example alone", dims: []int{4, 3, 2}, only: "xla",
		fn: func(x, _ *Node) *Node {
			y := TransposeAllAxes(x, 1, 0, 2) // [3, 4, 2]: over the first axis.
			mean := ReduceAndKeep(y, ReduceMean, 0)
			variance := ReduceAndKeep(Square(Sub(y, mean)), ReduceMean, 0)
			scale := Reshape(irregular(x, 8), 1, 4, 2)
			normal := Add(Mul(Div(Sub(y, mean), Sqrt(AddScalar(variance, 1e-2))), scale), scale)
			return TransposeAllAxes(Mul(normal, Add(mean, variance)), 1, 0, 2)
		},
		model: func(x *Node) *Node {
			y := Reshape(TransposeAllAxes(x, 1, 0, 2), 3, 8)
			y, mean, variance := InternalBatchNormForTraining(y, irregular(x, 8), irregular(x, 8), 1e-2, 1)
			return TransposeAllAxes(Reshape(Mul(y, Reshape(Add(mean, variance), 1, 8)), 3, 4, 2), 1, 0, 2)
		}},
	{name: "batch norm op on each example alone, without the statistics", dims: []int{4, 3, 2}, only: "xla",
		fn: func(x, _ *Node) *Node {
			y := TransposeAllAxes(x, 1, 0, 2)
			return TransposeAllAxes(normalized(y, y, []int{0}, 2), 1, 0, 2)
		},
		model: func(x *Node) *Node {
			y := Reshape(TransposeAllAxes(x, 1, 0, 2), 3, 8)
			scale := Reshape(BroadcastToDims(Reshape(irregular(x, 2), 1, 2), 4, 2), 8)
			y, _, _ = InternalBatchNormForTraining(y, scale, scale, 1e-2, 1)
			return TransposeAllAxes(Reshape(y, 3, 4, 2), 1, 0, 2)
		}},
	{name: "batch norm op in evaluation, by statistics of each example", dims: []int{4, 3, 2}, only: "xla",
		fn: func(x, _ *Node) *Node {
			y := TransposeAllAxes(x, 1, 0, 2)
			return TransposeAllAxes(normalized(y, y, []int{0}, 2), 1, 0, 2)
		},
		model: func(x *Node) *Node {
			y := Reshape(TransposeAllAxes(x, 1, 0, 2), 3, 8)
			scale := Reshape(BroadcastToDims(Reshape(irregular(x, 2), 1, 2), 4, 2), 8)
			mean := ReduceMean(y, 0)
			variance := ReduceMean(Square(Sub(y, Reshape(mean, 1, 8))), 0)
			y = InternalBatchNormForInference(y, scale, scale, mean, variance, 1e-2, 1)
			return TransposeAllAxes(Reshape(y, 3, 4, 2), 1, 0, 2)
		}},
	{name: "as many examples as tokens", dims: []int{4, 4, 3}, fn: func(x, _ *Node) *Node {
		return Add(x, Tanh(ReduceAndKeep(x, ReduceMean, 1)))
	}},
	{name: "as many examples as values", dims: []int{4, 4}, fn: func(x, _ *Node) *Node {
		w := irregular(x, 4, 4)
		y := Dot(w, x).General([]int{1}, nil, []int{1}, nil) // [values, batch]
		y = Sub(y, ReduceAndKeep(y, ReduceMean, 0))
		return Add(Transpose(y, 0, 1), CumSum(x, 1, nil))
	}},
	{name: "tokens first", dims: []int{4, 4, 3}, fn: func(x, _ *Node) *Node {
		y := TransposeAllAxes(x, 1, 0, 2)
		var state *Node
		for i := range 4 {
			step := Reshape(SliceAxis(y, 0, AxisElem(i)), 4, 3)
			if state != nil {
				step = Add(step, DotProduct(state, irregular(x, 3, 3)))
			}
			state = Tanh(step)
		}
		return state
	}},
}

// isPositive returns 1 where x is positive, else 0.
func isPositive(x *Node) *Node {
	return ConvertDType(GreaterThan(x, ScalarZero(x.Graph(), x.DType())), x.DType())
}

// normalized normalizes x by the statistics of others over the axes. It uses the same numbers, one
// per feature on the last axis, as scale and offset.
func normalized(x, others *Node, axes []int, features int) *Node {
	mean := ReduceAndKeep(others, ReduceMean, axes...)
	variance := ReduceAndKeep(Square(Sub(others, mean)), ReduceMean, axes...)
	scale := Reshape(irregular(x, features), 1, 1, features)
	return Add(Mul(Div(Sub(x, mean), Sqrt(AddScalar(variance, 1e-2))), scale), scale)
}

// shuffle returns the numbers 0 to 3 in a random order, [4, 1].
func shuffle(x *Node) *Node {
	_, values := RandomUniform(RNGStateFromSeedForGraph(x.Graph(), 3), shapes.Make(dtypes.Float64, 4))
	numbers := SortFunc(NewClosure(x.Graph(), func(g *Graph) []*Node {
		a, b := Parameter(g, "a", shapes.Make(dtypes.Float64)), Parameter(g, "b", shapes.Make(dtypes.Float64))
		Parameter(g, "c", shapes.Make(dtypes.Int32))
		Parameter(g, "d", shapes.Make(dtypes.Int32))
		return []*Node{LessThan(a, b)}
	}), 0, false, values, Iota(x.Graph(), shapes.Make(dtypes.Int32, 4), 0))[1]
	return Reshape(numbers, 4, 1)
}

// TestMixtures compares the Jacobian of every example with central differences that change only the
// example's own input. It also compares the Jacobian with differences between two clones of the
// graph.
func TestMixtures(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, m := range mixtures {
			if m.only != "" && m.only != path.Base(t.Name()) {
				continue
			}
			t.Run(m.name, func(t *testing.T) {
				measured := m.model
				if measured == nil {
					measured = func(x *Node) *Node { return m.fn(x, x) }
				}
				rng := rand.New(rand.NewPCG(1, 2))
				x, direction := gctest.RandomTensor(rng, m.dims...), gctest.RandomTensor(rng, m.dims...)
				out, err := CallOnceN(b, func(inputs []*Node) []*Node {
					x, direction := inputs[0], inputs[1]
					y := measured(x)
					j := jacobian(y, x) // [outputs, batch, inputs...]
					step := MulScalar(direction, 1e-4)
					pullback := vjp.New(flatten(y), x)
					along := Sub(pullback.Clone(Add(x, step)), pullback.Clone(Sub(x, step)))
					product := Mul(j, InsertAxes(direction, 0))
					product = ReduceSum(product, axesFrom(2, product.Rank())...)
					return []*Node{j, MulScalar(along, 0.5e4), Transpose(product, 0, 1)}
				}, x, direction)
				if err != nil {
					t.Fatal(err)
				}
				exec := MustNewExec(b, func(x, others *Node) *Node { return flatten(m.fn(x, others)) })
				defer exec.Finalize()
				want := differences(exec, x, gctest.Moved(x, 0, x))
				gctest.AssertClose(t, gctest.Flat(out[0]), want, 1e-7, 1e-8, "Jacobians")
				gctest.AssertClose(t, gctest.Flat(out[1]), gctest.Flat(out[2]), 1e-6, 1e-7, "the copy's derivative")
			})
		}
	})
}

func axesFrom(first, limit int) []int {
	var axes []int
	for axis := first; axis < limit; axis++ {
		axes = append(axes, axis)
	}
	return axes
}

// TestComplexIsRefused checks the error for complex numbers, which only XLA has.
func TestComplexIsRefused(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if !b.Capabilities().Operations[compute.OpTypeComplex] {
			return // The backend has no complex numbers.
		}
		for name, fn := range map[string]func(x *Node) *Node{
			"made of two": func(x *Node) *Node { return Add(x, Real(Complex(Sin(x), x))) },
			"transformed": func(x *Node) *Node { return Add(x, ReduceAndKeep(Abs(RealFFT(x)), ReduceSum, 1)) },
		} {
			_, err := CallOnce(b, func(x *Node) *Node {
				vjp.New(fn(x), x)
				return x
			}, gctest.RandomTensor(rand.New(rand.NewPCG(1, 2)), 4, 6))
			if err == nil || !strings.Contains(err.Error(), "complex numbers") {
				t.Errorf("%s: got error %v", name, err)
			}
		}
	})
}

// TestRefused checks the message for functions whose examples cannot be followed.
func TestRefused(t *testing.T) {
	cases := []struct {
		name string
		fn   func(x *Node) *Node // x is [4, 6].
		want string
	}{
		{"a branch", func(x *Node) *Node {
			g := x.Graph()
			same := NewClosure(g, func(*Graph) []*Node { return []*Node{Sin(x)} })
			return Add(x, If(Const(g, true), same, same)[0])
		}, "into the functions"},
		{"a loop", func(x *Node) *Node {
			g := x.Graph()
			cond := NewClosure(g, func(g *Graph) []*Node {
				return []*Node{LessThan(ReduceAllSum(Parameter(g, "x", x.Shape())), Scalar(g, x.DType(), 10))}
			})
			body := NewClosure(g, func(g *Graph) []*Node { return []*Node{AddScalar(Parameter(g, "x", x.Shape()), 1.0)} })
			return While(cond, body, x)[0]
		}, "While"},
		{"examples cut apart", func(x *Node) *Node {
			y := Reshape(x, 3, 8)
			return Reshape(Add(y, ReduceAndKeep(y, ReduceMean, 1)), 4, 6)
		}, "Reshape"},
		{"computed numbers", func(x *Node) *Node {
			nearest := ArgMax(Dot(x, x).General([]int{1}, nil, []int{1}, nil), 1, dtypes.Int32)
			return Add(x, Gather(Sin(x), InsertAxes(nearest, 1)))
		}, "Gather"},
		{"some examples in their place", func(x *Node) *Node {
			return Add(x, Concatenate([]*Node{SliceAxis(x, 0, AxisRange(0, 3)), SliceAxis(x, 0, AxisRange(0, 1))}, 0))
		}, "Concatenate"},
		{"a slice across examples", func(x *Node) *Node {
			return Add(x, Reshape(SliceAxis(Reshape(x, 24), 0, AxisRange(1, 7)), 1, 6))
		}, "slice"},
		{"pooled across examples", func(x *Node) *Node {
			y := MaxPool(Reshape(x, 1, 24, 1)).Window(2).Strides(1).PadSame().Done()
			return Add(x, Reshape(y, 4, 6))
		}, "pools"},
		{"limits that move", func(x *Node) *Node { return Clip(x, Sin(x), AddScalar(x, 1.0)) }, "use Min and Max"},
		{"a sort", func(x *Node) *Node { return Sort(x, 1, true) }, "Sort has no gradient in GoMLX"},
		{"outputs transposed", func(x *Node) *Node { return Transpose(SliceAxis(x, 1, AxisRange(0, 4)), 0, 1) },
			"does not number the examples"},
		{"outputs reversed", func(x *Node) *Node { return Reverse(x, 0) }, "does not number the examples"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := CallOnce(gctest.GoBackend(t), func(x *Node) *Node {
				y := c.fn(x)
				return vjp.New(y, x).Pull(OnesLike(InsertAxes(y, 0)))
			}, gctest.RandomTensor(rand.New(rand.NewPCG(1, 2)), 4, 6))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one that contains %q", err, c.want)
			}
		})
	}
}
