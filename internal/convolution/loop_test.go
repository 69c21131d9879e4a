package convolution_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// TestLoopState checks gomlxcompat.LoopState, whose package tests without XLA: it counts to 3 by
// two loops in a graph whose parameters have names that loops are likely to use.
func TestLoopState(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		g := NewGraph(b, "loops")
		defer g.Finalize()
		var counts []*Node
		for _, name := range []string{"i", "state0"} {
			initial := []*Node{Parameter(g, name, shapes.Make(dtypes.Int32))}
			isUnfinished := NewClosure(g, func(g *Graph) []*Node {
				return []*Node{LessThan(gomlxcompat.LoopState(g, initial)[0], Const(g, int32(3)))}
			})
			next := NewClosure(g, func(g *Graph) []*Node {
				return []*Node{Add(gomlxcompat.LoopState(g, initial)[0], Const(g, int32(1)))}
			})
			counts = append(counts, While(isUnfinished, next, initial...)[0])
		}
		if err := g.Compile(counts...); err != nil {
			t.Fatal(err)
		}
		for i, count := range g.Run(int32(0), int32(5)) {
			if want := []int32{3, 5}[i]; count.Value() != want {
				t.Errorf("the loop counts to %v, want %d", count.Value(), want)
			}
		}
	})
}
