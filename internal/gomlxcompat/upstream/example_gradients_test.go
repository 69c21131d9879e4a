package upstream

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"
)

// normGradient returns the gradient of y₀ + 2y₁ + 3y₂ + 4y₃ with respect to x = (1, 2, 3, 5), where
// y is x after batch normalization in training mode, and the same by central differences.
func normGradient(backend compute.Backend) (gradient, differences []float32) {
	exec := model.MustNewExec(backend, model.NewStore(), func(scope *model.Scope, x *Node) (loss, gradient *Node) {
		scope.Store().SetTraining(x.Graph(), true)
		y := norm.BatchNorm(scope, x, -1).UseBackendInference(false).Done()
		loss = ReduceAllSum(Mul(y, AddScalar(IotaFull(x.Graph(), x.Shape()), 1)))
		return loss, Gradient(loss, x)[0]
	})
	const h = 0.01
	for i := range 4 {
		var losses [2]float32
		for side, step := range []float32{-h, h} {
			x := [][]float32{{1}, {2}, {3}, {5}}
			x[i][0] += step
			losses[side] = tensors.ToScalar[float32](exec.MustCall(x)[0])
		}
		differences = append(differences, (losses[1]-losses[0])/(2*h))
	}
	return tensors.MustCopyFlatData[float32](exec.MustCall([][]float32{{1}, {2}, {3}, {5}})[1]), differences
}

// gradientThroughIntegers returns the gradient of a·int(x) at x = 2.5, which is constant there.
func gradientThroughIntegers(backend compute.Backend, a float32) float32 {
	gradient := MustExecOnce(backend, func(x *Node) *Node {
		whole := ConvertDType(ConvertDType(x, dtypes.Int32), dtypes.Float32)
		return Gradient(MulScalar(whole, a), x)[0]
	}, float32(2.5))
	return tensors.ToScalar[float32](gradient)
}

// missingDerivative returns the order of the first derivative that an op lacks, 0 if it has two.
func missingDerivative(backend compute.Backend, op func(x *Node) *Node) (order int) {
	defer func() { _ = recover() }()
	x := Parameter(NewGraph(backend, "missingDerivative"), "x", shapes.Make(dtypes.Float32, 1, 4, 4, 2))
	order = 1
	gradient := Gradient(ReduceAllSum(Square(op(x))), x)[0]
	order = 2
	Gradient(ReduceAllSum(Square(gradient)), x)
	return 0
}

func constant(x *Node, value any) *Node { return Const(x.Graph(), value) }

var missingDerivatives = []struct {
	op    string
	apply func(x *Node) *Node
	order int
}{
	{"Rsqrt", Rsqrt, 1},
	{"Expm1", Expm1, 1},
	{"Clip", func(x *Node) *Node { return Clip(x, constant(x, float32(0)), constant(x, float32(1))) }, 1},
	{"Identity", Identity, 1},
	{"Pad with a negative padding", func(x *Node) *Node {
		return Pad(x, constant(x, float32(0)), compute.PadAxis{}, compute.PadAxis{Start: -1}, compute.PadAxis{},
			compute.PadAxis{})
	}, 1},
	{"MaxPool", func(x *Node) *Node { return MaxPool(x).Window(2).Done() }, 2},
	{"Convolve with a 1×1 kernel and stride 2", func(x *Node) *Node {
		return layers.Convolution(model.NewStore().RootScope(), x).Channels(2).KernelSize(1).Strides(2).Done()
	}, 2},
	{"Dense, on the Go backend", func(x *Node) *Node {
		return layers.Dense(model.NewStore().RootScope(), x, true, 3)
	}, 2},
	{"Gelu, on the Go backend", activation.Gelu, 2},
	{"Swish, on the Go backend", activation.Swish, 2},
	{"GatherSlices", func(x *Node) *Node {
		return GatherSlices(x, []int{1}, constant(x, [][]int32{{1}}), []int{2}, false)
	}, 2},
}

// TestUpstreamBatchNorm runs the program of the report in docs/upstream.md without this module. If
// it fails, GoMLX has fixed the fault: delete the report, and see layers.BatchNorm.
func TestUpstreamBatchNorm(t *testing.T) {
	gradient, differences := normGradient(goBackend(t))
	for i, want := range []float32{0.676, 1.352, 2.028, 2.704} {
		if diff := gradient[i] - want; diff > 1e-3 || diff < -1e-3 {
			t.Errorf("the gradient is %v, want i/√2.1875 as long as GoMLX has the fault", gradient)
			break
		}
		if diff := gradient[i] - differences[i]; diff < 0.5 {
			t.Errorf("the gradient is %v, by central differences %v", gradient, differences)
		}
	}
}

// TestUpstreamIntegers runs the report's program. If it fails, GoMLX has fixed the fault: delete
// the report and registerConversions of package autodiff.
func TestUpstreamIntegers(t *testing.T) {
	b := goBackend(t)
	for a, want := range map[float32]float32{0.9: 0, 1.9: 1, -3.9: -3} {
		if got := gradientThroughIntegers(b, a); got != want {
			t.Errorf("the gradient of %g·int(x) is %g, want %g as long as GoMLX has the fault", a, got, want)
		}
	}
}

// TestUpstreamDerivatives runs the program of the report for every row. If it fails, GoMLX has
// added a derivative: delete the row, and see package autodiff.
func TestUpstreamDerivatives(t *testing.T) {
	page, err := os.ReadFile("../../../docs/upstream.md")
	if err != nil {
		t.Fatal(err)
	}
	backend := goBackend(t)
	for _, c := range missingDerivatives {
		if got := missingDerivative(backend, c.apply); got != c.order {
			t.Errorf("%s: the first derivative that is missing has order %d, want %d", c.op, got, c.order)
		}
		if row := fmt.Sprintf("| %s | %d |", c.op, c.order); !strings.Contains(string(page), row) {
			t.Errorf("upstream.md lacks the row %s", row)
		}
	}
}

func goBackend(t *testing.T) compute.Backend {
	b, err := compute.NewWithConfig("go")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}
