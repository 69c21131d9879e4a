package autodiff

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

var reductions = map[string]func(x *Node, axes ...int) *Node{"max": ReduceMax, "min": ReduceMin}

// axisSubsets are the sets of axes of a tensor of rank 3, in ascending order.
var axisSubsets = [][]int{{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}}

// TestReduceExtremes checks the first and second derivatives over all sets of axes. The values are
// normal, so that a central difference is too small to change which of them is the largest.
func TestReduceExtremes(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, reduce := range reductions {
			t.Run(name, func(t *testing.T) {
				gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
					results := []*Node{Reshape(reduce(in[0]), -1), Reshape(reduce(in[0], 2, 0), -1)}
					for _, axes := range axisSubsets {
						results = append(results, Reshape(Square(reduce(in[0], axes...)), -1))
					}
					return Concatenate(results, 0)
				}, []int{3, 4, 2})
			})
		}
	})
}

// TestExtremesOfRecomputedValues checks, in float32, the gradients of maxima whose operand XLA
// computes again with another rounding. A rule that compares the elements with the maximum fails
// for nearly every batch.
func TestExtremesOfRecomputedValues(t *testing.T) {
	layerNorm := func(x *Node) *Node {
		centered := Sub(x, ReduceAndKeep(x, ReduceMean, 2))
		return Div(centered, Sqrt(AddScalar(ReduceAndKeep(Square(centered), ReduceMean, 2), 1e-5)))
	}
	models := map[string]func(x *Node) *Node{ // Of [batch, 4, 6].
		"ReduceMax of a layer norm": func(x *Node) *Node { return ReduceMax(layerNorm(x), 1) },
		"ReduceMin of a layer norm": func(x *Node) *Node { return ReduceMin(layerNorm(x), 1) },
		"ReduceMax of a softmax":    func(x *Node) *Node { return ReduceMax(Softmax(x, -1), 1) },
		"ReduceMax over two axes":   func(x *Node) *Node { return ReduceMax(layerNorm(x), 1, 2) },
		"MaxPool": func(x *Node) *Node {
			return MaxPool(InsertAxes(layerNorm(x), -1)).Window(2).Done()
		},
		"MinPool, overlapping": func(x *Node) *Node {
			return MinPool(InsertAxes(layerNorm(x), -1)).Window(3).Strides(1).Done()
		},
		"Max": func(x *Node) *Node {
			y := layerNorm(x)
			return Max(SliceAxis(y, 1, AxisRange(0, 2)), SliceAxis(y, 1, AxisRange(2, 4)))
		},
		"ScatterMax": func(x *Node) *Node {
			tokens := Reshape(TransposeAllAxes(layerNorm(x), 1, 0, 2), 4, -1) // [4, batch·6]
			rows := Const(x.Graph(), [][]int32{{0}, {1}, {1}, {0}})
			largest := ScatterMax(MulScalar(SliceAxis(tokens, 0, AxisRange(0, 2)), 0.5), rows, tokens, false, false)
			return TransposeAllAxes(Reshape(largest, 2, -1, 6), 1, 0, 2)
		},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, model := range models {
			t.Run(name, func(t *testing.T) {
				const batches = 50
				wrong := 0
				rng := rand.New(rand.NewPCG(7, 8))
				single := MustNewExec(b, func(x *Node) *Node { return Gradient(ReduceAllSum(weighted(model(x))), x)[0] })
				double := MustNewExec(gctest.GoBackend(t), func(x *Node) *Node { return weighted(model(x)) })
				for range batches {
					x := gctest.RandomTensor(rng, 8, 4, 6)
					got := gctest.Flat(single.MustCall(toFloat32(x))[0])
					want := perExampleDifferences(double, toFloat64(toFloat32(x)))
					for i := range got {
						if math.Abs(got[i]-want[i]) > 1e-3 {
							wrong++
							break
						}
					}
				}
				if wrong > 0 {
					t.Errorf("the gradient of %d of %d batches is wrong", wrong, batches)
				}
			})
		}
	})
}

