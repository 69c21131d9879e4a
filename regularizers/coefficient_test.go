package regularizers_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
	"github.com/geometric-complexity/toolkit/schedule"
)

// regularizer is a penalty or a noise with a coefficient.
type regularizer struct {
	name, param string
	isPenalty   bool
	// build returns the regularized model and its loss. It omits WithCoefficient if c < 0, and
	// WithSchedule if factor is nil.
	build func(fn train.ModelFn, c float64, factor schedule.Func) (train.ModelFn, train.LossFn)
	set   func(store *model.Store, c float64) error
}

var (
	crossEntropy = loss.SparseCategoricalCrossEntropyLogits

	allRegularizers = []regularizer{
		{"GC", gcml.ParamCoefficient, true,
			func(fn train.ModelFn, c float64, factor schedule.Func) (train.ModelFn, train.LossFn) {
				var opts []gcml.Option
				if c >= 0 {
					opts = append(opts, gcml.WithCoefficient(c))
				}
				if factor != nil {
					opts = append(opts, gcml.WithSchedule(factor))
				}
				return gcml.Regularize(fn, opts...), crossEntropy
			}, func(store *model.Store, c float64) error { return gcml.SetCoefficient(store, c) }},
		modelRegularizer("L2", regularizers.ParamL2, true, regularizers.L2[train.ModelFn]),
		modelRegularizer("Spectral", regularizers.ParamSpectral, true, regularizers.Spectral[train.ModelFn]),
		lossRegularizer("Flatness", regularizers.ParamFlatness, true, regularizers.Flatness),
		modelRegularizer("InputNoise", regularizers.ParamInputNoise, false, regularizers.InputNoise[train.ModelFn]),
		lossRegularizer("LabelNoise", regularizers.ParamLabelNoise, false, regularizers.LabelNoise),
	}
)

func modelRegularizer(name, param string, isPenalty bool,
	decorate func(train.ModelFn, ...regularizers.Option) train.ModelFn) regularizer {
	return regularizer{name, param, isPenalty,
		func(fn train.ModelFn, c float64, factor schedule.Func) (train.ModelFn, train.LossFn) {
			return decorate(fn, optionsFor(c, factor)...), crossEntropy
		}, setter(param)}
}

func lossRegularizer(name, param string, isPenalty bool,
	decorate func(train.LossFn, ...regularizers.Option) train.LossFn) regularizer {
	return regularizer{name, param, isPenalty,
		func(fn train.ModelFn, c float64, factor schedule.Func) (train.ModelFn, train.LossFn) {
			return fn, decorate(crossEntropy, optionsFor(c, factor)...)
		}, setter(param)}
}

func setter(param string) func(*model.Store, float64) error {
	return func(store *model.Store, c float64) error { return regularizers.SetCoefficient(store, param, c) }
}

func optionsFor(c float64, factor schedule.Func) (opts []regularizers.Option) {
	if c >= 0 {
		opts = append(opts, regularizers.WithCoefficient(c))
	}
	if factor != nil {
		opts = append(opts, regularizers.WithSchedule(factor))
	}
	return opts
}

// countingModel returns mlp and increments *builds for each training graph that it is built into.
func countingModel(builds *int) train.ModelFn {
	return func(scope *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		if scope.IsTraining(inputs[0].Graph()) {
			*builds++
		}
		return []*graph.Node{mlp(scope, inputs[0])}
	}
}

// The penalty is exactly c times the term.
func TestCoefficientTimesTerm(t *testing.T) {
	const c = 0.3
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, r := range allRegularizers {
			if !r.isPenalty {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				modelFn, lossFn := r.build(regularizers.Combine(mlp), 1, nil)
				store := seeded(t, nil)
				p := newProbe(t, b, store, modelFn, lossFn, true)
				data := batch()
				term := p.call(t, data.Inputs[0], data.Labels[0]).penalty
				if term <= 0 {
					t.Fatalf("the term is %g, want > 0", term)
				}
				if r.name == "Spectral" { // A second call iterates further.
					term = p.call(t, data.Inputs[0], data.Labels[0]).penalty
				}
				if err := r.set(store, c); err != nil {
					t.Fatal(err)
				}
				got := p.call(t, data.Inputs[0], data.Labels[0]).penalty
				relTol := 0.0
				if r.name == "Spectral" { // Each call iterates further.
					relTol = 1e-3
				}
				gctest.AssertClose(t, []float64{got}, []float64{c * term}, relTol, 0, "penalty")
			})
		}
	})
}

