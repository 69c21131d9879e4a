package training

import (
	"path"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// The optimizers besides plain gradient descent.
const (
	OptimizerMomentum = "momentum" // of 0.9
	OptimizerAdam     = "adam"     // with GoMLX's defaults: 0.9, 0.999
)

// PlainDescent names, for people, the optimizer of a task that names none.
const PlainDescent = "plain gradient descent"

// momentumDecay has the customary value.
const momentumDecay = 0.9

// optimizer returns the task's optimizer. It keeps the learning rate constant; by default GoMLX's
// StochasticGradientDescent decays it with 1/sqrt(step).
func (t *Train) optimizer() (optimizer.Interface, error) {
	switch t.Optimizer {
	case "":
		return optimizer.StochasticGradientDescent().WithLearningRate(t.LearningRate).WithDecay(false).Done(), nil
	case OptimizerMomentum:
		return &momentum{learningRate: t.LearningRate, decay: momentumDecay}, nil
	case OptimizerAdam:
		return optimizer.Adam().LearningRate(t.LearningRate).Done(), nil
	}
	return nil, nearest.Unknown("optimizer", t.Optimizer, []string{OptimizerMomentum, OptimizerAdam})
}

// momentum is gradient descent with heavy-ball momentum, which GoMLX lacks: v ← decay·v + ∂L/∂w, w
// ← w - rate·v, in the convention of PyTorch and Optax. The velocities v are variables, which
// checkpoints save.
type momentum struct{ learningRate, decay float64 }

var _ optimizer.Interface = (*momentum)(nil)

// momentumScope is where the velocities are in the store, each under the path of its variable.
const momentumScope = "/" + optimizer.Scope + "/momentum"

// UpdateGraph implements optimizer.Interface.
func (m *momentum) UpdateGraph(scope *model.Scope, _ *graph.Graph, loss *graph.Node) {
	m.UpdateGraphWithGradients(scope, scope.BuildTrainableVariablesGradientsGraph(loss), loss.DType())
}

// UpdateGraphWithGradients implements optimizer.Interface. The gradients are in the order of the
// trainable variables that the graph uses.
func (m *momentum) UpdateGraphWithGradients(scope *model.Scope, grads []*graph.Node, lossDType dtypes.DType) {
	if len(grads) == 0 {
		exceptions.Panicf("momentum: the graph uses no trainable variable")
	}
	g := grads[0].Graph()
	rate := optimizer.LearningRateVar(scope, lossDType, m.learningRate).NodeValue(g)
	optimizer.IncrementGlobalStep(g, lossDType)
	var trained []*model.Variable // Creating velocities while iterating would change what is iterated over.
	for v := range scope.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			trained = append(trained, v)
		}
	}
	for i, v := range trained {
		velocity := scope.Store().Scope(path.Join(momentumScope, v.Scope())).WithInitializer(initializer.Zero).
			VariableWithShape(v.Name(), v.Shape()).SetTrainable(false)
		updated := graph.Add(graph.MulScalar(velocity.NodeValue(g), m.decay), grads[i])
		velocity.SetNodeValue(updated)
		v.SetNodeValue(graph.Sub(v.NodeValue(g), graph.Mul(graph.ConvertDType(rate, updated.DType()), updated)))
	}
}

// Clear implements optimizer.Interface.
func (m *momentum) Clear(scope *model.Scope) error {
	return scope.Store().Scope(momentumScope).DeleteVariablesInScope()
}
