package layers

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestMLPForward compares the network's outputs with plain loops over its own variables.
func TestMLPForward(t *testing.T) {
	x := [][][]float64{{{0.3, -1.2}, {0.5, 0.9}}, {{-0.4, 0.8}, {1.5, -0.1}}, {{0, 1}, {2, 3}}}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, bias := range []bool{true, false} {
			store := model.NewStore()
			if err := store.SetRNGStateFromSeed(5); err != nil {
				t.Fatal(err)
			}
			build := func(scope *model.Scope, x *Node) *Node {
				return MLP(scope, x).Hidden(2, 5).Outputs(3).Activation(activation.TypeTanh).UseBias(bias).Done()
			}
			exec := model.MustNewExec(b, store, build)
			got := gctest.Flat(exec.MustCall(x)[0])
			weights := func(layer, name string) []float64 {
				return gctest.Flat(store.GetVariable("/" + layer + "/" + name).MustValue())
			}
			if bias { // They start at zero, which would hide a mistake.
				for i, layer := range []string{"fnn_hidden_layer_0", "fnn_hidden_layer_1", "fnn_output_layer"} {
					v := store.GetVariable("/" + layer + "/biases")
					values := make([]float64, v.Shape().Size())
					for j := range values {
						values[j] = 0.1*float64(i+1) - 0.03*float64(j)
					}
					setValue(t, v, tensors.FromFlatDataAndDimensions(values, len(values)))
				}
				got = gctest.Flat(exec.MustCall(x)[0])
			}
			var want []float64
			for _, example := range x {
				h := append(append([]float64(nil), example[0]...), example[1]...)
				for i, layer := range []string{"fnn_hidden_layer_0", "fnn_hidden_layer_1", "fnn_output_layer"} {
					w := weights(layer, "weights")
					out := make([]float64, len(w)/len(h))
					for k := range out {
						for j := range h {
							out[k] += h[j] * w[j*len(out)+k]
						}
						if bias {
							out[k] += weights(layer, "biases")[k]
						}
						if i < 2 {
							out[k] = math.Tanh(out[k])
						}
					}
					h = out
				}
				want = append(want, h...)
			}
			gctest.AssertClose(t, got, want, 1e-12, 0, fmt.Sprintf("outputs with bias=%t", bias))
		}
	})
}

func TestMLPParameterCount(t *testing.T) {
	for _, test := range []struct {
		layers, width, inputs, outputs int
		bias                           bool
		want                           int
	}{
		{3, 500, 784, 10, true, 784*500 + 500 + 2*(500*500+500) + 500*10 + 10},
		{0, 0, 784, 10, false, 7840},
	} {
		store := model.NewStore()
		model.MustCallOnce(gctest.GoBackend(t), store, func(scope *model.Scope, g *Graph) *Node {
			x := Zeros(g, makeShape(2, test.inputs))
			return MLP(scope, x).Hidden(test.layers, test.width).Outputs(test.outputs).UseBias(test.bias).Done()
		})
		if got := trainableParameters(store); got != test.want {
			t.Errorf("%+v: %d parameters, want %d", test, got, test.want)
		}
	}
}

// wantPanic checks that fn panics with an error that holds all of the words.
func wantPanic(t *testing.T, fn func(), words ...string) {
	t.Helper()
	err := exceptions.TryCatch[error](fn)
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", strings.SplitN(err.Error(), "\n", 2)[0], word)
		}
	}
}

func TestMLPMisuse(t *testing.T) {
	scope := model.NewStore().RootScope()
	g := NewGraph(gctest.GoBackend(t), "misuse")
	wantPanic(t, func() { MLP(scope, Zeros(g, makeShape(4))).Outputs(1).Done() }, "layers.MLP", "[4]")
	wantPanic(t, func() { MLP(scope, Zeros(g, makeShape(4, 2))).Done() }, "layers.MLP", "Outputs(n)")
	wantPanic(t, func() { MLP(scope, Zeros(g, makeShape(4, 2))).Hidden(2, 0).Outputs(1).Done() }, "Hidden(2, 0)")
}
