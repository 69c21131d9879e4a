package regularizers

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/autodiff"
	"github.com/geometric-complexity/toolkit/internal/modelfn"
)

// ParamFlatness is the coefficient c of the penalty c·‖∇_θ L_B‖². A float64 >= 0; unset means no
// penalty.
const ParamFlatness = "flatness_coefficient"

// Flatness decorates lossFn with the penalty c·‖∇_θ L_B‖²: the squared Euclidean norm (no factor
// 1/2, no mean over parameters) of the gradient of the batch's loss with respect to all trainable
// floating-point variables that the graph uses, biases included. L_B is lossFn's value, averaged to
// a scalar as the trainer does, without other penalties and losses added by train.AddMainLoss. c is
// [ParamFlatness], read from the root scope.
//
// It returns lossFn's loss unchanged and adds the penalty, in training only, through
// train.AddRegularizationLoss. The optimizer then differentiates a gradient, so every layer must
// have a second derivative; this call registers the gradients that GoMLX lacks for that.
//
// It panics if lossFn is nil, if c is negative or not finite, if the graph has no model.Store or no
// predictions, and, with c set, if it uses no trainable variable. Options: [WithCoefficient],
// [WithSchedule].
//
// Source: the flatness penalty of the paper's Figure 3.
func Flatness(lossFn train.LossFn, opts ...Option) train.LossFn {
	autodiff.Register()
	return regularizedLoss("Flatness", lossFn, modelfn.Coefficient{Param: ParamFlatness}, opts,
		func(scope *model.Scope, c *graph.Node, labels, predictions []*graph.Node) *graph.Node {
			loss := lossFn(labels, predictions)
			vars := trainable(scope, loss.Graph(), func(*model.Variable) bool { return true })
			if len(vars) == 0 {
				exceptions.Panicf("regularizers.Flatness: the graph uses no trainable variable, " +
					"so the loss has no gradient to penalize")
			}
			norm := SquaredParameterGradientNorm(loss, nodeValues(vars, loss.Graph())...)
			modelfn.Penalize(norm, c, []*graph.Node{loss})
			return loss
		})
}

// SquaredParameterGradientNorm returns the scalar ‖∂loss/∂parameters‖²: the sum of the squares of
// all entries of all gradients. A loss that is not a scalar is averaged first. The result is
// differentiable if the model has second derivatives. It panics without parameters.
func SquaredParameterGradientNorm(loss *graph.Node, parameters ...*graph.Node) *graph.Node {
	if len(parameters) == 0 {
		exceptions.Panicf("regularizers.SquaredParameterGradientNorm: no parameters given, want one or more")
	}
	if !loss.IsScalar() {
		loss = graph.ReduceAllMean(loss)
	}
	return sumOfSquares(graph.Gradient(loss, parameters...))
}
