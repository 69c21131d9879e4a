package gcml_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// TestFollowAdvice checks each advice of an error with a model that gets the error, and a model
// that follows the advice and has a known GC.
func TestFollowAdvice(t *testing.T) {
	x := [][]float64{{0.3, 1.2, 2.7}, {0.8, 1.9, 0.4}}
	exact := gcml.WithEstimator(gcml.Exact())
	constant := "put StopGradient around it"
	for _, test := range []struct {
		name, advice     string
		refused, follows func(x *Node) *Node
		option           gcml.Option
		relTol           float64
	}{
		{"Round", constant, func(x *Node) *Node { return Add(x, Round(x)) },
			func(x *Node) *Node { return Add(x, StopGradient(Round(x))) }, exact, 1e-12},
		{"Floor", constant, func(x *Node) *Node { return Add(x, Floor(x)) },
			func(x *Node) *Node { return Add(x, StopGradient(Floor(x))) }, exact, 1e-12},
		{"Ceil", constant, func(x *Node) *Node { return Add(x, Ceil(x)) },
			func(x *Node) *Node { return Add(x, StopGradient(Ceil(x))) }, exact, 1e-12},
		{"Atan2", "use the forward-noise estimator",
			func(x *Node) *Node { return Atan2(x, OnesLike(x)) }, func(x *Node) *Node { return Atan2(x, OnesLike(x)) },
			gcml.WithEstimator(gcml.ForwardNoise(1e-4, 8)), 0.8},
	} {
		t.Run(test.name, func(t *testing.T) {
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				_, err := model.CallOnce(b, newStore(t, 1), func(_ *model.Scope, x *Node) *Node {
					return gcml.Complexity(test.refused(x), x)
				}, x)
				if err == nil || !strings.Contains(err.Error(), test.name) || !strings.Contains(err.Error(), test.advice) {
					t.Errorf("got error %v, want one that names %s and says %q", err, test.name, test.advice)
				}
				got, err := model.CallOnce(b, newStore(t, 1), func(scope *model.Scope, x *Node) *Node {
					return gcml.Complexity(test.follows(x), x, test.option)
				}, x)
				if err != nil {
					t.Fatal(err)
				}
				values := MustNewExec(gctest.GoBackend(t), test.refused)
				want := complexityByDifferences(values, slices.Concat(x...), 2, 3)
				gctest.AssertClose(t, gctest.Flat(got), []float64{want}, test.relTol+1e-8, 0, "GC")
			})
		})
	}
}

// TestFollowRegularizeAdvice checks that a refused penalty works with the estimator that the error
// advises, and that the error advises none if none helps.
func TestFollowRegularizeAdvice(t *testing.T) {
	scaled := func(scope *model.Scope, x *Node) *Node {
		return Mul(x, InsertAxes(scope.VariableWithValue("w", []float64{1, 2, 3}).NodeValue(x.Graph()), 0))
	}
	once := func(scope *model.Scope, x *Node) *Node {
		return IdentityWithCustomGradient(scaled(scope, x), func(x, v *Node) *Node { return Mul(v, Floor(x)) })
	}
	never := func(scope *model.Scope, x *Node) *Node { return Atan2(scaled(scope, x), OnesLike(x)) }
	const noise = "WithEstimator(ForwardNoise(0.01, 1))"
	step := func(b compute.Backend, modelFn func(scope *model.Scope, x *Node) *Node, opts ...gcml.Option) error {
		store := newStore(t, 1)
		store.SetParam(gcml.ParamCoefficient, 1.0)
		trainer := train.NewTrainer(b, store, gcml.Regularize(modelFn, opts...), loss.MeanSquaredError,
			optimizer.StochasticGradientDescent(), nil, nil)
		x := tensors.FromValue([][]float64{{0.3, 1.2, 2.7}})
		_, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x},
			Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{0, 1, 2}})}})
		return err
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if err := step(b, once); err == nil || !strings.Contains(err.Error(), noise) {
			t.Errorf("got error %v, want one that advises %s", err, noise)
		}
		if err := step(b, once, gcml.WithEstimator(gcml.ForwardNoise(0.01, 1))); err != nil {
			t.Errorf("with %s: %v", noise, err)
		}
		for _, estimator := range []gcml.Estimator{gcml.Exact(), gcml.ForwardNoise(0.01, 1)} {
			err := step(b, never, gcml.WithEstimator(estimator))
			if err == nil || strings.Contains(strings.ToLower(err.Error()), "noise") || !strings.Contains(err.Error(), "Atan2") {
				t.Errorf("%s: got error %v, want one that names Atan2 and does not advise noise", estimator, err)
			}
		}
	})
}

// TestFollowAttentionAdvice checks that WithFusion(false) builds attention without the fused op. On
// CUDA that op has a derivative but no second one; on the Go backend it is the default.
func TestFollowAttentionAdvice(t *testing.T) {
	advice := vjp.Replacement(NodeTypeFusedScaledDotProductAttentionVJP)
	if !strings.Contains(advice, "WithFusion(false)") {
		t.Errorf("the advice is %q", advice)
	}
	_, err := model.CallOnce(gctest.GoBackend(t), newStore(t, 1), func(scope *model.Scope, x *Node) *Node {
		fused := func() bool {
			return slices.ContainsFunc(x.Graph().Nodes(),
				func(n *Node) bool { return n.Type() == NodeTypeFusedScaledDotProductAttention })
		}
		y := attention.SelfAttention(scope.In("plain"), x, 2, 3).WithFusion(false).Done()
		if fused() {
			t.Error("WithFusion(false) builds the fused op")
		}
		attention.SelfAttention(scope.In("fused"), x, 2, 3).Done()
		if !fused() {
			t.Error("the Go backend has no fused attention: test the advice elsewhere")
		}
		return gcml.Complexity(y, x)
	}, [][][]float64{{{0.3, 1.2}, {2.7, 0.1}}})
	if err != nil {
		t.Error(err)
	}
}
