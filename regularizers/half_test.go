package regularizers_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// A term beyond the largest float16 has a finite penalty if its product with the coefficient is not
// beyond it. For the kernel W = (200, 200, 200)ᵀ, ‖W‖² and σ² are 120,000, and so is ‖∂L/∂w‖² for
// the loss L = 200·Σw.
func TestPenaltiesInHalfPrecision(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		const c = 1e-5
		fn := func(scope *model.Scope, x *graph.Node) *graph.Node {
			w := scope.VariableWithValue("w", [][]float32{{200}, {200}, {200}}).NodeValue(x)
			return graph.Dot(x, graph.ConvertDType(w, x.DType())).Product()
		}
		coefficient := regularizers.WithCoefficient(c)
		for _, dtype := range []dtypes.DType{dtypes.Float16, dtypes.BFloat16} {
			for name, modelFn := range map[string]train.ModelFn{
				"L2": regularizers.L2(fn, coefficient), "Spectral": regularizers.Spectral(fn, coefficient),
			} {
				inDType := func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
					return modelFn(scope, spec, []*graph.Node{graph.ConvertDType(inputs[0], dtype)})
				}
				noLoss := func(_, predictions []*graph.Node) *graph.Node { return graph.ZerosLike(predictions[0]) }
				got := newProbe(t, b, seeded(t, nil), train.ModelFn(inDType), noLoss, true).call(t, gaussian(1, 4, 3))
				gctest.AssertClose(t, []float64{got.penalty}, []float64{c * 120_000}, 0.005, 0, name+" in "+dtype.String())
				gctest.AssertClose(t, got.gradient, []float64{2 * c * 200, 2 * c * 200, 2 * c * 200}, 0.02, 0,
					"gradient of "+name+" in "+dtype.String())
			}
			sum := func(_, predictions []*graph.Node) *graph.Node { // 200·Σw, whose gradient is 200 for each w.
				return graph.MulScalar(graph.ReduceAllSum(predictions[0]), 200)
			}
			inDType := func(scope *model.Scope, x *graph.Node) *graph.Node { return fn(scope, graph.ConvertDType(x, dtype)) }
			got := newProbe(t, b, seeded(t, nil), inDType, regularizers.Flatness(sum, coefficient), true).
				call(t, tensors.FromValue([][]float32{{1, 1, 1}}))
			gctest.AssertClose(t, []float64{got.penalty}, []float64{c * 120_000}, 0.005, 0, "Flatness in "+dtype.String())
			modified := graph.MustExecOnce(b, func(x *graph.Node) *graph.Node {
				w := graph.Zeros(x.Graph(), x.Shape())
				loss := graph.ReduceAllSum(graph.Mul(graph.ConvertDType(x, dtype), graph.ConvertDType(w, dtype)))
				return regularizers.ModifiedLoss(loss, 4*c, w)
			}, []float32{200, 200, 200})
			gctest.AssertClose(t, gctest.Flat(modified), []float64{c * 120_000}, 0.005, 0, "modified loss in "+dtype.String())
		}
	})
}
