package gcml_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"example.com/geometric-complexity/gcml"
	"example.com/geometric-complexity/internal/gctest"
)

func TestHalf(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dtype := range []dtypes.DType{dtypes.BFloat16, dtypes.Float16} {
			for name, opts := range map[string][]gcml.Option{"exact": nil, "without": {gcml.WithoutClosedForm()}, "one": {gcml.WithCotangents(1)},
				"projection": {gcml.WithEstimator(gcml.Projection(1))}, "noise": {gcml.WithEstimator(gcml.ForwardNoise(0.1, 4))}} {
				out, err := model.CallOnce(b, newStore(t, 1), func(scope *model.Scope, g *Graph) *Node {
					x := Zeros(g, shapes.Make(dtype, 3, 4096))
					w := Ones(g, shapes.Make(dtype, 4096, 2))
					return ConvertDType(gcml.SquaredJacobianNorm(Dot(x, w).Product(), x, opts...), dtypes.Float64)
				})
				t.Log(dtype, name, out, err)
				out, err = model.CallOnce(b, newStore(t, 1), func(scope *model.Scope, g *Graph) *Node {
					x := Zeros(g, shapes.Make(dtype, 3, 4096))
					return ConvertDType(gcml.SquaredJacobianNorm(Reshape(ReduceSum(MulScalar(x, 1.1), 1), 3, 1), x, opts...), dtypes.Float64)
				})
				t.Log(dtype, name, out, err)
			}
		}
	})
}
