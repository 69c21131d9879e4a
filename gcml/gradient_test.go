package gcml_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestGradientEqualsDifferences compares d(GC)/dθ, for every parameter of every problem, with
// central differences of the GC itself. Random estimators draw the same numbers each time.
func TestGradientEqualsDifferences(t *testing.T) {
	estimators := []gcml.Estimator{
		gcml.Exact(), gcml.Projection(1), gcml.Projection(2),
		gcml.Hutchinson(2, gcml.Rademacher), gcml.Hutchinson(1, gcml.Gaussian),
	}
	const sigma = 0.1
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, p := range problems {
			if !p.smooth {
				continue
			}
			t.Run(p.name, func(t *testing.T) {
				x := inputsFor(t, dtypes.Float64, p.inputs)
				checkTo := func(relTol float64, name string, opts ...gcml.Option) {
					gradientEqualsDifferences(t, b, name, max(1e-6, relTol), x, func(scope *model.Scope, x *Node) *Node {
						return gcml.Complexity(p.model(scope, x), x, opts...)
					})
				}
				check := func(name string, opts ...gcml.Option) { checkTo(p.relTol, name, opts...) }
				if testing.Short() || b != gctest.GoBackend(t) { // Compiling on XLA takes long.
					check("exact")
					if p.outputs > 1 {
						check("projection:2", gcml.WithEstimator(gcml.Projection(2)))
					}
					return
				}
				check("no closed form", gcml.WithoutClosedForm())
				check("one cotangent at a time", gcml.WithCotangents(1))
				for _, e := range estimators {
					if p.outputs > 1 || e != gcml.Projection(2) {
						check(e.String(), gcml.WithEstimator(e))
					}
				}
				// It divides the error of the forward pass by sigma.
				checkTo(p.relTol/sigma, "noise", gcml.WithEstimator(gcml.ForwardNoise(sigma, 2)))
			})
		}
	})
}

// gradientEqualsDifferences checks the gradient of a scalar value with respect to each trainable
// variable of its model, in two random directions. One program computes the value and its gradient,
// to compile only once.
func gradientEqualsDifferences(t *testing.T, b compute.Backend, name string, relTol float64, x *tensors.Tensor,
	value func(scope *model.Scope, x *Node) *Node) {
	t.Helper()
	store := newStore(t, 42)
	initialize(t, store, value, x)
	var variables []*model.Variable
	for v := range store.IterVariables() {
		if v.Trainable {
			variables = append(variables, v)
		}
	}
	exec, err := model.NewExec(b, store, func(scope *model.Scope, x *Node) []*Node {
		y := value(scope, x)
		nodes := make([]*Node, len(variables))
		for i, v := range variables {
			nodes[i] = v.NodeValue(y.Graph())
		}
		return append([]*Node{y}, Gradient(y, nodes...)...)
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer exec.Finalize()
	valueAndGradients := func() []*tensors.Tensor {
		if err := store.SetRNGStateFromSeed(5); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Call(x)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return out
	}
	gradients := valueAndGradients()[1:]
	const h, directions = 1e-5, 2
	rng := rand.New(rand.NewPCG(3, 4))
	var got, want []float64
	for i, v := range variables {
		at, err := v.MustValue().LocalClone() // Setting a value frees the one before it.
		if err != nil {
			t.Fatal(err)
		}
		for range directions {
			direction := gctest.RandomTensor(rng, v.Shape().Dimensions...)
			moved := func(step float64) float64 {
				if err := v.SetValue(gctest.Moved(at, step, direction)); err != nil {
					t.Fatal(err)
				}
				return tensors.ToScalar[float64](valueAndGradients()[0])
			}
			got = append(got, gctest.Inner(gradients[i], direction))
			want = append(want, (moved(h)-moved(-h))/(2*h))
		}
		if err := v.SetValue(at); err != nil {
			t.Fatal(err)
		}
	}
	gctest.AssertClose(t, got, want, relTol, 1e-8, name)
}
