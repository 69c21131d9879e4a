package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// Subject is a network and the examples that it is inspected on.
type Subject struct {
	// Name is shown, such as the path of a file.
	Name string
	// Store has the network's variables. They do not change.
	Store *model.Store
	// Model is the network; its first output is inspected. It runs in evaluation mode.
	Model train.ModelFn
	// Data is finite and has the same examples in the same order each time. Its labels, integers of
	// shape [batch] or [batch, 1], are the indices of a classifier's outputs, if it has labels.
	Data train.Dataset

	// Input is the number of the input that derivatives are taken with respect to. If InputNode is
	// not "", it is the alias of a node that takes its place, see gcml.WithInputNode.
	Input     int
	InputNode string
	// Features is the alias of the node whose values are the network's features, of shape
	// [batch, ...]: what the last layer classifies. "" takes the outputs for them.
	Features string
	// FeaturesOrOutputs takes the outputs in place of features that are not [batch, ...] in the
	// order of the examples, or do not depend on the input, and notes it. Otherwise these are an
	// error.
	FeaturesOrOutputs bool
	// LayerNames are the names to show for nodes that the model named by Node.WithAlias, by their
	// aliases. Other nodes are shown by their alias.
	LayerNames map[string]string
	// BatchSize is the size of every batch that the network takes, or 0 if it takes any.
	BatchSize int
}

// NewSubject returns the Subject of a network and its examples, with respect to its first input.
func NewSubject[F train.ModelFnCompatible](name string, store *model.Store, modelFn F, data train.Dataset) Subject {
	return Subject{Name: name, Store: store, Model: gomlxcompat.ModelFn(modelFn), Data: data}
}

// sized are data sets that know how many examples they have.
type sized interface{ NumExamples() int }

// pick returns gcml's option for the input.
func (s *Subject) pick() gcml.Option {
	if s.InputNode != "" {
		return gcml.WithInputNode(s.InputNode)
	}
	return gcml.WithInput(s.Input)
}

// outputsAndFeatures returns the first output, and the features if they are another node.
func (s *Subject) outputsAndFeatures(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
	outputs := s.Model(scope, spec, inputs)[:1]
	if s.Features == "" {
		return outputs
	}
	features := inputs[0].Graph().GetNodeByAlias(absolute(s.Features))
	if features == nil {
		exceptions.Panicf("inspect: the model has no node %q for the features: name it with Node.WithAlias", s.Features)
	}
	return append(outputs, features)
}

// output returns the first output alone.
func (s *Subject) output(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
	return s.Model(scope, spec, inputs)[:1]
}

// layerName returns what is shown for an alias.
func (s *Subject) layerName(alias string) string {
	for _, known := range []string{alias, strings.TrimPrefix(alias, graph.AliasScopeSeparator)} {
		if name, ok := s.LayerNames[known]; ok {
			return name
		}
	}
	return strings.TrimPrefix(alias, graph.AliasScopeSeparator)
}

func absolute(alias string) string {
	return graph.AliasScopeSeparator + strings.TrimPrefix(alias, graph.AliasScopeSeparator)
}

// structure is what the graph of the first batch shows of a network.
type structure struct {
	outputs, features int      // Values of an example.
	labelled          bool     // The batch has an integer label for each example.
	classifier        bool     // The outputs are [batch, classes], with two classes or more.
	layers            []string // Aliases of nodes between the input and the output.
	input             []int    // Dimensions of an example's input.
	unordered         bool     // The features are not [batch, ...] in the order of the examples.
}

func (s structure) inputs() int { return product(s.input) }

// look builds the network for the first batch, without compiling or running it.
func (s *Subject) look(backend compute.Backend) (found structure, err error) {
	if s.Store == nil || s.Model == nil || s.Data == nil {
		return found, errors.Errorf("inspect: the subject %q lacks its store, model or data", s.Name)
	}
	for batch, err := range s.Data.Iter() {
		if err != nil {
			return found, errors.WithMessagef(err, "inspect: data set %q", s.Data.Name())
		}
		g := graph.NewGraph(backend, "inspect")
		var inputs []*graph.Node
		for i, in := range batch.Inputs {
			inputs = append(inputs, graph.Parameter(g, fmt.Sprintf("input%d", i), in.Shape()))
		}
		err = exceptions.TryCatch[error](func() { found = s.structure(g, batch.Spec, inputs) })
		found.labelled = len(batch.Labels) > 0 && batch.Labels[0].DType().IsInt()
		g.Finalize()
		if finalizeErr := batch.Finalize(); err == nil {
			err = finalizeErr
		}
		if err == nil && found.unordered && !s.FeaturesOrOutputs {
			err = errors.Errorf("inspect: the features %s are not values of each example, [batch, ...], that depend on its input: "+
				"choose others", s.layerName(s.Features))
		}
		return found, err
	}
	return found, errors.Errorf("inspect: data set %q is empty", s.Data.Name())
}

func (s *Subject) structure(g *graph.Graph, spec any, inputs []*graph.Node) (found structure) {
	if s.InputNode == "" && (s.Input < 0 || s.Input >= len(inputs)) {
		exceptions.Panicf("inspect: there is no input #%d: the data set has %d, counted from 0", s.Input, len(inputs))
	}
	s.Store.SetTraining(g, false)
	nodes := s.outputsAndFeatures(s.Store.RootScope(), spec, inputs)
	input := g.GetNodeByAlias(absolute(s.InputNode))
	if s.InputNode == "" {
		input = inputs[s.Input]
	}
	if input == nil {
		exceptions.Panicf("inspect: the model has no node %q to differentiate by: name it with Node.WithAlias", s.InputNode)
	}
	for _, n := range append(nodes, input) {
		if n.Rank() == 0 || !n.DType().IsFloat() || n.Shape().Size() == 0 {
			exceptions.Panicf("inspect: a value of shape %s: want a float dtype and a batch axis, [batch, ...]", n.Shape())
		}
	}
	batch := nodes[0].Shape().Dimensions[0]
	found.outputs = nodes[0].Shape().Size() / batch
	found.classifier = nodes[0].Rank() == 2 && found.outputs > 1
	found.features = nodes[len(nodes)-1].Shape().Size() / batch
	found.input = slices.Clone(input.Shape().Dimensions[1:])
	pullback := vjp.New(graph.Reshape(nodes[0], batch, -1), input)
	found.unordered = s.Features != "" && !pullback.HasBatchFirst(nodes[1])
	for _, n := range pullback.Nodes() {
		if n.GetAlias() != "" && n != input && pullback.HasBatchFirst(n) {
			found.layers = append(found.layers, n.GetAlias())
		}
	}
	return found
}

func product(dims []int) int {
	p := 1
	for _, d := range dims {
		p *= d
	}
	return p
}
