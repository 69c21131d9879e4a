package upstream

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// timeOfProducts is the program of the report in docs/upstream.md.
func timeOfProducts(config string) (time.Duration, error) {
	backend, err := compute.NewWithConfig(config)
	if err != nil {
		return 0, err
	}
	exec := MustNewExec(backend, func(x, w *Node) *Node { return ReduceAllSum(Dot(x, w).Product()) })
	x := tensors.FromShape(shapes.Make(dtypes.Float32, 512, 784))
	w := tensors.FromShape(shapes.Make(dtypes.Float32, 784, 500))
	exec.MustCall(x, w) // Compiles.
	start := time.Now()
	for range 200 {
		exec.MustCall(x, w)
	}
	return time.Since(start) / 200, nil
}

// BenchmarkUpstreamProducts reports the time of a product with GoMLX's default and with as many
// executors as processors. While the second is half of the first, backend.Open should set it.
func BenchmarkUpstreamProducts(b *testing.B) {
	for _, config := range []string{"go", "go:num_executors=" + strconv.Itoa(runtime.GOMAXPROCS(0))} {
		b.Run(config, func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				var err error
				if took, err = timeOfProducts(config); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(took.Seconds()*1e3, "ms/product")
		})
	}
}
