package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlxlayers "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/onnxmodel"
	"github.com/geometric-complexity/toolkit/layers"
)

// tuningNetworks have 10 outputs. For a batch of this size the values of each take 0.2 to 2.4 GB.
var tuningNetworks = []struct {
	name  string
	input []int // the shape of an example
	batch int
	model func(scope *model.Scope, x *Node) *Node
}{
	{"MLP", []int{784}, 8192, func(scope *model.Scope, x *Node) *Node {
		return layers.MLP(scope, x).Hidden(3, 1000).Outputs(10).Done()
	}},
	{"Convolutions", []int{32, 32, 3}, 256, func(scope *model.Scope, x *Node) *Node {
		for i := range 3 {
			x = activation.Relu(layers.Conv(scope.In("conv%d", i), x).Channels(32).KernelSize(3).PadSame().Done())
		}
		return gomlxlayers.Dense(scope.In("logits"), ReduceMean(x, 1, 2), true, 10)
	}},
	{"Residual", []int{32, 32, 3}, 256, func(scope *model.Scope, x *Node) *Node {
		return layers.ResNet18(scope, x).Outputs(10).Width(16).Done()
	}},
	{"Attention", []int{64, 64}, 256, func(scope *model.Scope, x *Node) *Node {
		for i := range 2 {
			scope := scope.In("block%d", i)
			x = Add(x, attention.SelfAttention(scope.In("attention"), x, 4, 16).UseQKVProjection().Done())
			hidden := activation.Gelu(gomlxlayers.Dense(scope.In("up"), x, true, 256))
			x = Add(x, gomlxlayers.Dense(scope.In("down"), hidden, true, 64))
		}
		return gomlxlayers.Dense(scope.In("logits"), ReduceMean(x, 1), true, 10)
	}},
}

// BenchmarkTuning measures batches, and reports
//
//	peak/values     the growth of the process's memory at its peak, over the memory of all values of
//	                the network (memoryFor)
//	cpu-s/pilot     the CPU time, in seconds, of the work pilotFrom, without compiling
//	cpu-s/pilot-bytes  that of the work pilotBytesFrom
//
// A later measurement can reuse memory of an earlier one, so select a single one by -bench:
//
//	go test ./cmd/gcml -run '^$' -bench '^BenchmarkTuning$/^MLP$/^exact$/^go$' -benchtime 1x
func BenchmarkTuning(b *testing.B) {
	for _, network := range tuningNetworks {
		for _, estimator := range []gcml.Estimator{gcml.Exact(), gcml.Projection(1)} {
			b.Run(fmt.Sprintf("%s/%s", network.name, estimator), func(b *testing.B) {
				gctest.BenchmarkBackends(b, func(b *testing.B, backend compute.Backend) {
					store := model.NewStore()
					x := tensors.FromScalarAndDimensions(float32(0.5), append([]int{network.batch}, network.input...)...)
					values := valuesOf(b, backend, store, x, network.model)
					debug.FreeOSMemory()
					before := resetPeak(b)
					exec, err := model.NewExec1(backend, store, func(scope *model.Scope, x *Node) *Node {
						return gcml.Complexity(network.model(scope, x), x, gcml.WithEstimator(estimator))
					})
					if err != nil {
						b.Fatal(err)
					}
					defer exec.Finalize()
					measure := func() {
						if _, err := exec.Call(x); err != nil {
							b.Fatal(err)
						}
					}
					measure() // Compiles.
					peak := statusBytes(b, "VmHWM") - before
					products, cpu := 0.0, gctest.CPUSeconds(b)
					for b.Loop() {
						measure()
						products += float64(network.batch)
					}
					if estimator.String() == "exact" {
						products *= 10
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(values/1e9, "values-GB")
					b.ReportMetric(peak/values, "peak/values")
					work := products * float64(store.NumParameters())
					cpu = gctest.CPUSeconds(b) - cpu
					b.ReportMetric(cpu*pilotFrom/work, "cpu-s/pilot")
					b.ReportMetric(cpu*pilotBytesFrom/(products*values/float64(network.batch)), "cpu-s/pilot-bytes")
				})
			})
		}
	}
}

// valuesOf creates the network's variables, and returns the memory of its values.
func valuesOf(b *testing.B, backend compute.Backend, store *model.Store, x *tensors.Tensor,
	network func(*model.Scope, *Node) *Node) (bytes float64) {
	_, err := model.CallOnce(backend, store, func(scope *model.Scope, x *Node) *Node {
		y := ReduceAllSum(network(scope, x))
		bytes = 0
		for _, n := range y.Graph().Nodes() {
			bytes += onnxmodel.ValueBytes(n)
		}
		return y
	}, x)
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}

// resetPeak resets the process's peak memory to its present memory, and returns that in bytes.
func resetPeak(b *testing.B) float64 {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Skip(err)
	}
	return statusBytes(b, "VmRSS")
}

func statusBytes(b *testing.B, field string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	found := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		b.Skip("no ", field)
	}
	kB, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return 1024 * kB
}
