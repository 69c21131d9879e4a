package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// simplify brings a graph to what the importer takes, without a change of what
// it computes. The importer refuses attributes that it does not implement even
// where they hold their default, and takes weights that are listed among the
// inputs, as old exporters do, for inputs.
func simplify(g *protos.GraphProto) error {
	weights := make(map[string]bool)
	for _, w := range g.Initializer {
		weights[w.Name] = true
	}
	g.Input = slices.DeleteFunc(g.Input, func(in *protos.ValueInfoProto) bool { return weights[in.Name] })
	for _, in := range g.Input {
		if in.GetType().GetTensorType() == nil {
			return fmt.Errorf("input %s is not a tensor", in.Name)
		}
	}
	if err := keepTensors(g); err != nil {
		return err
	}
	for _, n := range g.Node {
		n.Attribute = slices.DeleteFunc(n.Attribute, func(a *protos.AttributeProto) bool { return withoutEffect(n, a) })
	}
	return nil
}

// keepTensors drops outputs that are no tensors of a type that the importer knows, as the labels of
// a classifier may be: others can be measured.
func keepTensors(g *protos.GraphProto) error {
	// What a classifier of scikit-learn gives by default is a list of maps: its values are in a
	// tensor.
	for _, n := range g.Node {
		if n.OpType != "ZipMap" || len(n.Input) != 1 || len(n.Output) != 1 {
			continue
		}
		for _, out := range g.Output {
			if out.Name == n.Output[0] {
				out.Name = n.Input[0]
				out.Type = &protos.TypeProto{Value: &protos.TypeProto_TensorType{
					TensorType: &protos.TypeProto_Tensor{ElemType: int32(protos.TensorProto_FLOAT)}}}
			}
		}
	}
	known := func(out *protos.ValueInfoProto) bool {
		t := out.GetType().GetTensorType()
		return t != nil && (t.ElemType == 0 || elementBytes[protos.TensorProto_DataType(t.ElemType)] > 0)
	}
	kept := make([]*protos.ValueInfoProto, 0, len(g.Output))
	for _, out := range g.Output {
		if known(out) {
			kept = append(kept, out)
		}
	}
	if len(kept) == 0 && len(g.Output) > 0 {
		first := g.Output[0]
		if t := first.GetType().GetTensorType(); t != nil {
			return fmt.Errorf("output %s is of type %s, which is not supported", first.Name,
				protos.TensorProto_DataType(t.ElemType))
		}
		return fmt.Errorf("output %s is not a tensor", first.Name)
	}
	g.Output = kept
	return nil
}

// defaultOutput is the first output of a float type, as a classifier has labels too, or the first.
func defaultOutput(g *protos.GraphProto) string {
	for _, out := range g.Output {
		if isFloat(out.GetType().GetTensorType().GetElemType()) {
			return out.Name
		}
	}
	return g.Output[0].Name
}

// withoutEffect reports whether the node computes the same without the attribute.
func withoutEffect(n *protos.NodeProto, a *protos.AttributeProto) bool {
	switch n.OpType + "." + a.Name {
	case "BatchNormalization.momentum":
		// It only matters in training.
		mode := attribute(n, "training_mode")
		return mode == nil || mode.I == 0
	}
	return false
}

func attribute(n *protos.NodeProto, name string) *protos.AttributeProto {
	for _, a := range n.Attribute {
		if a.Name == name {
			return a
		}
	}
	return nil
}

func all(values []int64, want int64) bool {
	return !slices.ContainsFunc(values, func(v int64) bool { return v != want })
}
