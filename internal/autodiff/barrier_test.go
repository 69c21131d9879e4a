package autodiff

import (
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// TestBarrier checks that one or more operands come back in their order.
func TestBarrier(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		exec := MustNewExec(b, func(g *Graph) []*Node {
			x, y := Const(g, float32(1)), Const(g, []float32{2, 3})
			return append(gomlxcompat.Barrier(y), gomlxcompat.Barrier(x, y)...)
		})
		got := exec.MustCall()
		if len(got) != 3 || got[0].Shape().Size() != 2 || got[1].Shape().Size() != 1 || got[2].Shape().Size() != 2 {
			t.Errorf("Barrier returns %v, want the operands in their order", got)
		}
	})
}

// TestAfter checks that x waits for its own square, and that waiting changes neither the value nor
// the first two derivatives of x³.
func TestAfter(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		got := MustExecOnceN(b, func(x *Node) []*Node {
			square := Square(x)
			later := gomlxcompat.After(x, square)
			if !dependsOn(later, square) {
				t.Error("x does not wait for its square")
			}
			y := Mul(later, Square(later))
			dy := Gradient(y, x)[0]
			return []*Node{y, dy, Gradient(dy, x)[0]}
		}, 2.0)
		for i, want := range []float64{8, 12, 12} {
			if v := tensors.ToScalar[float64](got[i]); v != want {
				t.Errorf("derivative %d is %g, want %g", i, v, want)
			}
		}
	})
}

func dependsOn(n, on *Node) bool {
	return n == on || slices.ContainsFunc(n.Inputs(), func(in *Node) bool { return dependsOn(in, on) })
}
