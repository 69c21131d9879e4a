package gcml_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestHalfPrecision checks that the squares of float16 and bfloat16 values are summed in float32.
// The model is linear, y = 1.1·Σx and y = -1.1·Σx over 4,096 inputs, so the squared norm is
// 2·4096·1.1² = 9,912, up to the rounding of 1.1. A sum in bfloat16 would stop growing at 256·1.1²,
// and XLA, which evaluates sums of constants, gave 9 % too little.
func TestHalfPrecision(t *testing.T) {
	const inputs = 4096
	const tolerance = 1.0 / 256 // XLA may keep bfloat16 values in float32, and then does not round 1.1.
	fn := func(scope *model.Scope, x *Node) *Node {
		w := scope.VariableWithValue("w", float32(1.1)).NodeValue(x.Graph())
		y := ReduceAndKeep(Mul(x, ConvertDType(w, x.DType())), ReduceSum, 1)
		return Concatenate([]*Node{y, Neg(y)}, 1)
	}
	constant := func(_ *model.Scope, x *Node) *Node {
		y := ReduceAndKeep(MulScalar(x, 1.1), ReduceSum, 1)
		return Concatenate([]*Node{y, Neg(y)}, 1)
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for dtype, rounded := range map[dtypes.DType]float64{dtypes.BFloat16: 1.1015625, dtypes.Float16: 1.099609375} {
			want := 2 * inputs * rounded * rounded
			for name, network := range map[string]func(scope *model.Scope, x *Node) *Node{"variable": fn, "constant": constant} {
				x := run(t, b, newStore(t, 1),
					func(_ *model.Scope, g *Graph) *Node { return Zeros(g, shapes.Make(dtype, 3, inputs)) })
				got, err := gcml.Measure(t.Context(), b, newStore(t, 1), network,
					oneBatch{train.Batch{Inputs: []*tensors.Tensor{mustClone(t, x)}}},
					gcml.WithPerOutput())
				if err != nil {
					t.Fatal(err)
				}
				gctest.AssertClose(t, append(got.PerOutput, got.GC), []float64{want / 2, want / 2, want}, tolerance, 0,
					name+" "+dtype.String())
			}
			x := run(t, b, newStore(t, 1),
				func(_ *model.Scope, g *Graph) *Node { return Zeros(g, shapes.Make(dtype, 3, inputs)) })
			out := run(t, b, newStore(t, 1), func(scope *model.Scope, x *Node) *Node {
				gc := gcml.Complexity(fn(scope, x), x)
				if gc.DType() != dtype {
					t.Errorf("Complexity has dtype %s, want %s", gc.DType(), dtype)
				}
				return ConvertDType(gc, dtypes.Float64)
			}, x)
			gctest.AssertClose(t, gctest.Flat(out), []float64{want}, tolerance, 0, "Complexity")
		}
	})
}

// TestStableRankInHalfPrecision checks y = 300·x of four values in float16: the squared Frobenius
// norm 4·300² is beyond the largest float16, but the stable rank is 4.
func TestStableRankInHalfPrecision(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, opts := range map[string][]gcml.Option{"dense": nil, "Lanczos": {gcml.WithLanczosSteps(4)}} {
			out := run(t, b, newStore(t, 1), func(_ *model.Scope, x *Node) *Node {
				x = ConvertDType(x, dtypes.Float16)
				return gcml.JacobianStableRank(MulScalar(x, 300), x, opts...)
			}, [][]float32{{1, 2, 3, 4}})
			gctest.AssertClose(t, gctest.Flat(out), []float64{4}, 1e-3, 0, name)
		}
	})
}

// TestStableRankAtEveryScale checks y = s·x of three values in float32, for s whose square is
// beyond float32: the stable rank is 3, whatever s is.
func TestStableRankAtEveryScale(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, s := range []float32{1e-30, 1e-19, 1, 1e20, 1e30} {
			out := run(t, b, newStore(t, 1), func(_ *model.Scope, x, s *Node) *Node {
				rank := gcml.JacobianStableRank(Mul(x, s), x)
				slope := Mul(s, Gradient(ReduceAllSum(rank), s)[0]) // With respect to the logarithm of s.
				return Concatenate([]*Node{rank, Reshape(slope, 1)}, 0)
			}, [][]float32{{1, 2, 3}}, s)
			gctest.AssertClose(t, gctest.Flat(out), []float64{3, 0}, 1e-5, 1e-4, fmt.Sprint("scale ", s))
		}
	})
}

// TestBatchNormOpInHalfPrecision checks the GC through XLA's batch norm op, with the statistics
// held fixed, for a batch whose sum is beyond the largest float16. The values are 1 and 3, so that
// their variance is 1, and the GC is that of y = 2·x.
func TestBatchNormOpInHalfPrecision(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if !b.Capabilities().Operations[compute.OpTypeBatchNormForTraining] {
			t.Skip("the backend has no batch normalization ops")
		}
		for _, dtype := range []dtypes.DType{dtypes.Float16, dtypes.BFloat16} {
			out := run(t, b, newStore(t, 1), func(_ *model.Scope, g *Graph) *Node {
				index := Iota(g, shapes.Make(dtypes.Float32, 1<<16, 1), 0)
				x := ConvertDType(AddScalar(MulScalar(Mod(index, Const(g, float32(2))), 2), 1), dtype)
				scale := MulScalar(Ones(g, shapes.Make(dtype, 1)), 2)
				y, _, _ := InternalBatchNormForTraining(x, scale, ZerosLike(scale), 0, -1)
				return ConvertDType(gcml.Complexity(y, x), dtypes.Float32)
			})
			gctest.AssertClose(t, gctest.Flat(out), []float64{4}, 0.01, 0, dtype.String())
		}
	})
}

