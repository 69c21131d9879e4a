package onnxmodel

import (
	"fmt"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// deepestCalls limits the depth of calls between functions of a file.
const deepestCalls = 64

// inliner puts the nodes of a file's own functions in place of the nodes that call them.
type inliner struct {
	functions map[string]*protos.FunctionProto
	opset     int64
	calls     int
	nodes     int
}

func functionKey(domain, name, overload string) string {
	return domain + "\x00" + name + "\x00" + overload
}

// inline removes the functions of a file. It leaves calls of a function whose operators have
// another opset than the file; these are later refused for their domain.
func inline(file *protos.ModelProto) error {
	in := &inliner{functions: make(map[string]*protos.FunctionProto), opset: opset(file)}
	for _, f := range file.Functions {
		in.functions[functionKey(f.Domain, f.Name, f.Overload)] = f
	}
	file.Functions = nil
	if len(in.functions) == 0 {
		return nil
	}
	var err error
	file.Graph.Node, err = in.expand(file.Graph.Node, 0)
	return err
}

func (in *inliner) expand(nodes []*protos.NodeProto, depth int) ([]*protos.NodeProto, error) {
	if depth > deepestCalls {
		return nil, fmt.Errorf("functions of the file call each other more than %d deep", deepestCalls)
	}
	var out []*protos.NodeProto
	for _, n := range nodes {
		for _, a := range n.Attribute {
			if a.G == nil {
				continue
			}
			var err error
			if a.G.Node, err = in.expand(a.G.Node, depth+1); err != nil {
				return nil, err
			}
		}
		f := in.functions[functionKey(n.Domain, n.OpType, n.Overload)]
		if f == nil || !in.sameOpset(f) {
			out = append(out, n)
			continue
		}
		body, err := in.expand(in.body(f, n), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, body...)
		if in.nodes += len(body); in.nodes > maxNodes {
			return nil, fmt.Errorf("the network has more than %d nodes", maxNodes)
		}
	}
	return out, nil
}

// sameOpset reports whether the operators of a function are of the file's opset.
func (in *inliner) sameOpset(f *protos.FunctionProto) bool {
	for _, o := range f.OpsetImport {
		if (o.Domain == "" || o.Domain == "ai.onnx") && o.Version != in.opset {
			return false
		}
	}
	return true
}

// body returns the nodes of a function for one call: inputs and outputs have the names of the
// calling node's, all other values get new names.
func (in *inliner) body(f *protos.FunctionProto, call *protos.NodeProto) []*protos.NodeProto {
	in.calls++
	names := map[string]string{"": ""}
	for i, name := range f.Input {
		names[name] = input(call, i)
	}
	for i, name := range f.Output {
		if used(call, i) {
			names[name] = call.Output[i]
		}
	}
	attributes := make(map[string]*protos.AttributeProto)
	for _, a := range f.AttributeProto {
		attributes[a.Name] = a
	}
	for _, a := range call.Attribute {
		attributes[a.Name] = a
	}
	prefix := fmt.Sprintf("gcml.call%d.", in.calls)
	var body []*protos.NodeProto
	for _, n := range f.Node {
		n = proto.CloneOf(n)
		renameNode(n, names, prefix, attributes)
		body = append(body, n)
	}
	// An output may be an input as it is.
	for i, name := range f.Output {
		for _, in := range f.Input {
			if name == in && used(call, i) {
				body = append(body, &protos.NodeProto{Name: call.Name, OpType: "Identity", Input: []string{names[name]},
					Output: []string{call.Output[i]}})
			}
		}
	}
	return body
}

// renameNode gives the values of a node their names outside, and its attributes the values of the
// call.
func renameNode(n *protos.NodeProto, names map[string]string, prefix string,
	attributes map[string]*protos.AttributeProto) {
	rename := func(list []string) {
		for i, name := range list {
			outside, ok := names[name]
			if !ok {
				outside = prefix + name
				names[name] = outside
			}
			list[i] = outside
		}
	}
	rename(n.Input)
	rename(n.Output)
	n.Name = prefix + n.Name
	var kept []*protos.AttributeProto
	for _, a := range n.Attribute {
		if a.RefAttrName != "" {
			value := attributes[a.RefAttrName]
			if value == nil {
				continue // It has its default.
			}
			name := a.Name
			a = proto.CloneOf(value)
			a.Name, a.RefAttrName = name, ""
		}
		if a.G != nil {
			for _, inner := range a.G.Node {
				renameNode(inner, names, prefix, attributes)
			}
			for _, w := range a.G.Initializer {
				w.Name = prefix + w.Name
			}
			for _, v := range append(a.G.Output[:len(a.G.Output):len(a.G.Output)], a.G.Input...) {
				if outside, ok := names[v.Name]; ok {
					v.Name = outside
				} else {
					v.Name = prefix + v.Name
				}
			}
		}
		kept = append(kept, a)
	}
	n.Attribute = kept
}
