package regularizers_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// named is a defined function type, which GoMLX's constraint allows.
type named func(scope *model.Scope, x *graph.Node) *graph.Node

// Model functions of every signature that GoMLX accepts get their scope, their spec and their
// inputs in order.
func TestCombineTakesModelFunctions(t *testing.T) {
	type (
		scopeT = *model.Scope
		node   = *graph.Node
	)
	var spec any
	cases := []struct {
		name   string
		fn     train.ModelFn
		inputs int
		want   []int // Indices of the inputs that the model returns.
		spec   bool
	}{
		{"canonical", regularizers.Combine(train.ModelFn(func(_ scopeT, s any, in []node) []node { spec = s; return in })), 3,
			[]int{0, 1, 2}, true},
		{"canonical, unnamed", regularizers.Combine(func(_ scopeT, s any, in []node) []node { spec = s; return in }), 2,
			[]int{0, 1}, true},
		{"one to one", regularizers.Combine(func(_ scopeT, x node) node { return x }), 1, []int{0}, false},
		{"named type", regularizers.Combine(named(func(_ scopeT, x node) node { return x })), 1, []int{0}, false},
		{"two to two", regularizers.Combine(func(_ scopeT, x, y node) (node, node) { return y, x }), 2, []int{1, 0}, false},
		{"spec, three to three", regularizers.Combine(func(_ scopeT, s any, x, y, z node) (node, node, node) {
			spec = s
			return z, y, x
		}), 3, []int{2, 1, 0}, true},
		{"slice to one", regularizers.Combine(func(_ scopeT, in []node) node { return in[1] }), 2, []int{1}, false},
		{"graph to nothing", regularizers.Combine(func(_ scopeT, g *graph.Graph) {}), 1, nil, false},
		{"spec and graph to one", regularizers.Combine(func(_ scopeT, s any, g *graph.Graph) node {
			spec = s
			return graph.Scalar(g, dtypes.Float32, 1)
		}), 1, []int{-1}, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			g := graph.NewGraph(gctest.GoBackend(t), t.Name())
			var inputs []*graph.Node
			for i := range tc.inputs {
				inputs = append(inputs, graph.Parameter(g, fmt.Sprint(i), shapes.Make(dtypes.Float32)))
			}
			for _, given := range []any{"the spec", nil} {
				spec = "not set"
				outputs := tc.fn(model.NewStore().RootScope(), given, inputs)
				var got []int
				for _, out := range outputs {
					got = append(got, slices.Index(inputs, out))
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("the model returned the inputs %v, want %v", got, tc.want)
				}
				if tc.spec && spec != given {
					t.Errorf("the model got the spec %v, want %v", spec, given)
				}
			}
		})
	}
}

func TestCombineOrder(t *testing.T) {
	var calls []string
	decorator := func(name string) regularizers.Decorator {
		return func(fn train.ModelFn) train.ModelFn {
			return func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
				calls = append(calls, name)
				return fn(scope, spec, inputs)
			}
		}
	}
	recorder := func(*model.Scope, []*graph.Node) []*graph.Node {
		calls = append(calls, "model")
		return nil
	}
	fn := regularizers.Combine(recorder, decorator("inner"), nil, decorator("outer"))
	fn(nil, nil, nil)
	if want := []string{"outer", "inner", "model"}; !slices.Equal(calls, want) {
		t.Errorf("called %v, want %v", calls, want)
	}
}

var allCoefficients = map[string]any{
	regularizers.ParamL2:         0.01,
	regularizers.ParamSpectral:   0.02,
	regularizers.ParamFlatness:   0.03,
	regularizers.ParamInputNoise: 0.1,
	regularizers.ParamLabelNoise: 0.1,
}

func decorated() (train.ModelFn, train.LossFn) {
	modelFn := regularizers.Combine(mlp,
		regularizers.With(regularizers.L2), regularizers.With(regularizers.Spectral),
		regularizers.With(regularizers.InputNoise))
	return modelFn, regularizers.CombineLoss(loss.SparseCategoricalCrossEntropyLogits,
		regularizers.With(regularizers.LabelNoise), regularizers.With(regularizers.Flatness))
}

func newTrainer(b compute.Backend, store *model.Store, modelFn train.ModelFn, lossFn train.LossFn) *train.Trainer {
	return train.NewTrainer(b, store, modelFn, lossFn,
		optimizer.StochasticGradientDescent().WithLearningRate(0.1).WithDecay(false).Done(), nil, nil).WithMainLossMetric()
}

func batch() train.Batch {
	return train.Batch{Inputs: []*tensors.Tensor{gaussian(1, 12, 4)}, Labels: []*tensors.Tensor{classes(2, 12, 3)}}
}

// trainSteps returns the total losses of n steps.
func trainSteps(t testing.TB, trainer *train.Trainer, n int) []float64 {
	t.Helper()
	var losses []float64
	for range n {
		metrics, err := trainer.TrainStep(batch())
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, metrics[0].Value().(float64))
	}
	return losses
}

