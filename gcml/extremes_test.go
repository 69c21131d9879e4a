package gcml_test

import (
	"fmt"
	"math/rand/v2"
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

func batchOf(x *tensors.Tensor) oneBatch { return oneBatch{train.Batch{Inputs: []*tensors.Tensor{x}}} }

// TestProjectionOfManyHalfOutputs: the squares of a direction of 65,536 outputs sum to more than
// float16 holds. The squared norm of y = c·x is c² times the number of outputs.
func TestProjectionOfManyHalfOutputs(t *testing.T) {
	const outputs = 256 * 256
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, scale := range []float64{1, 1. / 2048} {
			x := run(t, b, newStore(t, 1), func(_ *model.Scope, g *Graph) *Node {
				return Zeros(g, shapes.Make(dtypes.Float16, 4, outputs))
			})
			fn := func(_ *model.Scope, x *Node) *Node { return MulScalar(x, scale) }
			r, err := gcml.Measure(t.Context(), b, newStore(t, 1), fn, batchOf(x), gcml.WithEstimator(gcml.Projection(1)))
			if err != nil {
				t.Fatal(err)
			}
			want := outputs * scale * scale
			gctest.AssertClose(t, []float64{r.GC}, []float64{want}, 0.02, 0, fmt.Sprint("GC for scale ", scale))
		}
	})
}

// TestTinyWeights: the squares of the first layer's weights underflow, those of the derivatives do
// not. The outputs are four times the sum of 64 inputs.
func TestTinyWeights(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, size := range []float64{1e-14, 1e-18, 1e-20, 1e-21, 1e-23} {
			fn := func(_ *model.Scope, x *Node) *Node {
				w := MulScalar(Ones(x.Graph(), shapes.Make(dtypes.Float32, 64, 4)), size)
				return MulScalar(Dot(x, w).Product(), 1/size)
			}
			x := batchOf(tensors.FromScalarAndDimensions(float32(0), 32, 64))
			r, err := gcml.Measure(t.Context(), b, model.NewStore(), fn, x)
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{r.GC}, []float64{4 * 64}, 1e-3, 0, fmt.Sprint("GC for weights of ", size))
		}
	})
}

// TestManyConstantFeatures: a softmax ignores what its classes share of the weights of 50,176
// inputs. The weights are constants, which XLA would multiply while it compiles.
func TestManyConstantFeatures(t *testing.T) {
	const features, n = 224 * 224, 2
	for _, c := range []struct {
		classes int
		share   float64
	}{{3, 1.2}, {10, 0.6}} {
		rng := rand.New(rand.NewPCG(0, 2))
		w, x := make([]float32, features*c.classes), make([]float32, n*features)
		for i := range features {
			common := c.share * rng.NormFloat64()
			for k := range c.classes {
				w[i*c.classes+k] = float32(common + 0.03*rng.NormFloat64())
			}
		}
		for i := range x {
			x[i] = float32(rng.Float64() * 0.002)
		}
		weights := tensors.FromFlatDataAndDimensions(w, features, c.classes)
		fn := func(_ *model.Scope, x *Node) *Node {
			return Softmax(Dot(x, Const(x.Graph(), weights)).Product(), -1)
		}
		gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
			var gc [2]float64
			for i, opts := range [][]gcml.Option{nil, {gcml.WithoutClosedForm()}} {
				images := batchOf(tensors.FromFlatDataAndDimensions(x, n, features))
				r, err := gcml.Measure(t.Context(), b, model.NewStore(), fn, images, opts...)
				if err != nil {
					t.Fatal(err)
				}
				gc[i] = r.GC
			}
			gctest.AssertClose(t, gc[:1], gc[1:], 1e-3, 0, fmt.Sprintf("GC of %d classes that share %g", c.classes, c.share))
		})
	}
}

// TestModelThatUpdatesVariables measures a model that counts its calls in either mode and returns
// the count times its inputs: the count must not change, so that all parts of a measurement, and
// the next one, are of the same network.
func TestModelThatUpdatesVariables(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		fn := func(scope *model.Scope, x *Node) *Node {
			v := scope.VariableWithValue("count", float32(1)).SetTrainable(false)
			count := v.NodeValue(x.Graph())
			v.SetNodeValue(OnePlus(count))
			return Mul(x, count)
		}
		store := newStore(t, 1)
		for range 2 {
			x := batchOf(tensors.FromValue([][]float32{{0, 0}}))
			r, err := gcml.Measure(t.Context(), b, store, fn, x, gcml.WithSpectralNorm())
			if err != nil {
				t.Fatal(err)
			}
			if r.GC != 2 || r.Spectrum.StableRank != 2 {
				t.Errorf("GC %g and stable rank %g, want 2 and 2", r.GC, r.Spectrum.StableRank)
			}
		}
		if got := store.GetVariable("/count").MustValue().Value(); got != float32(1) {
			t.Errorf("Measure changed the variable to %v", got)
		}
	})
}

// TestResidualOfTinyJacobian: three steps do not find the largest singular value of a random matrix
// of 200 rows, however small it is, and the residual has to say so.
func TestResidualOfTinyJacobian(t *testing.T) {
	const size = 200
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		residual := func(scale float64) float64 {
			rng := rand.New(rand.NewPCG(1, 2))
			w := make([]float32, size*size)
			for i := range w {
				w[i] = float32(rng.NormFloat64() * scale)
			}
			weights := tensors.FromFlatDataAndDimensions(w, size, size)
			fn := func(scope *model.Scope, x *Node) *Node {
				return Dot(x, scope.VariableWithValue("w", weights).NodeValue(x.Graph())).Product()
			}
			x := batchOf(tensors.FromScalarAndDimensions(float32(0), 2, size))
			r, err := gcml.Measure(t.Context(), b, newStore(t, 1), fn, x, gcml.WithSpectralNorm(), gcml.WithLanczosSteps(3))
			if err != nil {
				t.Fatal(err)
			}
			return r.Spectrum.Residual
		}
		gctest.AssertClose(t, []float64{residual(1e-25)}, []float64{residual(1)}, 1e-3, 0, "residual")
	})
}
