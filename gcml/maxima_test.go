package gcml_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestComplexityOfMaxima compares models in float32 with central differences in float64. They take
// the maximum of values that XLA computes again for the maximum's gradient, and rounds differently.
func TestComplexityOfMaxima(t *testing.T) {
	layerNorm := func(x *Node) *Node {
		centered := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
		return Div(centered, Sqrt(AddScalar(ReduceAndKeep(Square(centered), ReduceMean, -1), 1e-5)))
	}
	models := map[string]func(x *Node) *Node{ // [batch, tokens, features] to [batch, outputs].
		"layer norm, ReduceMax over tokens": func(x *Node) *Node { return ReduceMax(layerNorm(x), 1) },
		"softmax, ReduceMax over tokens":    func(x *Node) *Node { return ReduceMax(Softmax(x, -1), 1) },
		"layer norm, MaxPool": func(x *Node) *Node {
			pooled := MaxPool(InsertAxes(layerNorm(x), -1)).Window(2).Done()
			return Reshape(pooled, x.Shape().Dim(0), -1)
		},
	}
	const batches, batch, tokens, features = 20, 8, 4, 6
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, model := range models {
			t.Run(name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(11, 12))
				measure := MustNewExec(b, func(x *Node) *Node { return gcml.Complexity(model(x), x) })
				outputs := MustNewExec(gctest.GoBackend(t), model)
				wrong := 0
				for range batches {
					single := make([]float32, batch*tokens*features)
					double := make([]float64, len(single))
					for i := range single {
						single[i] = float32(rng.NormFloat64())
						double[i] = float64(single[i])
					}
					got := gctest.Flat(measure.MustCall(tensors.FromFlatDataAndDimensions(single, batch, tokens, features))[0])[0]
					want := complexityByDifferences(outputs, double, batch, tokens, features)
					if math.Abs(got-want) > 1e-4*want {
						wrong++
						t.Logf("GC is %.6g, want %.6g", got, want)
					}
				}
				if wrong > 0 {
					t.Errorf("%d of %d batches are wrong", wrong, batches)
				}
			})
		}
	})
}

// complexityByDifferences returns the mean over examples of the squared Frobenius norm of the
// Jacobian, by central differences. The examples must not depend on each other: an element is moved
// in all of them at once.
func complexityByDifferences(f *Exec, x []float64, dims ...int) float64 {
	const h = 1e-6
	size := len(x) / dims[0]
	at := func(element int, step float64) []float64 {
		moved := append([]float64(nil), x...)
		for i := element; i < len(x); i += size {
			moved[i] += step
		}
		return gctest.Flat(f.MustCall(tensors.FromFlatDataAndDimensions(moved, dims...))[0])
	}
	sum := 0.0
	for element := range size {
		up, down := at(element, h), at(element, -h)
		for i := range up {
			d := (up[i] - down[i]) / (2 * h)
			sum += d * d
		}
	}
	return sum / float64(dims[0])
}

// TestComplexityAtTies checks that of equal elements exactly one gets the gradient of a maximum, by
// every op that takes maxima: the subgradient that package gcml documents.
func TestComplexityAtTies(t *testing.T) {
	image := make([]float64, 16) // All equal.
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, maximum := range map[string]func(x *Node) *Node{
			"ReduceMax":                func(x *Node) *Node { return ReduceMax(x, 1, 2) },
			"MaxPool":                  func(x *Node) *Node { return MaxPool(x).Window(4).Done() },
			"one axis after the other": func(x *Node) *Node { return ReduceMax(ReduceMax(x, 2), 1) },
		} {
			for _, estimator := range []gcml.Estimator{gcml.Exact(), gcml.Projection(1)} {
				got := gctest.Flat(MustExecOnce(b, func(x *Node) *Node {
					return gcml.Complexity(Reshape(MulScalar(maximum(x), 3), 1, 1), x, gcml.WithEstimator(estimator))
				}, tensors.FromFlatDataAndDimensions(image, 1, 4, 4, 1)))
				gctest.AssertClose(t, got, []float64{9}, 1e-12, 0, name+", "+estimator.String())
			}
		}
	})
}