// weighted returns, for y of shape [batch, ...], its sum for every example, with irregular weights.
func weighted(y *Node) *Node {
	y = Reshape(y, y.Shape().Dim(0), -1)
	return ReduceSum(Mul(y, Sin(AddScalar(Iota(y.Graph(), y.Shape(), 1), 1))), 1)
}

// perExampleDifferences returns the central differences of f, from [batch, ...] to [batch]. The
// examples are independent, so that it changes an element of all of them at once.
func perExampleDifferences(f *Exec, x *tensors.Tensor) []float64 {
	const h = 1e-6
	batch := x.Shape().Dim(0)
	size := x.Shape().Size() / batch
	differences := make([]float64, batch*size)
	for i := range size {
		entries := make([]float64, batch*size)
		for example := range batch {
			entries[example*size+i] = 1
		}
		direction := tensors.FromFlatDataAndDimensions(entries, x.Shape().Dimensions...)
		up, down := gctest.Flat(f.MustCall(gctest.Moved(x, h, direction))[0]),
			gctest.Flat(f.MustCall(gctest.Moved(x, -h, direction))[0])
		for example := range batch {
			differences[example*size+i] = (up[example] - down[example]) / (2 * h)
		}
	}
	return differences
}

func toFloat32(x *tensors.Tensor) *tensors.Tensor {
	var values []float32
	for _, v := range gctest.Flat(x) {
		values = append(values, float32(v))
	}
	return tensors.FromFlatDataAndDimensions(values, x.Shape().Dimensions...)
}

func toFloat64(x *tensors.Tensor) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(gctest.Flat(x), x.Shape().Dimensions...)
}

// TestExtremeTies checks that the first of equal elements, in the order of the axes, gets the whole
// first and second derivative, in every dtype.
func TestExtremeTies(t *testing.T) {
	x := [][]float64{{3, 1, 3}, {3, 1, 1}}
	flat := slices.Concat(x...)
	for _, test := range []struct {
		name string
		f    func(x *Node) *Node
		want []float64 // The gradient of the sum of the results' squares: 2·value for a selected element.
	}{
		{"max, axis 0", func(x *Node) *Node { return ReduceMax(x, 0) }, []float64{6, 2, 6, 0, 0, 0}},
		{"max, axis 1", func(x *Node) *Node { return ReduceMax(x, 1) }, []float64{6, 0, 0, 6, 0, 0}},
		{"max, axes 1 and 0", func(x *Node) *Node { return ReduceMax(x, 1, 0) }, []float64{6, 0, 0, 0, 0, 0}},
		{"max, all axes", func(x *Node) *Node { return ReduceMax(x) }, []float64{6, 0, 0, 0, 0, 0}},
		{"min, axis 0", func(x *Node) *Node { return ReduceMin(x, 0) }, []float64{6, 2, 0, 0, 0, 2}},
		{"min, all axes", func(x *Node) *Node { return ReduceMin(x) }, []float64{0, 2, 0, 0, 0, 0}},
		{"max pooling", func(x *Node) *Node { return MaxPool(Reshape(x, 1, 2, 3, 1)).Window(2).Strides(1).Done() },
			[]float64{6, 0, 6, 0, 0, 0}},
		{"min pooling", func(x *Node) *Node { return MinPool(Reshape(x, 1, 2, 3, 1)).Window(2).Strides(1).Done() },
			[]float64{0, 4, 0, 0, 0, 0}},
		{"scatter max", func(x *Node) *Node {
			operand := OnesLike(SliceAxis(x, 0, AxisRange(0, 1)))
			return ScatterMax(operand, Const(x.Graph(), [][]int32{{0}, {0}}), x, false, false)
		}, []float64{6, 0, 6, 0, 0, 0}}, // The 1 in the second column comes from the operand.
		{"scatter min", func(x *Node) *Node {
			operand := MulScalar(OnesLike(SliceAxis(x, 0, AxisRange(0, 1))), 5)
			return ScatterMin(operand, Const(x.Graph(), [][]int32{{0}, {0}}), x, false, false)
		}, []float64{6, 2, 0, 0, 0, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				halvesToo := []dtypes.DType{dtypes.Float64, dtypes.Float32, dtypes.Float16, dtypes.BFloat16}
				got := MustExecOnceN(b, func(x *Node) (derivatives []*Node) {
					for _, dtype := range halvesToo {
						x := ConvertDType(x, dtype)
						first := Gradient(ReduceAllSum(Square(test.f(x))), x)[0]
						second := Gradient(ReduceAllSum(Square(first)), x)[0]
						derivatives = append(derivatives,
							ConvertDType(first, dtypes.Float64), ConvertDType(second, dtypes.Float64))
					}
					return derivatives
				}, x)
				for i, dtype := range halvesToo {
					gctest.AssertClose(t, gctest.Flat(got[2*i]), test.want, 0, 0, fmt.Sprint("gradient in ", dtype))
					var want []float64 // The first derivative is 2·n·value for an element that n windows select.
					for j, first := range test.want {
						windows := first / (2 * flat[j])
						want = append(want, 4*windows*first)
					}
					gctest.AssertClose(t, gctest.Flat(got[2*i+1]), want, 0, 0, fmt.Sprint("second derivative in ", dtype))
				}
			})
		})
	}
}