// A regularizer whose coefficient is not set adds no nodes to the training graph.
func TestUnsetCoefficientAddsNoNodes(t *testing.T) {
	b := gctest.GoBackend(t)
	nodes := func(modelFn train.ModelFn, lossFn train.LossFn) int {
		var count int
		exec, err := model.NewExec(b, seeded(t, nil), func(scope *model.Scope, x, y *graph.Node) *graph.Node {
			scope.SetTraining(x.Graph(), true)
			out := lossFn([]*graph.Node{y}, modelFn(scope, nil, []*graph.Node{x}))
			count = len(x.Graph().Nodes())
			return out
		})
		if err != nil {
			t.Fatal(err)
		}
		defer exec.Finalize()
		data := batch()
		if _, err := exec.Call(data.Inputs[0], data.Labels[0]); err != nil {
			t.Fatal(err)
		}
		return count
	}
	want := nodes(regularizers.Combine(mlp), crossEntropy)
	for _, r := range allRegularizers {
		if got := nodes(r.build(regularizers.Combine(mlp), -1, nil)); got != want {
			t.Errorf("%s: %d nodes, want %d", r.name, got, want)
		}
		if got := nodes(r.build(regularizers.Combine(mlp), 0, nil)); got <= want {
			t.Errorf("%s: with the coefficient 0 the graph has %d nodes, want more than %d", r.name, got, want)
		}
	}
}

// Changing the coefficient between steps, also from 0, has the effect of a new trainer with the
// other coefficient, and compiles nothing.
func TestSetCoefficientBetweenSteps(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, r := range allRegularizers {
			if b.String() != "go" && r.name != "GC" {
				continue // Compiling takes seconds on XLA.
			}
			t.Run(r.name, func(t *testing.T) {
				coefficients := []float64{0, 0.05, 0.5}
				builds := 0
				modelFn, lossFn := r.build(countingModel(&builds), -1, nil)
				store := seeded(t, map[string]any{r.param: coefficients[0]})
				trainer := newTrainer(b, store, modelFn, lossFn)
				var got []float64
				for _, c := range coefficients {
					if err := r.set(store, c); err != nil {
						t.Fatal(err)
					}
					got = append(got, trainSteps(t, trainer, 2)...)
				}
				if builds != 1 {
					t.Errorf("%d training graphs were built, want 1", builds)
				}
				var want []float64
				reference := seeded(t, nil)
				for _, c := range coefficients {
					reference.SetParam(r.param, c)
					want = append(want, trainSteps(t, newTrainer(b, reference, modelFn, lossFn), 2)...)
				}
				gctest.AssertClose(t, got, want, 0, 0, "losses")
				gctest.AssertClose(t, parameters(store), parameters(reference), 0, 0, "parameters")

				if b.String() != "go" {
					return
				}
				constant := seeded(t, map[string]any{r.param: coefficients[0]})
				trainSteps(t, newTrainer(b, constant, modelFn, lossFn), 6)
				if parameters(constant)[0] == parameters(store)[0] {
					t.Error("the coefficient does not change the training, so this test shows nothing")
				}
			})
		}
	})
}

// trainOnPenalty trains w = 1 on a loss of 0 with the penalty c·w², scaled by the schedule, and
// returns w after each step. Each step of rate h multiplies w by 1 - 2hc·factor.
func trainOnPenalty(t *testing.T, b compute.Backend, store *model.Store, fn train.ModelFn, steps int) []float64 {
	t.Helper()
	zero := func(_, predictions []*graph.Node) *graph.Node {
		return graph.MulScalar(graph.ReduceAllSum(predictions[0]), 0)
	}
	trainer := train.NewTrainer(b, store, fn, zero,
		optimizer.StochasticGradientDescent().WithLearningRate(0.1).WithDecay(false).Done(), nil, nil)
	var w []float64
	for range steps {
		batch := train.Batch{Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{1}})}}
		if _, err := trainer.TrainStep(batch); err != nil {
			t.Fatal(err)
		}
		w = append(w, values(t, store, "/w")...)
	}
	return w
}

