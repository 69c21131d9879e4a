package onnxmodel

import (
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestLayers(t *testing.T) {
	for file, want := range map[string]struct {
		layers   []Layer
		features string
	}{
		"mlp": {[]Layer{{"linear", "Gemm (node_linear)"}, {"linear_1", "Gemm (node_linear_1)"},
			{"logits", "Gemm (node_linear_2)"}}, "tanh"},
		"convnet": {[]Layer{{"/0/Conv_output_0", "Conv (/0/Conv)"}, {"/4/Conv_output_0", "Conv (/4/Conv)"},
			{"logits", "Gemm (/9/Gemm)"}}, "/8/Flatten_output_0"},
		"images": {[]Layer{{"logits", "Gemm (/1/Gemm)"}}, ""}, // Its features would be the input.
	} {
		m := load(t, testdata(file+".onnx"))
		layers := m.Layers()
		if !slices.Equal(layers, want.layers) || m.Features() != want.features {
			t.Fatalf("%s: layers %v, features %q; want %v, %q", file, layers, m.Features(), want.layers, want.features)
		}
	}
}

// TestForwardValues measures each layer of one network as a named node, and as the output of the
// network cut there.
func TestForwardValues(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		m := load(t, testdata("convnet.onnx"))
		layers := m.Layers()[:2]
		fn := func(scope *model.Scope, x *graph.Node) *graph.Node {
			values := m.ForwardValues(scope, []*graph.Node{x}, layers[0].Value, layers[1].Value)
			values[1].WithAlias("first")
			values[2].WithAlias("second")
			return values[0]
		}
		r, err := gcml.Measure(t.Context(), b, m.Store, fn, arrays(t, m, "convnet"), gcml.WithLayers(),
			gcml.WithMaxExamples(4))
		if err != nil {
			t.Fatal(err)
		}
		got := []float64{r.GC}
		for _, l := range r.Layers {
			got = append(got, l.GC)
		}
		want := []float64{measure(t, b, m, "convnet", gcml.WithMaxExamples(4)).GC}
		for _, l := range layers {
			if err := m.SetOutput(l.Value); err != nil {
				t.Fatal(err)
			}
			want = append(want, measure(t, b, m, "convnet", gcml.WithMaxExamples(4)).GC)
		}
		gctest.AssertClose(t, got, want, 1e-4, 0, "GC of the output and the layers")
	})
}
