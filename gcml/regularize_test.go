package gcml_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
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
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	gclayers "github.com/geometric-complexity/toolkit/layers"
)

// stockNetwork is made of GoMLX's own convolution, layer norm and dense layers.
func stockNetwork(scope *model.Scope, x *Node) *Node {
	x = activation.Relu(layers.Convolution(scope.In("conv"), x).Channels(4).KernelSize(3).Strides(2).PadSame().Done())
	x = norm.LayerNorm(scope.In("norm"), Reshape(x, x.Shape().Dimensions[0], -1), -1).Done()
	x = activation.Relu(layers.Dense(scope.In("hidden"), x, true, 8))
	return layers.Dense(scope.In("output"), x, true, 3)
}

func imageBatch(t *testing.T, b compute.Backend) train.Batch {
	x := inputsFor(t, dtypes.Float32, []int{6, 8, 8, 1})
	labels := tensors.FromFlatDataAndDimensions([]int32{0, 1, 2, 0, 1, 2}, 6, 1)
	return train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{labels}}
}

// trained has the loss and GC of the first step, and those of an evaluation after the last step.
type trained struct {
	store                             *model.Store
	loss, gc, evaluation, evaluatedGC float64
}

func trainSteps(t *testing.T, b compute.Backend, coefficient float64, steps int) trained {
	t.Helper()
	store := newStore(t, 2)
	store.SetParam(gcml.ParamCoefficient, coefficient)
	store.SetParam(optimizer.ParamLearningRate, 0.05)
	trainer := train.NewTrainer(b, store, gcml.Regularize(stockNetwork), loss.SparseCategoricalCrossEntropyLogits,
		optimizer.StochasticGradientDescent().WithDecay(false),
		[]metric.Interface{gcml.NewMetric("GC", "gc")}, []metric.Interface{gcml.NewMeanMetric("Mean GC", "#gc")})
	result := trained{store: store}
	for step := range steps {
		metrics, err := trainer.TrainStep(imageBatch(t, b))
		if err != nil {
			t.Fatal(err)
		}
		if step == 0 {
			result.loss, result.gc = gctest.Flat(metrics[0])[0], gctest.Flat(metrics[len(metrics)-1])[0]
		}
	}
	metrics, err := trainer.EvalStep(imageBatch(t, b))
	if err != nil {
		t.Fatal(err)
	}
	result.evaluation, result.evaluatedGC = gctest.Flat(metrics[0])[0], gctest.Flat(metrics[len(metrics)-1])[0]
	return result
}

func TestRegularizeTrains(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		const coefficient = 0.5
		plain, penalized := trainSteps(t, b, 0, 8), trainSteps(t, b, coefficient, 8)
		t.Run("the first loss differs by the penalty", func(t *testing.T) {
			gctest.AssertClose(t, []float64{penalized.loss - plain.loss, penalized.gc},
				[]float64{coefficient * plain.gc, plain.gc}, 1e-5, 0, "penalty and GC")
		})
		t.Run("evaluation carries no penalty", func(t *testing.T) {
			batch := imageBatch(t, b)
			want := gctest.Flat(run(t, b, penalized.store, func(scope *model.Scope, x, labels *Node) *Node {
				return ReduceAllMean(loss.SparseCategoricalCrossEntropyLogits([]*Node{labels}, []*Node{stockNetwork(scope, x)}))
			}, batch.Inputs[0], batch.Labels[0]))
			gctest.AssertClose(t, []float64{penalized.evaluation}, want, 1e-5, 0, "evaluation loss")
		})
		t.Run("the metric is what Measure gives", func(t *testing.T) {
			got, err := gcml.Measure(t.Context(), b, penalized.store, stockNetwork, oneBatch{imageBatch(t, b)})
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{penalized.evaluatedGC}, []float64{got.GC}, 1e-5, 0, "GC in evaluation")
		})
		t.Run("the penalty lowers GC", func(t *testing.T) {
			if !(penalized.evaluatedGC < plain.evaluatedGC) {
				t.Errorf("after 8 steps GC is %g without and %g with the penalty", plain.evaluatedGC, penalized.evaluatedGC)
			}
		})
	})
}

