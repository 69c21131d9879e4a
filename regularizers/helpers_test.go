package regularizers_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
)

// mlp is a model of GoMLX's layers: 4 inputs, 5 tanh units, 3 outputs.
func mlp(scope *model.Scope, x *graph.Node) *graph.Node {
	x = activation.Apply(activation.TypeTanh, layers.Dense(scope.In("hidden"), x, true, 5))
	return layers.Dense(scope.In("out"), x, true, 3)
}

// seeded returns a store whose initial weights are repeatable.
func seeded(t testing.TB, params map[string]any) *model.Store {
	t.Helper()
	store := model.NewStore()
	store.SetParams(params)
	if err := store.SetRNGStateFromSeed(7); err != nil {
		t.Fatal(err)
	}
	return store
}

// gaussian returns a float64 tensor of standard normal numbers.
func gaussian(seed uint64, dims ...int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float64, size)
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// classes returns integer labels [n, 1] in [0, k).
func classes(seed uint64, n, k int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 1))
	values := make([]int32, n)
	for i := range values {
		values[i] = int32(rng.IntN(k))
	}
	return tensors.FromFlatDataAndDimensions(values, n, 1)
}

// step holds the results of one call of a probe.
type step struct {
	main, penalty float64
	gradient      []float64 // Of main + penalty with respect to the trainable variables, in the store's order.
}

// probe builds the training or evaluation graph as the trainer does, but returns the parts of the
// loss and their gradient instead of updating the weights.
type probe struct {
	store *model.Store
	exec  *model.Exec
}

func newProbe[F train.ModelFnCompatible](t testing.TB, b compute.Backend, store *model.Store, modelFn F,
	lossFn train.LossFn, training bool) *probe {
	t.Helper()
	exec, err := model.NewExec(b, store, func(scope *model.Scope, nodes []*graph.Node) []*graph.Node {
		g := nodes[0].Graph()
		scope.SetTraining(g, training)
		// The decorators return a train.ModelFn, as the trainer accepts it.
		var outputs []*graph.Node
		switch f := any(modelFn).(type) {
		case train.ModelFn:
			outputs = f(scope, nil, nodes[:1])
		case func(*model.Scope, *graph.Node) *graph.Node:
			outputs = []*graph.Node{f(scope, nodes[0])}
		default:
			panic(fmt.Sprintf("unexpected model function %T", modelFn))
		}
		loss := lossFn(nodes[1:], outputs)
		if !loss.IsScalar() {
			loss = graph.ReduceAllMean(loss)
		}
		penalty, total := graph.ScalarZero(g, loss.DType()), loss
		if added := train.GetRegularizationLoss(g); added != nil {
			penalty, total = added, graph.Add(loss, added)
		}
		results := []*graph.Node{loss, penalty}
		results = append(results, scope.BuildTrainableVariablesGradientsGraph(total)...)
		for i := range results {
			results[i] = graph.ConvertDType(results[i], dtypes.Float64)
		}
		return results
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(exec.Finalize)
	return &probe{store: store, exec: exec}
}

func (p *probe) call(t testing.TB, inputsAndLabels ...*tensors.Tensor) step {
	t.Helper()
	var args []any
	for _, x := range inputsAndLabels {
		args = append(args, x)
	}
	results, err := p.exec.Call(args...)
	if err != nil {
		t.Fatal(err)
	}
	s := step{main: results[0].Value().(float64), penalty: results[1].Value().(float64)}
	for _, r := range results[2:] {
		s.gradient = append(s.gradient, tensors.MustCopyFlatData[float64](r)...)
	}
	return s
}

// parameters returns all trainable float64 parameters, flat, in the store's order.
func parameters(store *model.Store) []float64 {
	var flat []float64
	for v := range store.IterVariables() {
		if v.Trainable {
			flat = append(flat, tensors.MustCopyFlatData[float64](v.MustValue())...)
		}
	}
	return flat
}

func setValue(t testing.TB, v *model.Variable, value *tensors.Tensor) {
	t.Helper()
	if err := v.SetValue(value); err != nil {
		t.Fatal(err)
	}
}

// setParameters is the inverse of parameters.
func setParameters(t testing.TB, store *model.Store, flat []float64) {
	t.Helper()
	for v := range store.IterVariables() {
		if !v.Trainable {
			continue
		}
		n := v.Shape().Size()
		setValue(t, v, tensors.FromFlatDataAndDimensions(append([]float64(nil), flat[:n]...), v.Shape().Dimensions...))
		flat = flat[n:]
	}
	if len(flat) != 0 {
		t.Fatalf("%d values too many for the store's parameters", len(flat))
	}
}

// values returns a variable's float64 values.
func values(t testing.TB, store *model.Store, path string) []float64 {
	t.Helper()
	v := store.GetVariable(path)
	if v == nil {
		t.Fatalf("no variable %q", path)
	}
	return tensors.MustCopyFlatData[float64](v.MustValue())
}

// assertOneLineError fails unless err's message holds all of want and is one line.
func assertOneLineError(t testing.TB, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has more than one line: %q", err)
	}
}
