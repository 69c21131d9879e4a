package gcml

import (
	"context"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/random"
)

// Measurer measures the geometric complexity of one model repeatedly. It compiles one graph for
// each kind of batch (its spec, and the shapes and dtypes of its inputs). Each measurement reads
// the current variables of the store, so it can be used between training steps. The model reads
// hyperparameters only when a graph is compiled. A Measurer must not be used by two goroutines at
// the same time.
type Measurer struct {
	options options
	backend compute.Backend
	modelFn train.ModelFn
	graphs  *compiled.Graphs[layout]

	// withoutClosedForm has the graphs for batches whose values cancel in the closed form.
	withoutClosedForm *compiled.Graphs[layout]

	// spectrumGraphs are separate because they need no rounds; nil without WithSpectralNorm.
	spectrumGraphs *compiled.Graphs[int]
}

// layout describes the results of a compiled graph: the squared norms for the outputs, by plans[0],
// those for the named layers, by the other plans, a number above 0 if they cancel in the closed
// form, and last the random state.
type layout struct {
	plans  []plan
	layers []string
}

// rounds returns the number of times that the graph runs for a batch.
func (l layout) rounds() int {
	rounds := 1
	for _, p := range l.plans {
		rounds = max(rounds, p.rounds)
	}
	return rounds
}

// NewMeasurer returns a Measurer of a model with the variables of the store. It chooses the
// estimator as Measure does, and returns an error for invalid options. Call Finalize to free the
// compiled graphs.
func NewMeasurer[F train.ModelFnCompatible](backend compute.Backend, store *model.Store, modelFn F,
	opts ...Option) (*Measurer, error) {
	return newMeasurer(inNewMeasurer, backend, store, gomlxcompat.ModelFn(modelFn), opts)
}

func newMeasurer(function string, backend compute.Backend, store *model.Store, modelFn train.ModelFn,
	opts []Option) (*Measurer, error) {
	m := &Measurer{backend: backend, modelFn: modelFn}
	err := exceptions.TryCatch[error](func() { m.options = measureOptions(function, store, opts) })
	if err != nil {
		return nil, err
	}
	m.graphs = compiled.New("gcml.Measure", backend, store, builder(m.modelFn, m.options))
	precise := m.options
	precise.noClosedForm = true
	m.withoutClosedForm = compiled.New("gcml.Measure", backend, store, builder(m.modelFn, precise))
	if m.options.spectrum {
		m.spectrumGraphs = compiled.New("gcml.Measure: singular values", backend, store, m.buildSpectrum)
	}
	return m, nil
}

// measureOptions applies and checks the options and the store's hyperparameters.
func measureOptions(function string, store *model.Store, opts []Option) options {
	o := newOptions(function, opts)
	o.inRounds = true
	if name := model.GetParamOr(store.RootScope(), ParamEstimator, ""); name != "" && !o.estimatorGiven {
		o.estimator = estimatorOf(store.RootScope(), name)
	}
	if err := o.estimator.check(); err != nil {
		panic(err)
	}
	if o.perOutput && !o.estimator.isAlwaysExact() {
		exceptions.Panicf("gcml.%s: WithPerOutput requires the estimator exact: the estimator %s mixes the outputs", function,
			o.estimator)
	}
	if o.lanczosSteps > 0 && !o.spectrum {
		exceptions.Panicf("gcml.%s: WithLanczosSteps(%d) has no effect without WithSpectralNorm", function, o.lanczosSteps)
	}
	return o
}

// Finalize frees the compiled graphs. The Measurer must not be used afterwards.
func (m *Measurer) Finalize() {
	m.graphs.Finalize()
	m.withoutClosedForm.Finalize()
	if m.spectrumGraphs != nil {
		m.spectrumGraphs.Finalize()
	}
}

// Measure returns the geometric complexity over a data set, with the values that the variables of
// the store have now. A random estimator starts from the same seed each time, so two measurements
// differ only if the model or the data changed between them. Data set and errors are as for the
// function Measure.
func (m *Measurer) Measure(ctx context.Context, ds train.Dataset) (Result, error) {
	start := time.Now()
	run, err := m.newMeasurement()
	if err != nil {
		return Result{}, err
	}
	for batch, err := range ds.Iter() {
		if err != nil {
			return Result{}, errors.WithMessagef(err, "gcml.Measure: data set %q", ds.Name())
		}
		err = run.add(ctx, batch)
		finalizeErr := batch.Finalize()
		if err == nil {
			err = finalizeErr
		}
		if err != nil {
			return Result{}, err
		}
		if m.options.progress != nil {
			m.options.progress(len(run.norms))
		}
		if n := m.options.maxExamples; n > 0 && len(run.norms) >= n {
			break
		}
	}
	if len(run.norms) == 0 {
		return Result{}, errors.Errorf("gcml.Measure: data set %q is empty", ds.Name())
	}
	result := run.result()
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// builder builds the graph for one kind of batch, whose results layout describes. Its extra
// arguments are the number of the round and the random state. Squared norms have the shape [batch];
// with WithPerOutput those for the outputs have [outputs of the round, batch].
func builder(modelFn train.ModelFn, o options) compiled.Builder[layout] {
	return func(scope *model.Scope, a compiled.Args) (results []*graph.Node, l layout) {
		round, state := a.Extra[0], a.Extra[1]
		g := a.Inputs[0].Graph()
		scope.Store().SetTraining(g, false)
		restoreState := random.ReplaceState(scope.Store(), state)
		output, input := o.pick(modelFn(scope, a.Spec, a.Inputs), a.Inputs)
		cancels := graph.Const(g, float32(0))
		add := func(j *jacobian, perOutput bool) {
			values := j.ofRound(round, perOutput)
			results, l.plans = append(results, values), append(l.plans, j.plan)
			if j.plan.norm == fromGram {
				cancels = graph.Max(cancels, graph.ConvertDType(j.cancels(values, perOutput), cancels.DType()))
			}
		}
		j := newJacobian(output, input, o)
		add(j, o.perOutput)
		if o.layers {
			for _, n := range namedNodes(j) {
				l.layers = append(l.layers, n.GetAlias())
				add(newJacobian(n, j.inputs, o), false)
			}
		}
		return append(results, cancels, restoreState()), l
	}
}

// namedNodes returns the nodes between inputs and outputs that have an alias and a batch axis.
func namedNodes(j *jacobian) []*graph.Node {
	var named []*graph.Node
	for _, n := range j.pullback.Nodes() {
		if n.GetAlias() == "" || n == j.inputs || !j.pullback.HasBatchFirst(n) {
			continue
		}
		named = append(named, n)
	}
	if len(named) == 0 {
		exceptions.Panicf("gcml.Measure: WithLayers found no named node: name nodes of the model with Node.WithAlias")
	}
	return named
}

// newState returns the random state that a measurement starts from.
func (m *Measurer) newState() (*tensors.Tensor, error) {
	state, err := graph.RNGStateFromSeed(m.options.seed)
	return state, errors.WithMessage(err, "gcml.Measure: seeding")
}