func evalLoss(t testing.TB, trainer *train.Trainer) float64 {
	t.Helper()
	metrics, err := trainer.EvalStep(batch())
	if err != nil {
		t.Fatal(err)
	}
	return metrics[0].Value().(float64)
}

// With all regularizers at once, GoMLX's trainer reduces the loss, and an evaluation gives the loss
// of the model without regularizers.
func TestTrainerWithAllRegularizers(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := seeded(t, allCoefficients)
		modelFn, lossFn := decorated()
		trainer := newTrainer(b, store, modelFn, lossFn)
		losses := trainSteps(t, trainer, 30)
		if math.IsNaN(losses[29]) || losses[29] > losses[0] {
			t.Errorf("the loss went from %g to %g", losses[0], losses[29])
		}
		before := parameters(store)
		got := evalLoss(t, trainer)
		bare := newTrainer(b, store, regularizers.Combine(mlp), loss.SparseCategoricalCrossEntropyLogits)
		if want := evalLoss(t, bare); got != want {
			t.Errorf("the evaluation loss is %.15g, want %.15g as without regularizers", got, want)
		}
		gctest.AssertClose(t, parameters(store), before, 0, 0, "parameters after an evaluation")
	})
}

// Without coefficients, regularizers change neither the losses, nor the random numbers, nor the
// variables.
func TestTrainerWithoutCoefficients(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		modelFn, lossFn := decorated()
		stores := []*model.Store{seeded(t, nil), seeded(t, nil)}
		got := trainSteps(t, newTrainer(b, stores[0], modelFn, lossFn), 5)
		want := trainSteps(t, newTrainer(b, stores[1], regularizers.Combine(mlp), loss.SparseCategoricalCrossEntropyLogits),
			5)
		gctest.AssertClose(t, got, want, 0, 0, "losses")
		if a, b := stores[0].NumVariables(), stores[1].NumVariables(); a != b {
			t.Errorf("%d variables, want %d", a, b)
		}
	})
}

// The penalties without noise give the same training on both backends.
func TestBackendsAgree(t *testing.T) {
	params := map[string]any{regularizers.ParamL2: 0.01, regularizers.ParamSpectral: 0.02,
		regularizers.ParamFlatness: 0.03}
	var reference []float64
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := seeded(t, params)
		// Sets the initial weights, because the backends' random numbers may differ.
		p := newProbe(t, b, store, mlp, loss.SparseCategoricalCrossEntropyLogits, false)
		p.call(t, batch().Inputs[0], batch().Labels[0])
		theta := parameters(store)
		for i := range theta {
			theta[i] = math.Sin(float64(3 * i))
		}
		setParameters(t, store, theta)
		modelFn, lossFn := decorated()
		losses := trainSteps(t, newTrainer(b, store, modelFn, lossFn), 10)
		got := append(losses, parameters(store)...)
		if reference == nil {
			reference = got
		}
		gctest.AssertClose(t, got, reference, 1e-10, 0, "losses and parameters")
	})
}

