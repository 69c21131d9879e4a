package autodiff

import (
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
