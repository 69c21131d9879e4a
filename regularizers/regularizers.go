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
// Coefficients are hyperparameters of the scope, named by the Param constants,
// and are 0 (off) by default; at 0 the graph is left exactly as it was: no
// node, no variable, no random number. A penalty is coefficient × term with no
// factor 1/2 and no division by the number of parameters. It is added to the
// training loss alone, through train.AddRegularizationLoss: losses reported by
// an evaluation carry no penalty, and train.Trainer.WithMainLossMetric shows
// the unpenalized loss of the training steps. (GoMLX's own
// "l2_regularization" does penalize evaluation losses.)
//
// All functions here build graphs and panic with one line on misuse, as
// GoMLX's do, except [MeasureImplicit], which executes and returns errors.
package regularizers

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/modelfn"
)

// Decorator turns a model function into a regularized one.
type Decorator = func(train.ModelFn) train.ModelFn

// LossDecorator turns a loss function into a regularized one. [Flatness] and
// [LabelNoise] are of this type.
type LossDecorator = func(train.LossFn) train.LossFn

// With fixes the options of a regularizer, which makes it a [Decorator] for
// [Combine]. It takes every function of this package's shape, so that
// gcml.Regularize goes in as well as L2:
//
//	regularizers.With(regularizers.L2)
//	regularizers.With(gcml.Regularize, gcml.WithEstimator(gcml.Projection(1)))
func With[O any](regularizer func(train.ModelFn, ...O) train.ModelFn, opts ...O) Decorator {
	return func(modelFn train.ModelFn) train.ModelFn {
		return regularizer(modelFn, opts...)
	}
}

// Combine applies the decorators to modelFn, the first one innermost. The order
// matters for [InputNoise] only: what comes before it sees the noisy inputs,
// what comes after it sees the clean ones. Nil decorators are skipped.
func Combine[F train.ModelFnCompatible](modelFn F, decorators ...Decorator) train.ModelFn {
	fn := modelfn.Canonical(modelFn)
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

// graphOf returns the graph that a model function builds.
func graphOf(inputs []*graph.Node) *graph.Graph {
	if len(inputs) == 0 {
		exceptions.Panicf("regularizers: the model function is called without inputs, so there is no graph to build in")
	}
	return inputs[0].Graph()
}
