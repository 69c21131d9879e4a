package gcml

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/modelfn"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// ParamEstimator is the hyperparameter that names the estimator if WithEstimator is not given, as a
// string that ParseEstimator reads. The default is "exact".
const ParamEstimator = "gc_estimator"

// penaltyKey is the graph parameter that holds the graph's penalty.
const penaltyKey = "/gcml/penalty"

// penalty holds the outputs and inputs of a model in one graph, and its GC once it has been built.
type penalty struct {
	outputs, inputs *graph.Node
	options         options
	gc              *graph.Node
}

// complexity returns the GC of the batch, in float32 for shorter dtypes. Building it on the first
// call lets a graph without a penalty or metric do without it.
func (p *penalty) complexity() *graph.Node {
	if p.gc == nil {
		p.gc = wideComplexity(p.outputs, p.inputs, p.options)
	}
	return p.gc
}

// Regularize wraps a model function so that coefficient × GC of the batch is added to the training
// loss, with the coefficient and the estimator read from the hyperparameters ParamCoefficient and
// ParamEstimator of the scope. The evaluation loss does not change. This is the explicit GC
// regularization of the paper's supplement. modelFn is any function that train.NewTrainer accepts,
// built from GoMLX's layers or this toolkit's:
//
//	modelFn := gcml.Regularize(myModel, gcml.WithCoefficient(1e-3))
//	trainer := train.NewTrainer(backend, store, modelFn, ...)
//
// The training graph holds the coefficient as a variable: SetCoefficient changes it between steps,
// and WithSchedule makes it depend on the step, both without recompiling. Loading a GoMLX
// checkpoint overwrites the hyperparameters that the program has set before. WithCoefficient, and
// values set after loading, override the checkpoint.
//
// The GC is that of the model's first output with respect to its first input; WithInput,
// WithInputNode, WithOutput, WithOutputNode and WithTransform choose others. NewMetric,
// NewMovingAverageMetric and NewMeanMetric report it, also if no coefficient is set, and do not
// compute it a second time.
//
// The penalty has the dtype of the model's outputs, and GoMLX adds it to the loss, which must have
// the same: a model that computes in a shorter dtype than its loss has to convert its outputs
// itself, not in the loss function.
//
// Regularize panics if an option does not apply or is out of range. Building the training graph
// panics as SquaredJacobianNorm does, and if the coefficient is negative or not finite, or an op of
// the model cannot be differentiated twice.
func Regularize[F train.ModelFnCompatible](modelFn F, opts ...Option) train.ModelFn {
	o := newOptions(inRegularize, opts)
	fn := gomlxcompat.ModelFn(modelFn)
	withPenalty := func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
		outputs := fn(scope, spec, inputs)
		model.SetGraphParam(inputs[0].Graph(), penaltyKey, newPenalty(scope, outputs, inputs, o))
		return outputs
	}
	return modelfn.Penalized(withPenalty, o.penaltyCoefficient(),
		func(scope *model.Scope, g *graph.Graph, _ []*graph.Node) []*graph.Node {
			p := penaltyOf(g)
			variables := variablesInUse(scope, g)
			p.options.forGradient, p.options.variables = true, variables
			mustDifferentiate(p.outputs, variables)
			mustDifferentiateTwice(p.complexity(), variables)
			return []*graph.Node{p.complexity()}
		})
}

// penaltyOf returns the penalty that Regularize has put into the graph, or nil.
func penaltyOf(g *graph.Graph) *penalty {
	if value, found := model.GetGraphParam(g, penaltyKey); found {
		return value.(*penalty)
	}
	return nil
}

// newPenalty picks the output and the input that the options name.
func newPenalty(scope *model.Scope, outputs, inputs []*graph.Node, o options) *penalty {
	p := &penalty{options: o}
	p.outputs, p.inputs = o.pick(outputs, inputs)
	if name := model.GetParamOr(scope, ParamEstimator, ""); name != "" && !o.estimatorGiven {
		p.options.estimator = estimatorOf(scope, name)
	}
	return p
}

// estimatorOf returns the estimator that the hyperparameter of the scope names.
func estimatorOf(scope *model.Scope, name string) Estimator {
	e, err := ParseEstimator(name)
	if err != nil {
		exceptions.Panicf("gcml: hyperparameter %q in scope %q: %v", ParamEstimator, scope.Scope(), err)
	}
	return e
}

// mustDifferentiate panics if an op between the variables and the outputs has no gradient, which no
// estimator can avoid.
func mustDifferentiate(outputs *graph.Node, variables []*graph.Node) {
	if missing := vjp.NotDifferentiable(outputs, variables); len(missing) > 0 {
		exceptions.Panicf("gcml.Regularize: the model cannot be differentiated with respect to its weights, "+
			"because GoMLX has no gradient for %s: %s", vjp.TypeName(missing[0].Type()), vjp.Replacement(missing[0].Type()))
	}
}

// mustDifferentiateTwice panics if an op between the variables and gc has no gradient.
func mustDifferentiateTwice(gc *graph.Node, variables []*graph.Node) {
	if missing := vjp.NotDifferentiable(gc, variables); len(missing) > 0 {
		exceptions.Panicf("gcml.Regularize: the model cannot be differentiated twice, "+
			"because GoMLX has no gradient for %s: %s, "+
			"or give WithEstimator(ForwardNoise(0.01, 1)), which differentiates once",
			vjp.TypeName(missing[0].Type()), vjp.Replacement(missing[0].Type()))
	}
}

// variablesInUse returns the trainable variables that the graph uses so far.
func variablesInUse(scope *model.Scope, g *graph.Graph) []*graph.Node {
	var variables []*graph.Node
	for v := range scope.Store().IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			variables = append(variables, v.NodeValue(g))
		}
	}
	return variables
}
