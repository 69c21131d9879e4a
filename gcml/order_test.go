package gcml_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestPartsAreOrdered: a part of the cotangents waits for the part before it. Without that order,
// XLA computes all parts at once, in the memory of all.
func TestPartsAreOrdered(t *testing.T) {
	b := gctest.GoBackend(t)
	oneAtATime := []gcml.Option{gcml.WithCotangents(1), gcml.WithoutClosedForm()}
	for name, measure := range map[string]func(y, x *Node) *Node{
		"norm":         func(y, x *Node) *Node { return gcml.SquaredJacobianNorm(y, x, oneAtATime...) },
		"row norms":    func(y, x *Node) *Node { return gcml.SquaredJacobianRowNorms(y, x, oneAtATime...) },
		"column norms": func(y, x *Node) *Node { return gcml.SquaredJacobianColumnNorms(y, x, gcml.WithCotangents(1)) },
		"spectral norm": func(y, x *Node) *Node {
			return gcml.JacobianSpectralNorm(y, x, gcml.WithCotangents(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			barriers := 0
			run(t, b, newStore(t, 1), func(scope *model.Scope, x *Node) *Node {
				result := measure(mlp(activation.TypeTanh)(scope, x), x)
				for _, node := range x.Graph().Nodes() {
					if node.Type() == NodeTypeOptimizationBarrier {
						barriers++
					}
				}
				return result
			}, inputsFor(t, dtypes.Float32, []int{4, 40}))
			if barriers != 2 {
				t.Errorf("%d barriers for the parts of 3 outputs, want 2", barriers)
			}
		})
	}
}
