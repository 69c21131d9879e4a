package autodiff

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestElementwise(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, f := range map[string]func(x *Node) *Node{
			"Rsqrt": func(x *Node) *Node { return Rsqrt(AddScalar(Square(x), 0.5)) },
			"Rem": func(x *Node) *Node {
				y := Square(Rem(MulScalar(x, 3), AddScalar(Square(x), 1)))
				return Add(y, Rem(x, Const(x.Graph(), 0.7)))
			},
			"Max of a column": func(x *Node) *Node {
				return Mul(x, Max(SliceAxis(x, 1, AxisRange(0, 1)), Sin(MulScalar(x, 2))))
			},
			"Min of a row and a scalar": func(x *Node) *Node {
				row := Min(Square(SliceAxis(x, 0, AxisRange(0, 1))), MulScalar(x, 0.5))
				return Mul(x, Min(ReduceAllMean(x), Sin(row)))
			},
			"Expm1": func(x *Node) *Node { return Square(Expm1(x)) },
			"ConvertDType": func(x *Node) *Node {
				whole := ConvertDType(ConvertDType(MulScalar(x, 3), dtypes.Int32), x.DType())
				above := ConvertDType(GreaterThan(x, Const(x.Graph(), 0.7)), x.DType())
				return Mul(Sub(MulScalar(x, 3), whole), Add(Sin(x), Mul(above, x)))
			},
			"Clamp": func(x *Node) *Node {
				return Clip(Square(x), Scalar(x.Graph(), x.DType(), 0.3), Scalar(x.Graph(), x.DType(), 0.8))
			},
		} {
			t.Run(name, func(t *testing.T) {
				gctest.CheckDerivatives(t, b, func(inputs []*Node) *Node { return f(inputs[0]) }, []int{4, 5})
			})
		}
	})
}

// TestMaxAtTies: one operand gets the gradient of a tie, and what is not the result gets 0 even of
// an infinite gradient.
func TestMaxAtTies(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, tc := range map[string]struct {
			op           func(x, y *Node) *Node
			wantX, wantY []float64
		}{
			"Max": {Max, []float64{0, 2, math.Inf(1)}, []float64{1, 0, 0}},
			"Min": {Min, []float64{1, 0, 0}, []float64{0, 2, math.Inf(1)}},
		} {
			gradients := MustExecOnceN(b, func(x, y, v *Node) []*Node {
				return Gradient(ReduceAllSum(Mul(tc.op(x, y), v)), x, y)
			}, []float64{-1, 3, 5}, []float64{2, 3, 4}, []float64{1, 2, math.Inf(1)})
			gotX, gotY := gctest.Flat(gradients[0]), gctest.Flat(gradients[1])
			if !slices.Equal(gotX, tc.wantX) || !slices.Equal(gotY, tc.wantY) {
				t.Errorf("gradients of %s: %v and %v, want %v and %v", name, gotX, gotY, tc.wantX, tc.wantY)
			}
		}
	})
}
