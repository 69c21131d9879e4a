package gctest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// CheckDerivatives compares the first and second derivatives of f with central differences in
// float64. f is a smooth or piecewise smooth function of float64 inputs with the given dimensions.
//
// Let L = sum(w·y + y²/2) for y = f(inputs) and fixed irregular w, and S the sum of squares of all
// gradients of L. CheckDerivatives checks the gradients of L and of S in random directions, for
// every input. The gradient of S depends on all second derivatives.
func CheckDerivatives(t *testing.T, backend compute.Backend, f func(inputs []*Node) *Node, dims ...[]int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	n := len(dims)
	inputs := make([]*tensors.Tensor, n)
	for i, d := range dims {
		inputs[i] = RandomTensor(rng, d...)
	}
	exec := MustNewExec(backend, func(inputs []*Node) []*Node { return lossesAndGradients(f, inputs) })
	defer exec.Finalize()
	outputs := callWith(exec, inputs)
	const h, directions = 2e-5, 2
	for i := range inputs {
		for range directions {
			direction := RandomTensor(rng, dims[i]...)
			moved := func(step float64) (loss, sum float64) {
				at := append([]*tensors.Tensor(nil), inputs...)
				at[i] = Moved(inputs[i], step, direction)
				out := callWith(exec, at)
				return tensors.ToScalar[float64](out[0]), tensors.ToScalar[float64](out[1])
			}
			lossUp, sumUp := moved(h)
			lossDown, sumDown := moved(-h)
			name := func(order string) string { return fmt.Sprintf("%s derivative along input %d", order, i) }
			AssertClose(t, []float64{Inner(outputs[2+i], direction)}, []float64{(lossUp - lossDown) / (2 * h)},
				5e-6, 1e-6, name("first"))
			AssertClose(t, []float64{Inner(outputs[2+n+i], direction)}, []float64{(sumUp - sumDown) / (2 * h)},
				5e-6, 1e-5, name("second"))
		}
	}
}

// lossesAndGradients returns L and S of CheckDerivatives, then the gradients of L, then the
// gradients of S.
func lossesAndGradients(f func(inputs []*Node) *Node, inputs []*Node) []*Node {
	y := f(inputs)
	w := Sin(MulScalar(AddScalar(IotaFull(y.Graph(), y.Shape()), 1), 12.9898))
	loss := ReduceAllSum(Add(Mul(w, y), MulScalar(Square(y), 0.5)))
	first := Gradient(loss, inputs...)
	sum := ScalarZero(y.Graph(), y.DType())
	for _, d := range first {
		sum = Add(sum, ReduceAllSum(Square(d)))
	}
	return append(append([]*Node{loss, sum}, first...), Gradient(sum, inputs...)...)
}

func callWith(exec *Exec, inputs []*tensors.Tensor) []*tensors.Tensor {
	args := make([]any, len(inputs))
	for i, input := range inputs {
		args[i] = input
	}
	return exec.MustCall(args...)
}

// RandomTensor returns a float64 tensor of standard normal values.
func RandomTensor(rng *rand.Rand, dims ...int) *tensors.Tensor {
	values := make([]float64, shapes.Make(dtypes.Float64, dims...).Size())
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// Flat returns a copy of the values of a tensor of floats or integers.
func Flat(x *tensors.Tensor) []float64 {
	values, err := numbers.Float64s(x)
	if err != nil {
		panic(err)
	}
	return values
}

// Moved returns x + step·direction, in float64.
func Moved(x *tensors.Tensor, step float64, direction *tensors.Tensor) *tensors.Tensor {
	values := Flat(x)
	for i, d := range Flat(direction) {
		values[i] += step * d
	}
	return tensors.FromFlatDataAndDimensions(values, x.Shape().Dimensions...)
}

// Inner returns the inner product of x and y, over all elements.
func Inner(x, y *tensors.Tensor) (sum float64) {
	b := Flat(y)
	for i, v := range Flat(x) {
		sum += v * b[i]
	}
	return sum
}
