//go:build unix

package convolution

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/backend"
	_ "github.com/geometric-complexity/toolkit/backend/keepmemory" // As in the command gcml.
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// BenchmarkResNet18 times every convolution that a ResNet18 (k = 64, 32×32 images, batch 32) has,
// and its two gradients, on the backend of GOMLX_BACKEND. It reports the least CPU time of a run,
// in milliseconds, and how often the network has it; bench/peers/torch_convolutions.py does the
// same with PyTorch.
func BenchmarkResNet18(b *testing.B) {
	device, info, err := backend.Open()
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("backend: %s", info.Why)
	for _, c := range []struct{ size, in, out, kernel, stride, count int }{
		{32, 3, 64, 3, 1, 1}, {32, 64, 64, 3, 1, 4},
		{32, 64, 128, 3, 2, 1}, {32, 64, 128, 1, 2, 1}, {16, 128, 128, 3, 1, 3},
		{16, 128, 256, 3, 2, 1}, {16, 128, 256, 1, 2, 1}, {8, 256, 256, 3, 1, 3},
		{8, 256, 512, 3, 2, 1}, {8, 256, 512, 1, 2, 1}, {4, 512, 512, 3, 1, 3},
	} {
		half := (c.kernel - 1) / 2
		p := geometry{strides: []int{c.stride, c.stride}, inputDilations: []int{1, 1}, kernelDilations: []int{1, 1},
			paddings: [][2]int{{half, half}, {half, half}}}
		image, kernel := []int{c.size, c.size}, []int{c.kernel, c.kernel}
		for _, batch := range []int{32, 320} {
			x := shapes.Make(dtypes.Float32, batch, c.size, c.size, c.in)
			k := shapes.Make(dtypes.Float32, c.kernel, c.kernel, c.in, c.out)
			y := shapes.Make(dtypes.Float32, batch, c.size/c.stride, c.size/c.stride, c.out)
			name := func(what string) string {
				return fmt.Sprintf("%s/%dx%d_%d_to_%d_kernel_%d_stride_%d_batch_%d", what, c.size, c.size, c.in, c.out, c.kernel,
					c.stride, batch)
			}
			run := func(what string, fn func(a, b *Node) *Node, a, other shapes.Shape) {
				b.Run(name(what), func(b *testing.B) {
					benchmarkCPU(b, MustNewExec(device, fn), a, other)
					b.ReportMetric(float64(c.count), "times")
				})
			}
			run("images_gradient", func(v, k *Node) *Node { return inputGradient(p, v, k, image) }, y, k)
			if batch > 32 { // Exact GC carries the cotangents of 10 outputs at once, and needs no more than this.
				continue
			}
			run("forward", func(x, k *Node) *Node { return Of(x, k, p.strides, p.paddings) }, x, k)
			run("kernel_gradient", func(x, v *Node) *Node { return kernelGradient(p, x, v, kernel) }, x, y)
		}
	}
}

// BenchmarkLowerings times the lowerings between which XLA on a CPU with oneDNN has to choose, for
// kernels of 3×3, at batch 128 for narrow networks and 32 for wide ones.
func BenchmarkLowerings(b *testing.B) {
	device, info, err := backend.Open()
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("backend: %s", info.Why)
	kernel := []int{3, 3}
	for _, test := range []struct{ batch, size, in, out, stride int }{
		{128, 32, 3, 8, 1}, {128, 32, 8, 8, 1}, {128, 32, 3, 16, 1}, {128, 32, 16, 16, 1}, {128, 32, 16, 32, 2},
		{128, 16, 32, 32, 1}, {128, 16, 32, 64, 2}, {128, 8, 16, 16, 1}, {128, 8, 32, 32, 1}, {128, 8, 64, 64, 1},
		{128, 8, 64, 128, 2}, {128, 4, 64, 64, 1}, {128, 4, 128, 128, 1}, {32, 32, 3, 64, 1}, {32, 32, 64, 64, 1},
		{32, 32, 64, 128, 2}, {32, 16, 128, 128, 1}, {32, 16, 128, 256, 2}, {32, 8, 256, 256, 1}, {32, 8, 256, 512, 2},
		{32, 4, 512, 512, 1}, {320, 16, 128, 128, 1}, {320, 8, 256, 256, 1}, {320, 4, 512, 512, 1},
	} {
		c := geometry{strides: []int{test.stride, test.stride}, inputDilations: []int{1, 1}, kernelDilations: []int{1, 1},
			paddings: [][2]int{{1, 1}, {1, 1}}}
		size := test.size / test.stride
		x := shapes.Make(dtypes.Float32, test.batch, test.size, test.size, test.in)
		v := shapes.Make(dtypes.Float32, test.batch, size, size, test.out)
		run := func(name string, fn func(a, b *Node) *Node, operands ...shapes.Shape) {
			b.Run(fmt.Sprintf("%d_of_%dx%d_%d_to_%d/%s", test.batch, test.size, test.size, test.in, test.out, name),
				func(b *testing.B) { benchmarkCPU(b, MustNewExec(device, fn), operands...) })
		}
		run("kernel_by_groups", func(x, v *Node) *Node { return kernelGradientByGroups(c, x, v, kernel) }, x, v)
		run("kernel_by_rows", func(x, v *Node) *Node { return kernelGradientByRows(c, x, v, kernel) }, x, v)
		run("kernel_by_patches", func(x, v *Node) *Node { return kernelGradientByPatches(c, x, v, kernel) }, x, v)
		if test.stride == 1 {
			run("kernel_by_winograd", func(x, v *Node) *Node { return kernelGradientByWinograd(c, x, v) }, x, v)
		}
	}
}

// benchmarkCPU reports the least CPU time, of all threads, that a run of exec takes.
func benchmarkCPU(b *testing.B, exec *Exec, inputs ...shapes.Shape) {
	var args []any
	for _, shape := range inputs {
		values := make([]float32, shape.Size())
		for i := range values {
			values[i] = float32(math.Sin(float64(i)))
		}
		args = append(args, tensors.FromFlatDataAndDimensions(values, shape.Dimensions...))
	}
	least := math.Inf(1)
	run := func() {
		before := gctest.CPUSeconds(b)
		y := exec.MustCall(args...)[0]
		if err := y.ConstFlatData(func(any) {}); err != nil { // Waits for it.
			b.Fatal(err)
		}
		least = min(least, gctest.CPUSeconds(b)-before)
		if err := y.FinalizeAll(); err != nil {
			b.Fatal(err)
		}
	}
	run() // Compiles.
	least = math.Inf(1)
	for b.Loop() {
		run()
	}
	b.ReportMetric(1000*least, "cpu-ms")
	exec.Finalize()
}
