package docs

import (
	"slices"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// timeOfReading returns the median time in which a program has run and read returned its result.
func timeOfReading(backend compute.Backend, read func(result *tensors.Tensor) float32) time.Duration {
	exec := MustNewExec(backend, func(x, w *Node) *Node { return ReduceAllSum(Dot(x, w).Product()) })
	x := tensors.FromShape(shapes.Make(dtypes.Float32, 128, 500))
	w := tensors.FromShape(shapes.Make(dtypes.Float32, 500, 500))
	var times []time.Duration
	for range 2000 {
		start := time.Now()
		read(exec.MustCall(x, w)[0])
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// readByToScalar reads a result as GoMLX's trainer and most programs do.
func readByToScalar(result *tensors.Tensor) float32 { return tensors.ToScalar[float32](result) }

// readInPlace reads a result where it is.
func readInPlace(result *tensors.Tensor) (value float32) {
	tensors.MustConstFlatData(result, func(flat []float32) { value = flat[0] })
	return value
}

// BenchmarkUpstreamReading reports the times of the program of the report in upstream.md. While the
// second is the shorter one, code that counts microseconds should not call ToScalar.
func BenchmarkUpstreamReading(b *testing.B) {
	gctest.BenchmarkBackends(b, func(b *testing.B, backend compute.Backend) {
		for name, read := range map[string]func(*tensors.Tensor) float32{
			"ToScalar": readByToScalar, "in place": readInPlace} {
			b.Run(name, func(b *testing.B) {
				var took time.Duration
				for b.Loop() {
					took = timeOfReading(backend, read)
				}
				b.ReportMetric(took.Seconds()*1e6, "us/call")
			})
		}
	})
}
