package training

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// TestTransferEqualsDifferentiation compares the closed forms of transfer with derivatives of the
// network, and checks the inequality.
func TestTransferEqualsDifferentiation(t *testing.T) {
	const n, inputs = 6, 7
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		for _, network := range []Network{MLP(0, 0), MLP(1, 9), MLP(3, 8),
			{Kind: KindMLP, HiddenLayers: 2, Width: 8, Activation: "relu", Initialization: "he_normal", NoBias: true}} {
			outputs := 3
			if network.HiddenLayers == 0 {
				outputs = 1 // Then the two sides are equal for a single layer.
			}
			fn, err := network.function(outputs)
			if err != nil {
				t.Fatal(err)
			}
			store := model.NewStore()
			if err := store.SetRNGStateFromSeed(3); err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 2))
			values := make([]float64, n*inputs)
			for i := range values {
				values[i] = random.NormFloat64()
			}
			x := tensors.FromFlatDataAndDimensions(values, n, inputs)
			squares, err := model.CallOnceN(backend, store, func(scope *model.Scope, x *graph.Node) []*graph.Node {
				f := fn(scope, x)
				var parameters []*graph.Node
				for v := range scope.IterVariables() {
					if v.Trainable {
						parameters = append(parameters, v.NodeValue(x.Graph()))
					}
				}
				// The squared norms, one example and one output at a time.
				perExample := make([]*graph.Node, n)
				for i := range n {
					var sum *graph.Node
					for k := range outputs {
						square := regularizers.SquaredParameterGradientNorm(graph.Reshape(graph.Slice(f, graph.AxisElem(i),
							graph.AxisElem(k))), parameters...)
						if sum == nil {
							sum = square
						} else {
							sum = graph.Add(sum, square)
						}
					}
					perExample[i] = graph.Reshape(sum, 1)
				}
				return []*graph.Node{graph.Concatenate(perExample, 0), gcml.SquaredJacobianNorm(f, x)}
			}, x)
			if err != nil {
				t.Fatal(err)
			}
			wantRight, wantGC := squares[0].Value().([]float64), squares[1].Value().([]float64)

			d, err := newTransfer(store, network, examples{n, x, nil}, n)
			if err != nil {
				t.Fatal(err)
			}
			p := runs.Point{Values: make(map[string]runs.Number)}
			if err := d.measure(t.Context(), &p); err != nil {
				t.Fatal(err)
			}
			right, _ := stats.MeanStd(wantRight)
			gc, _ := stats.MeanStd(wantGC)
			gctest.AssertClose(t, []float64{p.Value("parameter_gradient"), p.Value("transfer_gc")}, []float64{right, gc}, 1e-10,
				0, "norms")
			if ratio := p.Value("transfer_ratio"); !(ratio <= 1+1e-12) || !(ratio > 0) {
				t.Errorf("%d hidden layers: ratio %g; want one in (0, 1]", network.HiddenLayers, ratio)
			}
			if ratio := p.Value("transfer_ratio"); network.HiddenLayers == 0 && ratio < 1-1e-12 {
				t.Errorf("one layer: ratio %g; want 1", ratio)
			}
		}
	})
}

func TestTransferRefuses(t *testing.T) {
	set := examples{n: 2, inputs: tensors.FromFlatDataAndDimensions(make([]float32, 4), 2, 2)}
	tanh := MLP(1, 4)
	tanh.Activation = "tanh"
	if _, err := newTransfer(model.NewStore(), tanh, set, 1); err == nil {
		t.Error("no error for tanh")
	}
	if _, err := newTransfer(model.NewStore(), MLP(1, 4), set, 3); err == nil {
		t.Error("no error for more examples than there are")
	}
}
