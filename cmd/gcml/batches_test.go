package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestFit checks that batches are divided once they take more than half of the memory, and that all
// examples are there in their order, each with its label.
func TestFit(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if memoryFor(b, 1) == 0 {
			t.Skip("the memory that an accelerator needs is not known")
		}
		for _, c := range []struct {
			share float64 // of the memory that a batch takes
			sizes []int
		}{
			{0.49, []int{7, 7}},
			{1, []int{3, 3, 1, 3, 3, 1}},
			{1e9, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		} {
			f := &memoryLimited{examples: sevens{2}}
			note := f.fit(b, c.share*1000/memoryFor(b, 1), 7, 1000)
			if divided := len(c.sizes) > 2; divided != strings.HasPrefix(note, "batches of ") {
				t.Errorf("%g of the memory: note %q", c.share, note)
			}
			var sizes []int
			var labels, inputs []float64
			for batch, err := range f.Iter() {
				if err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, batch.Inputs[0].Shape().Dimensions[0])
				inputs = append(inputs, gctest.Flat(batch.Inputs[0])...)
				labels = append(labels, gctest.Flat(batch.Labels[0])...)
			}
			if !slices.Equal(sizes, c.sizes) {
				t.Errorf("%g of the memory: batches of %v, want %v", c.share, sizes, c.sizes)
			}
			wantInputs := []float64{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}
			gctest.AssertClose(t, inputs, slices.Repeat(wantInputs, 2), 0, 0, "inputs")
			gctest.AssertClose(t, labels, slices.Repeat([]float64{0, 1, 2, 3, 4, 5, 6}, 2), 0, 0, "labels")
		}
	})
}
