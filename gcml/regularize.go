package gcml

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/modelfn"
	"example.com/geometric-complexity/internal/vjp"
)

const (
	// ParamCoefficient is the hyperparameter that multiplies the GC of the batch
	// in the training loss. A float64, 0 or more; the default, 0, adds nothing.
	// See the package comment for where to start: for inputs scaled to [0, 1] that
	// is often between 1e-4 and 1e-2.
	ParamCoefficient = "gc_coefficient"

	// ParamEstimator is the hyperparameter that names the estimator, as a string
	// that ParseEstimator reads. The default is the estimator given to
	// Regularize, which is "exact" unless WithEstimator says otherwise.
	ParamEstimator = "gc_estimator"
)

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
//	modelFn := gcml.Regularize(myModel)
//	store.SetParam(gcml.ParamCoefficient, 1e-3)
//	trainer := train.NewTrainer(backend, store, modelFn, ...)
//
// The GC is that of the model's first output with respect to its first input;
// WithInput, WithInputNode, WithOutput, WithOutputNode and WithTransform choose others. NewMetric and its
// siblings report it, also where the coefficient is 0, and never compute it a
// second time.
//
// Regularize panics if an option does not apply. Building the training graph panics as SquaredJacobianNorm does, and also if
// the coefficient is negative or not finite and if an op of the model cannot be
// differentiated twice.
func Regularize[F train.ModelFnCompatible](modelFn F, opts ...Option) train.ModelFn {
	o := newOptions(inRegularize, opts)
	fn := modelfn.Canonical(modelFn)
	return func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
		outputs := fn(scope, spec, inputs)
		g := inputs[0].Graph()
		coefficient := modelfn.Coefficient(scope, ParamCoefficient)
		w := watch(scope, outputs, inputs, o)
		model.SetGraphParam(g, watchedKey, w)
		if coefficient == 0 || !scope.IsTraining(g) {
			return outputs
		}
		variables := variablesInUse(scope, g)
		w.options.forGradient, w.options.variables = true, variables
		mustDifferentiateTwice(w.complexity(), variables)
		modelfn.Penalize(w.complexity(), coefficient, outputs)
		return outputs
	}
}

// watch picks the output and the input that the options ask for.
func watch(scope *model.Scope, outputs, inputs []*graph.Node, o options) *watched {
	w := &watched{options: o}
	w.outputs, w.inputs = o.pick(outputs, inputs)
	if name := model.GetParamOr(scope, ParamEstimator, ""); name != "" {
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

// mustDifferentiateTwice panics if the gradient of gc with respect to the
// variables would meet an op without one.
func mustDifferentiateTwice(gc *graph.Node, variables []*graph.Node) {
	if missing := vjp.NotDifferentiable(gc, variables); len(missing) > 0 {
		exceptions.Panicf("gcml.Regularize: the model cannot be differentiated twice, because GoMLX has no gradient for %s: %s",
			missing[0].Type(), vjp.Advice(missing[0].Type()))
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
