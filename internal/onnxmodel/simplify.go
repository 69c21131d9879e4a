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
	for _, n := range g.Node {
		n.Attribute = slices.DeleteFunc(n.Attribute, func(a *protos.AttributeProto) bool { return withoutEffect(n, a) })
		// The importer overlooks this one.
		if n.OpType == "AveragePool" && attribute(n, "dilations") != nil {
			return fmt.Errorf("operator AveragePool (%s) has dilations, which are not supported", n.Name)
		}
	}
	return nil
}

// withoutEffect tells whether the node computes the same without the attribute.
func withoutEffect(n *protos.NodeProto, a *protos.AttributeProto) bool {
	switch n.OpType + "." + a.Name {
	case "MaxPool.dilations", "AveragePool.dilations":
		return all(a.Ints, 1)
	case "AveragePool.count_include_pad":
		// PyTorch writes it for pools without padding too.
		pads := attribute(n, "pads")
		return pads == nil || all(pads.Ints, 0)
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
