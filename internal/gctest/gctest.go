// Package gctest holds what the toolkit's tests share: the backends to run on, and central
// differences. Its package programs has random models and their slow oracle.
package gctest

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // Registers "go".

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/internal/compilecache"
)

var (
	goBackend = sync.OnceValues(func() (compute.Backend, error) {
		b, _, err := backend.OpenConfig("go")
		return b, err
	})
	plainXLABackend = sync.OnceValues(func() (compute.Backend, error) {
		path, ok := backend.FindPlugin("cpu")
		if !ok {
			return nil, nil
		}
		b, _, err := backend.OpenConfig("xla:" + path) // As programs open it, with the flags for the plugin.
		return b, err
	})
	// The cache is that of sweeps. Tests spend most of their time on XLA compiling, often equal
	// programs.
	xlaBackend = sync.OnceValues(func() (compute.Backend, error) {
		b, err := plainXLABackend()
		if b == nil || err != nil {
			return nil, err
		}
		return compilecache.New(b), nil
	})
	cudaBackend = sync.OnceValues(func() (compute.Backend, error) {
		b, _, err := backend.OpenConfig("xla:" + backend.KindCUDA) // With TF32 off.
		return b, err
	})
)

// GoBackend returns the pure-Go backend, one per test binary.
func GoBackend(t testing.TB) compute.Backend {
	t.Helper()
	b, err := goBackend()
	if err != nil {
		t.Fatalf("opening the pure-Go backend: %v", err)
	}
	return b
}

// EnvBackends is the environment variable that selects the backends of ForEachBackend: a
// comma-separated list of "go", "xla" (on the CPU) and "cuda". The default is go and xla.
//
// The tests have the same tolerances on all backends, which allow for the rounding of sums in
// another order; TF32 is off on a GPU. Only cuDNN can exceed them, when it computes float32
// convolutions by transforms (Winograd, FFT). A failure prints the difference, so that the reader
// can distinguish such rounding from a fault.
const EnvBackends = "GCML_TEST_BACKENDS"

// ForEachBackend runs fn as a subtest for each backend that EnvBackends names. If no XLA CPU plugin
// is found, the subtest "xla" is skipped, or fails if GCML_REQUIRE_XLA is set. If CUDA does not
// open, the subtest "cuda" fails.
func ForEachBackend(t *testing.T, fn func(t *testing.T, b compute.Backend)) {
	t.Helper()
	for _, name := range namesOf(t) {
		t.Run(name, func(t *testing.T) { fn(t, open[name](t)) })
	}
}

// BenchmarkBackends is [ForEachBackend] for benchmarks.
func BenchmarkBackends(b *testing.B, fn func(b *testing.B, backend compute.Backend)) {
	b.Helper()
	for _, name := range namesOf(b) {
		b.Run(name, func(b *testing.B) { fn(b, open[name](b)) })
	}
}

func namesOf(t testing.TB) []string {
	t.Helper()
	names, err := backendNames(os.Getenv(EnvBackends))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// open has for each valid name in EnvBackends a function that returns its backend or ends the test.
var open = map[string]func(t testing.TB) compute.Backend{
	"go": func(t testing.TB) compute.Backend { return GoBackend(t) },
	"xla": func(t testing.TB) compute.Backend {
		b := XLABackend(t)
		if b == nil {
			WithoutXLA(t)
		}
		return b
	},
	"cuda": func(t testing.TB) compute.Backend {
		b, err := cudaBackend()
		if err != nil {
			t.Fatalf("%s names cuda, which does not open: %v", EnvBackends, err)
		}
		return b
	},
}

// backendNames parses the value of EnvBackends. An unknown name is an error, because otherwise a
// typo would leave the backend untested.
func backendNames(list string) ([]string, error) {
	if list == "" {
		return []string{"go", "xla"}, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if open[name] == nil {
			return nil, fmt.Errorf("%s=%q: no backend %q; known: go, xla, cuda", EnvBackends, list, name)
		}
	}
	return names, nil
}

// XLABackend returns XLA on the CPU, one per test binary, which compiles equal programs once. If no
// plugin is found, it returns nil, or fails the test if GCML_REQUIRE_XLA is set.
func XLABackend(t testing.TB) compute.Backend {
	t.Helper()
	return opened(t, xlaBackend)
}

// PlainXLABackend is [XLABackend] without the cache of programs, for tests of that cache.
func PlainXLABackend(t testing.TB) compute.Backend {
	t.Helper()
	return opened(t, plainXLABackend)
}

func opened(t testing.TB, open func() (compute.Backend, error)) compute.Backend {
	t.Helper()
	b, err := open()
	if err != nil {
		t.Fatalf("opening the XLA CPU plugin: %v", err)
	}
	if b == nil && os.Getenv(requireXLA) != "" {
		WithoutXLA(t)
	}
	return b
}

// requireXLA is the environment variable that makes a missing XLA plugin a failure, so that a test
// run cannot pass with its XLA tests skipped.
const requireXLA = "GCML_REQUIRE_XLA"

// WithoutXLA ends a test that needs XLA when no plugin is found: it skips the test, or fails it if
// GCML_REQUIRE_XLA is set.
func WithoutXLA(t testing.TB) {
	t.Helper()
	const message = "no XLA CPU plugin found: run 'make xla'"
	if os.Getenv(requireXLA) != "" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// CentralDifference returns the gradient of f at x by (f(x+h)-f(x-h))/2h, one coordinate at a time.
// It restores x.
func CentralDifference(f func(x []float64) float64, x []float64, h float64) []float64 {
	grad := make([]float64, len(x))
	for i, xi := range x {
		x[i] = xi + h
		up := f(x)
		x[i] = xi - h
		down := f(x)
		x[i] = xi
		grad[i] = (up - down) / (2 * h)
	}
	return grad
}

// AssertClose fails the test unless |got-want| <= absTol + relTol*max|want| for every element. The
// scale is the largest wanted value, because elements near zero have the rounding errors of the
// largest ones.
func AssertClose(t testing.TB, got, want []float64, relTol, absTol float64, what string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d values, want %d", what, len(got), len(want))
	}
	scale := 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	worst, at := -1.0, 0
	for i := range want {
		d := math.Abs(got[i] - want[i])
		if math.IsNaN(d) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
		if d > worst {
			worst, at = d, i
		}
	}
	if len(want) > 0 && worst > absTol+relTol*scale {
		t.Errorf("%s: element %d is %.12g, want %.12g (difference %.3g, allowed %.3g)",
			what, at, got[at], want[at], worst, absTol+relTol*scale)
	}
}
