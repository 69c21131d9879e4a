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

	"example.com/geometric-complexity/internal/compiled"
	"example.com/geometric-complexity/internal/gomlxcompat"
)

// Measurer measures the geometric complexity of one model as often as asked for. It compiles a
// graph when it first meets a kind of batch (its spec, and the shapes and dtypes of its inputs),
// and reads the variables of the store anew each time, so that it can be used between training
// steps. Hyperparameters that the model reads are those at the time of compiling. It must not be
// used by two goroutines at once.
type Measurer struct {
	options options
	backend compute.Backend
	modelFn train.ModelFn
	graphs  *compiled.Graphs[layout]

	// spectrumGraphs are of their own, as they need no rounds; nil without WithSpectralNorm.
	spectrumGraphs *compiled.Graphs[int]
}

// layout says what the results of a compiled graph are: the norms of the outputs, by plans[0],
// those of the named layers, by the other plans, and last the random state.
type layout struct {
	plans  []plan
	layers []string
}

// rounds returns how many times the graph is run for a batch.
func (l layout) rounds() int {
	rounds := 1
	for _, p := range l.plans {
		rounds = max(rounds, p.rounds)
	}
	return rounds
}

// NewMeasurer returns a Measurer of a model with the variables of the store. The estimator is
// chosen here, as by Measure. It returns an error for options that cannot be. Finalize frees its
// graphs.
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
	m.graphs = compiled.New("gcml.Measure", backend, store, m.build)
	if m.options.spectrum {
		m.spectrumGraphs = compiled.New("gcml.Measure: singular values", backend, store, m.buildSpectrum)
	}
	return m, nil
}

// measureOptions reads and checks what the options and the store's hyperparameters ask for.
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
		exceptions.Panicf("gcml.Measure: the estimator %s mixes the outputs: per output needs the exact one", o.estimator)
	}
	if o.lanczosSteps > 0 && !o.spectrum {
		exceptions.Panicf("gcml.%s: WithLanczosSteps(%d) has no effect without WithSpectralNorm", function, o.lanczosSteps)
	}
	return o
}

// Finalize frees the compiled graphs. The Measurer must not be used afterwards.
func (m *Measurer) Finalize() {
	m.graphs.Finalize()
	if m.spectrumGraphs != nil {
		m.spectrumGraphs.Finalize()
	}
}

// Measure returns the geometric complexity over a data set, with the values that the variables of
// the store have now. A random estimator starts from the same seed each time, so that two
// measurements differ by what has changed between them. See the function Measure for the rest.
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

// build is the graph of one kind of batch, see layout. Its extra arguments are the number of the
// round and the random state. Norms have the shape [batch], those of the outputs [outputs of the
// round, batch] where they are reported per output.
func (m *Measurer) build(scope *model.Scope, a compiled.Args) ([]*graph.Node, layout) {
	round, state := a.Extra[0], a.Extra[1]
	scope.Store().SetTraining(a.Inputs[0].Graph(), false)
	takeState := lendRandomState(scope.Store(), state)
	output, input := m.options.pick(m.modelFn(scope, a.Spec, a.Inputs), a.Inputs)
	j := newJacobian(output, input, m.options)
	l := layout{plans: []plan{j.plan}}
	results := []*graph.Node{j.ofRound(round, m.options.perOutput)}
	if m.options.layers {
		for _, n := range namedNodes(j) {
			layer := newJacobian(n, j.inputs, m.options)
			l.layers, l.plans = append(l.layers, n.GetAlias()), append(l.plans, layer.plan)
			results = append(results, layer.ofRound(round, false))
		}
	}
	return append(results, takeState()), l
}

// namedNodes returns the nodes between inputs and outputs that the model named and that have a
// value for each example.
func namedNodes(j *jacobian) []*graph.Node {
	var named []*graph.Node
	for _, n := range j.pullback.Nodes() {
		if n.GetAlias() == "" || n == j.inputs || !j.pullback.HasBatchFirst(n) {
			continue
		}
		named = append(named, n)
	}
	if len(named) == 0 {
		exceptions.Panicf("gcml.Measure: no layers to report: name the nodes in the model with Node.WithAlias")
	}
	return named
}

// lendRandomState puts the node in the place of the store's random state while a graph is built, so
// that all draws come from it and the store's own state stays as it is. The function it returns
// ends that, and returns the state after the draws.
func lendRandomState(store *model.Store, state *graph.Node) (take func() *graph.Node) {
	path := model.JoinPath(model.ScopeSeparator, model.RNGStateVariableName)
	if v := store.GetVariable(path); v == nil || !v.HasValue() {
		if err := store.ResetRNGState(); err != nil { // What the store's first draw would do.
			panic(errors.WithMessage(err, "gcml.Measure: setting up the random state"))
		}
	}
	v := store.GetVariable(path)
	own := v.NodeValue(state)
	v.SetNodeValue(state)
	return func() *graph.Node {
		drawn := v.NodeValue(state)
		v.SetNodeValue(own)
		return drawn
	}
}

// newState returns the random state that a measurement starts from.
func (m *Measurer) newState() (*tensors.Tensor, error) {
	state, err := graph.RNGStateFromSeed(m.options.seed)
	return state, errors.WithMessage(err, "gcml.Measure: seeding")
}
