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
	"math"
	"reflect"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
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
	fn := canonical(modelFn)
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

// coefficient reads the hyperparameter param, a number >= 0 that is 0 when it
// is not set, and panics if it is negative, NaN or infinite.
func coefficient(scope *model.Scope, param string) float64 {
	c := model.GetParamOr(scope, param, 0.0)
	if !(c >= 0) || math.IsInf(c, 1) {
		exceptions.Panicf("regularizers: hyperparameter %q in scope %q is %g, but it must be a finite number >= 0 (0 turns it off)",
			param, scope.Scope(), c)
	}
	return c
}

// penalize adds coefficient × term to the training loss, in the dtype of the
// model's outputs, because that is the dtype of the loss it is added to.
func penalize(term *graph.Node, coefficient float64, outputs []*graph.Node) {
	if len(outputs) > 0 && outputs[0].DType().IsFloat() {
		term = graph.ConvertDType(term, outputs[0].DType())
	}
	train.AddRegularizationLoss(graph.MulScalar(term, coefficient))
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

// canonical converts the signatures that GoMLX accepts as a model function to
// train.ModelFn. GoMLX has this conversion too, but does not export it.
func canonical[F train.ModelFnCompatible](modelFn F) train.ModelFn {
	switch f := any(modelFn).(type) {
	case train.ModelFn:
		return f
	case func(*model.Scope, any, []*graph.Node) []*graph.Node:
		return f
	case func(*model.Scope, *graph.Node) *graph.Node: // The usual one.
		return func(scope *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
			requireInputs(inputs, 1)
			return []*graph.Node{f(scope, inputs[0])}
		}
	}
	fn := reflect.ValueOf(modelFn)
	return func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
		return collect(fn.Call(arguments(fn.Type(), scope, spec, inputs)))
	}
}

var (
	graphType = reflect.TypeFor[*graph.Graph]()
	sliceType = reflect.TypeFor[[]*graph.Node]()
	anyType   = reflect.TypeFor[any]()
)

// arguments lays out scope, spec and inputs as the model function fn wants
// them: the constraint train.ModelFnCompatible says which types can occur.
func arguments(fn reflect.Type, scope *model.Scope, spec any, inputs []*graph.Node) []reflect.Value {
	args := []reflect.Value{reflect.ValueOf(scope)}
	nodes := 0
	for i := 1; i < fn.NumIn(); i++ {
		switch fn.In(i) {
		case anyType:
			// A nil spec still has to be passed as a value of type any.
			args = append(args, reflect.ValueOf(&spec).Elem())
		case graphType:
			requireInputs(inputs, 1)
			args = append(args, reflect.ValueOf(inputs[0].Graph()))
		case sliceType:
			args = append(args, reflect.ValueOf(inputs))
		default:
			requireInputs(inputs, nodes+1)
			args = append(args, reflect.ValueOf(inputs[nodes]))
			nodes++
		}
	}
	return args
}

// collect flattens what a model function returned: nothing, one slice, or one
// to three nodes.
func collect(results []reflect.Value) []*graph.Node {
	var outputs []*graph.Node
	for _, result := range results {
		if nodes, ok := result.Interface().([]*graph.Node); ok {
			return nodes
		}
		outputs = append(outputs, result.Interface().(*graph.Node))
	}
	return outputs
}

func requireInputs(inputs []*graph.Node, n int) {
	if len(inputs) < n {
		exceptions.Panicf("regularizers: the model function takes at least %d inputs, but the data set gives %d", n, len(inputs))
	}
}