// TestMovingAverageMetric compares with the average of the batches' GC: as in GoMLX's other moving
// averages, the first steps take the mean of all batches so far.
func TestMovingAverageMetric(t *testing.T) {
	const weight = 0.3
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := newStore(t, 2)
		store.SetParam(gcml.ParamCoefficient, 0.5)
		store.SetParam(optimizer.ParamLearningRate, 0.05)
		trainer := train.NewTrainer(b, store, gcml.Regularize(stockNetwork), loss.SparseCategoricalCrossEntropyLogits,
			optimizer.StochasticGradientDescent().WithDecay(false),
			[]metric.Interface{gcml.NewMetric("GC", "gc"), gcml.NewMovingAverageMetric("Average", "~gc", weight)}, nil)
		var want float64
		for step := range 6 {
			metrics, err := trainer.TrainStep(imageBatch(t, b))
			if err != nil {
				t.Fatal(err)
			}
			last := len(metrics) - 1
			gc := gctest.Flat(metrics[last-1])[0]
			share := max(weight, 1/float64(step+1))
			want = share*gc + (1-share)*want
			gctest.AssertClose(t, gctest.Flat(metrics[last]), []float64{want}, 1e-5, 0, fmt.Sprintf("step %d", step))
		}
	})
}

// TestRegularizeStepFollowsTheGradient checks that a step of gradient descent changes every
// parameter by the learning rate times the gradient of loss + c·GC.
func TestRegularizeStepFollowsTheGradient(t *testing.T) {
	const rate, coefficient = 0.1, 0.3
	fn := mlp(activation.TypeTanh)
	// Of a single output ±1 is every cotangent, so that the estimate is exact.
	sum := gcml.WithTransform(func(output *Node) *Node { return ReduceSum(output, -1) })
	rademacher := gcml.WithEstimator(gcml.Hutchinson(4, gcml.Rademacher))
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range []struct {
			name     string
			features int
			opts     []gcml.Option
		}{
			{"exact", 5, nil},
			{"closed form", 40, nil},
			{"one cotangent at a time", 5, []gcml.Option{gcml.WithCotangents(1)}},
			{"two cotangents at a time", 5, []gcml.Option{gcml.WithCotangents(2)}},
			{"closed form, one cotangent at a time", 40, []gcml.Option{gcml.WithCotangents(1)}},
			{"gradient in parts of one", 5, []gcml.Option{gcml.WithGradientInParts(1)}},
			{"gradient in parts of two", 5, []gcml.Option{gcml.WithGradientInParts(2)}},
			{"gradient in parts, a closed form that costs more for each", 40, []gcml.Option{gcml.WithGradientInParts(1)}},
			{"Rademacher", 5, []gcml.Option{sum, rademacher}},
			{"Rademacher, closed form", 40, []gcml.Option{sum, rademacher}},
			{"Rademacher, gradient in parts of three", 5, []gcml.Option{sum, rademacher, gcml.WithGradientInParts(3)}},
		} {
			t.Run(c.name, func(t *testing.T) {
				x := inputsFor(t, dtypes.Float64, []int{8, c.features})
				y := inputsFor(t, dtypes.Float64, []int{8, 3})
				store := newStore(t, 2)
				initialize(t, store, fn, x)
				before := parameters(t, store)
				_ = store.SetRNGStateFromSeed(2)
				exact := []gcml.Option{gcml.WithoutClosedForm()}
				if strings.HasPrefix(c.name, "Rademacher") {
					exact = append(exact, sum)
				}
				want, err := model.CallOnceN(b, store, func(scope *model.Scope, x, y *Node) []*Node {
					out := fn(scope, x)
					total := Add(ReduceAllMean(loss.MeanSquaredError([]*Node{y}, []*Node{out})),
						MulScalar(gcml.Complexity(out, x, exact...), coefficient))
					return scope.BuildTrainableVariablesGradientsGraph(total)
				}, x, y)
				if err != nil {
					t.Fatal(err)
				}
				store.SetParam(gcml.ParamCoefficient, coefficient)
				store.SetParam(optimizer.ParamLearningRate, rate)
				trainer := train.NewTrainer(b, store, gcml.Regularize(fn, c.opts...), loss.MeanSquaredError,
					optimizer.StochasticGradientDescent().WithDecay(false), nil, nil)
				if _, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x},
					Labels: []*tensors.Tensor{y}}); err != nil {
					t.Fatal(err)
				}
				after := parameters(t, store)
				var moved, gradient []float64
				for i, g := range want {
					gradient = append(gradient, gctest.Flat(g)...)
					for k := range after[i] {
						moved = append(moved, (before[i][k]-after[i][k])/rate)
					}
				}
				gctest.AssertClose(t, moved, gradient, 1e-9, 0, "step")
			})
		}
	})
}

