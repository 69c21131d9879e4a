package regularizers_test

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/regularizers"
)

// pureGo is the backend that needs no native library.
func pureGo() compute.Backend {
	backend, err := compute.NewWithConfig("go")
	if err != nil {
		panic(err)
	}
	return backend
}

// linear is f(x) = x·W with W = diag(3, 2).
func linear(scope *model.Scope, x *graph.Node) *graph.Node {
	w := scope.VariableWithValue("w", [][]float64{{3, 0}, {0, 2}})
	return graph.Dot(x, w.NodeValue(x)).Product()
}

// oneStep evaluates the model and then trains it for one step, both on the example x = (1, 0), y =
// (3, 0), which linear fits exactly, and prints both losses.
func oneStep(store *model.Store, modelFn train.ModelFn, lossFn train.LossFn) {
	trainer := train.NewTrainer(pureGo(), store, modelFn, lossFn,
		optimizer.StochasticGradientDescent().WithLearningRate(0.1).WithDecay(false).Done(), nil, nil)
	data := func() train.Batch {
		return train.Batch{
			Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{1, 0}})},
			Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{3, 0}})},
		}
	}
	evaluated, err := trainer.EvalStep(data())
	if err != nil {
		fmt.Println(err)
		return
	}
	trained, err := trainer.TrainStep(data())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("training %.3f, evaluation %.3f\n", trained[0].Value(), evaluated[0].Value())
}

func ExampleL2() {
	store := model.NewStore()
	store.SetParam(regularizers.ParamL2, 0.5) // 0.5·(3² + 2²)
	oneStep(store, regularizers.L2(linear), loss.MeanSquaredError)
	// Output: training 6.500, evaluation 0.000
}

func ExampleSpectral() {
	store := model.NewStore()
	store.SetParam(regularizers.ParamSpectral, 0.5) // 0.5·3²
	oneStep(store, regularizers.Spectral(linear), loss.MeanSquaredError)
	// Output: training 4.500, evaluation 0.000
}

func ExampleFlatness() {
	store := model.NewStore()
	store.SetParam(regularizers.ParamFlatness, 0.5)
	// Each of the two outputs is off by 2, so the gradient of their mean squared error is (2, 2) in
	// the first row of W, and 0 in the second.
	shiftedLoss := func(labels, predictions []*graph.Node) *graph.Node {
		return loss.MeanSquaredError(labels, []*graph.Node{graph.AddScalar(predictions[0], 2)})
	}
	oneStep(store, regularizers.Combine(linear), regularizers.Flatness(shiftedLoss))
	// Output: training 8.000, evaluation 4.000
}

func ExampleCombine() {
	store := model.NewStore()
	store.SetParam(regularizers.ParamL2, 0.5)
	store.SetParam(regularizers.ParamSpectral, 0.5)
	modelFn := regularizers.Combine(linear,
		regularizers.With(regularizers.L2),
		regularizers.With(regularizers.Spectral),
		regularizers.With(regularizers.InputNoise)) // Its σ is not set, so it does nothing.
	lossFn := regularizers.CombineLoss(loss.MeanSquaredError,
		regularizers.With(regularizers.LabelNoise), regularizers.With(regularizers.Flatness))
	oneStep(store, modelFn, lossFn)
	// Output: training 11.000, evaluation 0.000
}

func ExampleInputNoise() {
	store := model.NewStore()
	store.SetParam(regularizers.ParamInputNoise, 0.5)
	if err := store.SetRNGStateFromSeed(1); err != nil {
		fmt.Println(err)
		return
	}
	// On 20,000 copies of one example in training mode, the mean squared error is σ²·‖W‖² = 0.25·(9
	// + 4). Without noise it is 0.
	noisy := regularizers.InputNoise(linear)
	squaredError := func(scope *model.Scope, g *graph.Graph) *graph.Node {
		scope.SetTraining(g, true)
		x := graph.BroadcastPrefix(graph.Const(g, []float64{1, 0}), 20000)
		y := graph.BroadcastPrefix(graph.Const(g, []float64{3, 0}), 20000)
		difference := graph.Sub(noisy(scope, nil, []*graph.Node{x})[0], y)
		return graph.ReduceAllMean(graph.ReduceSum(graph.Square(difference), -1))
	}
	mean := model.MustNewExec(pureGo(), store, squaredError).MustCall1()
	fmt.Printf("%.1f\n", mean.Value())
	// Output: 3.2
}

func ExampleLabelNoise() {
	store := model.NewStore()
	store.SetParam(regularizers.ParamLabelNoise, 0.5)
	if err := store.SetRNGStateFromSeed(1); err != nil {
		fmt.Println(err)
		return
	}
	// Half of 20,000 labels of class 0 are replaced by one of 5 classes, so a fraction 0.5·(1 -
	// 1/5) is wrong.
	wrongLabels := regularizers.LabelNoise(func(labels, _ []*graph.Node) *graph.Node {
		return graph.ReduceAllMean(graph.ConvertDType(graph.Sign(labels[0]), dtypes.Float64))
	})
	fraction := func(scope *model.Scope, labels, logits *graph.Node) *graph.Node {
		scope.SetTraining(labels.Graph(), true)
		return wrongLabels([]*graph.Node{labels}, []*graph.Node{logits})
	}
	logits := tensors.FromFlatDataAndDimensions(make([]float64, 5*20000), 20000, 5)
	mean := model.MustNewExec(pureGo(), store, fraction).MustCall1(make([]int32, 20000), logits)
	fmt.Printf("%.1f\n", mean.Value())
	// Output: 0.4
}

func ExampleModifiedLoss() {
	// E = (y - abx)²/2 at a = 2, b = 3, x = 1, y = 5: E = 0.5, ∇E = (3, 2), and with
	// h = 0.4 the modified loss is 0.5 + 0.1·13.
	modified := graph.MustExecOnce(pureGo(), func(a, b *graph.Node) *graph.Node {
		residual := graph.AddScalar(graph.Neg(graph.Mul(a, b)), 5)
		return regularizers.ModifiedLoss(graph.MulScalar(graph.Square(residual), 0.5), 0.4, a, b)
	}, 2.0, 3.0)
	fmt.Printf("%.2f\n", modified.Value())
	// Output: 1.80
}

func ExampleMeasureImplicit() {
	backend := pureGo()
	ds := regression([]float64{1, 2, 3, 4}, []float64{0, 1, 0, 1}, 2, 2) // Two batches of two.
	got, err := regularizers.MeasureImplicit(context.Background(), backend, model.NewStore(), line,
		loss.MeanSquaredError, ds, 0.1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("L %.4f, descent's term %.4f, SGD's term %.4f\n", got.Loss, got.DescentTerm, got.SGDTerm)
	// Output: L 0.3750, descent's term 0.0125, SGD's term 0.1250
}
