package gcml_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// mixtures are models of inputs [6, 4] that mix the examples, with their GC if the values of other
// examples are held fixed: d·Σ(slope)² for those that scale each input by itself.
var mixtures = []struct {
	name  string
	want  float64 // NaN to compare with the exact estimator, which internal/vjp compares with differences.
	model func(x *Node) *Node
}{
	{"mixup", 4 * 0.49, func(x *Node) *Node { return Add(MulScalar(x, 0.7), MulScalar(Reverse(x, 0), 0.3)) }},
	{"mixup by numbers", 4 * 0.49, func(x *Node) *Node {
		return Add(MulScalar(x, 0.7), MulScalar(Gather(x, Const(x.Graph(), [][]int32{{2}, {0}, {5}, {1}, {4}, {3}})), 0.3))
	}},
	{"less the first example", 4, func(x *Node) *Node { return Sub(x, SliceAxis(x, 0, AxisRange(0, 1))) }},
	{"centred in ghost batches", 4, func(x *Node) *Node {
		y := Reshape(x, 2, 3, 4)
		return Reshape(Sub(y, ReduceAndKeep(y, ReduceMean, 1)), 6, 4)
	}},
	{"deviation of the batch as a feature", math.NaN(), func(x *Node) *Node {
		centred := Sub(x, ReduceAndKeep(x, ReduceMean, 0))
		deviation := ReduceAllMean(Sqrt(AddScalar(ReduceMean(Square(centred), 0), 0.1)))
		return Mul(Tanh(x), deviation)
	}},
	{"cumulative sum over the batch", math.NaN(), func(x *Node) *Node { return Mul(Tanh(x), CumSum(x, 0)) }},
	{"attention between examples", math.NaN(), func(x *Node) *Node {
		scores := Softmax(Dot(x, x).General([]int{1}, nil, []int{1}, nil), -1)
		return Add(Sin(x), Dot(scores, x).Product())
	}},
	{"distances between examples", math.NaN(), func(x *Node) *Node {
		d := ReduceSum(Square(Sub(InsertAxes(x, 1), InsertAxes(x, 0))), -1)
		return Mul(Sin(x), ReduceAndKeep(Exp(Neg(d)), ReduceSum, 1))
	}},
}

// TestEstimatorsAgreeOnMixtures checks that all estimators estimate the same quantity, however a
// model mixes its examples.
func TestEstimatorsAgreeOnMixtures(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x := inputsFor(t, dtypes.Float64, []int{6, 4})
		for i, m := range mixtures {
			if b != gctest.GoBackend(t) && i%4 != 0 {
				continue // Compiling takes the time.
			}
			t.Run(m.name, func(t *testing.T) {
				exact := valuesOf(t, b, m.model, x, 1, gcml.Exact())[0]
				if !math.IsNaN(m.want) {
					gctest.AssertClose(t, []float64{exact}, []float64{m.want}, 1e-12, 0, "exact")
				}
				all := valuesOf(t, b, m.model, x, 1, gcml.Projection(4))
				gctest.AssertClose(t, all, []float64{exact}, 1e-10, 0, "projection onto all outputs")
				for _, e := range []gcml.Estimator{
					gcml.Projection(1), gcml.Projection(3), gcml.Hutchinson(1, gcml.Rademacher), gcml.Hutchinson(1, gcml.Gaussian),
					gcml.ForwardNoise(1e-5, 1),
				} {
					const draws = 400
					values := valuesOf(t, b, m.model, x, draws, e)
					mean, deviation := stat.MeanStdDev(values, nil)
					// If a model scales every input alike, all draws are equal up to rounding.
					allowed := 4.5*stat.StdErr(deviation, draws) + 1e-6*exact
					if math.Abs(mean-exact) > allowed {
						t.Errorf("%s: mean %g of %d draws, want %g within %g", e, mean, draws, exact, allowed)
					}
				}
			})
		}
	})
}

// valuesOf returns estimates of the GC of a batch, as many as asked for, each with other random
// directions.
func valuesOf(t *testing.T, b compute.Backend, fn func(x *Node) *Node, x *tensors.Tensor, times int,
	e gcml.Estimator) []float64 {
	t.Helper()
	exec, err := model.NewExec(b, newStore(t, 5), func(_ *model.Scope, x *Node) *Node {
		return gcml.Complexity(fn(x), x, gcml.WithEstimator(e))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	var values []float64
	for range times {
		out, err := exec.Call1(x)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, gctest.Flat(out)...)
	}
	return values
}

// TestFusedProjectionBesideAResidual measures the smallest model that once lost a branch on the Go
// backend.
func TestFusedProjectionBesideAResidual(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x := inputsFor(t, dtypes.Float64, []int{2, 3, 4})
		w := inputsFor(t, dtypes.Float64, []int{4, 12})
		got := gctest.Flat(run(t, b, newStore(t, 1), func(_ *model.Scope, x, w *Node) *Node {
			query, _, _ := attention.QKVProjection(x, w, nil, nil, nil, 4, 4)
			return gcml.Complexity(Add(x, query), x)
		}, x, w))
		want := 0.0 // ‖1 + W‖² for each of the three tokens.
		for i, v := range gctest.Flat(w) {
			if row, column := i/12, i%12; column < 4 {
				if row == column {
					v++
				}
				want += 3 * v * v
			}
		}
		gctest.AssertClose(t, got, []float64{want}, 1e-12, 0, "GC")
	})
}
