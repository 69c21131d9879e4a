package onnxmodel

import (
	"fmt"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/onnx-gomlx/onnx"
	"github.com/gomlx/onnx-gomlx/onnx/parser"
	"google.golang.org/protobuf/proto"
)

// segment is a network up to a recurrent layer, which is built without the importer. For the
// importer the outputs of the recurrent layers before are inputs of the network.
type segment struct {
	onnx  onnx.Model
	layer *recurrent
}

// parseSegments parses a file once for each recurrent layer, and once for what comes after the
// last. Errors are those of the importer.
func (m *Model) parseSegments(file *protos.ModelProto) error {
	g := file.Graph
	var all []string
	for _, n := range g.Node {
		all = append(all, n.Output...)
	}
	inputs, nodes := g.Input, g.Node
	defer func() { g.Input, g.Node = inputs, nodes }()
	for _, n := range ancestors(g, all...) {
		if gates[n.OpType] == 0 || !isOwn(n) || m.lowered.refusalIn(n) != nil {
			continue
		}
		layer, refusal := newRecurrent(n)
		if refusal != "" {
			return fmt.Errorf("operator %s: %s", nodeName(n), refusal)
		}
		before, err := m.importGraph(file)
		if err != nil {
			return err
		}
		m.segments = append(m.segments, segment{before, layer})
		g.Node = without(g.Node, n)
		for i, out := range n.Output {
			if out != "" {
				g.Input = append(g.Input[:len(g.Input):len(g.Input)], m.anyShape(out, n, 3+boolInt(i == 0)))
			}
		}
	}
	var err error
	m.onnx, err = m.importGraph(file)
	return err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func without(nodes []*protos.NodeProto, left *protos.NodeProto) []*protos.NodeProto {
	kept := make([]*protos.NodeProto, 0, len(nodes))
	for _, n := range nodes {
		if n != left {
			kept = append(kept, n)
		}
	}
	return kept
}

// anyShape is a value of a rank, of the type of the weights of a recurrent layer.
func (m *Model) anyShape(name string, layer *protos.NodeProto, rank int) *protos.ValueInfoProto {
	dtype, ok := m.lowered.types[layer.Input[1]]
	if !ok || !isFloat(dtype) {
		dtype = m.lowered.types[layer.Input[0]]
	}
	if !isFloat(dtype) {
		dtype = int32(protos.TensorProto_FLOAT)
	}
	t := &protos.TypeProto_Tensor{ElemType: dtype, Shape: dynamic(rank)}
	return &protos.ValueInfoProto{Name: name, Type: &protos.TypeProto{Value: &protos.TypeProto_TensorType{TensorType: t}}}
}

// importGraph hands a file to the importer.
func (m *Model) importGraph(file *protos.ModelProto) (onnx.Model, error) {
	raw, err := proto.Marshal(file)
	if err != nil {
		return nil, err
	}
	imported, err := parser.Parse(raw)
	if err != nil {
		return nil, err
	}
	imported.WithExternalDataReader(m.folder)
	// The fused forms have no gradients.
	imported.DisableFusion()
	return imported, nil
}

// call builds the graph of values for those of the inputs, segment by segment.
func (m *Model) call(scope *model.Scope, g *graph.Graph, named map[string]*graph.Node,
	outputs ...string) []*graph.Node {
	needed := make(map[*protos.NodeProto]bool)
	for _, n := range ancestors(m.graph, outputs...) {
		needed[n] = true
	}
	last := -1
	for i, s := range m.segments {
		if needed[s.layer.node] {
			last = i
		}
	}
	importer := m.onnx
	if last+1 < len(m.segments) {
		importer = m.segments[last+1].onnx
	}
	for _, s := range m.segments[:last+1] {
		inputs := make([]*graph.Node, len(s.layer.node.Input))
		for i, name := range s.layer.node.Input {
			if name != "" {
				inputs[i] = s.onnx.CallGraph(scope, g, named, name)[0]
			}
		}
		for i, value := range s.layer.build(inputs) {
			if used(s.layer.node, i) {
				named[s.layer.node.Output[i]] = value
			}
		}
	}
	var values []*graph.Node
	var rest []string
	for _, out := range outputs {
		if named[out] == nil {
			rest = append(rest, out)
		}
	}
	if len(rest) > 0 {
		values = importer.CallGraph(scope, g, named, rest...)
	}
	all := make([]*graph.Node, len(outputs))
	for i, out := range outputs {
		if all[i] = named[out]; all[i] == nil {
			all[i], values = values[0], values[1:]
		}
	}
	return all
}