func scalarModel(scope *model.Scope, x *graph.Node) *graph.Node {
	return graph.Dot(x, scope.VariableWithValue("w", [][]float64{{1}}).NodeValue(x)).Product()
}

// A schedule counts the optimizer's steps from 0; a second training of the same store continues the
// count.
func TestScheduleInTraining(t *testing.T) {
	const c, steps = 0.7, 9
	schedules := []struct {
		name string
		fn   schedule.Func
		want func(step float64) float64
	}{
		{"none", nil, func(float64) float64 { return 1 }},
		{"constant", schedule.Constant(0.25), func(float64) float64 { return 0.25 }},
		{"warm-up from 0", schedule.WarmUp(6), func(step float64) float64 { return min(1, step/6) }},
		{"cosine", schedule.Cosine(5, 0.1), func(step float64) float64 {
			return 0.1 + 0.9*(1+math.Cos(math.Pi*min(1, step/5)))/2
		}},
		{"function of the step", func(step *graph.Node) *graph.Node {
			return graph.ConvertDType(graph.Reciprocal(graph.AddScalar(step, 1)), step.DType())
		}, func(step float64) float64 { return 1 / (step + 1) }},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, s := range schedules {
			t.Run(s.name, func(t *testing.T) {
				var want []float64
				w := 1.0
				for step := range steps {
					w *= 1 - 2*0.1*c*s.want(float64(step))
					want = append(want, w)
				}
				store := seeded(t, nil)
				fn := regularizers.L2(scalarModel, optionsFor(c, s.fn)...)
				got := trainOnPenalty(t, b, store, fn, 4)
				got = append(got, trainOnPenalty(t, b, store, fn, steps-4)...)
				gctest.AssertClose(t, got, want, 1e-13, 0, "w")
			})
		}
	})
}

// The option and coefficients that the program sets after loading override a GoMLX checkpoint. The
// checkpoint overrides what the program sets before, as for all hyperparameters.
func TestCoefficientAndCheckpoint(t *testing.T) {
	b := gctest.GoBackend(t)
	const saved, program, rate = 2.0, 0.5, 0.1
	dir := t.TempDir()
	func() {
		store := seeded(t, map[string]any{regularizers.ParamL2: saved})
		handler, err := checkpoint.Build(store).Dir(dir).Done()
		if err != nil {
			t.Fatal(err)
		}
		trainOnPenalty(t, b, store, regularizers.L2(scalarModel), 1)
		if err := handler.Save(); err != nil {
			t.Fatal(err)
		}
	}()
	after := func(c float64) float64 { return (1 - 2*rate*saved) * (1 - 2*rate*c) }
	cases := []struct {
		name   string
		want   float64
		opts   []regularizers.Option
		before func(store *model.Store)
		after  func(store *model.Store)
	}{
		{name: "nothing set: the checkpoint's", want: saved},
		{name: "hyperparameter before loading: the checkpoint's", want: saved,
			before: func(store *model.Store) { store.SetParam(regularizers.ParamL2, program) }},
		{name: "hyperparameter after loading: the program's", want: program,
			after: func(store *model.Store) { store.SetParam(regularizers.ParamL2, program) }},
		{name: "option: the program's", want: program, opts: []regularizers.Option{regularizers.WithCoefficient(program)}},
		{name: "SetCoefficient after loading: the program's", want: program,
			after: func(store *model.Store) {
				if err := regularizers.SetCoefficient(store, regularizers.ParamL2, program); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "SetCoefficient after an option", want: program,
			opts: []regularizers.Option{regularizers.WithCoefficient(0.125)},
			after: func(store *model.Store) {
				if err := regularizers.SetCoefficient(store, regularizers.ParamL2, program); err != nil {
					t.Fatal(err)
				}
			}},
	}
	for _, immediate := range []bool{false, true} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				store := model.NewStore()
				fn := regularizers.L2(scalarModel, c.opts...)
				if c.before != nil {
					c.before(store)
				}
				config := checkpoint.Load(store).Dir(dir)
				if immediate {
					config = config.Immediate()
				}
				if _, err := config.Done(); err != nil {
					t.Fatal(err)
				}
				if c.after != nil {
					c.after(store)
				}
				gctest.AssertClose(t, trainOnPenalty(t, b, store, fn, 1), []float64{after(c.want)}, 1e-14, 0, "w")
			})
		}
	}
}

