package onnxmodel

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/machine"
)

// sizeGuard is a backend that refuses to go on once a graph has a value that is too large. The
// importer runs parts of a network while it builds the graph, to know the shapes that the network
// computes: it asks the backend for a new builder each time, when all values that the part depends
// on are in the graph already.
type sizeGuard struct {
	compute.Backend
	graph *graph.Graph
	limit int64
	seen  int     // nodes that were looked at
	bytes float64 // of the values of these nodes
}

// Builder implements compute.Backend.
func (s *sizeGuard) Builder(name string) compute.Builder {
	if s.graph != nil {
		if err := s.check(); err != nil {
			panic(err)
		}
	}
	return &guardedBuilder{s.Backend.Builder(name), s}
}

// guardedBuilder makes programs whose results belong to the guard, so that they can be given to
// other programs of the guard: a tensor cannot change its backend.
type guardedBuilder struct {
	compute.Builder
	guard *sizeGuard
}

// Compile implements compute.Builder.
func (b *guardedBuilder) Compile() (compute.Executable, error) {
	program, err := b.Builder.Compile()
	if err != nil {
		return nil, err
	}
	return &guardedProgram{program, b.guard}, nil
}

type guardedProgram struct {
	compute.Executable
	guard *sizeGuard
}

// Execute implements compute.Executable.
func (p *guardedProgram) Execute(inputs []compute.Buffer, donate []bool,
	device compute.DeviceNum) ([]compute.Buffer, error) {
	plain := make([]compute.Buffer, len(inputs))
	for i, in := range inputs {
		plain[i] = in
		if guarded, ok := in.(*guardedBuffer); ok {
			plain[i] = guarded.Buffer
		}
	}
	outputs, err := p.Executable.Execute(plain, donate, device)
	for i, out := range outputs {
		outputs[i] = &guardedBuffer{out, p.guard}
	}
	return outputs, err
}

type guardedBuffer struct {
	compute.Buffer
	guard *sizeGuard
}

// Backend implements compute.Buffer.
func (b *guardedBuffer) Backend() compute.Backend { return b.guard }

// isView are the nodes whose value takes no memory of its own: weights, and other views of values.
var isView = map[graph.NodeType]bool{
	graph.NodeTypeParameter: true, graph.NodeTypeConstant: true, graph.NodeTypeReshape: true,
	graph.NodeTypeBroadcastInDim: true,
}

// ValueBytes is the memory of the value of a node in bytes, 0 for views and nodes with several
// outputs.
func ValueBytes(n *graph.Node) float64 {
	if n.NumOutputs() != 1 || isView[n.Type()] {
		return 0
	}
	return shapeBytes(n.Shape())
}

func (s *sizeGuard) check() error {
	nodes := s.graph.Nodes()
	for _, n := range nodes[s.seen:] {
		if n.NumOutputs() != 1 {
			continue
		}
		s.bytes += ValueBytes(n)
		if bytes := shapeBytes(n.Shape()); bytes > float64(s.limit) {
			return fmt.Errorf("needs %s for a value of shape %s alone, and there are %s",
				machine.Bytes(bytes), n.Shape(), machine.Bytes(float64(s.limit)))
		}
	}
	s.seen = len(nodes)
	return nil
}

// shapeBytes is the memory of a value, without overflow.
func shapeBytes(s shapes.Shape) float64 {
	bytes := float64(s.DType.Size())
	for _, d := range s.Dimensions {
		bytes *= math.Abs(float64(d))
	}
	return bytes
}