// TestPenaltyInParts compares the penalty and its gradient, one cotangent at a time, with those of
// all at once, over the table of models, each in training mode.
func TestPenaltyInParts(t *testing.T) {
	b := gctest.GoBackend(t)
	batchNorm := problem{name: "batch norm", inputs: []int{6, 5}, smooth: true, outputs: 3,
		model: func(scope *model.Scope, x *Node) *Node {
			h := gclayers.BatchNorm(scope.In("norm"), layers.Dense(scope.In("in"), x, true, 6)).Done()
			return layers.Dense(scope.In("output"), Tanh(h), true, 3)
		}}
	scalar := problem{name: "scalar float32 variable", inputs: []int{4, 5}, smooth: true, outputs: 3, relTol: 1e-6,
		model: func(scope *model.Scope, x *Node) *Node {
			scale := scope.VariableWithValue("scale", float32(1.5)).NodeValue(x.Graph())
			return Mul(mlp(activation.TypeTanh)(scope, x), ConvertDType(scale, x.DType()))
		}}
	for _, p := range append(slices.Clone(problems), batchNorm, scalar) {
		if p.outputs < 2 || !p.smooth {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			x := inputsFor(t, dtypes.Float64, p.inputs)
			penalty := func(opts ...gcml.Option) []float64 {
				store := newStore(t, 7)
				store.SetParam(gcml.ParamCoefficient, 0.3)
				var fn train.ModelFn = func(scope *model.Scope, _ any, inputs []*Node) []*Node {
					return []*Node{p.model(scope, inputs[0])}
				}
				out, err := model.CallOnceN(b, store, func(scope *model.Scope, x *Node) []*Node {
					scope.SetTraining(x.Graph(), true)
					gcml.Regularize(fn, opts...)(scope, nil, []*Node{x})
					value := train.GetRegularizationLoss(x.Graph())
					return append(scope.BuildTrainableVariablesGradientsGraph(value), value)
				}, x)
				if err != nil {
					t.Fatal(err)
				}
				var values []float64
				for _, o := range out {
					values = append(values, gctest.Flat(o)...)
				}
				return values
			}
			gctest.AssertClose(t, penalty(gcml.WithGradientInParts(1)), penalty(), max(1e-9, p.relTol), 1e-12,
				"gradients and penalty")
		})
	}
}

// parameters returns the values of the trainable variables in the order of
// BuildTrainableVariablesGradientsGraph.
func parameters(t *testing.T, store *model.Store) [][]float64 {
	var values [][]float64
	for v := range store.IterVariables() {
		if v.Trainable {
			values = append(values, gctest.Flat(v.MustValue()))
		}
	}
	return values
}

