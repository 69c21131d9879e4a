package docs

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// groupsOfTheBatch returns a convolution by a kernel of one 1 of 6 examples in 2 groups: the
// outputs of each group, which are its examples.
func groupsOfTheBatch(backend compute.Backend) any {
	axes := ConvolveAxesConfig{
		InputBatch: 0, InputSpatial: []int{1}, InputChannels: 2,
		KernelSpatial: []int{0}, KernelInputChannels: 1, KernelOutputChannels: 2,
		OutputChannels: 0, OutputSpatial: []int{1}, OutputBatch: 2,
	}
	return MustExecOnce(backend, func(x, kernel *Node) *Node {
		y := ConvGeneral(x, kernel, axes, []int{1}, [][2]int{{0, 0}}, []int{1}, []int{1}, 1, 2)
		return Squeeze(y, 1) // [groups, examples of a group]
	}, [][][]float32{{{1}}, {{2}}, {{3}}, {{4}}, {{5}}, {{6}}}, [][][]float32{{{1, 1}}}).Value()
}

// TestUpstreamGroups runs the report's program. If it fails on the Go backend, the fault is mended
// upstream: delete the report.
func TestUpstreamGroups(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		want := "[[1 2 3] [4 5 6]]"
		if b.String() == "go" {
			want = "[[1 2 3] [3 4 5]]"
		}
		if got := fmt.Sprint(groupsOfTheBatch(b)); got != want {
			t.Errorf("the outputs are %s; the report says %s", got, want)
		}
	})
}
