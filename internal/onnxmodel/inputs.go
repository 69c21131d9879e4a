package onnxmodel

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"google.golang.org/protobuf/proto"

	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// Input is an input of a network: its shape has -1 for axes of any size, and no axes if the file
// does not tell it.
type Input struct {
	Name     string
	Shape    shapes.Shape
	Unshaped bool
}

// Inputs returns the inputs of the file, in its order.
func (m *Model) Inputs() []Input {
	var all []Input
	for i, name := range m.inputs {
		all = append(all, Input{Name: name, Shape: m.shapes[i], Unshaped: m.unshaped[i]})
	}
	return all
}

// WithRespectTo returns the index of the input that the network is differentiated with respect to.
// If it is differentiated with respect to an inner node instead, alias is that node's, else "".
func (m *Model) WithRespectTo() (input int, alias string) {
	if m.node != "" {
		return m.wrt, nodeAlias
	}
	return m.wrt, ""
}

// nodeAlias is the alias of the value that SetWithRespectTo chose.
const nodeAlias = "with_respect_to"

// SetWithRespectTo chooses the input, or the inner value by its own name or that of the node that
// computes it, with respect to which derivatives are taken: an embedding of tokens, for example.
// With the name "", it is the only input of a float type.
func (m *Model) SetWithRespectTo(name string) error {
	var floats []string
	for i, in := range m.inputs {
		if name == in || name == "" && m.shapes[i].DType.IsFloat() {
			m.wrt, m.node = i, ""
			floats = append(floats, in)
		}
	}
	switch {
	case name == "" && len(floats) == 0:
		return fmt.Errorf("%s: no input is of a float type (%s): choose an inner value that derivatives are taken with respect to%s",
			m.path, strings.Join(m.inputs, ", "), m.suggestion())
	case name == "" && len(floats) > 1:
		return fmt.Errorf("%s: the network has %d inputs of a float type (%s): choose the one that derivatives are taken with respect to",
			m.path, len(floats), strings.Join(floats, ", "))
	case len(floats) > 0:
		in, shape := m.inputs[m.wrt], m.shapes[m.wrt]
		if !shape.DType.IsFloat() || !m.unshaped[m.wrt] && shape.Rank() < 2 {
			return fmt.Errorf("%s: input %s has shape %s: want numbers of a float type with a batch axis, [batch, ...]", m.path,
				in, shape)
		}
		return nil
	}
	value, err := m.valueOf(name)
	if err != nil {
		return err
	}
	if value == m.output || !slices.ContainsFunc(ancestors(m.graph, m.output),
		func(n *protos.NodeProto) bool { return slices.Contains(n.Output, value) }) {
		return fmt.Errorf("%s: output %s is not computed from node %q: choose one before it", m.path, m.output, name)
	}
	m.node = value
	return nil
}

// suggestion is the first value of a float type that depends on an input of integers.
func (m *Model) suggestion() string {
	for _, n := range ancestors(m.graph, m.output) {
		if n.OpType == "Gather" || n.OpType == "Cast" && isFloat(m.lowered.types[n.Output[0]]) {
			if ints := m.lowered.types[n.Input[len(n.Input)-1]]; !isFloat(ints) && m.dependsOnInput(n) {
				return fmt.Sprintf(", such as %q", n.Output[0])
			}
		}
	}
	return ""
}

// dependsOnInput reports whether the value of a node depends on the value of an input, not only on
// its shape.
func (m *Model) dependsOnInput(n *protos.NodeProto) bool {
	s := newScope(m.graph, nil)
	seen := make(map[*protos.NodeProto]bool)
	var depends func(n *protos.NodeProto) bool
	depends = func(n *protos.NodeProto) bool {
		if n == nil || seen[n] || n.OpType == "Shape" || n.OpType == "Size" {
			return false
		}
		seen[n] = true
		return slices.ContainsFunc(n.Input, func(in string) bool {
			from, _ := s.find(in)
			return slices.Contains(m.inputs, in) || depends(from)
		})
	}
	return depends(n)
}

// Value returns the inner value that has this name, or whose node has it.
func (m *Model) Value(name string) (string, error) { return m.valueOf(name) }

// valueOf returns the value of this name, or the first output of the node of this name.
func (m *Model) valueOf(name string) (string, error) {
	var known []string
	for _, n := range m.graph.Node {
		for _, out := range n.Output {
			if out == name {
				return out, nil
			}
			if origin := m.lowered.origins[out]; origin != nil && slices.Contains(origin.Output, out) && out != "" {
				if origin.Name == name {
					return out, nil
				}
				known = append(known, out)
			}
		}
	}
	if near, ok := nearest.Word(name, known); ok {
		return "", fmt.Errorf("%s: no node %q; did you mean %q?", m.path, name, near)
	}
	slices.Reverse(known)
	const enough = 12
	if more := len(known) - enough; more > 0 {
		known = append(known[:enough], fmt.Sprintf("and %d others", more))
	}
	return "", fmt.Errorf("%s: no node %q; from the last one back: %s", m.path, name, strings.Join(known, ", "))
}

// SetRank sets the number of axes of an input whose shape is not in the file. It reads the file
// anew, because operators are rewritten by the ranks of their inputs, and replaces the Store.
func (m *Model) SetRank(input, rank int) error {
	if !m.unshaped[input] {
		return nil
	}
	anew := &Model{path: m.path, Store: model.NewStore(), ranks: maps.Clone(m.ranks)}
	if anew.ranks == nil {
		anew.ranks = make(map[string]int)
	}
	anew.ranks[m.inputs[input]] = rank
	if err := anew.load(); err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	for _, t := range m.constants {
		if err := anew.setConstant(t); err != nil {
			return err
		}
	}
	anew.output, anew.node, anew.wrt = m.output, m.node, slices.Index(anew.inputs, m.inputs[m.wrt])
	if err := m.folder.release(); err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	*m = *anew
	return nil
}