// TestBatchStatisticsAreHeldFixed measures batch norm in training mode, which mixes the examples.
// All estimators have to use each example's own Jacobian with the statistics held fixed, and the
// gradient has to include the statistics' dependence on the parameters.
func TestBatchStatisticsAreHeldFixed(t *testing.T) {
	const epsilon = 1e-3
	normalize := func(h, mean, variance *Node) *Node {
		return Div(Sub(h, mean), Sqrt(AddScalar(variance, epsilon)))
	}
	hidden := func(scope *model.Scope, x *Node) *Node { return layers.Dense(scope.In("in"), x, true, 6) }
	head := func(scope *model.Scope, h *Node) *Node { return layers.Dense(scope.In("output"), Tanh(h), true, 3) }
	moments := func(h *Node) (mean, variance *Node) {
		mean = ReduceAndKeep(h, ReduceMean, 0)
		return mean, ReduceAndKeep(Square(Sub(h, mean)), ReduceMean, 0)
	}
	coupled := func(scope *model.Scope, x *Node) *Node {
		h := hidden(scope, x)
		mean, variance := moments(h)
		return head(scope, normalize(h, mean, variance))
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := newStore(t, 2)
		x := inputsFor(t, dtypes.Float64, []int{7, 5})
		run(t, b, store, coupled, x)
		stats, err := model.CallOnceN(b, store, func(scope *model.Scope, x *Node) []*Node {
			mean, variance := moments(hidden(scope, x))
			return []*Node{mean, variance}
		}, x)
		if err != nil {
			t.Fatal(err)
		}
		fixed := problem{inputs: []int{7, 5}, outputs: 3, model: func(scope *model.Scope, x *Node) *Node {
			return head(scope, normalize(hidden(scope, x), ConstTensor(x.Graph(), stats[0]), ConstTensor(x.Graph(), stats[1])))
		}}
		want := oracle(t, store, fixed, x)
		total := 0.0
		for _, v := range want {
			total += v / 7
		}
		for _, e := range []gcml.Estimator{gcml.Exact(), gcml.Projection(3)} {
			got := run(t, b, store, func(scope *model.Scope, x *Node) *Node {
				return gcml.Complexity(coupled(scope, x), x, gcml.WithEstimator(e))
			}, x)
			gctest.AssertClose(t, gctest.Flat(got), []float64{total}, 1e-7, 0, e.String())
		}
		noisy := func(fn func(scope *model.Scope, x *Node) *Node) []float64 {
			if err := store.SetRNGStateFromSeed(8); err != nil {
				t.Fatal(err)
			}
			return gctest.Flat(run(t, b, store, func(scope *model.Scope, x *Node) *Node {
				return gcml.SquaredJacobianNorm(fn(scope, x), x, gcml.WithEstimator(gcml.ForwardNoise(0.1, 2)))
			}, x))
		}
		gctest.AssertClose(t, noisy(coupled), noisy(fixed.model), 1e-10, 0, "forward noise")
		gradientEqualsDifferences(t, b, "through the statistics", 1e-6, x, func(scope *model.Scope, x *Node) *Node {
			return gcml.Complexity(coupled(scope, x), x)
		})
	})
}

func TestMetricWithoutRegularize(t *testing.T) {
	b := gctest.GoBackend(t)
	trainer := train.NewTrainer(b, newStore(t, 1), stockNetwork, loss.SparseCategoricalCrossEntropyLogits,
		optimizer.StochasticGradientDescent(), []metric.Interface{gcml.NewMetric("GC", "gc")}, nil)
	if _, err := trainer.TrainStep(imageBatch(t, b)); err == nil {
		t.Error("no error for a metric without a model wrapped by Regularize")
	}
}

