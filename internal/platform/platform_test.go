package platform_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

func TestOf(t *testing.T) {
	want := map[string]struct {
		platform platform.Platform
		xla      bool
	}{"go": {platform.Go, false}, "xla": {platform.XLACPU, true}, "cuda": {platform.Accelerator, true}}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		w := want[t.Name()[len("TestOf/"):]]
		if got := platform.Of(b); got != w.platform {
			t.Errorf("platform %d, want %d", got, w.platform)
		}
		if got := platform.IsXLA(b); got != w.xla {
			t.Errorf("XLA: %v, want %v", got, w.xla)
		}
		single, double := platform.ConvolvesByOneDNN(b, dtypes.Float32), platform.ConvolvesByOneDNN(b, dtypes.Float64)
		if double || single && w.platform != platform.XLACPU {
			t.Error("ConvolvesByOneDNN is true of float64, or of a platform other than XLA on a CPU")
		}
	})
}

// described is a backend that only describes itself.
type described struct {
	compute.Backend
	description string
}

func (d described) String() string      { return "other" }
func (d described) Description() string { return d.description }

// onCPU is a described backend that reports, as XLA's backend does, that it is on a CPU.
type onCPU struct{ described }

func (onCPU) IsCPU() bool { return true }

func TestOfDescriptions(t *testing.T) {
	for _, c := range []struct {
		backend compute.Backend
		want    platform.Platform
	}{
		{described{description: "xla:cuda - /p.so [1 device(s)]"}, platform.Accelerator},
		{described{description: "Cloud TPU"}, platform.Accelerator},
		{described{description: "something new"}, platform.Unknown},
		{onCPU{described{description: "xla:cpu - /home/gpu-user/p.so"}}, platform.XLACPU},
	} {
		if got := platform.Of(c.backend); got != c.want {
			t.Errorf("%q is platform %d, want %d", c.backend.Description(), got, c.want)
		}
	}
}
