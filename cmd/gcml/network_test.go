package main

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestProbabilities checks that --softmax refuses outputs for which a softmax would mix the
// examples, take an axis that need not have the classes, or be 1.
func TestProbabilities(t *testing.T) {
	b := gctest.GoBackend(t)
	for _, c := range []struct {
		dims    []int
		refused bool
	}{{[]int{5, 2}, false}, {[]int{5}, true}, {[]int{5, 1}, true}, {[]int{5, 3, 2}, true}} {
		_, err := graph.CallOnce(b, func(g *graph.Graph) *graph.Node {
			return probabilities(graph.Zeros(g, shapes.Make(dtypes.Float32, c.dims...)))
		})
		if (err != nil) != c.refused {
			t.Errorf("outputs of shape %v: %v", c.dims, err)
		}
	}
}
