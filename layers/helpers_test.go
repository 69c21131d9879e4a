package layers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func makeShape(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }

func trainableParameters(store *model.Store) (n int) {
	for v := range store.IterVariables() {
		if v.Trainable {
			n += v.Shape().Size()
		}
	}
	return n
}

func setValue(t testing.TB, v *model.Variable, value *tensors.Tensor) {
	t.Helper()
	if err := v.SetValue(value); err != nil {
		t.Fatal(err)
	}
}

// modelFn builds a model on a float64 x.
type modelFn func(scope *model.Scope, x *Node) *Node

// checkedModel holds a model whose variables have random values, because variables at their initial
// 0 or 1 would hide mistakes.
type checkedModel struct {
	store     *model.Store
	exec      *model.Exec
	x         *tensors.Tensor
	trainable []*model.Variable
	rng       *rand.Rand
}

// newCheckedModel builds scalars, each a function of x and of the model's variables, and their
// gradients: exec returns the scalars, then for each scalar its gradients with respect to x and to
// the trainable variables.
func newCheckedModel(t *testing.T, b compute.Backend, training bool, xDims []int,
	scalars func(scope *model.Scope, x *Node) []*Node) *checkedModel {
	t.Helper()
	m := &checkedModel{store: model.NewStore(), rng: rand.New(rand.NewPCG(7, 8))}
	m.x = gctest.RandomTensor(m.rng, xDims...)
	if err := m.store.SetRNGStateFromSeed(3); err != nil {
		t.Fatal(err)
	}
	m.exec = model.MustNewExec(b, m.store, func(scope *model.Scope, x *Node) []*Node {
		scope.Store().SetTraining(x.Graph(), training)
		values := scalars(scope, x)
		inputs := []*Node{x}
		m.trainable = nil
		for v := range scope.Store().IterVariables() {
			if v.Trainable && v.DType() == dtypes.Float64 {
				m.trainable = append(m.trainable, v)
				inputs = append(inputs, v.NodeValue(x.Graph()))
			}
		}
		outputs := values
		for _, value := range values {
			outputs = append(outputs, Gradient(value, inputs...)...)
		}
		return outputs
	})
	m.exec.MustCall(m.x)
	for v := range m.store.IterVariables() {
		if v.DType() != dtypes.Float64 {
			continue
		}
		step := gctest.Moved(v.MustValue(), 0.3, gctest.RandomTensor(m.rng, v.Shape().Dimensions...))
		if strings.HasSuffix(v.Name(), "variance") { // Must stay positive.
			values := gctest.Flat(step)
			for i := range values {
				values[i] = 0.5 + values[i]*values[i]
			}
			step = tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)
		}
		setValue(t, v, step)
	}
	return m
}

// check compares the gradients of all scalars with central differences, for x and each variable
// along a random direction.
func (m *checkedModel) check(t *testing.T, scalars int, h, tolerance float64) {
	t.Helper()
	outputs := m.exec.MustCall(m.x)
	inputs := 1 + len(m.trainable)
	for i := range inputs {
		name, value := "x", m.x
		if i > 0 {
			name, value = m.trainable[i-1].Path(), m.trainable[i-1].MustValue()
		}
		direction := gctest.RandomTensor(m.rng, value.Shape().Dimensions...)
		value = gctest.Moved(value, 0, direction) // A copy, because SetValue frees the old value.
		evaluate := func(step float64) []*tensors.Tensor {
			point := gctest.Moved(value, step, direction)
			if i == 0 {
				return m.exec.MustCall(point)
			}
			setValue(t, m.trainable[i-1], point)
			return m.exec.MustCall(m.x)
		}
		up := evaluate(h)
		down := evaluate(-h)
		if i > 0 {
			setValue(t, m.trainable[i-1], value)
		}
		for s := range scalars {
			got := gctest.Inner(outputs[scalars+s*inputs+i], direction)
			want := (tensors.ToScalar[float64](up[s]) - tensors.ToScalar[float64](down[s])) / (2 * h)
			scale := tensors.ToScalar[float64](outputs[s]) // Rounding errors are relative to the scalar itself.
			gctest.AssertClose(t, []float64{got}, []float64{want}, tolerance, tolerance*max(scale, -scale),
				fmt.Sprintf("derivative of scalar %d along %s", s, name))
		}
	}
}

// checkJointly is check along one random direction of x and all variables together, which takes two
// calls instead of two for each of them.
func (m *checkedModel) checkJointly(t *testing.T, scalars int, h, tolerance float64) {
	t.Helper()
	outputs := m.exec.MustCall(m.x)
	inputs := 1 + len(m.trainable)
	got := make([]float64, scalars)
	values, directions := make([]*tensors.Tensor, inputs), make([]*tensors.Tensor, inputs)
	for i := range inputs {
		value := m.x
		if i > 0 {
			value = m.trainable[i-1].MustValue()
		}
		directions[i] = gctest.RandomTensor(m.rng, value.Shape().Dimensions...)
		values[i] = gctest.Moved(value, 0, directions[i])
		for s := range scalars {
			got[s] += gctest.Inner(outputs[scalars+s*inputs+i], directions[i])
		}
	}
	evaluate := func(step float64) []*tensors.Tensor {
		for i, v := range m.trainable {
			setValue(t, v, gctest.Moved(values[i+1], step, directions[i+1]))
		}
		return m.exec.MustCall(gctest.Moved(values[0], step, directions[0]))
	}
	up, down := evaluate(h), evaluate(-h)
	for s := range scalars {
		want := (tensors.ToScalar[float64](up[s]) - tensors.ToScalar[float64](down[s])) / (2 * h)
		scale := tensors.ToScalar[float64](outputs[s])
		gctest.AssertClose(t, []float64{got[s]}, []float64{want}, tolerance, tolerance*max(scale, -scale),
			fmt.Sprintf("derivative of scalar %d", s))
	}
}

// checkLayer checks a layer to second order: with L = sum(w·y + y²/2), the gradients of L and of
// the sum of squares of L's gradients with respect to x and to all variables.
func checkLayer(t *testing.T, b compute.Backend, training bool, layer modelFn, xDims ...int) {
	t.Helper()
	m := newCheckedModel(t, b, training, xDims, func(scope *model.Scope, x *Node) []*Node {
		y := layer(scope, x)
		w := Sin(MulScalar(AddScalar(IotaFull(y.Graph(), y.Shape()), 1), 12.9898))
		loss := ReduceAllSum(Add(Mul(w, y), MulScalar(Square(y), 0.5)))
		inputs := []*Node{x}
		for v := range scope.Store().IterVariables() {
			if v.Trainable && v.DType() == dtypes.Float64 {
				inputs = append(inputs, v.NodeValue(x.Graph()))
			}
		}
		sum := ScalarZero(x.Graph(), x.DType())
		for _, d := range Gradient(loss, inputs...) {
			sum = Add(sum, ReduceAllSum(Square(d)))
		}
		return []*Node{loss, sum}
	})
	m.check(t, 2, 2e-5, 5e-6)
}

// plainComplexity is the geometric complexity by its definition, one gradient per output: the mean
// over the batch of the squared norm of the Jacobian. It is right if no example's output depends on
// another example.
func plainComplexity(outputs, x *Node) *Node {
	sum := ScalarZero(x.Graph(), x.DType())
	for k := range outputs.Shape().Dim(1) {
		gradient := Gradient(ReduceAllSum(SliceAxis(outputs, 1, AxisElem(k))), x)[0]
		sum = Add(sum, ReduceAllSum(Square(gradient)))
	}
	return DivScalar(sum, float64(x.Shape().Dim(0)))
}