// TestMeasureSpectralNormInHalfPrecision checks that the largest singular value of y = Σx over
// three values, √3, is not rounded to the three digits of bfloat16.
func TestMeasureSpectralNormInHalfPrecision(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dtype := range []dtypes.DType{dtypes.Float16, dtypes.BFloat16} {
			x := run(t, b, newStore(t, 1), func(_ *model.Scope, g *Graph) *Node { return Zeros(g, shapes.Make(dtype, 2, 3)) })
			sum := func(_ *model.Scope, x *Node) *Node { return ReduceSum(x, 1) }
			got, err := gcml.Measure(t.Context(), b, newStore(t, 1), sum,
				oneBatch{train.Batch{Inputs: []*tensors.Tensor{x}}}, gcml.WithSpectralNorm())
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{got.Spectrum.Norm, got.Spectrum.StableRank}, []float64{math.Sqrt(3), 1}, 1e-5, 0,
				dtype.String())
		}
	})
}

// TestPenaltyInHalfPrecision trains y = w·x, element by element, one step in half precision. GC is
// 3·200² = 120,000, beyond the largest float16, but the penalty is 1.2 and its gradient 2·c·w.
func TestPenaltyInHalfPrecision(t *testing.T) {
	const coefficient, rate = 1e-5, 0.1
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dtype := range []dtypes.DType{dtypes.Float16, dtypes.BFloat16} {
			for name, opts := range map[string][]gcml.Option{"all": nil, "in parts": {gcml.WithGradientInParts(1)}} {
				fn := func(scope *model.Scope, x *Node) *Node {
					w := scope.VariableWithValue("w", []float32{200, 200, 200}).NodeValue(x.Graph())
					return Mul(x, InsertAxes(ConvertDType(w, dtype), 0))
				}
				store := newStore(t, 1)
				loss, gc := zeroLossStep(t, b, store, gcml.Regularize(fn, append(opts, gcml.WithCoefficient(coefficient))...), rate,
					run(t, b, newStore(t, 1), func(_ *model.Scope, g *Graph) *Node { return Ones(g, shapes.Make(dtype, 4, 3)) }))
				what := fmt.Sprintf("%s in %s", name, dtype)
				gctest.AssertClose(t, []float64{loss}, []float64{coefficient * 120_000}, 1./256, 0, what+": loss")
				gctest.AssertClose(t, []float64{gc}, []float64{120_000}, 1e-6, 0, what+": metric")
				w := gctest.Flat(store.GetVariable("/w").MustValue())[0]
				gctest.AssertClose(t, []float64{(200 - w) / rate}, []float64{2 * coefficient * 200}, 0.02, 0, what+": gradient")
			}
		}
	})
}

// TestPartsRefuseFloat16 checks that a variable of float16 is refused where the coefficient
// multiplies a gradient that may have overflowed: here 80,000 times the coefficient.
func TestPartsRefuseFloat16(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, inParts := range []bool{false, true} {
			opts := []gcml.Option{gcml.WithCoefficient(1e-5)}
			if inParts {
				opts = append(opts, gcml.WithGradientInParts(1))
			}
			got, err := model.CallOnce(b, newStore(t, 1), func(scope *model.Scope, x *Node) *Node {
				w := scope.VariableWithValue("w", run(t, b, newStore(t, 1), func(_ *model.Scope, g *Graph) *Node {
					return AddScalar(Zeros(g, shapes.Make(dtypes.Float16, 3)), 4)
				})).NodeValue(x.Graph())
				scope.SetTraining(x.Graph(), true)
				gcml.Regularize(func(_ *model.Scope, x *Node) *Node {
					return Mul(x, InsertAxes(MulScalar(w, 100), 0))
				}, opts...)(scope, nil, []*Node{x})
				return ConvertDType(Gradient(train.GetRegularizationLoss(x.Graph()), w)[0], dtypes.Float32)
			}, run(t, b, newStore(t, 1), func(_ *model.Scope, g *Graph) *Node {
				return Ones(g, shapes.Make(dtypes.Float16, 4, 3))
			}))
			if inParts {
				if err == nil || !strings.Contains(err.Error(), "is of float16") {
					t.Errorf("in parts: %v, error %v", got, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, gctest.Flat(got), []float64{0.8, 0.8, 0.8}, 2e-3, 0, "gradient")
		}
	})
}

// zeroLossStep trains one step of plain gradient descent with a loss of 0, besides penalties. It
// returns the loss of the step and the GC that the metric reports.
func zeroLossStep(t *testing.T, b compute.Backend, store *model.Store, fn train.ModelFn, rate float64,
	x *tensors.Tensor) (loss, gc float64) {
	t.Helper()
	noLoss := func(_, predictions []*Node) *Node { return ReduceAllMean(ZerosLike(predictions[0])) }
	trainer := train.NewTrainer(b, store, fn, noLoss,
		optimizer.StochasticGradientDescent().WithLearningRate(rate).WithDecay(false).Done(),
		[]metric.Interface{gcml.NewMetric("GC", "gc")}, nil)
	metrics, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x}})
	if err != nil {
		t.Fatal(err)
	}
	return gctest.Flat(metrics[0])[0], gctest.Flat(metrics[len(metrics)-1])[0]
}