// A new graph, for another batch size for example, uses the coefficient that SetCoefficient has
// set.
func TestSetCoefficientAppliesToNewGraphs(t *testing.T) {
	b := gctest.GoBackend(t)
	store := seeded(t, nil)
	modelFn, lossFn := allRegularizers[1].build(regularizers.Combine(mlp), 1, nil)
	p := newProbe(t, b, store, modelFn, lossFn, true)
	first := p.call(t, gaussian(1, 4, 4), classes(2, 4, 3)).penalty
	if err := regularizers.SetCoefficient(store, regularizers.ParamL2, 3); err != nil {
		t.Fatal(err)
	}
	second := p.call(t, gaussian(1, 5, 4), classes(2, 5, 3)).penalty
	gctest.AssertClose(t, []float64{second}, []float64{3 * first}, 1e-15, 0, "penalty")
}

// Regularizers in different scopes can have different coefficients. A scope without a coefficient
// inherits that of its parent.
func TestCoefficientsOfScopes(t *testing.T) {
	b := gctest.GoBackend(t)
	scaling := func() train.ModelFn {
		return regularizers.L2(func(scope *model.Scope, x *graph.Node) *graph.Node {
			return graph.Dot(x, scope.VariableWithValue("w", [][]float64{{1}}).NodeValue(x)).Product()
		})
	}
	first, second := scaling(), scaling()
	both := func(scope *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		return second(scope.In("second"), nil, first(scope.In("first"), nil, inputs))
	}
	store := seeded(t, map[string]any{regularizers.ParamL2: 1.0, "/second/" + regularizers.ParamL2: 10.0})
	p := newProbe(t, b, store, train.ModelFn(both), sumLoss, true)
	x := func() *tensors.Tensor { return tensors.FromValue([][]float64{{1}}) }
	got := []float64{p.call(t, x()).penalty}
	for _, set := range []struct {
		scope string
		c     float64
	}{{"/", 2}, {"/second", 20}, {"/first", 3}} {
		if err := regularizers.SetCoefficient(store.Scope(set.scope), regularizers.ParamL2, set.c); err != nil {
			t.Fatal(err)
		}
		got = append(got, p.call(t, x()).penalty)
	}
	gctest.AssertClose(t, got, []float64{11, 12, 22, 23}, 0, 0, "penalties")
	err := regularizers.SetCoefficient(store, regularizers.ParamL2, 4)
	assertOneLineError(t, err, "l2_coefficient", "a scope of its own")
}

// Graphs of float32 and float64 can share a store.
func TestCoefficientInBothDTypes(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := seeded(t, nil)
		const c = 0.1 // Not exact in binary, so float32 rounds it.
		for _, single := range []bool{true, false} {
			fn := regularizers.L2(func(scope *model.Scope, x *graph.Node) *graph.Node {
				name, value := "double", any([][]float64{{3}})
				if single {
					name, value = "single", any([][]float32{{3}})
				}
				return graph.Dot(x, scope.VariableWithValue(name, value).NodeValue(x)).Product()
			}, regularizers.WithCoefficient(c), regularizers.WithVariables(func(v *model.Variable) bool {
				return (v.Name() == "single") == single
			}))
			x, want := tensors.FromValue([][]float64{{1}}), c*9
			if single {
				x, want = tensors.FromValue([][]float32{{1}}), float64(float32(c)*9)
			}
			got := newProbe(t, b, store, fn, sumLoss, true).call(t, x).penalty
			gctest.AssertClose(t, []float64{got}, []float64{want}, 0, 0, "penalty")
		}
	})
}