// TestExtremesThatAreNotFinite checks that a row with infinite or NaN values does not change the
// gradients of other rows, and that no gradient becomes NaN.
func TestExtremesThatAreNotFinite(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	x := [][]float64{{1, 2, 0}, {nan, 1, 2}, {-inf, -inf, -inf}, {inf, 0, inf}}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, f := range map[string]func(x *Node) *Node{
			"ReduceMax": func(x *Node) *Node { return ReduceMax(x, 1) },
			"MaxPool":   func(x *Node) *Node { return MaxPool(InsertAxes(x, -1)).Window(3).Done() },
			"ScatterMax": func(x *Node) *Node {
				lowest := MulScalar(OnesLike(SliceAxis(x, 1, AxisRange(0, 1))), -9)
				rows := Const(x.Graph(), [][]int32{{0}, {0}, {0}})
				return ScatterMax(Transpose(lowest, 0, 1), rows, Transpose(x, 0, 1), false, false)
			},
		} {
			t.Run(name, func(t *testing.T) {
				got := gctest.Flat(MustExecOnce(b, func(x *Node) *Node { return Gradient(ReduceAllSum(f(x)), x)[0] }, x))
				for i, v := range got {
					if math.IsNaN(v) {
						t.Errorf("element %d of the gradient is NaN", i)
					}
				}
				gctest.AssertClose(t, append(slices.Clone(got[:3]), got[9:]...), []float64{0, 1, 0, 1, 0, 0}, 0, 0, "gradient")
			})
		}
	})
}

// TestExtremeOfScalar checks the maximum over no axes.
func TestExtremeOfScalar(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		got := MustExecOnce(b, func(x *Node) *Node { return Gradient(Square(ReduceMax(ReduceAllSum(x))), x)[0] },
			[]float64{1, 2})
		gctest.AssertClose(t, gctest.Flat(got), []float64{6, 6}, 0, 0, "gradient of the maximum of a scalar")
	})
}

func TestScatterExtremes(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, scatter := range map[string]func(operand, indices, updates *Node, sorted, unique bool) *Node{
			"max": ScatterMax, "min": ScatterMin,
		} {
			t.Run(name, func(t *testing.T) {
				gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
					g := in[0].Graph()
					rows := scatter(in[0], Const(g, [][]int32{{2}, {0}, {2}, {3}, {2}}), in[1], false, false)
					elements := scatter(in[0], Const(g, [][]int32{{1, 0}, {1, 2}, {1, 0}}), in[2], false, false)
					return Square(Add(rows, MulScalar(elements, 0.7)))
				}, []int{4, 3}, []int{5, 3}, []int{3})
			})
		}
	})
}