// TestProbabilities compares the GC of the probabilities of a linear model with
// its closed form: the Jacobian is (diag(p) - p·pᵀ)·Wᵀ.
func TestProbabilities(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := newStore(t, 2)
		linear := func(scope *model.Scope, x *Node) *Node {
			return DotProduct(x, scope.VariableWithShape("w", shapes.Make(x.DType(), 5, 3)).NodeValue(x.Graph()))
		}
		rows := testRows(t, 4, 5)
		probabilities := gcml.WithTransform(func(logits *Node) *Node { return Softmax(logits) })
		got, err := gcml.Measure(t.Context(), b, store, linear, rows, probabilities)
		if err != nil {
			t.Fatal(err)
		}
		w := gctest.Flat(store.GetVariable("/w").MustValue())
		want := 0.0
		for row := range 4 {
			want += softmaxNorm(rows.flat[row*5:row*5+5], w) / 4
		}
		gctest.AssertClose(t, []float64{got.GC}, []float64{want}, 1e-10, 0, "GC")
		for name, complexity := range map[string]func(y, x *Node) *Node{
			"Complexity": func(y, x *Node) *Node { return gcml.Complexity(y, x, probabilities) },
			"SquaredJacobianNorm": func(y,
				x *Node) *Node {
				return ReduceAllMean(gcml.SquaredJacobianNorm(y, x, probabilities))
			},
			"SquaredJacobianRowNorms": func(y, x *Node) *Node {
				return DivScalar(ReduceAllSum(gcml.SquaredJacobianRowNorms(y, x, probabilities)), 4)
			},
		} {
			inGraph := run(t, b, store, func(scope *model.Scope, x *Node) *Node { return complexity(linear(scope, x), x) },
				mustBatch(t, rows))
			gctest.AssertClose(t, gctest.Flat(inGraph), []float64{want}, 1e-10, 0, name)
		}
	})
}

func softmaxNorm(x, w []float64) (norm float64) {
	var p [3]float64
	sum := 0.0
	for k := range p {
		for i := range x {
			p[k] += x[i] * w[i*3+k]
		}
		p[k] = math.Exp(p[k])
		sum += p[k]
	}
	for k := range p {
		for i := range x {
			slope := 0.0
			for m := range p {
				slope -= p[k] / sum * p[m] / sum * w[i*3+m]
			}
			slope += p[k] / sum * w[i*3+k]
			norm += slope * slope
		}
	}
	return norm
}

// TestInfiniteVariableInParts checks that a trainable variable that begins with -Inf, the logarithm
// of a mask, leaves the penalty finite when its gradient is computed in parts. The model is y =
// w·exp(k)·x with GC (w₁e^k₁)² + (w₂e^k₂)² = 0 + 4.
func TestInfiniteVariableInParts(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		fn := func(scope *model.Scope, x *Node) *Node {
			k := scope.VariableWithValue("k", []float64{math.Inf(-1), 0}).NodeValue(x.Graph())
			w := scope.VariableWithValue("w", []float64{1, 2}).NodeValue(x.Graph())
			return Mul(x, InsertAxes(Mul(w, Exp(k)), 0))
		}
		for name, opt := range map[string]gcml.Option{
			"in parts": gcml.WithGradientInParts(1), "at once": gcml.WithCotangents(1),
		} {
			store := newStore(t, 1)
			loss, gc := zeroLossStep(t, b, store, gcml.Regularize(fn, opt, gcml.WithCoefficient(0.5)), 0.1,
				tensors.FromValue([][]float64{{1, 2}, {3, 4}}))
			w := gctest.Flat(store.GetVariable("/w").MustValue())
			k := gctest.Flat(store.GetVariable("/k").MustValue())
			// The gradients of 0.5·GC are w·e^2k and w²·e^2k.
			gctest.AssertClose(t, []float64{loss, gc, w[0], w[1], k[1]}, []float64{2, 4, 1, 1.8, -0.4}, 1e-12, 0, name)
			if !math.IsInf(k[0], -1) {
				t.Errorf("%s: the masked logarithm is %g, want -Inf", name, k[0])
			}
		}
	})
}
