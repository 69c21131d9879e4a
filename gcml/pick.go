package gcml

import (
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// WithInputNode differentiates with respect to a node that the model named by Node.WithAlias
// instead of an input, for example an embedding of integer inputs, or images that the model
// converts from bytes. Values that are not computed from the node are held fixed. The node has a
// shape [batch, ...] and a float dtype. Give the full path of an alias made under
// Graph.PushAliasScope, as "/encoder/embedding". For Regularize, Measure, NewMeasurer, Watch and
// CheckSecondDerivatives. It excludes WithInput.
func WithInputNode(alias string) Option {
	return Option{"WithInputNode", func(o *options) { o.inputNode = mustBeAlias("WithInputNode", alias) }}
}

// WithOutputNode differentiates a node of shape [batch, ...] that the model named by Node.WithAlias
// instead of an output. Give the full path of an alias made under Graph.PushAliasScope, as
// "/encoder/features". For Regularize, Measure, NewMeasurer, Watch and CheckSecondDerivatives. It
// excludes WithOutput.
func WithOutputNode(alias string) Option {
	return Option{"WithOutputNode", func(o *options) { o.outputNode = mustBeAlias("WithOutputNode", alias) }}
}

func mustBeAlias(option, alias string) string {
	if alias == "" {
		exceptions.Panicf("gcml.%s: the alias is empty", option)
	}
	return graph.AliasScopeSeparator + strings.TrimPrefix(alias, graph.AliasScopeSeparator)
}

// pick selects from a model's outputs and inputs those that the options name, and applies
// WithTransform to the output.
func (o *options) pick(outputs, inputs []*graph.Node) (output, input *graph.Node) {
	g := inputs[0].Graph()
	switch {
	case o.outputNode != "":
		output = nodeByAlias(g, "WithOutputNode", o.outputNode)
	case o.output < len(outputs):
		output = outputs[o.output]
	default:
		exceptions.Panicf("gcml.WithOutput: there is no output #%d: the model function returns %d, counted from 0", o.output, len(outputs))
	}
	switch {
	case o.inputNode != "":
		input = nodeByAlias(g, "WithInputNode", o.inputNode)
	case o.input < len(inputs):
		input = inputs[o.input]
	default:
		exceptions.Panicf("gcml.WithInput: there is no input #%d: the model has %d, counted from 0", o.input, len(inputs))
	}
	return o.transformed(output), input
}

// nodeByAlias returns the node with the full alias. If there is none, it panics with the list of
// known aliases.
func nodeByAlias(g *graph.Graph, option, alias string) *graph.Node {
	if n := g.GetNodeByAlias(alias); n != nil {
		return n
	}
	var aliases []string
	for known := range g.IterAliasedNodes() {
		aliases = append(aliases, known)
	}
	if len(aliases) == 0 {
		exceptions.Panicf("gcml.%s: the model has no node %q, and no node with any alias: name it with Node.WithAlias",
			option, alias)
	}
	exceptions.Panicf("gcml.%s: the model has no node %q; it has the aliases %s", option, alias,
		strings.Join(aliases, ", "))
	return nil
}
