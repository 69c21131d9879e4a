package training

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/operatornorm"
)

// transfer works out both sides of the transfer inequality for a ReLU MLP with layers h_{i+1} =
// g(W_i h_i + b_i), at each of some examples, in double precision and without automatic
// differentiation, so that it is independent of it. For the outputs f, with operator norms ‖W_i‖
// and ‖∂h_i/∂x‖ and Frobenius norms otherwise,
//
//	‖∂f/∂x‖² · Σ_i (1 + ‖h_i‖²) / (‖W_i‖² ‖∂h_i/∂x‖²) ≤ ‖∂f/∂θ‖²
//
// where θ are all weights and biases and h_i is the input of layer i, so that h_1 = x. Without
// biases the "1 +" is dropped. (Section 5 of the paper.)
//
// A point gets, as means over the examples, "transfer_left" and "parameter_gradient", the two
// sides, and "transfer_gc", ‖∂f/∂x‖²; and "transfer_ratio", the largest left side over right side.
type transfer struct {
	store  *model.Store
	hidden int
	inputs [][]float64
}

func newTransfer(store *model.Store, network Network, set examples, n int) (*transfer, error) {
	if network.Kind != KindMLP || !strings.EqualFold(network.Activation, activation.TypeRelu.String()) {
		return nil, fmt.Errorf("transfer: the inequality is worked out for ReLU MLPs, and not for a %s with %q", network.Kind,
			network.Activation)
	}
	if n > set.n {
		return nil, fmt.Errorf("transfer: %d examples, but only %d are measured", n, set.n)
	}
	all, err := numbers.Float64s(set.inputs)
	if err != nil {
		return nil, err
	}
	d := &transfer{store: store, hidden: network.HiddenLayers}
	size := len(all) / set.n
	for i := range n {
		d.inputs = append(d.inputs, all[i*size:(i+1)*size])
	}
	return d, nil
}

func (d *transfer) finalize() {}

func (d *transfer) measure(ctx context.Context, p *runs.Point) error {
	weights, biases, err := mlpWeights(d.store, "/"+ModelScope+"/", d.hidden)
	if err != nil {
		return err
	}
	norms := make([]float64, len(weights))
	for i, w := range weights {
		norms[i] = operatornorm.Squared(w)
	}
	var left, right, gc float64
	worst := math.Inf(-1)
	for _, x := range d.inputs {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := transferSides(weights, biases, norms, x)
		left, right, gc = left+s.left, right+s.right, gc+s.gc
		worst = math.Max(worst, s.left/s.right) // NaN if one is
	}
	n := float64(len(d.inputs))
	p.Values["transfer_left"], p.Values["parameter_gradient"] = runs.Number(left/n), runs.Number(right/n)
	p.Values["transfer_gc"], p.Values["transfer_ratio"] = runs.Number(gc/n), runs.Number(worst)
	return nil
}

// sides are the two sides of the inequality at one example, and ‖∂f/∂x‖².
type sides struct{ left, right, gc float64 }

// transferSides computes both sides; norms are the squared operator norms of the weights.
func transferSides(weights []*mat.Dense, biases [][]float64, norms []float64, x []float64) sides {
	var s sides
	var sum float64
	inputs := layerInputs(weights, biases, x)
	// ∂h_i/∂x, [units, inputs]; nil for the identity.
	var jacobian *mat.Dense
	for i, h := range inputs {
		slope := 1.0
		if jacobian != nil {
			slope = operatornorm.Squared(jacobian)
		}
		if slope > 0 { // Where it is 0, so is ‖∂f/∂x‖², and the left side.
			sum += squaredLength(h, biases[i]) / (norms[i] * slope)
		}
		if i == len(inputs)-1 {
			break
		}
		var next mat.Dense
		if jacobian == nil {
			next.CloneFrom(weights[i].T())
		} else {
			next.Mul(weights[i].T(), jacobian)
		}
		next.Apply(func(unit, _ int, v float64) float64 { return whereActive(inputs[i+1][unit], v) }, &next)
		jacobian = &next
	}
	// ∂f/∂z_i for the layers' outputs z_i, from the last on: ‖∂f/∂(W_i, b_i)‖² is ‖∂f/∂z_i‖²(1 +
	// ‖h_i‖²).
	_, outputs := weights[len(weights)-1].Dims()
	backward := mat.NewDense(outputs, outputs, nil)
	for k := range outputs {
		backward.Set(k, k, 1)
	}
	for i := len(weights) - 1; i >= 0; i-- {
		s.right += squaredFrobenius(backward) * squaredLength(inputs[i], biases[i])
		var next mat.Dense
		next.Mul(backward, weights[i].T())
		if i > 0 {
			next.Apply(func(_, unit int, v float64) float64 { return whereActive(inputs[i][unit], v) }, &next)
		}
		backward = &next
	}
	s.gc = squaredFrobenius(backward)
	s.left = s.gc * sum
	return s
}

// layerInputs gives the input of each layer, the example itself first.
func layerInputs(weights []*mat.Dense, biases [][]float64, x []float64) [][]float64 {
	inputs := [][]float64{x}
	for i, w := range weights[:len(weights)-1] {
		_, units := w.Dims()
		z := mat.NewVecDense(units, nil)
		z.MulVec(w.T(), mat.NewVecDense(len(inputs[i]), inputs[i]))
		h := z.RawVector().Data
		for j := range h {
			if biases[i] != nil {
				h[j] += biases[i][j]
			}
			h[j] = max(h[j], 0)
		}
		inputs = append(inputs, h)
	}
	return inputs
}

// whereActive keeps v for a unit that is on.
func whereActive(unit, v float64) float64 {
	if unit > 0 {
		return v
	}
	return 0
}

// squaredLength returns ‖h‖², plus 1 for a layer with biases.
func squaredLength(h, bias []float64) float64 {
	var sum float64
	for _, v := range h {
		sum += v * v
	}
	if bias != nil {
		sum++
	}
	return sum
}
