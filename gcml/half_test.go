package gcml_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

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
