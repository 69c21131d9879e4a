package regularizers_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
)

func TestL2(t *testing.T) {
	const c = 0.37
	isOut := func(v *model.Variable) bool { return v.Scope() == "/out/dense" }
	cases := []struct {
		name   string
		params map[string]any
		opts   []regularizers.Option
		paths  []string // Of the penalized variables.
	}{
		{"kernels by default", map[string]any{regularizers.ParamL2: c}, nil,
			[]string{"/hidden/dense/weights", "/out/dense/weights"}},
		{"biases too", map[string]any{regularizers.ParamL2: c, regularizers.ParamL2Biases: true}, nil,
			[]string{"/hidden/dense/weights", "/hidden/dense/biases", "/out/dense/weights", "/out/dense/biases"}},
		{"selected variables", map[string]any{regularizers.ParamL2: c},
			[]regularizers.Option{regularizers.WithVariables(isOut)},
			[]string{"/out/dense/weights", "/out/dense/biases"}},
		{"off at 0", map[string]any{regularizers.ParamL2: 0.0}, nil, nil},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x, y := gaussian(1, 6, 4), gaussian(2, 6, 3)
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				store := seeded(t, tc.params)
				penalized := newProbe(t, b, store, regularizers.L2(mlp, tc.opts...), loss.MeanSquaredError, true)
				plain := newProbe(t, b, store, mlp, loss.MeanSquaredError, true)
				plain.call(t, x, y) // Initializes the variables.
				moveBiases(t, store)
				base, got := plain.call(t, x, y), penalized.call(t, x, y)

				// The oracle computes c·Σw² and its gradient 2cw from the variables' values.
				want, gradient := 0.0, []float64{}
				for v := range store.IterVariables() {
					if !v.Trainable {
						continue
					}
					for _, w := range values(t, store, v.Path()) {
						slope := 0.0
						for _, path := range tc.paths {
							if path == v.Path() {
								want += c * w * w
								slope = 2 * c * w
							}
						}
						gradient = append(gradient, base.gradient[len(gradient)]+slope)
					}
				}
				if math.Abs(got.penalty-want) > 1e-12*want {
					t.Errorf("penalty %g, want %g", got.penalty, want)
				}
				if len(tc.paths) > 0 && want < 1e-3 {
					t.Errorf("the penalty is %g, too small for this test", want)
				}
				gctest.AssertClose(t, got.gradient, gradient, 1e-12, 0, "gradient")
				if got.main != base.main {
					t.Errorf("the main loss changed from %g to %g", base.main, got.main)
				}
			})
		}
	})
}

// moveBiases changes all parameters, so that biases are not 0.
func moveBiases(t *testing.T, store *model.Store) {
	t.Helper()
	flat := parameters(store)
	for i := range flat {
		flat[i] += 0.1 + 0.01*float64(i)
	}
	setParameters(t, store, flat)
}

// Variables that are not trainable are not penalized.
func TestFrozenVariablesAreNotPenalized(t *testing.T) {
	b := gctest.GoBackend(t)
	frozen := func(scope *model.Scope, x *graph.Node) *graph.Node {
		x = mlp(scope, x)
		for v := range scope.At("hidden").IterVariables() {
			v.SetTrainable(false)
		}
		return x
	}
	store := seeded(t, map[string]any{regularizers.ParamL2: 1.0})
	got := newProbe(t, b, store, regularizers.L2(frozen), loss.MeanSquaredError, true).
		call(t, gaussian(1, 6, 4), gaussian(2, 6, 3))
	want := 0.0
	for _, w := range values(t, store, "/out/dense/weights") {
		want += w * w
	}
	gctest.AssertClose(t, []float64{got.penalty}, []float64{want}, 1e-12, 0, "penalty")
}
