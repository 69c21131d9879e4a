// Package regularizers holds the penalties and noises whose effect on geometric complexity the
// paper studies, as decorators for GoMLX training:
//
//   - [L2]: c·Σ‖W‖², over the kernels (the paper argues that the parameter norm bounds the
//     geometric complexity).
//   - [Spectral]: c·Σ σ_max(W)², by power iteration.
//   - [Flatness]: c·‖∇_θ L_B‖², whose gradient is a second derivative through the network.
//   - [LabelNoise] and [InputNoise]: new noise at every step.
//   - [ModifiedLoss] and [MeasureImplicit]: the term (h/4)·‖∇_θ L‖² that gradient descent with step
//     h adds implicitly, as a diagnostic.
//
// A penalty has the dtype of the model's outputs, and GoMLX adds it to the loss, which must have
// the same: a model that computes in a shorter dtype than its loss has to convert its outputs
// itself.
//
// Package gcml penalizes the geometric complexity itself; its Regularize has the same signature and
// combines with these.
//
// # Signatures
//
// L2, Spectral and InputNoise accept any model function that train.NewTrainer accepts and return a
// train.ModelFn. Flatness and LabelNoise accept and return a train.LossFn, because they need the
// labels. [Combine] and [CombineLoss] apply several at once.
//
// A penalty is coefficient × term with no factor 1/2 and no division by the number of parameters.
// It is added to the training loss only, through train.AddRegularizationLoss: evaluation losses
// contain no penalty, and train.Trainer.WithMainLossMetric shows the training loss without it.
// (GoMLX's own "l2_regularization" does penalize evaluation losses.)
//
// # Coefficients
//
// The coefficient of a penalty, or the level of a noise, is a hyperparameter of the scope, named by
// the Param constants. Set it in the store before the first step, or use [WithCoefficient];
// [SetCoefficient] changes it between steps, and [WithSchedule] makes it depend on the step. None
// of these recompiles a graph, because the training graph holds the coefficient as a variable.
//
// If the coefficient is not set, the regularizer leaves the graph exactly as it was: no node, no
// variable, no random number. If it is 0, the term is in the graph and costs its time, because the
// coefficient may change at the next step.
//
// Loading a GoMLX checkpoint overwrites the coefficients that the program has set before, as it
// does with all hyperparameters. WithCoefficient, and coefficients that are set after loading,
// override the checkpoint. The values of the coefficients' variables in the checkpoint are ignored.
//
// The functions of this package build graphs and panic with one line on misuse, as GoMLX's do; only
// [SetCoefficient] and [MeasureImplicit] return errors.
package regularizers

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/modelfn"
)

// Decorator turns a model function into a regularized one.
type Decorator = func(train.ModelFn) train.ModelFn

// LossDecorator turns a loss function into a regularized one.
type LossDecorator = func(train.LossFn) train.LossFn

// With fixes the options of a regularizer, which makes it a [Decorator] for [Combine] or a
// [LossDecorator] for [CombineLoss]. It accepts every function with such a signature,
// gcml.Regularize as well as L2:
//
//	regularizers.With(regularizers.L2)
//	regularizers.With(regularizers.Flatness, regularizers.WithCoefficient(1e-3))
//	regularizers.With(gcml.Regularize, gcml.WithEstimator(gcml.Projection(1)))
func With[F, O any](regularizer func(F, ...O) F, opts ...O) func(F) F {
	return func(f F) F { return regularizer(f, opts...) }
}

// Combine applies the decorators to modelFn, the first one innermost. The order matters for
// [InputNoise] only: decorators before it get the noisy inputs, decorators after it the clean ones.
// Nil decorators are skipped.
func Combine[F train.ModelFnCompatible](modelFn F, decorators ...Decorator) train.ModelFn {
	fn := gomlxcompat.ModelFn(modelFn)
	for _, decorate := range decorators {
		if decorate != nil {
			fn = decorate(fn)
		}
	}
	return fn
}

// CombineLoss applies the decorators to lossFn, the first one innermost. Nil
// decorators are skipped.
func CombineLoss(lossFn train.LossFn, decorators ...LossDecorator) train.LossFn {
	for _, decorate := range decorators {
		if decorate != nil {
			lossFn = decorate(lossFn)
		}
	}
	return lossFn
}

// regularizedLoss decorates lossFn: in training graphs whose coefficient is set, regularized builds
// the loss instead of lossFn. It gets the coefficient and the root scope of the graph's store,
// because a loss function has no scope.
func regularizedLoss(name string, lossFn train.LossFn, coefficient modelfn.Coefficient, opts []Option,
	regularized func(scope *model.Scope, c *graph.Node, labels, predictions []*graph.Node) *graph.Node) train.LossFn {
	if lossFn == nil {
		exceptions.Panicf("regularizers.%s: the loss function is nil: pass the one that the trainer would get", name)
	}
	config := newConfig(name, coefficient, opts)
	return func(labels, predictions []*graph.Node) *graph.Node {
		if len(predictions) == 0 {
			exceptions.Panicf("regularizers.%s: the model returned no predictions", name)
		}
		g := predictions[0].Graph()
		store := model.GetStore(g)
		if store == nil {
			exceptions.Panicf("regularizers.%s: the graph has no model.Store: build it with a train.Trainer or a model.Exec",
				name)
		}
		scope := store.RootScope()
		if c := config.coefficient.Node(scope, g); c != nil {
			return regularized(scope, c, labels, predictions)
		}
		return lossFn(labels, predictions)
	}
}

// trainable lists the floating-point trainable variables under the scope that the graph uses so far
// and for which keep returns true.
func trainable(scope *model.Scope, g *graph.Graph, keep func(v *model.Variable) bool) []*model.Variable {
	var vars []*model.Variable
	for v := range scope.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) && v.DType().IsFloat() && keep(v) {
			vars = append(vars, v)
		}
	}
	return vars
}

// isKernel distinguishes weights from biases and normalization parameters by the rank.
func isKernel(v *model.Variable) bool { return v.Shape().Rank() >= 2 }
