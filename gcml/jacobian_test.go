package gcml_test

import (
	"math/rand/v2"
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
	"github.com/gomlx/gomlx/ml/model/initializer"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// problem is a model and the inputs to measure it on. Every estimator is compared with the slow
// oracle on the table of problems.
type problem struct {
	name    string
	inputs  []int // Shape, batch first.
	smooth  bool  // Twice differentiable everywhere, so that differences in θ are accurate enough.
	model   func(scope *model.Scope, x *Node) *Node
	outputs int
	relTol  float64 // For models whose forward pass is less accurate than float64; 0 for the default.
}

func mlp(act activation.Type) func(scope *model.Scope, x *Node) *Node {
	return func(scope *model.Scope, x *Node) *Node {
		for _, units := range []int{7, 6} {
			x = activation.Apply(act, layers.Dense(scope.In("hidden%d", units), x, true, units))
		}
		return layers.Dense(scope.In("output"), x, true, 3)
	}
}

var problems = []problem{
	{name: "linear", inputs: []int{4, 5}, smooth: true, outputs: 3,
		model: func(scope *model.Scope, x *Node) *Node { return layers.Dense(scope, x, true, 3) }},
	{name: "mlp relu", inputs: []int{4, 12}, outputs: 3, model: mlp(activation.TypeRelu)},
	{name: "mlp tanh", inputs: []int{4, 5}, smooth: true, outputs: 3, model: mlp(activation.TypeTanh)},
	{name: "mlp tanh many inputs", inputs: []int{40, 30}, smooth: true, outputs: 3, model: mlp(activation.TypeTanh)},
	{name: "mlp sigmoid", inputs: []int{4, 5}, smooth: true, outputs: 3, model: mlp(activation.TypeSigmoid)},
	{name: "mlp gelu", inputs: []int{4, 5}, smooth: true, outputs: 3, model: mlp(activation.TypeGelu),
		relTol: 2e-6}, // The pure-Go backend approximates the error function.
	{name: "mlp swish", inputs: []int{4, 5}, smooth: true, outputs: 3, model: mlp(activation.TypeSwish)},
	{name: "images flattened", inputs: []int{3, 2, 3, 2}, smooth: true, outputs: 3,
		model: func(scope *model.Scope, x *Node) *Node {
			return mlp(activation.TypeTanh)(scope, Reshape(x, x.Shape().Dimensions[0], -1))
		}},
	{name: "scaled inputs", inputs: []int{4, 5}, smooth: true, outputs: 3,
		model: func(scope *model.Scope, x *Node) *Node {
			return mlp(activation.TypeTanh)(scope, DivScalar(SubScalar(x, 0.3), 0.7))
		}},
	{name: "residual", inputs: []int{4, 5}, smooth: true, outputs: 5,
		model: func(scope *model.Scope, x *Node) *Node {
			h := Tanh(layers.Dense(scope.In("a"), x, true, 5))
			return Add(x, Mul(h, layers.Dense(scope.In("b"), Concatenate([]*Node{x, h}, 1), true, 5)))
		}},
	{name: "softmax", inputs: []int{4, 5}, smooth: true, outputs: 3,
		model: func(scope *model.Scope, x *Node) *Node { return Softmax(mlp(activation.TypeTanh)(scope, x)) }},
	{name: "layer norm", inputs: []int{4, 5}, smooth: true, outputs: 3,
		model: func(scope *model.Scope, x *Node) *Node {
			h := norm.LayerNorm(scope.In("norm"), layers.Dense(scope.In("in"), x, true, 6), -1).Done()
			return layers.Dense(scope.In("output"), Tanh(h), true, 3)
		}},
	{name: "convolution", inputs: []int{3, 6, 6, 2}, smooth: true, outputs: 3,
		model: func(scope *model.Scope, x *Node) *Node {
			x = Tanh(layers.Convolution(scope.In("c1"), x).Channels(3).KernelSize(3).PadSame().Done())
			x = Tanh(layers.Convolution(scope.In("c2"), x).Channels(4).KernelSize(3).Strides(2).PadSame().Done())
			x = MeanPool(x).Window(3).Done()
			return layers.Dense(scope.In("output"), Reshape(x, x.Shape().Dimensions[0], -1), true, 3)
		}},
	{name: "attention", inputs: []int{3, 4, 2}, smooth: true, outputs: 3,
		model: func(scope *model.Scope, x *Node) *Node {
			q := layers.Dense(scope.In("q"), x, false, 3)
			k := layers.Dense(scope.In("k"), x, false, 3)
			a := Softmax(Einsum("bij,bkj->bik", q, k), -1)
			h := Einsum("bik,bkj->bij", a, x)
			return layers.Dense(scope.In("output"), ReduceMean(h, 1), true, 3)
		}},
	{name: "gather and pad", inputs: []int{3, 6}, smooth: true, outputs: 4,
		model: func(scope *model.Scope, x *Node) *Node {
			y := Pad(Slice(x, AxisRange(), AxisRange(1, 6).Stride(2)), ScalarZero(x.Graph(), x.DType()), PadAxis{},
				PadAxis{Start: 1})
			y = Mul(y, Reverse(Where(GreaterThan(y, ZerosLike(y)), Exp(y), Square(y)), 1))
			w := scope.WithInitializer(initializer.One).VariableWithShape("w", shapes.Make(x.DType(), 4)).NodeValue(x.Graph())
			return Mul(y, InsertAxes(w, 0))
		}},
	{name: "one output per example", inputs: []int{4, 5}, smooth: true, outputs: 1,
		model: func(scope *model.Scope, x *Node) *Node {
			return Squeeze(layers.Dense(scope.In("o"), Tanh(layers.Dense(scope.In("h"), x, true, 4)), true, 1), -1)
		}},
}

// newStore returns a store with a fixed seed.
func newStore(t testing.TB, seed int64) *model.Store {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(seed); err != nil {
		t.Fatal(err)
	}
	return store
}

// inputsFor returns seeded normal inputs.
func inputsFor(t testing.TB, dtype dtypes.DType, dims []int) *tensors.Tensor {
	t.Helper()
	values := gctest.Flat(gctest.RandomTensor(rand.New(rand.NewPCG(77, 0)), dims...))
	x, err := numbers.Tensor(values, dtype, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// run builds and executes a graph once, and fails the test on an error.
func run[F model.ExecGraphFnOneOutput](t testing.TB, b compute.Backend, store *model.Store, fn F,
	args ...any) *tensors.Tensor {
	t.Helper()
	out, err := model.CallOnce(b, store, fn, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// initialize gives values to the variables of a model by running it on the Go backend, where
// nothing has to be compiled. Afterwards any backend may use them.
func initialize(t testing.TB, store *model.Store, fn func(scope *model.Scope, x *Node) *Node, x *tensors.Tensor) {
	t.Helper()
	detach(t, store)
	own, err := x.LocalClone()
	if err != nil {
		t.Fatal(err)
	}
	run(t, gctest.GoBackend(t), store, fn, own)
	detach(t, store)
}

// detach frees a store's variables from the backend that computed them: GoMLX refuses tensors of
// another backend.
func detach(t testing.TB, store *model.Store) {
	t.Helper()
	for v := range store.IterVariables() {
		if err := v.MustValue().ToLocal(); err != nil {
			t.Fatal(err)
		}
	}
}

// oracle computes ‖∂f/∂x‖² per example and output by central differences of the forward pass alone,
// one input coordinate at a time. It runs on the Go backend, where nothing has to be compiled, and
// initializes the store's variables.
func oracle(t *testing.T, store *model.Store, p problem, x *tensors.Tensor) (perOutput []float64) {
	t.Helper()
	perOutput, _ = oracleRowsAndColumns(t, store, p, x)
	return perOutput
}

// oracleRowsAndColumns also returns the squared norms of the Jacobians' columns, in the order of x.
func oracleRowsAndColumns(t *testing.T, store *model.Store, p problem, x *tensors.Tensor) (
	perOutput, perInput []float64) {
	t.Helper()
	detach(t, store)
	exec, err := model.NewExec1(gctest.GoBackend(t), store, p.model)
	if err != nil {
		t.Fatal(err)
	}
	batch := p.inputs[0]
	flat := gctest.Flat(x)
	features := len(flat) / batch
	perOutput, perInput = make([]float64, batch*p.outputs), make([]float64, len(flat))
	const h = 1e-5
	shifted := func(feature int, by float64) []float64 {
		moved := append([]float64(nil), flat...)
		for i := range batch {
			moved[i*features+feature] += by
		}
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(moved, p.inputs...))
		if err != nil {
			t.Fatal(err)
		}
		return gctest.Flat(out)
	}
	for feature := range features {
		up, down := shifted(feature, h), shifted(feature, -h)
		for i := range perOutput {
			slope := (up[i] - down[i]) / (2 * h)
			perOutput[i] += slope * slope
			perInput[i/p.outputs*features+feature] += slope * slope
		}
	}
	detach(t, store)
	return perOutput, perInput
}

func TestExactEqualsDifferences(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, p := range problems {
			t.Run(p.name, func(t *testing.T) {
				store := newStore(t, 42)
				x := inputsFor(t, dtypes.Float64, p.inputs)
				want, wantColumns := oracleRowsAndColumns(t, store, p, x)
				columns := run(t, b, store, func(scope *model.Scope, x *Node) *Node {
					return gcml.SquaredJacobianColumnNorms(p.model(scope, x), x)
				}, x)
				if !columns.Shape().Equal(x.Shape()) {
					t.Errorf("column norms have shape %s, want %s", columns.Shape(), x.Shape())
				}
				gctest.AssertClose(t, gctest.Flat(columns), wantColumns, max(1e-7, p.relTol), 1e-9, "columns")
				for _, c := range []struct {
					name string
					opts []gcml.Option
				}{
					{"default", nil},
					{"no closed form", []gcml.Option{gcml.WithoutClosedForm()}},
					{"one cotangent at a time", []gcml.Option{gcml.WithCotangents(1)}},
					{"two cotangents at a time", []gcml.Option{gcml.WithCotangents(2), gcml.WithoutClosedForm()}},
				} {
					if c.opts != nil && b != gctest.GoBackend(t) {
						continue // The same ops as the default, in another order; compiling is slow.
					}
					got := run(t, b, store, func(scope *model.Scope, x *Node) *Node {
						return gcml.SquaredJacobianRowNorms(p.model(scope, x), x, c.opts...)
					}, x)
					gctest.AssertClose(t, gctest.Flat(got), want, max(1e-7, p.relTol), 1e-9, c.name)
				}
			})
		}
	})
}
