// Package regularizers holds the penalties and noises whose effect on
// geometric complexity the paper studies, as decorators for GoMLX training:
//
//   - [L2]: c·Σ‖W‖², over the kernels (Section 1.6 of the paper's argument:
//     the parameter norm bounds the geometric complexity).
//   - [Spectral]: c·Σ σ_max(W)², by power iteration.
//   - [Flatness]: c·‖∇_θ L_B‖², a second derivative through the network.
//   - [LabelNoise] and [InputNoise]: fresh noise at every step.
//   - [ModifiedLoss] and [MeasureImplicit]: the term (h/4)·‖∇_θ L‖² that
//     gradient descent with step h adds by itself, as a diagnostic.
//
// The geometric complexity itself is penalized by package gcml, whose
// Regularize has the same shape and combines with these.
//
// # Shape
//
// L2, Spectral and InputNoise take any model function that train.NewTrainer
// takes and give a train.ModelFn. Flatness and LabelNoise take and give a
// train.LossFn, because they need the labels. [Combine] and [CombineLoss]
// apply several at once.
//
// A penalty is coefficient × term with no factor 1/2 and no division by the
// number of parameters. It is added to the training loss alone, through
// train.AddRegularizationLoss: losses reported by an evaluation carry no penalty,
// and train.Trainer.WithMainLossMetric shows the unpenalized loss of the training
// steps. (GoMLX's own "l2_regularization" does penalize evaluation losses.)
//
// # Coefficients
//
// The coefficient of a penalty, or the level of a noise, is a hyperparameter of
// the scope, named by the Param constants. Set it in the store before the first
// step, or give [WithCoefficient]; [SetCoefficient] changes it between steps, and
// [WithSchedule] lets it follow the step. None of that compiles a graph again:
// the training graph holds the coefficient as a variable.
//
// Where it is not set at all, the graph is left exactly as it was: no node, no
// variable, no random number. Where it is 0, the term is in the graph, and costs
// its time, because it may be another number at the next step.
//
// A checkpoint of GoMLX holds the hyperparameters, and sets them when it is loaded
// as it does all others: over what the program has set before that.
// WithCoefficient, and what the program sets after it has loaded the checkpoint,
// win over the checkpoint. The variables' values in it are ignored.
//
// All functions here build graphs and panic with one line on misuse, as
// GoMLX's do, except [SetCoefficient] and [MeasureImplicit], which return errors.
package regularizers

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/gomlxcompat"
	"example.com/geometric-complexity/internal/modelfn"
)

// Decorator turns a model function into a regularized one.
type Decorator = func(train.ModelFn) train.ModelFn

// LossDecorator turns a loss function into a regularized one.
type LossDecorator = func(train.LossFn) train.LossFn

// With fixes the options of a regularizer, which makes it a [Decorator] for [Combine] or a
// [LossDecorator] for [CombineLoss]. It takes every function of this package's shape, so that
// gcml.Regularize goes in as well as L2:
//
//	regularizers.With(regularizers.L2)
//	regularizers.With(regularizers.Flatness, regularizers.WithCoefficient(1e-3))
//	regularizers.With(gcml.Regularize, gcml.WithEstimator(gcml.Projection(1)))
func With[F, O any](regularizer func(F, ...O) F, opts ...O) func(F) F {
	return func(f F) F { return regularizer(f, opts...) }
}

// Combine applies the decorators to modelFn, the first one innermost. The order
// matters for [InputNoise] only: what comes before it sees the noisy inputs,
// what comes after it sees the clean ones. Nil decorators are skipped.
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

// regularizedLoss decorates lossFn: where the coefficient is set, regularized builds the loss in its
// place in training graphs, given the coefficient there and the root scope of the graph's store, as
// a loss function gets no scope. Elsewhere lossFn builds it.
func regularizedLoss(name string, lossFn train.LossFn, coefficient modelfn.Coefficient, opts []Option,
	regularized func(scope *model.Scope, c *graph.Node, labels, predictions []*graph.Node) *graph.Node) train.LossFn {
	if lossFn == nil {
		exceptions.Panicf("regularizers.%s: the loss function is nil; give the one that the trainer would get", name)
	}
	config := newConfig(name, coefficient, opts)
	return func(labels, predictions []*graph.Node) *graph.Node {
		if len(predictions) == 0 {
			exceptions.Panicf("regularizers.%s: the model gives no predictions", name)
		}
		g := predictions[0].Graph()
		store := model.GetStore(g)
		if store == nil {
			exceptions.Panicf("regularizers.%s: the graph has no model.Store; build it with a train.Trainer or a model.Exec", name)
		}
		scope := store.RootScope()
		if c := config.coefficient.Node(scope, g); c != nil {
			return regularized(scope, c, labels, predictions)
		}
		return lossFn(labels, predictions)
	}
}

// trainable lists the floating-point trainable variables under the scope that
// the graph uses so far and that keep accepts.
func trainable(scope *model.Scope, g *graph.Graph, keep func(v *model.Variable) bool) []*model.Variable {
	var vars []*model.Variable
	for v := range scope.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) && v.DType().IsFloat() && keep(v) {
			vars = append(vars, v)
		}
	}
	return vars
}

// isKernel tells weights from biases and normalization parameters by the rank.
func isKernel(v *model.Variable) bool { return v.Shape().Rank() >= 2 }