func TestSetCoefficientErrors(t *testing.T) {
	b := gctest.GoBackend(t)
	for _, r := range allRegularizers {
		t.Run(r.name, func(t *testing.T) {
			store := seeded(t, nil)
			for _, bad := range []float64{-1, math.NaN(), math.Inf(1)} {
				assertOneLineError(t, r.set(store, bad), "SetCoefficient", r.param, "finite number >= 0")
				if bad >= 0 || bad != bad {
					assertOneLineError(t, exceptions.TryCatch[error](func() { r.build(regularizers.Combine(mlp), math.Inf(1), nil) }),
						r.param, "finite number >= 0")
				}
			}
			modelFn, lossFn := r.build(regularizers.Combine(mlp), -1, nil)
			data := batch()
			newProbe(t, b, store, modelFn, lossFn, true).call(t, data.Inputs[0], data.Labels[0])
			assertOneLineError(t, r.set(store, 0.1), "built without", "/"+r.param)

			// A schedule needs a coefficient.
			modelFn, lossFn = r.build(regularizers.Combine(mlp), -1, schedule.WarmUp(3))
			_, err := newProbe(t, b, seeded(t, nil), modelFn, lossFn, true).exec.Call(batch().Inputs[0], batch().Labels[0])
			assertOneLineError(t, err, r.param, "schedule", "no value")
		})
	}
	t.Run("a probability", func(t *testing.T) {
		assertOneLineError(t, regularizers.SetCoefficient(model.NewStore(), regularizers.ParamLabelNoise, 1.5), "at most 1")
	})
	t.Run("no coefficient", func(t *testing.T) {
		assertOneLineError(t, regularizers.SetCoefficient(model.NewStore(), regularizers.ParamL2Biases, 1), "l2_biases")
	})
	t.Run("two of one hyperparameter", func(t *testing.T) {
		fn := regularizers.Combine(mlp, regularizers.With(regularizers.L2, regularizers.WithCoefficient(1)),
			regularizers.With(regularizers.L2, regularizers.WithCoefficient(2)))
		_, err := newProbe(t, b, seeded(t, nil), fn, crossEntropy, true).exec.Call(batch().Inputs[0], batch().Labels[0])
		assertOneLineError(t, err, "two regularizers share", "/l2_coefficient", "WithSchedule")
	})
	t.Run("a factor that is no scalar", func(t *testing.T) {
		modelFn, lossFn := allRegularizers[0].build(regularizers.Combine(mlp), 1, func(step *graph.Node) *graph.Node {
			return graph.BroadcastToDims(step, 2)
		})
		_, err := newProbe(t, b, seeded(t, nil), modelFn, lossFn, true).exec.Call(batch().Inputs[0], batch().Labels[0])
		assertOneLineError(t, err, "gc_coefficient", "(Float64)[2]", "scalar")
	})
}

func TestOptionsThatDoNotApply(t *testing.T) {
	variables := regularizers.WithVariables(func(*model.Variable) bool { return true })
	convolutions := regularizers.WithConvolutions(func(*model.Variable) (regularizers.ConvolutionOperator, bool) {
		return regularizers.ConvolutionOperator{}, false
	})
	for name, call := range map[string]func(){
		"L2: the option WithInputs":              func() { regularizers.L2(mlp, regularizers.WithInputs(0)) },
		"Spectral: the option WithInputs":        func() { regularizers.Spectral(mlp, regularizers.WithInputs(0)) },
		"InputNoise: the option WithVariables":   func() { regularizers.InputNoise(mlp, variables) },
		"InputNoise: the option WithConvolution": func() { regularizers.InputNoise(mlp, convolutions) },
		"Flatness: the option WithVariables":     func() { regularizers.Flatness(crossEntropy, variables) },
		"LabelNoise: the option WithInputs": func() {
			regularizers.LabelNoise(crossEntropy, regularizers.WithInputs(0))
		},
	} {
		t.Run(name, func(t *testing.T) { assertOneLineError(t, exceptions.TryCatch[error](call), name, "does not apply") })
	}
}

func TestNilFunctions(t *testing.T) {
	for name, call := range map[string]func(){
		"regularizers.WithSchedule":     func() { regularizers.WithSchedule(nil) },
		"regularizers.WithVariables":    func() { regularizers.WithVariables(nil) },
		"regularizers.WithConvolutions": func() { regularizers.WithConvolutions(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			assertOneLineError(t, exceptions.TryCatch[error](call), name, "the function is nil")
		})
	}
}

func TestWithInputsOfNone(t *testing.T) {
	err := exceptions.TryCatch[error](func() { regularizers.WithInputs() })
	assertOneLineError(t, err, "regularizers.WithInputs", "no index is given")
}