func TestMisuse(t *testing.T) {
	b := gctest.GoBackend(t)
	regression := loss.MeanSquaredError
	constant := func(_ *model.Scope, x *graph.Node) *graph.Node { return graph.MulScalar(x, 2) }
	onlyBias := func(scope *model.Scope, x *graph.Node) *graph.Node {
		bias := scope.VariableWithValue("bias", []float64{1, 2, 3}).NodeValue(x)
		return graph.Add(x, graph.ExpandLeftToRank(bias, 2))
	}
	conv := func(op regularizers.ConvolutionOperator) train.ModelFn {
		return regularizers.Spectral(modelWithKernel(gaussian(1, 3, 3, 2, 2)),
			regularizers.WithConvolutions(func(*model.Variable) (regularizers.ConvolutionOperator, bool) { return op, true }))
	}
	cases := []struct {
		name    string
		params  map[string]any
		modelFn train.ModelFn
		lossFn  train.LossFn
		x, y    *tensors.Tensor
		want    []string
	}{
		{"negative L2", map[string]any{regularizers.ParamL2: -1.0}, regularizers.L2(mlp), regression, nil, nil,
			[]string{"l2_coefficient", "-1", ">= 0"}},
		{"NaN spectral", map[string]any{regularizers.ParamSpectral: math.NaN()}, regularizers.Spectral(mlp), regression,
			nil, nil, []string{"spectral_coefficient", "NaN", ">= 0"}},
		{"infinite flatness", map[string]any{regularizers.ParamFlatness: math.Inf(1)}, regularizers.Combine(mlp),
			regularizers.Flatness(regression), nil, nil,
			[]string{"flatness_coefficient", "+Inf", "finite"}},
		{"no iterations", map[string]any{regularizers.ParamSpectralIterations: 0}, regularizers.Spectral(mlp), regression,
			nil, nil,
			[]string{"spectral_iterations", "is 0", "1 or more"}},
		{"negative tolerance", map[string]any{regularizers.ParamSpectralTolerance: -1e-3}, regularizers.Spectral(mlp),
			regression, nil, nil,
			[]string{"spectral_tolerance", "-0.001"}},
		{"L2 without kernels", map[string]any{regularizers.ParamL2: 1.0}, regularizers.L2(onlyBias), regression,
			gaussian(1, 2, 3), gaussian(2, 2, 3),
			[]string{"L2", "no trainable variable", "ParamL2Biases"}},
		{"spectral without kernels", map[string]any{regularizers.ParamSpectral: 1.0}, regularizers.Spectral(onlyBias),
			regression, gaussian(1, 2, 3), gaussian(2, 2, 3),
			[]string{"Spectral", "no trainable kernel"}},
		{"flatness without variables", map[string]any{regularizers.ParamFlatness: 1.0}, regularizers.Combine(constant),
			regularizers.Flatness(regression), gaussian(1, 2, 3), gaussian(2, 2, 3),
			[]string{"Flatness", "no trainable variable"}},
		{"noise on integers", map[string]any{regularizers.ParamInputNoise: 1.0}, regularizers.InputNoise(constant),
			regression, classes(1, 2, 3), classes(1, 2, 3),
			[]string{"InputNoise", "input 0", "(Int32)[2, 1]", "WithInputs"}},
		{"noise on an input that is not there", map[string]any{regularizers.ParamInputNoise: 1.0},
			regularizers.InputNoise(mlp, regularizers.WithInputs(1)), regression, nil, nil,
			[]string{"InputNoise", "input 1", "does not exist", "1 inputs"}},
		{"probability above 1", map[string]any{regularizers.ParamLabelNoise: 1.5}, regularizers.Combine(mlp),
			regularizers.LabelNoise(regression), nil, nil,
			[]string{"label_noise_probability", "1.5", "at most 1"}},
		{"label noise in a regression", map[string]any{regularizers.ParamLabelNoise: 0.5}, regularizers.Combine(mlp),
			regularizers.LabelNoise(regression), nil, gaussian(2, 6, 1),
			[]string{"LabelNoise", "(Float64)[6, 1]", "(Float64)[6, 3]", "one-hot"}},
		{"one class", map[string]any{regularizers.ParamLabelNoise: 0.5}, regularizers.Combine(constant),
			regularizers.LabelNoise(regression), gaussian(2, 6, 1), classes(1, 6, 2),
			[]string{"LabelNoise", "(Float64)[6, 1]", "at least 2 classes"}},
		{"operator of another rank", map[string]any{regularizers.ParamSpectral: 1.0},
			conv(regularizers.ConvolutionOperator{InputSize: []int{8}}), sumLoss, nil, nil,
			[]string{"/kernel", "2 spatial axes", "1 input sizes"}},
		{"kernel larger than the input", map[string]any{regularizers.ParamSpectral: 1.0},
			conv(regularizers.ConvolutionOperator{InputSize: []int{8, 2}}), sumLoss, nil, nil,
			[]string{"/kernel", "does not fit", "axis 1", "input size 2"}},
		{"stride 0", map[string]any{regularizers.ParamSpectral: 1.0},
			conv(regularizers.ConvolutionOperator{InputSize: []int{8, 8}, Strides: []int{0, 1}}), sumLoss, nil, nil,
			[]string{"/kernel", "does not fit", "stride 0"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			x, y := tc.x, tc.y
			if x == nil {
				x = gaussian(1, 6, 4)
			}
			if y == nil {
				y = gaussian(2, 6, 3)
			}
			p := newProbe(t, b, seeded(t, tc.params), tc.modelFn, tc.lossFn, true)
			_, err := p.exec.Call(x, y)
			assertOneLineError(t, err, tc.want...)
		})
	}
}

func TestMisuseOutsideOfGraphs(t *testing.T) {
	b := gctest.GoBackend(t)
	cases := []struct {
		name string
		call func()
		want []string
	}{
		{"Flatness of no loss", func() { regularizers.Flatness(nil) }, []string{"Flatness", "nil"}},
		{"LabelNoise of no loss", func() { regularizers.LabelNoise(nil) }, []string{"LabelNoise", "nil"}},
		{"no inputs", func() { regularizers.L2(mlp)(model.NewStore().RootScope(), nil, nil) }, []string{"without inputs"}},
		{"no parameters", func() {
			graph.MustExecOnce(b, func(x *graph.Node) *graph.Node { return regularizers.SquaredParameterGradientNorm(x) }, 1.0)
		}, []string{"SquaredParameterGradientNorm", "no parameters"}},
		{"negative learning rate", func() {
			graph.MustExecOnce(b, func(x *graph.Node) *graph.Node { return regularizers.ModifiedLoss(x, -0.5, x) }, 1.0)
		}, []string{"ModifiedLoss", "-0.5"}},
		{"a loss without a store", func() {
			graph.MustExecOnce(b, func(x *graph.Node) *graph.Node {
				return regularizers.Flatness(sumLoss)(nil, []*graph.Node{x})
			}, 1.0)
		}, []string{"Flatness", "no model.Store"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			assertOneLineError(t, exceptions.TryCatch[error](tc.call), tc.want...)
		})
	}
}
