package onnxmodel

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

func intAttribute(name string, v int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INT, I: v}
}

func intsAttribute(name string, v ...int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INTS, Ints: v}
}

func intOr(n *protos.NodeProto, name string, otherwise int64) int64 {
	if a := attribute(n, name); a != nil {
		return a.I
	}
	return otherwise
}

func floatOr(n *protos.NodeProto, name string, otherwise float32) float32 {
	if a := attribute(n, name); a != nil {
		return a.F
	}
	return otherwise
}

func stringOr(n *protos.NodeProto, name, otherwise string) string {
	if a := attribute(n, name); a != nil {
		return string(a.S)
	}
	return otherwise
}

func remove(n *protos.NodeProto, names ...string) {
	n.Attribute = slices.DeleteFunc(n.Attribute,
		func(a *protos.AttributeProto) bool { return slices.Contains(names, a.Name) })
}

// used reports whether the output of a node at an index has a name.
func used(n *protos.NodeProto, index int) bool { return index < len(n.Output) && n.Output[index] != "" }

// input is the name of an optional input, or "".
func input(n *protos.NodeProto, index int) string {
	if index < len(n.Input) {
		return n.Input[index]
	}
	return ""
}
