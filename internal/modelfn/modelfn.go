// Package modelfn holds what every decorator of a model function needs: coefficients that may
// change while a network is trained, and the penalty in the training loss.
package modelfn

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// GraphOf returns the graph that a model function builds.
func GraphOf(inputs []*graph.Node) *graph.Graph {
	if len(inputs) == 0 {
		exceptions.Panicf("the model function is called without inputs, so there is no graph to build in")
	}
	return inputs[0].Graph()
}

// Penalized decorates modelFn with a penalty, in training only: the coefficient times each of
// the scalars that terms builds from the outputs of the model. Where the coefficient is not
// set, terms is not called and the graph stays as it was.
func Penalized[F train.ModelFnCompatible](modelFn F, c *Coefficient,
	terms func(scope *model.Scope, g *graph.Graph, outputs []*graph.Node) []*graph.Node) train.ModelFn {
	fn := gomlxcompat.ModelFn(modelFn)
	return func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
		g := GraphOf(inputs)
		outputs := fn(scope, spec, inputs)
		coefficient := c.Node(scope, g)
		if coefficient == nil {
			return outputs
		}
		for _, term := range terms(scope, g, outputs) {
			Penalize(term, coefficient, outputs)
		}
		return outputs
	}
}

// Penalize adds coefficient × term to the training loss, both in the dtype of the model's
// outputs, because that is the dtype of the loss that they are added to.
func Penalize(term, coefficient *graph.Node, outputs []*graph.Node) {
	if len(outputs) > 0 && outputs[0].DType().IsFloat() {
		term = graph.ConvertDType(term, outputs[0].DType())
	}
	train.AddRegularizationLoss(graph.Mul(term, graph.ConvertDType(coefficient, term.DType())))
}
