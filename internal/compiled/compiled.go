// Package compiled runs graphs over the batches of a data set. It compiles one graph for each kind
// of batch, and keeps with the graph what its builder found out while building it, so that both
// always belong to the batch at hand.
package compiled

import (
	"reflect"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/random"
)

// Args are the nodes that a graph is built from, in the order of the tensors that [Graphs.Call]
// gets.
type Args struct {
	// Spec is the batch's spec.
	Spec any
	// Inputs and Labels are the batch's inputs and labels.
	Inputs, Labels []*graph.Node
	// Extra are the further arguments of Call.
	Extra []*graph.Node
}

// MeanLoss returns the mean over a batch of the loss of a model in evaluation mode. It averages a
// loss of one value for each example.
func MeanLoss(scope *model.Scope, a Args, modelFn train.ModelFn, lossFn train.LossFn) *graph.Node {
	scope.SetTraining(a.Inputs[0].Graph(), false)
	loss := lossFn(a.Labels, modelFn(scope, a.Spec, a.Inputs))
	if !loss.IsScalar() {
		loss = graph.ReduceAllMean(loss)
	}
	return loss
}

// Builder builds the graph of one kind of batch. It returns the graph's results, and a value with
// what the caller has to know about the graph to use them. It panics on misuse, with a message of
// one line.
type Builder[V any] func(scope *model.Scope, args Args) (results []*graph.Node, value V)

// Graphs are the compiled graphs of one builder, one for each kind of batch. The kind is everything
// that decides the graph: the spec, and the number, shapes and dtypes of the inputs, of the labels
// and of the extra tensors. Every call reads the variables of the store anew, even if the store is
// set to build its variables into graphs as constants. No call changes a variable, whatever the
// builder sets: a builder that draws from the store's random state leaves it as it is, so that
// every call draws the same numbers.
type Graphs[V any] struct {
	name    string
	backend compute.Backend
	store   *model.Store
	build   Builder[V]
	entries map[kind]*entry[V]
}

// kind is a kind of batch.
type kind struct {
	spec   any
	shapes string
}

// entry is a compiled graph.
type entry[V any] struct {
	exec    *model.Exec
	value   V
	failure error // The panic of the builder.
}

// New returns Graphs without any graph yet: Call builds each one when it is first needed. GoMLX's
// messages contain the name.
func New[V any](name string, backend compute.Backend, store *model.Store, build Builder[V]) *Graphs[V] {
	return &Graphs[V]{name: name, backend: backend, store: store, build: build, entries: make(map[kind]*entry[V])}
}

// Len returns the number of graphs compiled so far.
func (g *Graphs[V]) Len() int { return len(g.entries) }

// Call runs the graph for this kind of batch. It returns the graph's results, which the caller has
// to finalize, and the value that the builder returned. The tensors of the batch stay the caller's.
//
// It returns an error if the batch has no inputs, if its spec is of a type that Go cannot compare,
// or if the graph cannot be built, compiled or run. A panic of the builder is returned as an error
// with the same text.
func (g *Graphs[V]) Call(batch train.Batch, extra ...*tensors.Tensor) ([]*tensors.Tensor, V, error) {
	var none V
	e, err := g.entry(batch, extra)
	if err != nil {
		return nil, none, err
	}
	args := make([]any, 0, len(batch.Inputs)+len(batch.Labels)+len(extra))
	for _, group := range [][]*tensors.Tensor{batch.Inputs, batch.Labels, extra} {
		for _, t := range group {
			args = append(args, t)
		}
	}
	results, err := e.exec.Call(args...)
	if e.failure != nil {
		err, e.failure = e.failure, nil // The next call builds the graph again.
	}
	if err != nil {
		return nil, none, err
	}
	return results, e.value, nil
}

// entry returns the entry for this kind of batch. The graph of a new entry is built in its first
// call.
func (g *Graphs[V]) entry(batch train.Batch, extra []*tensors.Tensor) (*entry[V], error) {
	if len(batch.Inputs) == 0 {
		return nil, errors.New("the batch has no inputs")
	}
	if batch.Spec != nil && !reflect.ValueOf(batch.Spec).Comparable() {
		return nil, errors.Errorf("the batch has a spec of type %T, which Go cannot compare, so that it cannot select the graph "+
			"to run: use a pointer or a string", batch.Spec)
	}
	k := kind{spec: batch.Spec, shapes: shapesOf(batch.Inputs, batch.Labels, extra)}
	if e := g.entries[k]; e != nil {
		return e, nil
	}
	e := &entry[V]{}
	inputs, labels := len(batch.Inputs), len(batch.Labels)
	exec, err := model.NewExec(g.backend, g.store, func(scope *model.Scope, nodes []*graph.Node) (results []*graph.Node) {
		defer func() {
			// GoMLX catches only panics with an error, and wraps them in text of its own.
			if r := recover(); r != nil {
				e.failure = asError(r)
				panic(e.failure)
			}
		}()
		// Variables built in as constants would keep the values that they have now.
		asConst := g.store.VariablesAsConst()
		g.store.WithVariableAsConst(false)
		defer g.store.WithVariableAsConst(asConst)
		restore := random.KeepState(g.store, nodes[0].Graph())
		results, e.value = g.build(scope, Args{
			Spec: batch.Spec, Inputs: nodes[:inputs], Labels: nodes[inputs : inputs+labels], Extra: nodes[inputs+labels:]})
		restore()
		keepVariables(g.store, nodes[0].Graph())
		return results
	})
	if err != nil {
		return nil, err
	}
	e.exec = exec.WithName(g.name)
	g.entries[k] = e
	return e, nil
}

// keepVariables undoes what the graph would do to the variables, such as a model's running averages
// that it updates in evaluation mode, too: model.Exec writes back the last node set for each.
func keepVariables(store *model.Store, g *graph.Graph) {
	for v := range store.IterVariables() {
		if v.ChangedInGraph(g) {
			if own := g.GetParameterByName(v.Path()); own != nil {
				v.SetNodeValue(own)
			}
		}
	}
}

func asError(panicked any) error {
	if err, ok := panicked.(error); ok {
		return err
	}
	return errors.Errorf("%v", panicked)
}

// shapesOf writes out the shapes and dtypes of the tensors, group by group.
func shapesOf(groups ...[]*tensors.Tensor) string {
	var b strings.Builder
	for _, group := range groups {
		for _, t := range group {
			b.WriteString(t.Shape().String())
		}
		b.WriteByte('|')
	}
	return b.String()
}

// Finalize frees the graphs. The Graphs must not be used afterwards.
func (g *Graphs[V]) Finalize() {
	for _, e := range g.entries {
		e.exec.Finalize()
	}
	clear(g.entries)
}
