// Package modelfn holds what every decorator of a model function needs: coefficients that may
// change during training, and penalties in the training loss.
package modelfn

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// GraphOf returns the graph that a model function builds.
func GraphOf(inputs []*graph.Node) *graph.Graph {
	if len(inputs) == 0 {
		exceptions.Panicf("the model function was called without inputs: pass at least one, whose graph it extends")
	}
	return inputs[0].Graph()
}

// Penalized decorates modelFn with a penalty, in training graphs only: it adds to the training loss
// the coefficient times each of the scalars that terms builds from the outputs of the model. If the
// coefficient is not set, it does not call terms and leaves the graph unchanged.
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

// Penalize adds coefficient × term to the training loss, in the dtype of the model's outputs,
// because the loss has this dtype. It computes the product in the term's dtype if that is longer: a
// term may overflow in float16 although the product does not.
func Penalize(term, coefficient *graph.Node, outputs []*graph.Node) {
	dtype := term.DType()
	if len(outputs) > 0 && outputs[0].DType().IsFloat() {
		dtype = outputs[0].DType()
	}
	if term.DType().Size() < dtype.Size() {
		term = graph.ConvertDType(term, dtype)
	}
	product := graph.Mul(term, graph.ConvertDType(coefficient, term.DType()))
	train.AddRegularizationLoss(graph.ConvertDType(product, dtype))
}
