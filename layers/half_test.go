package layers

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

var shortDTypes = []dtypes.DType{dtypes.Float16, dtypes.BFloat16}

// alternating returns center+width, center-width, center+width, ...
func alternating(center, width float32, dims ...int) *tensors.Tensor {
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = center + width*(1-2*float32(i%2))
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// TestBatchNormInHalfPrecision checks a batch whose sum is beyond the largest float16: the values 1
// and 3 become ±1, the running averages are 2 and 1, and the GC with fixed statistics is 1.
func TestBatchNormInHalfPrecision(t *testing.T) {
	const n = 1 << 16
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dtype := range shortDTypes {
			store := model.NewStore()
			exec := model.MustNewExec(b, store, func(scope *model.Scope, x *Node) []*Node {
				scope.Store().SetTraining(x.Graph(), true)
				x = ConvertDType(x, dtype)
				y := BatchNorm(scope, x).Done()
				if y.DType() != dtype {
					t.Errorf("the result is %s, want %s", y.DType(), dtype)
				}
				return []*Node{y, gcml.Complexity(y, x)}
			})
			out := exec.MustCall(alternating(2, 1, n, 1))
			y := gctest.Flat(out[0])
			gctest.AssertClose(t, []float64{y[0], y[1], y[n-2], y[n-1]}, []float64{1, -1, 1, -1}, 0.01, 0, dtype.String())
			gctest.AssertClose(t, gctest.Flat(out[1]), []float64{1}, 0.02, 0, "GC of "+dtype.String())
			for name, want := range map[string]float64{"mean": 2, "variance": 1} {
				got := gctest.Flat(store.GetVariable("/batch_normalization/" + name).MustValue())
				gctest.AssertClose(t, got, []float64{want}, 0.01, 0, "running "+name+" of "+dtype.String())
			}
			exec.Finalize()
		}
	})
}

// TestBatchNormAveragesOfManySteps checks the step after 3,000 others, with averages that are the
// means over all steps: neither the count nor the mean may round to what they were. A store with
// averages in half precision still works.
func TestBatchNormAveragesOfManySteps(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dtype := range shortDTypes {
			step := func(scope *model.Scope, x *Node) *Node {
				scope.Store().SetTraining(x.Graph(), true)
				return BatchNorm(scope, ConvertDType(x, dtype)).Momentum(1).Done()
			}
			store := model.NewStore()
			model.MustCallOnce(b, store, step, alternating(2, 1, 8, 1))
			average := func(name string) *model.Variable { return store.GetVariable("/batch_normalization/" + name) }
			setValue(t, average("avg_weight"), tensors.FromValue([]float32{3000}))
			model.MustCallOnce(b, store, step, alternating(3, 1, 8, 1))
			gctest.AssertClose(t, gctest.Flat(average("avg_weight").MustValue()), []float64{3001}, 0, 0, "steps")
			gctest.AssertClose(t, gctest.Flat(average("mean").MustValue()), []float64{2 + 1.0/3001}, 1e-6, 0, "mean")

			old := model.NewStore()
			for _, name := range []string{"mean", "variance", "avg_weight"} {
				zero := MustExecOnce(b, func(x *Node) *Node { return ConvertDType(x, dtype) }, []float32{0})
				old.VariableWithValue("/batch_normalization/"+name, zero)
			}
			model.MustCallOnce(b, old, step, alternating(2, 1, 8, 1))
			got := gctest.Flat(old.GetVariable("/batch_normalization/mean").MustValue())
			gctest.AssertClose(t, got, []float64{2}, 0.01, 0, "mean in "+dtype.String())
		}
	})
}

// TestSumsInHalfPrecision checks a group norm whose sum of squares, 400·4096, and a mean whose sum,
// 20·4096, are beyond the largest float16.
func TestSumsInHalfPrecision(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dtype := range shortDTypes {
			normalized := gctest.Flat(model.MustCallOnce(b, model.NewStore(), func(scope *model.Scope, x *Node) *Node {
				return GroupNorm(scope, ConvertDType(x, dtype), 1)
			}, alternating(0, 20, 1, 32, 32, 4)))
			gctest.AssertClose(t, normalized[:4], []float64{1, -1, 1, -1}, 0.01, 0, "group norm in "+dtype.String())
			means := model.MustCallOnce(b, model.NewStore(), func(_ *model.Scope, x *Node) *Node {
				return GlobalMeanPool(ConvertDType(x, dtype))
			}, alternating(20, 4, 1, 64, 64, 2))
			gctest.AssertClose(t, gctest.Flat(means), []float64{24, 16}, 0.01, 0, "global mean in "+dtype.String())
		}
	})
}
