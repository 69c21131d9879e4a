package autodiff

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"example.com/geometric-complexity/internal/gctest"
)

// checkDerivatives compares the first and second derivatives of f with central differences in float64. f is
// any function of float64 inputs with the given dimensions; its second derivative must be that of a smooth
// or piecewise linear function.
//
// With L = sum(w·y + y²/2) for fixed random w, and S the sum of squares of all of L's gradients, it checks
// the gradients of L and of S along random directions, for every input. S holds every second derivative.
func checkDerivatives(t *testing.T, backend compute.Backend, f func(inputs []*Node) *Node, dims ...[]int) {
	t.Helper()
	Register()
	rng := rand.New(rand.NewPCG(1, 2))
	inputs := make([]*tensors.Tensor, len(dims))
	for i, d := range dims {
		inputs[i] = randomTensor(rng, d)
	}
	checkDerivativesAt(t, backend, f, inputs)
}

func checkDerivativesAt(t *testing.T, backend compute.Backend, f func(inputs []*Node) *Node, inputs []*tensors.Tensor) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	n := len(inputs)
	exec := MustNewExec(backend, func(inputs []*Node) []*Node {
		y := f(inputs)
		w := Sin(MulScalar(AddScalar(IotaFull(y.Graph(), y.Shape()), 1), 12.9898))
		loss := ReduceAllSum(Add(Mul(w, y), MulScalar(Square(y), 0.5)))
		first := Gradient(loss, inputs...)
		var sum *Node
		for _, d := range first {
			square := ReduceAllSum(Square(d))
			if sum == nil {
				sum = square
			} else {
				sum = Add(sum, square)
			}
		}
		return append(append([]*Node{loss, sum}, first...), Gradient(sum, inputs...)...)
	})
	defer exec.Finalize()
	call := func(inputs []*tensors.Tensor) []*tensors.Tensor {
		args := make([]any, n)
		for i := range args {
			args[i] = inputs[i]
		}
		return exec.MustCall(args...)
	}
	outputs := call(inputs)
	const h, directions = 2e-5, 2
	for i := range inputs {
		for range directions {
			direction := randomTensor(rng, inputs[i].Shape().Dimensions)
			moved := func(step float64) (loss, sum float64) {
				at := append([]*tensors.Tensor(nil), inputs...)
				at[i] = plus(inputs[i], step, direction)
				out := call(at)
				return tensors.ToScalar[float64](out[0]), tensors.ToScalar[float64](out[1])
			}
			lossUp, sumUp := moved(h)
			lossDown, sumDown := moved(-h)
			name := func(order string) string { return fmt.Sprintf("%s derivative along input %d", order, i) }
			gctest.AssertClose(t, []float64{dot(outputs[2+i], direction)}, []float64{(lossUp - lossDown) / (2 * h)},
				5e-6, 1e-6, name("first"))
			gctest.AssertClose(t, []float64{dot(outputs[2+n+i], direction)}, []float64{(sumUp - sumDown) / (2 * h)},
				5e-6, 1e-5, name("second"))
		}
	}
}

func randomTensor(rng *rand.Rand, dims []int) *tensors.Tensor {
	values := make([]float64, product(dims))
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func values(x *tensors.Tensor) (v []float64) {
	x.MustConstFlatData(func(flat any) { v = append(v, flat.([]float64)...) })
	return v
}

func plus(x *tensors.Tensor, step float64, direction *tensors.Tensor) *tensors.Tensor {
	sum, d := values(x), values(direction)
	for i := range sum {
		sum[i] += step * d[i]
	}
	return tensors.FromFlatDataAndDimensions(sum, x.Shape().Dimensions...)
}

func dot(x, y *tensors.Tensor) (sum float64) {
	a, b := values(x), values(y)
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
