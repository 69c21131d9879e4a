package gcml

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/gomlxcompat"
	"example.com/geometric-complexity/internal/modelfn"
	"example.com/geometric-complexity/internal/vjp"
)

// ParamEstimator is the hyperparameter that names the estimator where WithEstimator does not, as a
// string that ParseEstimator reads. Where neither does, it is "exact".
const ParamEstimator = "gc_estimator"

// watchedKey is where the graph keeps what Regularize watches in it.
const watchedKey = "/gcml/watched"

// watched are the outputs and inputs of a model in one graph, and its GC once
// somebody has asked for it.
type watched struct {
	outputs, inputs *graph.Node
	options         options
	gc              *graph.Node
}

// complexity returns the GC of the batch, built when first asked for.
func (w *watched) complexity() *graph.Node {
	if w.gc == nil {
		w.gc = complexity(w.outputs, w.inputs, w.options)
	}
	return w.gc
}

// Regularize wraps a model function so that coefficient × GC of the batch is
// added to the training loss, with the coefficient and the estimator read from
// the hyperparameters ParamCoefficient and ParamEstimator of the scope. The
// loss in evaluation stays as it was. This is the explicit GC regularization of
// the paper's supplement. Any function that train.NewTrainer takes
// will do, made of GoMLX's layers or of this toolkit's:
//
//	modelFn := gcml.Regularize(myModel, gcml.WithCoefficient(1e-3))
//	trainer := train.NewTrainer(backend, store, modelFn, ...)
//
// The training graph holds the coefficient as a variable: SetCoefficient changes
// it between steps, and WithSchedule lets it follow the step, with no graph
// compiled again. A checkpoint of GoMLX holds the hyperparameters, and sets them
// when it is loaded as it does all others: over what the program has set before
// that. WithCoefficient, and what the program sets after it has loaded the
// checkpoint, win over the checkpoint.
//
// The GC is that of the model's first output with respect to its first input;
// WithInput, WithInputNode, WithOutput, WithOutputNode and WithTransform choose others. NewMetric
// and its siblings report it, also where no coefficient is set, and never compute it a
// second time.
//
// Regularize panics if an option does not apply or is out of range. Building the training graph
// panics as SquaredJacobianNorm does, and also if the coefficient is negative or
// not finite and if an op of the model cannot be differentiated twice.
func Regularize[F train.ModelFnCompatible](modelFn F, opts ...Option) train.ModelFn {
	o := newOptions(inRegularize, opts)
	fn := gomlxcompat.ModelFn(modelFn)
	measured := func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
		outputs := fn(scope, spec, inputs)
		model.SetGraphParam(inputs[0].Graph(), watchedKey, watch(scope, outputs, inputs, o))
		return outputs
	}
	return modelfn.Penalized(measured, o.penaltyCoefficient(),
		func(scope *model.Scope, g *graph.Graph, _ []*graph.Node) []*graph.Node {
			w := watchedIn(g)
			variables := variablesInUse(scope, g)
			w.options.forGradient, w.options.variables = true, variables
			mustDifferentiate(w.outputs, variables)
			mustDifferentiateTwice(w.complexity(), variables)
			return []*graph.Node{w.complexity()}
		})
}

// watchedIn returns what Regularize watches in the graph, or nil.
func watchedIn(g *graph.Graph) *watched {
	if value, found := model.GetGraphParam(g, watchedKey); found {
		return value.(*watched)
	}
	return nil
}

// watch picks the output and the input that the options ask for.
func watch(scope *model.Scope, outputs, inputs []*graph.Node, o options) *watched {
	w := &watched{options: o}
	w.outputs, w.inputs = o.pick(outputs, inputs)
	if name := model.GetParamOr(scope, ParamEstimator, ""); name != "" && !o.estimatorGiven {
		w.options.estimator = estimatorOf(scope, name)
	}
	return w
}

// estimatorOf returns the estimator that the hyperparameter of the scope names.
func estimatorOf(scope *model.Scope, name string) Estimator {
	e, err := ParseEstimator(name)
	if err != nil {
		exceptions.Panicf("hyperparameter %q in scope %q: %v", ParamEstimator, scope.Scope(), err)
	}
	return e
}

// mustDifferentiate panics if the gradient of the outputs with respect to the variables would meet
// an op without one: no estimator helps there.
func mustDifferentiate(outputs *graph.Node, variables []*graph.Node) {
	if missing := vjp.NotDifferentiable(outputs, variables); len(missing) > 0 {
		exceptions.Panicf("gcml.Regularize: the model cannot be differentiated with respect to its weights, "+
			"because GoMLX has no gradient for %s: %s", vjp.TypeName(missing[0].Type()), vjp.Replacement(missing[0].Type()))
	}
}

// mustDifferentiateTwice panics if the gradient of gc with respect to the
// variables would meet an op without one.
func mustDifferentiateTwice(gc *graph.Node, variables []*graph.Node) {
	if missing := vjp.NotDifferentiable(gc, variables); len(missing) > 0 {
		exceptions.Panicf("gcml.Regularize: the model cannot be differentiated twice, "+
			"because GoMLX has no gradient for %s: %s, "+
			"or give WithEstimator(ForwardNoise(0.01, 1)), which differentiates once",
			vjp.TypeName(missing[0].Type()), vjp.Replacement(missing[0].Type()))
	}
}

// variablesInUse are the trainable variables that the graph has so far.
func variablesInUse(scope *model.Scope, g *graph.Graph) []*graph.Node {
	var variables []*graph.Node
	for v := range scope.Store().IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			variables = append(variables, v.NodeValue(g))
		}
	}
	return variables
}
