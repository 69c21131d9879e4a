package gcml

import (
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// WithInputNode differentiates with respect to the node that the model named by Node.WithAlias, all
// else that does not come from it held fixed, instead of an input: with respect to an embedding
// where the inputs are integers, or to images that the model converts from bytes. The node has a
// shape [batch, ...] and a float dtype. An alias made under Graph.PushAliasScope is given in full,
// as "/encoder/embedding". For Regularize, Measure, NewMeasurer and Watch, and not beside
// WithInput.
func WithInputNode(alias string) Option {
	return Option{"WithInputNode", func(o *options) { o.inputNode = mustBeAlias("WithInputNode", alias) }}
}

// WithOutputNode takes the node that the model named by Node.WithAlias, of shape [batch, ...],
// instead of an output. An alias made under Graph.PushAliasScope is given in full, as
// "/encoder/features". For Regularize, Measure, NewMeasurer and Watch, and not beside WithOutput.
func WithOutputNode(alias string) Option {
	return Option{"WithOutputNode", func(o *options) { o.outputNode = mustBeAlias("WithOutputNode", alias) }}
}

func mustBeAlias(option, alias string) string {
	if alias == "" {
		exceptions.Panicf("gcml.%s: the alias is empty", option)
	}
	return graph.AliasScopeSeparator + strings.TrimPrefix(alias, graph.AliasScopeSeparator)
}

// pick returns the output, transformed, and the input that the options ask for, of a model's
// outputs and inputs.
func (o *options) pick(outputs, inputs []*graph.Node) (output, input *graph.Node) {
	g := inputs[0].Graph()
	switch {
	case o.outputNode != "":
		output = nodeByAlias(g, "WithOutputNode", o.outputNode)
	case o.output < len(outputs):
		output = outputs[o.output]
	default:
		exceptions.Panicf("gcml: there is no output #%d, the model function returns %d", o.output, len(outputs))
	}
	switch {
	case o.inputNode != "":
		input = nodeByAlias(g, "WithInputNode", o.inputNode)
	case o.input < len(inputs):
		input = inputs[o.input]
	default:
		exceptions.Panicf("gcml: there is no input #%d, the data set gives %d", o.input, len(inputs))
	}
	return o.transformed(output), input
}

// nodeByAlias returns the node with a full alias, and panics with those that there are if there is
// none.
func nodeByAlias(g *graph.Graph, option, alias string) *graph.Node {
	if n := g.GetNodeByAlias(alias); n != nil {
		return n
	}
	var aliases []string
	for known := range g.IterAliasedNodes() {
		aliases = append(aliases, known)
	}
	if len(aliases) == 0 {
		exceptions.Panicf("gcml.%s: the model has no node %q, nor any other with an alias: name it with Node.WithAlias",
			option, alias)
	}
	exceptions.Panicf("gcml.%s: the model has no node %q; the aliases that it has: %s", option, alias,
		strings.Join(aliases, ", "))
	return nil
}
