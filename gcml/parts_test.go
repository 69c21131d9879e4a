package gcml_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestGradientInPartsRefusesOtherGradients checks that a gradient of WithGradientInParts's penalty
// with respect to an input or an untrained variable is refused, instead of being 0.
func TestGradientInPartsRefusesOtherGradients(t *testing.T) {
	b := gctest.GoBackend(t)
	mask := []float64{math.Inf(-1), 0, 0}
	network := func(scope *model.Scope, x *Node) *Node {
		fixed := scope.VariableWithValue("fixed", 2.0).SetTrainable(false).NodeValue(x.Graph())
		// The mask must not change anything: its first element is not finite.
		unused := scope.VariableWithValue("mask", mask).SetTrainable(false).NodeValue(x.Graph())
		y := mlp(activation.TypeTanh)(scope, Mul(x, fixed))
		return Where(GreaterThan(ExpandLeftToRank(unused, 2), ScalarZero(x.Graph(), x.DType())), ZerosLike(y), y)
	}
	x := inputsFor(t, dtypes.Float64, []int{6, 5})
	gradients := func(withRespectTo func(scope *model.Scope, x *Node) *Node, opts ...gcml.Option) ([]float64, error) {
		out, err := model.CallOnce(b, newStore(t, 3), func(scope *model.Scope, x *Node) *Node {
			scope.SetTraining(x.Graph(), true)
			gcml.Regularize(network, append(opts, gcml.WithCoefficient(1))...)(scope, nil, []*Node{x})
			return Gradient(train.GetRegularizationLoss(x.Graph()), withRespectTo(scope, x))[0]
		}, x)
		if err != nil {
			return nil, err
		}
		return gctest.Flat(out), nil
	}
	variable := func(path string) func(scope *model.Scope, x *Node) *Node {
		return func(scope *model.Scope, x *Node) *Node { return scope.Store().GetVariable(path).NodeValue(x.Graph()) }
	}
	for name, node := range map[string]func(scope *model.Scope, x *Node) *Node{
		"input": func(_ *model.Scope, x *Node) *Node { return x }, "/fixed": variable("/fixed"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := gradients(node, gcml.WithGradientInParts(1))
			if err == nil || !strings.Contains(err.Error(), "WithGradientInParts") || strings.Contains(err.Error(), "\n") ||
				name[0] == '/' && !strings.Contains(err.Error(), name) {
				t.Errorf("got error %v", err)
			}
			whole, err := gradients(node)
			if err != nil {
				t.Fatal(err)
			}
			if whole[0] == 0 {
				t.Error("the gradient is 0: nothing is tested")
			}
		})
	}
	t.Run("trainable variable", func(t *testing.T) {
		var path string
		for v := range storeOf(t, network, x).IterVariables() {
			if v.Trainable && v.Shape().Rank() == 2 {
				path = v.Path()
			}
		}
		got, err := gradients(variable(path), gcml.WithGradientInParts(1))
		if err != nil {
			t.Fatal(err)
		}
		want, err := gradients(variable(path))
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, got, want, 1e-12, 1e-14, "gradient")
	})
}

// storeOf returns a store with the variables of the network.
func storeOf(t *testing.T, network func(scope *model.Scope, x *Node) *Node, x any) *model.Store {
	t.Helper()
	store := newStore(t, 3)
	if _, err := model.CallOnce(gctest.GoBackend(t), store, network, x); err != nil {
		t.Fatal(err)
	}
	return store
}

// TestForwardNoiseWhereAdvised checks that a model trains with forward noise if a message of
// Regularize advises it, and that the message does not advise it if it would not help.
func TestForwardNoiseWhereAdvised(t *testing.T) {
	weigh := func(scope *model.Scope, x *Node) *Node { return layers.Dense(scope.In("dense"), x, false, 3) }
	cases := []struct {
		name    string
		advised bool
		model   func(scope *model.Scope, x *Node) *Node
	}{
		{"once differentiable", true, func(scope *model.Scope, x *Node) *Node {
			return IdentityWithCustomGradient(weigh(scope, x), func(x, v *Node) *Node { return Mul(v, Floor(x)) })
		}},
		{"no gradient before the weights", true,
			func(scope *model.Scope, x *Node) *Node { return weigh(scope, Sort(x, 1, true)) }},
		{"no gradient after the weights", false,
			func(scope *model.Scope, x *Node) *Node { return Sort(weigh(scope, x), 1, true) }},
		{"a constant op after the weights", false, func(scope *model.Scope, x *Node) *Node { return Floor(weigh(scope, x)) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			step := func(e gcml.Estimator) error {
				fn := gcml.Regularize(c.model, gcml.WithEstimator(e), gcml.WithCoefficient(1))
				_, err := model.CallOnceN(gctest.GoBackend(t), newStore(t, 1), func(scope *model.Scope, x *Node) []*Node {
					scope.SetTraining(x.Graph(), true)
					fn(scope, nil, []*Node{x})
					return scope.BuildTrainableVariablesGradientsGraph(train.TotalLoss(x.Graph()))
				}, [][]float64{{1, 2, 3}, {1, 5, 3}})
				return err
			}
			err := step(gcml.Exact())
			if err == nil {
				t.Fatal("the exact penalty trains: nothing is tested")
			}
			message := strings.ToLower(strings.ReplaceAll(err.Error(), "-", ""))
			if advised := strings.Contains(message, "forwardnoise"); advised != c.advised {
				t.Errorf("forward noise is advised: %v, want %v, in %v", advised, c.advised, err)
			}
			if err := step(gcml.ForwardNoise(0.01, 1)); (err == nil) != c.advised {
				t.Errorf("forward noise: %v", err)
			}
		})
	}
}

// TestEstimatorOption checks that WithEstimator overrides the hyperparameter, which a checkpoint
// may have set.
func TestEstimatorOption(t *testing.T) {
	b := gctest.GoBackend(t)
	x := inputsFor(t, dtypes.Float64, []int{6, 5})
	penalty := func(hyperparameter string, opts ...gcml.Option) float64 {
		store := newStore(t, 3)
		if hyperparameter != "" {
			store.SetParam(gcml.ParamEstimator, hyperparameter)
		}
		out, err := model.CallOnce(b, store, func(scope *model.Scope, x *Node) *Node {
			scope.SetTraining(x.Graph(), true)
			gcml.Regularize(mlp(activation.TypeTanh), append(opts, gcml.WithCoefficient(1))...)(scope, nil, []*Node{x})
			return train.GetRegularizationLoss(x.Graph())
		}, x)
		if err != nil {
			t.Fatal(err)
		}
		return gctest.Flat(out)[0]
	}
	exact, drawn := penalty(""), penalty("projection:1")
	if exact == drawn {
		t.Fatal("both estimators give the same value: nothing is tested")
	}
	if got := penalty("projection:1", gcml.WithEstimator(gcml.Exact())); got != exact {
		t.Errorf("with the option exact the penalty is %g, want %g", got, exact)
	}
}
