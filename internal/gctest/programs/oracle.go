package programs

import (
	"math"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
)

// Jacobian holds, for each example, the Jacobian of its outputs with respect to its own inputs.
type Jacobian struct {
	Batch, Outputs, Inputs int
	Values                 []float64 // [batch, outputs, inputs].

	// Kinked says for each example whether a derivative jumps within one step of the inputs, where
	// central differences are meaningless.
	Kinked []bool
}

// At returns ∂outputs[b, k]/∂inputs[b, i].
func (j *Jacobian) At(b, k, i int) float64 { return j.Values[(b*j.Outputs+k)*j.Inputs+i] }

// RowNorms returns the squared norms of the Jacobians' rows, [batch, outputs].
func (j *Jacobian) RowNorms() []float64 {
	norms := make([]float64, j.Batch*j.Outputs)
	for row := range norms {
		for _, v := range j.Values[row*j.Inputs : (row+1)*j.Inputs] {
			norms[row] += v * v
		}
	}
	return norms
}

// Norms returns the squared Frobenius norms of the Jacobians, [batch].
func (j *Jacobian) Norms() []float64 {
	norms := make([]float64, j.Batch)
	for row, norm := range j.RowNorms() {
		norms[row/j.Outputs] += norm
	}
	return norms
}

// Spread returns two sums for each example: Σ (J·Jᵀ)²ₖₗ over all k and l, and over k ≠ l. They are
// half the variance of ‖vᵀJ‖² for v with standard normal entries, and for v with random signs ±1.
func (j *Jacobian) Spread() (all, offDiagonal []float64) {
	all, offDiagonal = make([]float64, j.Batch), make([]float64, j.Batch)
	for b := range j.Batch {
		for k := range j.Outputs {
			for l := range j.Outputs {
				product := 0.0
				for i := range j.Inputs {
					product += j.At(b, k, i) * j.At(b, l, i)
				}
				all[b] += product * product
				if k != l {
					offDiagonal[b] += product * product
				}
			}
		}
	}
	return all, offDiagonal
}

// Oracle computes Jacobians of a program by central differences of its forward pass in float64 on
// the pure-Go backend: one input of one example at a time. Statistics of several examples stay at
// their values for the unperturbed inputs.
type Oracle struct {
	program Program
	exec    *model.Exec
}

// NewOracle compiles the forward pass, in evaluation or training mode.
func NewOracle(goBackend compute.Backend, p Program, training bool) (*Oracle, error) {
	store, err := p.NewStore(goBackend, true)
	if err != nil {
		return nil, err
	}
	exec, err := model.NewExec(goBackend, store, func(scope *model.Scope, x, still *Node) *Node {
		scope.SetTraining(x.Graph(), training)
		held := p.Graph(scope, still, nil, true)
		values := p.Graph(scope, x, held, true)
		return values[len(values)-1]
	})
	return &Oracle{program: p, exec: exec}, err
}

// Finalize frees the compiled forward pass.
func (o *Oracle) Finalize() { o.exec.Finalize() }

// forward returns the outputs for the inputs x, with the statistics of the inputs still.
func (o *Oracle) forward(x, still []float64) ([]float64, error) {
	dims := o.program.Shape
	out, err := o.exec.Call(tensors.FromFlatDataAndDimensions(slices.Clone(x), dims...),
		tensors.FromFlatDataAndDimensions(slices.Clone(still), dims...))
	if err != nil {
		return nil, err
	}
	var values []float64
	out[0].MustConstFlatData(func(flat any) { values = slices.Clone(flat.([]float64)) })
	return values, nil
}

// Jacobian returns the Jacobian at x. It returns an error if a derivative is not finite.
func (o *Oracle) Jacobian(x []float64) (*Jacobian, error) {
	middle, err := o.forward(x, x)
	if err != nil {
		return nil, err
	}
	batch := o.program.Shape[0]
	j := &Jacobian{Batch: batch, Outputs: len(middle) / batch, Inputs: len(x) / batch, Kinked: make([]bool, batch)}
	j.Values = make([]float64, batch*j.Outputs*j.Inputs)
	h := 1e-5
	if o.program.DType.Size() < 8 {
		h = 1e-4 // Values of a lower precision lie further apart.
	}
	moved := slices.Clone(x)
	for at := range x {
		b, i := at/j.Inputs, at%j.Inputs
		var ends [2][]float64
		for side, step := range []float64{h, -h} {
			moved[at] = x[at] + step
			if ends[side], err = o.forward(moved, x); err != nil {
				return nil, err
			}
		}
		moved[at] = x[at]
		for k := range j.Outputs {
			out := b*j.Outputs + k
			right, left := (ends[0][out]-middle[out])/h, (middle[out]-ends[1][out])/h
			slope := (right + left) / 2
			if math.IsNaN(slope) || math.IsInf(slope, 0) {
				return nil, errors.Errorf("the derivative of output %d of example %d by its input %d is %g", k, b, i, slope)
			}
			j.Values[out*j.Inputs+i] = slope
			j.Kinked[b] = j.Kinked[b] || math.Abs(right-left) > 0.01*max(1, math.Abs(slope)) && o.kinks()
		}
	}
	return j, nil
}

func (o *Oracle) kinks() bool { return o.program.Has(func(k *Kind) bool { return k.Kinks }) }
