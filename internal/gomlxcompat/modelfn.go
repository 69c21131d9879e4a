package gomlxcompat

import (
	"reflect"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
)

// ModelFn converts any signature that train.NewTrainer accepts as a model function to
// train.ModelFn. GoMLX has this conversion too, but does not export it. The result panics if it is
// called with fewer inputs than modelFn takes.
func ModelFn[F train.ModelFnCompatible](modelFn F) train.ModelFn {
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

// arguments returns scope, spec and inputs as arguments for the model function fn. The constraint
// train.ModelFnCompatible says which types of parameters can occur.
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

// collect returns the results of a model function as one slice. They are nothing, one slice, or one
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
		exceptions.Panicf("the model function takes at least %d inputs, but the data set yields %d", n, len(inputs))
	}
}
