package gcml_test

import (
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestEstimatorVariance compares the variances with those of docs/estimator.md, for the Jacobian J
// of one example and M = JJᵀ of K rows:
//
//	projection:p     2 (K·‖M‖² - (tr M)²)/(K+2) · (K-p)/(p·(K-1))
//	rademacher:n     2 (‖M‖² - Σ M_kk²)/n
//	gaussian:n, noise of a linear map   2 ‖M‖²/n
func TestEstimatorVariance(t *testing.T) {
	const draws, inputs, outputs = 20000, 6, 4
	rng := rand.New(rand.NewPCG(3, 4))
	w := mat.NewDense(inputs, outputs, nil)
	for i := range inputs {
		for k := range outputs {
			w.Set(i, k, rng.NormFloat64()*float64(1+k))
		}
	}
	var m mat.Dense
	m.Mul(w.T(), w)
	trace, squares, diagonal := mat.Trace(&m), math.Pow(mat.Norm(&m, 2), 2), 0.0
	for k := range outputs {
		diagonal += m.At(k, k) * m.At(k, k)
	}
	sphere := 2 * (outputs*squares - trace*trace) / (outputs + 2)
	x := tensors.FromFlatDataAndDimensions(make([]float64, draws*inputs), draws, inputs)
	weights := tensors.FromFlatDataAndDimensions(w.RawMatrix().Data, inputs, outputs)
	for _, c := range []struct {
		e    gcml.Estimator
		want float64
	}{
		{gcml.Projection(1), sphere},
		{gcml.Projection(3), sphere * (outputs - 3) / (3 * (outputs - 1))},
		{gcml.Hutchinson(1, gcml.Rademacher), 2 * (squares - diagonal)},
		{gcml.Hutchinson(3, gcml.Rademacher), 2 * (squares - diagonal) / 3},
		{gcml.Hutchinson(1, gcml.Gaussian), 2 * squares},
		{gcml.Hutchinson(3, gcml.Gaussian), 2 * squares / 3},
		{gcml.ForwardNoise(0.1, 3), 2 * squares / 3},
	} {
		t.Run(c.e.String(), func(t *testing.T) {
			norms := gctest.Flat(run(t, gctest.GoBackend(t), newStore(t, 1), func(_ *model.Scope, x, w *Node) *Node {
				return gcml.SquaredJacobianNorm(DotProduct(x, w), x, gcml.WithEstimator(c.e))
			}, x, weights))
			// The relative error of a variance from n draws is √((κ-1)/n), with a kurtosis κ up to
			// 15, that of χ²(1).
			gctest.AssertClose(t, []float64{stat.Variance(norms, nil)}, []float64{c.want}, 4*math.Sqrt(14.0/draws), 0,
				"variance")
		})
	}
}
