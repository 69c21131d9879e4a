package gcml

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// softmaxModel is softmax(x·W), a linear classifier whose classes have weights of size 0.03 of
// their own and a share in common, which the softmax ignores.
type softmaxModel struct{ w *mat.Dense }

func newSoftmaxModel(rng *rand.Rand, features, classes int, share float64) softmaxModel {
	w := mat.NewDense(features, classes, nil)
	for i := range features {
		common := share * rng.NormFloat64()
		for k := range classes { // As float32 has it, so that the oracle measures the same network.
			w.Set(i, k, float64(float32(common+0.03*rng.NormFloat64())))
		}
	}
	return softmaxModel{w}
}

func (m softmaxModel) build(dtype dtypes.DType) func(_ *model.Scope, x *Node) *Node {
	features, classes := m.w.Dims()
	return func(_ *model.Scope, x *Node) *Node {
		w := Const(x.Graph(), tensorOf(dtype, m.w.RawMatrix().Data, features, classes))
		return Softmax(Dot(x, w).Product(), -1)
	}
}

// jacobian returns the derivatives of the probabilities, [features, classes]: those of the k-th are
// p_k(w_k - Σ p_j·w_j).
func (m softmaxModel) jacobian(x mat.Vector) *mat.Dense {
	features, classes := m.w.Dims()
	var logits mat.VecDense
	logits.MulVec(m.w.T(), x)
	p := logits.RawVector().Data
	largest, sum := mat.Max(&logits), 0.0
	for k := range p {
		p[k] = math.Exp(p[k] - largest)
		sum += p[k]
	}
	derivatives := mat.NewDense(features, classes, nil)
	for i := range features {
		var mean float64
		for k := range p {
			mean += p[k] / sum * m.w.At(i, k)
		}
		for k := range p {
			derivatives.Set(i, k, p[k]/sum*(m.w.At(i, k)-mean))
		}
	}
	return derivatives
}

func (m softmaxModel) squaredRowNorms(x mat.Vector) []float64 {
	derivatives := m.jacobian(x)
	_, classes := derivatives.Dims()
	squares := make([]float64, classes)
	for k := range squares {
		squares[k] = math.Pow(mat.Norm(derivatives.ColView(k), 2), 2)
	}
	return squares
}

func (m softmaxModel) largestSingularValue(t *testing.T, x mat.Vector) float64 {
	var svd mat.SVD
	if !svd.Factorize(m.jacobian(x), mat.SVDNone) {
		t.Fatal("no singular values")
	}
	return svd.Values(nil)[0]
}

// TestCancellationInClosedForm checks that what the classes share does not change the GC of a
// linear classifier, although the closed form adds terms of that size.
func TestCancellationInClosedForm(t *testing.T) {
	const features, classes = 400, 10
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, share := range []float64{0, 1, 3, 300} {
			t.Run(fmt.Sprint("share ", share), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, 2))
				m := newSoftmaxModel(rng, features, classes, share)
				ds := rows{x: mat.NewDense(200, features, nil), dtype: dtypes.Float32, sizes: []int{120, 80}}
				perOutput, total, largest := make([]float64, classes), 0.0, 0.0
				for i := range 200 {
					for j := range features {
						ds.x.Set(i, j, float64(float32(rng.Float64()/10)))
					}
					largest += m.largestSingularValue(t, ds.x.RowView(i)) / 200
					for k, v := range m.squaredRowNorms(ds.x.RowView(i)) {
						perOutput[k] += v / 200
						total += v / 200
					}
				}
				measurer, err := NewMeasurer(b, model.NewStore(), m.build(dtypes.Float32), WithPerOutput(), WithSpectralNorm())
				if err != nil {
					t.Fatal(err)
				}
				defer measurer.Finalize()
				for range 2 {
					got, err := measurer.Measure(t.Context(), ds)
					if err != nil {
						t.Fatal(err)
					}
					gctest.AssertClose(t, []float64{got.GC}, []float64{total}, 2e-3, 0, "GC")
					gctest.AssertClose(t, got.PerOutput, perOutput, 2e-3, 0, "GC per output")
					gctest.AssertClose(t, []float64{got.Spectrum.Norm}, []float64{largest}, 2e-3, 0, "largest singular value")
				}
				if n, large := measurer.withoutClosedForm.Len(), share >= 3; (n > 0) != large {
					t.Errorf("%d kinds of batches were measured without the closed form", n)
				}
			})
		}
	})
}

// TestCancellationKeepsTheDraws checks that a batch that is measured again gets the directions that
// it would have got without the closed form, and so do the batches after it.
func TestCancellationKeepsTheDraws(t *testing.T) {
	const features = 400
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		rng := rand.New(rand.NewPCG(3, 4))
		m := newSoftmaxModel(rng, features, 10, 100)
		ds := rows{x: mat.NewDense(150, features, nil), dtype: dtypes.Float32, sizes: []int{60, 60, 30}}
		for i := range 150 {
			for j := range features {
				ds.x.Set(i, j, rng.Float64()/10)
			}
		}
		for _, e := range []Estimator{Projection(3), Hutchinson(2, Rademacher)} {
			var values [2][]float64
			for i, opts := range [][]Option{nil, {WithoutClosedForm()}} {
				got, err := Measure(t.Context(), b, model.NewStore(), m.build(dtypes.Float32), ds,
					append(opts, WithEstimator(e), WithPerExample())...)
				if err != nil {
					t.Fatal(err)
				}
				values[i] = got.PerExample
			}
			gctest.AssertClose(t, values[0], values[1], 1e-6, 0, e.String())
			if stat.Variance(values[0], nil) == 0 {
				t.Error("all examples have the same value")
			}
		}
	})
}
