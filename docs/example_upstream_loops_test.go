package docs

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// loopWithScalars counts to 3, and both closures add the scalar 1.
func loopWithScalars(backend compute.Backend) error {
	_, err := ExecOnce(backend, func(start *Node) *Node {
		g := start.Graph()
		next := func(g *Graph) *Node { return AddScalar(Parameter(g, "i", shapes.Make(dtypes.Int32)), 1) }
		cond := NewClosure(g, func(g *Graph) []*Node { return []*Node{LessThan(next(g), Const(g, int32(4)))} })
		body := NewClosure(g, func(g *Graph) []*Node { return []*Node{next(g)} })
		return While(cond, body, start)[0]
	}, int32(0))
	return err
}

// loopWithSum sums [1, 1] before a loop and in it.
func loopWithSum(backend compute.Backend) error {
	_, err := ExecOnce(backend, func(x *Node) *Node {
		g := x.Graph()
		state := func(g *Graph) *Node { return Parameter(g, "x", shapes.Make(dtypes.Float32, 2)) }
		cond := NewClosure(g, func(g *Graph) []*Node {
			return []*Node{LessThan(ReduceAllSum(state(g)), Const(g, float32(9)))}
		})
		body := NewClosure(g, func(g *Graph) []*Node {
			x := state(g)
			return []*Node{Add(x, x)}
		})
		return Add(While(cond, body, x)[0], ReduceAllSum(x))
	}, []float32{1, 1})
	return err
}

// loopWithName counts to 3 from a parameter of the graph whose name the loop uses, too.
func loopWithName(backend compute.Backend) error {
	g := NewGraph(backend, "names")
	defer g.Finalize()
	state := func(g *Graph) *Node { return Parameter(g, "i", shapes.Make(dtypes.Int32)) }
	start := state(g)
	cond := NewClosure(g, func(g *Graph) []*Node { return []*Node{LessThan(state(g), Const(g, int32(3)))} })
	body := NewClosure(g, func(g *Graph) []*Node { return []*Node{Add(state(g), Const(g, int32(1)))} })
	return g.Compile(While(cond, body, start)...)
}

// TestUpstreamLoops runs the report's programs. If it fails, a fault is mended upstream: delete its
// report, and see what the loop in gcml/spectralnorm.go may do now.
func TestUpstreamLoops(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if err := loopWithScalars(b); err == nil {
			t.Errorf("%s: scalars can be shared now", b.Name())
		}
		if err := loopWithSum(b); (err == nil) != (b.Name() == "Go Backend") {
			t.Errorf("%s: a sum in a loop gives the error %v", b.Name(), err)
		}
		if err := loopWithName(b); (err == nil) != (b.Name() == "Go Backend") {
			t.Errorf("%s: a name of the graph in a loop gives the error %v", b.Name(), err)
		}
	})
}