// SetConstant replaces an input by one value for all examples, such as a sampling rate. The value
// can decide which branch of the network is taken.
func (m *Model) SetConstant(input int, value *tensors.Tensor) error {
	in := m.graph.Input[input]
	t := &protos.TensorProto{Name: in.Name, DataType: in.GetType().GetTensorType().GetElemType()}
	for _, d := range value.Shape().Dimensions {
		t.Dims = append(t.Dims, int64(d))
	}
	c, err := newColumn(Column{Values: value, DType: m.shapes[input].DType, whole: true})
	if err != nil {
		return fmt.Errorf("%s: input %s: %w", m.path, in.Name, err)
	}
	if err := c.slice(0, 0).ConstBytes(func(data []byte) { t.RawData = slices.Clone(data) }); err != nil {
		return err
	}
	return m.setConstant(t)
}

// setConstant replaces the input that has the name of a tensor.
func (m *Model) setConstant(t *protos.TensorProto) error {
	m.constants = append(m.constants, t)
	input := slices.Index(m.inputs, t.Name)
	m.graph.Input = slices.Delete(slices.Clone(m.graph.Input), input, input+1)
	m.graph.Node = append([]*protos.NodeProto{{Name: t.Name, OpType: "Constant", Output: []string{t.Name},
		Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: t}}}}, m.graph.Node...)
	if m.wrt > input {
		m.wrt--
	}
	if err := m.chooseBranches(); err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	return m.again()
}

// again imports the changed network.
func (m *Model) again() error {
	m.segments = nil
	if err := attempt(func() error { return m.parseSegments(m.file) }); err != nil {
		return fmt.Errorf("%s: cannot be imported: %w", m.path, oneLine(err))
	}
	m.readInputs()
	return nil
}

// dynamic is a shape whose axes are of any size.
func dynamic(rank int) *protos.TensorShapeProto {
	s := &protos.TensorShapeProto{}
	for range rank {
		s.Dim = append(s.Dim, &protos.TensorShapeProto_Dimension{})
	}
	return s
}

// readInputs takes names and shapes from the importer.
func (m *Model) readInputs() {
	first := m.onnx
	if len(m.segments) > 0 {
		first = m.segments[0].onnx
	}
	m.inputs, m.shapes = first.Inputs()
	m.unshaped = nil
	for _, in := range m.graph.Input {
		m.unshaped = append(m.unshaped, in.GetType().GetTensorType().GetShape() == nil)
	}
}

// ForwardAll builds the network for all inputs, in the file's order. It panics as Forward does. The
// value that SetWithRespectTo chose has the alias of WithRespectTo.
func (m *Model) ForwardAll(scope *model.Scope, inputs []*graph.Node) *graph.Node {
	return m.ForwardValues(scope, inputs)[0]
}

// ForwardValues builds the network as ForwardAll does, and returns the output followed by inner
// values that it depends on.
func (m *Model) ForwardValues(scope *model.Scope, inputs []*graph.Node, inner ...string) []*graph.Node {
	g := inputs[0].Graph()
	names := append([]string{m.output}, inner...)
	if m.node == "" || m.node == m.output {
		return m.values(scope, g, inputs, names...)
	}
	value := m.values(scope, g, inputs, m.node)[0]
	if !value.DType().IsFloat() {
		panic(&modelError{fmt.Errorf("value %s has shape %s: want numbers of a float type to take derivatives with respect to",
			m.node, value.Shape())})
	}
	value = graph.Identity(value).WithAlias(nodeAlias)
	rest, err := m.after(value.Shape())
	if err != nil {
		panic(&modelError{err})
	}
	return rest.values(scope, g, append(slices.Clone(inputs), value), names...)
}

// after returns the network that takes an inner value as its last input instead of computing it.
func (m *Model) after(shape shapes.Shape) (*Model, error) {
	dtype := protos.TensorProto_FLOAT
	if shape.DType == dtypes.Float64 {
		dtype = protos.TensorProto_DOUBLE
	}
	file := &protos.ModelProto{IrVersion: m.file.IrVersion, OpsetImport: m.file.OpsetImport}
	g := &protos.GraphProto{Name: m.graph.Name, Initializer: m.graph.Initializer, Output: m.graph.Output}
	for _, n := range m.graph.Node {
		if i := slices.Index(n.Output, m.node); i >= 0 {
			n = proto.CloneOf(n)
			n.Output[i] = m.node + ".replaced"
		}
		g.Node = append(g.Node, n)
	}
	value := &protos.ValueInfoProto{Name: m.node, Type: &protos.TypeProto{Value: &protos.TypeProto_TensorType{
		TensorType: &protos.TypeProto_Tensor{ElemType: int32(dtype), Shape: dynamic(shape.Rank())}}}}
	g.Input = append(slices.Clone(m.graph.Input), value)
	file.Graph = g
	rest := &Model{Store: m.Store, path: m.path, file: file, graph: g, lowered: m.lowered, folder: m.folder,
		output: m.output}
	if err := attempt(func() error { return rest.parseSegments(file) }); err != nil {
		return nil, oneLine(err)
	}
	rest.readInputs()
	return rest, nil
}
