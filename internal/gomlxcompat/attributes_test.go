package gomlxcompat_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	. "github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

func want[T any](t *testing.T, what string, got T, ok bool, want T) {
	t.Helper()
	if !ok {
		t.Errorf("%s: not recognized", what)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

// TestAttributes builds every op whose parameters this package reads. All parameters differ from
// each other and from the defaults, so that the test notices when two are swapped.
func TestAttributes(t *testing.T) {
	g := graph.NewGraph(goBackend(t), "attributes")
	param := func(name string, dims ...int) *graph.Node {
		return graph.Parameter(g, name, shapes.Make(dtypes.Float32, dims...))
	}
	images := param("images", 2, 7, 9, 4)
	matrix := param("matrix", 5, 3)

	t.Run("DotGeneral", func(t *testing.T) {
		a, b := param("dotA", 2, 3, 4, 5), param("dotB", 5, 2, 6, 3)
		n := graph.DotGeneral(a, []int{1, 3}, []int{0}, b, []int{3, 0}, []int{1})
		got, ok := DotGeneralOf(n)
		want(t, "DotGeneral", got, ok, DotGeneralAttributes{
			LHSContracting: []int{1, 3}, LHSBatch: []int{0}, RHSContracting: []int{3, 0}, RHSBatch: []int{1}})
	})
	t.Run("Transpose", func(t *testing.T) {
		got, ok := TransposeOf(graph.TransposeAllAxes(images, 2, 0, 3, 1))
		want(t, "Transpose", got, ok, []int{2, 0, 3, 1})
	})
	t.Run("BroadcastInDim", func(t *testing.T) {
		n := graph.ExpandAndBroadcast(matrix, []int{5, 7, 3}, []int{1})
		got, ok := BroadcastInDimOf(n)
		want(t, "BroadcastInDim", got, ok, []int{0, 2})
	})
	t.Run("Slice", func(t *testing.T) {
		n := graph.Slice(images, graph.AxisRange(), graph.AxisRange(1, 7).Stride(2), graph.AxisRange(2, 8).Stride(3),
			graph.AxisRange(3, 4))
		got, ok := SliceOf(n)
		want(t, "Slice", got, ok,
			SliceAttributes{Starts: []int{0, 1, 2, 3}, Limits: []int{2, 7, 8, 4}, Strides: []int{1, 2, 3, 1}})
	})
	t.Run("Pad", func(t *testing.T) {
		config := []compute.PadAxis{{Start: 1, End: 2, Interior: 3}, {Start: -1}}
		got, ok := PadOf(graph.Pad(matrix, graph.ScalarZero(g, dtypes.Float32), config...))
		want(t, "Pad", got, ok, config)
	})
	t.Run("Reduce", func(t *testing.T) {
		for name, n := range map[string]*graph.Node{
			"sum": graph.ReduceSum(images, 1, 3), "max": graph.ReduceMax(images, 1, 3),
			"min": graph.ReduceMin(images, 1, 3), "product": graph.ReduceMultiply(images, 1, 3),
		} {
			got, ok := ReduceOf(n)
			want(t, name, got, ok, []int{1, 3})
		}
		got, ok := ReduceOf(graph.ReduceAllSum(images))
		want(t, "all axes", got, ok, []int{0, 1, 2, 3})
	})
	t.Run("Conv", func(t *testing.T) {
		axes := graph.ConvolveAxesConfig{
			InputBatch: 0, InputSpatial: []int{1, 2}, InputChannels: 3,
			KernelSpatial: []int{1, 2}, KernelInputChannels: 3, KernelOutputChannels: 0,
			OutputBatch: 1, OutputSpatial: []int{2, 3}, OutputChannels: 0,
		}
		n := graph.ConvGeneral(images, param("kernel", 6, 2, 3, 2), axes, []int{2, 3},
			[][2]int{{1, 2}, {3, 4}}, []int{4, 5}, []int{2, 1}, 2, 1)
		got, ok := ConvOf(n)
		want(t, "Conv", got, ok, ConvAttributes{
			Axes: axes, Strides: []int{2, 3}, Paddings: [][2]int{{1, 2}, {3, 4}},
			InputDilations: []int{4, 5}, KernelDilations: []int{2, 1},
			ChannelGroupCount: 2, BatchGroupCount: 1,
		})
		plain := graph.Convolve(images, param("plainKernel", 3, 3, 4, 6)).NoPadding().Done()
		got, ok = ConvOf(plain)
		got.Axes = graph.ConvolveAxesConfig{}
		want(t, "Conv's defaults", got, ok, ConvAttributes{
			Strides: []int{1, 1}, Paddings: [][2]int{{}, {}}, InputDilations: []int{1, 1},
			KernelDilations: []int{1, 1}, ChannelGroupCount: 1, BatchGroupCount: 1,
		})
	})
	t.Run("ReduceWindow", func(t *testing.T) {
		pooled := graph.MaxPool(images).WindowPerAxis(3, 2).StridePerAxis(2, 1).PaddingPerDim([][2]int{{1, 0}, {0, 1}}).Done()
		got, ok := ReduceWindowOf(pooled)
		strides, window, paddings := []int{1, 2, 1, 1}, []int{1, 3, 2, 1}, [][2]int{{}, {1, 0}, {0, 1}, {}}
		want(t, "ReduceWindow", got, ok, ReduceWindowAttributes{
			Reduction: compute.ReduceOpMax, Window: window, Strides: strides, Paddings: paddings,
			InputDilations: []int{1, 1, 1, 1}, WindowDilations: []int{1, 1, 1, 1},
		})
	})
	t.Run("Concatenate", func(t *testing.T) {
		got, ok := ConcatenateOf(graph.Concatenate([]*graph.Node{images, images}, 2))
		want(t, "Concatenate", got, ok, 2)
	})
	t.Run("Reverse", func(t *testing.T) {
		got, ok := ReverseOf(graph.Reverse(images, 2, 1))
		want(t, "Reverse", got, ok, []int{2, 1})
	})
	t.Run("FusedDense", func(t *testing.T) {
		options := compute.DenseConfig{
			Activation: compute.ActivationConfig{Type: compute.ActivationTanh}, WeightLayout: compute.DenseLayoutOutputsInput}
		x := param("denseX", 2, 3)
		n := graph.BackendFusedDense(x, matrix, param("bias", 5), options)
		got, ok := FusedDenseOf(n)
		want(t, "FusedDense", got, ok, FusedDenseAttributes{
			HasBias: true, Activation: compute.ActivationTanh, WeightLayout: compute.DenseLayoutOutputsInput})
		got, ok = FusedDenseOf(graph.BackendFusedDense(x, matrix, nil, options))
		want(t, "FusedDense without bias", got.HasBias, ok, false)
	})
	t.Run("FusedActivation", func(t *testing.T) {
		cfg := compute.ActivationConfig{Type: compute.ActivationGelu}
		got, ok := FusedActivationOf(graph.BackendFusedActivation(matrix, cfg))
		want(t, "FusedActivation", got, ok, compute.ActivationGelu)
	})
	t.Run("AlternateOutputs", func(t *testing.T) {
		softmax := graph.Softmax(matrix, -1)
		alternates := AlternateOutputs(softmax)
		if softmax.Type() != graph.NodeTypeFusedSoftmax || len(alternates) != 1 || alternates[0].Type() != graph.NodeTypeDiv {
			t.Errorf("got %v for %s, want one Div", alternates, softmax)
		}
		if got := AlternateOutputs(matrix); got != nil {
			t.Errorf("got %v for a parameter, want none", got)
		}
	})
	t.Run("another type", func(t *testing.T) {
		if _, ok := DotGeneralOf(matrix); ok {
			t.Error("a parameter was taken for a DotGeneral")
		}
		if _, ok := ReduceOf(matrix); ok {
			t.Error("a parameter was taken for a reduction")
		}
	})
	t.Run("renamed field", func(t *testing.T) {
		transpose := graph.TransposeAllAxes(matrix, 1, 0)
		err := exceptions.TryCatch[error](func() { IntsParameter(transpose, "order") })
		if err == nil || !strings.Contains(err.Error(), `no field "order"`) {
			t.Errorf(`got error %v, want one that says: no field "order"`, err)
		}
		err = exceptions.TryCatch[error](func() { IntParameter(transpose, "permutation") })
		if err == nil || !strings.Contains(err.Error(), "is a slice, want a int") {
			t.Errorf("got error %v, want one that names both kinds", err)
		}
	})
}
