// Package modelfn brings the model functions that GoMLX accepts to one form,
// and reads the coefficient of a penalty from a scope: what every decorator of
// a model function needs.
package modelfn

import (
	"math"
	"reflect"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Canonical converts any signature that train.NewTrainer accepts as a model
// function to train.ModelFn. GoMLX has this conversion too, but does not export
// it. The result panics if it is called with fewer inputs than modelFn takes.
func Canonical[F train.ModelFnCompatible](modelFn F) train.ModelFn {
	switch f := any(modelFn).(type) {
	case train.ModelFn:
		return f
	case func(*model.Scope, any, []*graph.Node) []*graph.Node:
		return f
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
		exceptions.Panicf("the model function takes at least %d inputs, but the data set gives %d", n, len(inputs))
	}
}

// Coefficient reads the hyperparameter param, a number >= 0 that is 0 when it
// is not set, and panics if it is negative, NaN or infinite.
func Coefficient(scope *model.Scope, param string) float64 {
	c := model.GetParamOr(scope, param, 0.0)
	if !(c >= 0) || math.IsInf(c, 1) {
		exceptions.Panicf("hyperparameter %q in scope %q is %g, but it must be a finite number >= 0 (0 turns it off)",
			param, scope.Scope(), c)
	}
	return c
}

// Penalize adds coefficient × term to the training loss, in the dtype of the
// model's outputs, because that is the dtype of the loss it is added to.
func Penalize(term *graph.Node, coefficient float64, outputs []*graph.Node) {
	if len(outputs) > 0 && outputs[0].DType().IsFloat() {
		term = graph.ConvertDType(term, outputs[0].DType())
	}
	train.AddRegularizationLoss(graph.MulScalar(term, coefficient))
}
