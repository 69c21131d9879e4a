package autodiff

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestPad(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, axes := range map[string][]PadAxis{
			"grow":           {{Start: 1, End: 2}, {End: 1}},
			"crop":           {{Start: -1, End: -2}, {Start: -1}},
			"interior":       {{Interior: 2}, {Start: 1, Interior: 1}},
			"crop interiors": {{Start: -2, End: -3, Interior: 2}, {Start: -1, End: 2, Interior: 1}},
		} {
			t.Run(name, func(t *testing.T) {
				gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
					return Square(Pad(in[0], ReduceAllSum(in[1]), axes...))
				}, []int{5, 4}, []int{1})
			})
		}
	})
}
