package regularizers

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/modelfn"
	"github.com/geometric-complexity/toolkit/internal/precision"
)

const (
	// ParamL2 is the coefficient c of the penalty c·Σ‖W‖². A float64 >= 0; unset means no penalty.
	// With plain gradient descent of step h it equals a weight decay that multiplies W by 1 - 2hc.
	ParamL2 = "l2_coefficient"

	// ParamL2Biases makes [L2] penalize every trainable variable instead of kernels (rank >= 2)
	// only. A bool; the default is false.
	ParamL2Biases = "l2_biases"
)

// L2 decorates modelFn with the penalty c·Σ_i ‖W_i‖²: the sum of squares of all entries (squared
// Frobenius norms, no mean, no factor 1/2) over the trainable kernels that the model uses under the
// scope it is called with. A kernel is a variable of rank >= 2; [ParamL2Biases] adds the others. c
// is [ParamL2].
//
// The penalty applies in training only. It panics if c is negative or not finite, or if c is set
// and there is nothing to penalize. Options: [WithCoefficient], [WithSchedule], [WithVariables].
//
// Source: the parameter-norm regularization of the paper's Figure 3.
func L2[F train.ModelFnCompatible](modelFn F, opts ...Option) train.ModelFn {
	config := newConfig("L2", modelfn.Coefficient{Param: ParamL2}, opts)
	return modelfn.Penalized(modelFn, &config.coefficient,
		func(scope *model.Scope, g *graph.Graph, _ []*graph.Node) []*graph.Node {
			selected := config.variables
			if selected == nil {
				withBiases := model.GetParamOr(scope, ParamL2Biases, false)
				selected = func(v *model.Variable) bool { return withBiases || isKernel(v) }
			}
			vars := trainable(scope, g, selected)
			if len(vars) == 0 {
				exceptions.Panicf("regularizers.L2: the model uses no trainable variable to penalize in scope %q: "+
					"check ParamL2Biases, the option WithVariables and which variables are trainable", scope.Scope())
			}
			return []*graph.Node{sumOfSquares(nodeValues(vars, g))}
		})
}

// nodeValues returns the nodes that hold the variables' values in g.
func nodeValues(vars []*model.Variable, g *graph.Graph) []*graph.Node {
	nodes := make([]*graph.Node, len(vars))
	for i, v := range vars {
		nodes[i] = v.NodeValue(g)
	}
	return nodes
}

// sumOfSquares returns the scalar Σ x² over all entries of all nodes, which may differ in dtype. It
// sums half precision in float32, because a sum of a million squares has no correct digit in half
// precision.
func sumOfSquares(nodes []*graph.Node) *graph.Node {
	dtype := precision.Accumulator(nodes[0].DType())
	for _, x := range nodes {
		if d := precision.Accumulator(x.DType()); d.Size() > dtype.Size() {
			dtype = d
		}
	}
	var total *graph.Node
	for _, x := range nodes {
		sum := graph.ReduceAllSum(graph.Square(graph.ConvertDType(x, dtype)))
		if total == nil {
			total = sum
		} else {
			total = graph.Add(total, sum)
		}
	}
	return total
}
