package gcml

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// TestColumnBlocks compares the norms of the rows of the Jacobians of tanh(x·W)·V, computed in
// blocks of at most 7 of its 20 inputs, with diag(1-tanh²)·Wᵀ and V multiplied by Gonum. With a
// gradient there must be no blocks.
func TestColumnBlocks(t *testing.T) {
	const batch, inputs, units, outputs = 3, 20, 6, 5
	usual := columnBlock
	t.Cleanup(func() { columnBlock = usual })
	columnBlock = 7
	fill := func(rows, columns int, scale float64) *mat.Dense {
		m := mat.NewDense(rows, columns, nil)
		m.Apply(func(i, j int, _ float64) float64 { return scale * math.Sin(float64(1+i*columns+j)) }, m)
		return m
	}
	x, w, v := fill(batch, inputs, 1), fill(inputs, units, 0.3), fill(units, outputs, 1)
	want := mat.NewDense(batch, outputs, nil)
	for b := range batch {
		var h, first, j mat.Dense
		h.Mul(x.Slice(b, b+1, 0, inputs), w)
		first.Apply(func(_, u int, weight float64) float64 { return weight * (1 - math.Pow(math.Tanh(h.At(0, u)), 2)) }, w)
		j.Mul(&first, v)
		for k := range outputs {
			want.Set(b, k, math.Pow(mat.Norm(j.ColView(k), 2), 2))
		}
	}
	tensor := func(m *mat.Dense) *tensors.Tensor {
		rows, columns := m.Dims()
		return tensors.FromFlatDataAndDimensions(m.RawMatrix().Data, rows, columns)
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, forGradient := range []bool{false, true} {
			exec := MustNewExec(b, func(x *Node) *Node {
				y := Dot(Tanh(Dot(x, Const(x.Graph(), tensor(w))).Product()), Const(x.Graph(), tensor(v))).Product()
				j := newJacobian(y, x, options{noClosedForm: true, forGradient: forGradient})
				norms := j.perOutput()
				wantBlocks := 0
				switch {
				case platform.Of(b) == platform.XLACPU && forGradient:
					wantBlocks = 1
				case platform.Of(b) == platform.XLACPU:
					wantBlocks = 3
				}
				pulled := j.pullback.Pull(OnesLike(InsertAxes(y, 0)))
				if got := len(j.pullback.Columns(pulled, j.columnBlock)); got != wantBlocks {
					t.Errorf("%d blocks of columns, want %d", got, wantBlocks)
				}
				return norms
			})
			got := exec.MustCall(tensor(x))[0]
			gctest.AssertClose(t, gctest.Flat(got), want.RawMatrix().Data, 1e-12, 0, "norms of the rows")
		}
	})
}
