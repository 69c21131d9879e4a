package layers

import (
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/precision"
)

// BatchNormBuilder configures a batch normalization layer. Create it with BatchNorm and finish with
// Done.
type BatchNormBuilder struct {
	scope             *model.Scope
	x                 *Node
	momentum, epsilon float64
}

// BatchNorm prepares a batch normalization of x, shaped [batch, ..., channels]: each channel is
// normalized over all other axes, then scaled and shifted by learned values.
//
// In training mode (scope.IsTraining) it uses the mean and variance of the batch, through which
// gradients of every order flow, and updates running averages of them. Otherwise it uses the
// running averages.
//
// In training mode every output depends on every example of the batch, so "the Jacobian of an
// example" is ambiguous. Package gcml differentiates an example's outputs with respect to its own
// input, with the batch statistics held fixed; the example compares the alternatives. In evaluation
// mode they all agree.
//
// The layer has the variables, the update rule and the hyperparameter of GoMLX's norm.BatchNorm, so
// that norm.UpdateBatchNormAverages works. On XLA, norm.BatchNorm itself can be used: the gradients
// that this package registers make it right to every order. On the Go backend norm.BatchNorm runs
// only with UseBackendInference(false), which treats the batch statistics as constants, so its
// gradients are wrong.
func BatchNorm(scope *model.Scope, x *Node) *BatchNormBuilder {
	return &BatchNormBuilder{scope: scope, x: x, momentum: 0.9, epsilon: 1e-5}
}

// Momentum sets the fraction of the running averages that each step keeps. The default is 0.9. The
// averages are debiased: step n keeps at most 1-1/n, so that with a momentum of 1 they are the
// means over all steps. It panics if momentum is not between 0 and 1.
func (b *BatchNormBuilder) Momentum(momentum float64) *BatchNormBuilder {
	if !(momentum >= 0 && momentum <= 1) {
		Panicf("layers.BatchNorm: Momentum(%g): want a number from 0 to 1", momentum)
	}
	b.momentum = momentum
	return b
}

// Epsilon sets the number that is added to the variance before the square root. The default is
// 1e-5. It panics if epsilon is negative or not finite.
func (b *BatchNormBuilder) Epsilon(epsilon float64) *BatchNormBuilder {
	if !(epsilon >= 0) || math.IsInf(epsilon, 1) {
		Panicf("layers.BatchNorm: Epsilon(%g): want a finite number of 0 or more", epsilon)
	}
	b.epsilon = epsilon
	return b
}

// Done builds the layer and returns its output, shaped as x. Its variables, each shaped [channels],
// are "batch_normalization/scale" and "/offset" (trainable), "/mean", "/variance" and
// "/avg_weight", in the dtype of x. If that is shorter than float32, the layer computes and keeps
// the last three in float32: avg_weight counts the steps, but bfloat16 counts to 256 only. A store
// that has them in another dtype already, of an earlier version, keeps it. In training mode Done
// panics for a batch of one example, because batch statistics need at least two.
func (b *BatchNormBuilder) Done() *Node {
	if b.x.Rank() < 2 {
		Panicf("layers.BatchNorm: x must be shaped [batch, ..., channels], got %s", b.x.Shape())
	}
	x, g := precision.Wide(b.x), b.x.Graph()
	b.scope.Store().RootScope().SetParam(norm.AveragesUpdatesTriggerParam, true)
	scope := b.scope.In(norm.BatchNormalizationScopeName)
	shape := shapes.Make(b.x.DType(), x.Shape().Dim(-1))
	zeros, ones := scope.WithInitializer(initializer.Zero), scope.WithInitializer(initializer.One)
	scale := precision.Wide(ones.VariableWithShape("scale", shape).NodeValue(g))
	offset := precision.Wide(zeros.VariableWithShape("offset", shape).NodeValue(g))
	shape.DType = x.DType()
	if existing := scope.GetVariable("mean"); existing != nil {
		shape.DType = existing.DType()
	}
	averages := runningAverages{
		mean:     zeros.VariableWithShape("mean", shape).SetTrainable(false),
		variance: ones.VariableWithShape("variance", shape).SetTrainable(false),
		weight:   zeros.VariableWithShape("avg_weight", shape).SetTrainable(false),
	}

	var centered *Node
	mean, variance := averages.wide(g)
	updatePhase := model.GetGraphParamOr(scope, g, train.BatchNormalizationUpdatePhase, -1)
	if updatePhase >= 0 || scope.IsTraining(g) {
		if updatePhase < 0 && x.Shape().Dim(0) == 1 {
			Panicf("layers.BatchNorm: training mode needs a batch of 2 or more examples, got x %s", b.x.Shape())
		}
		batchMean, batchVariance, aroundMean := batchStatistics(x)
		averages.update(g, b.momentum, batchMean, batchVariance)
		if updatePhase > 0 { // The second pass over the data normalizes with the averages.
			mean, variance = averages.wide(g)
		} else {
			mean, variance, centered = batchMean, batchVariance, aroundMean
		}
	}
	// The center is the mean as a constant, and the shift has the derivatives with respect to the
	// mean: a first derivative then sums over the batch twice, the least possible, not four times.
	rank, center := x.Rank(), StopGradient(mean)
	slope := Mul(scale, Reciprocal(Sqrt(AddScalar(variance, b.epsilon))))
	shift := Sub(offset, Mul(Sub(mean, center), slope))
	if centered == nil {
		centered = Sub(x, ExpandLeftToRank(center, rank))
	}
	y := Add(Mul(centered, ExpandLeftToRank(slope, rank)), ExpandLeftToRank(shift, rank))
	return ConvertDType(y, b.x.DType())
}

// batchStatistics returns the mean and the variance (the mean squared distance to the mean) per
// channel, and x minus the mean as a constant, or nil where that is not shared. The variance is
// computed around that constant: for any constant, the squared distance of the mean to it, which is
// 0 here, makes all derivatives those of the variance.
func batchStatistics(x *Node) (mean, variance, centered *Node) {
	axes := make([]int, x.Rank()-1)
	for i := range axes {
		axes[i] = i
	}
	mean = ReduceMean(x, axes...)
	center := StopGradient(mean)
	// For the variance XLA writes this. All else may read that, so that x itself need not be kept.
	// Other backends compute it for either use, so that the gradients' sums keep their order, on
	// which published numbers depend.
	distance := Sub(x, ExpandLeftToRank(center, x.Rank()))
	once := computedOnce(distance)
	if once != distance {
		centered = once
	}
	squares := ReduceMean(Square(once), axes...)
	return mean, Sub(squares, Square(Sub(mean, center))), centered
}

// runningAverages are the variables that follow the batch statistics.
type runningAverages struct{ mean, variance, weight *model.Variable }

// wide returns the averages of the mean and the variance, in float32 for a shorter dtype.
func (a runningAverages) wide(g *Graph) (mean, variance *Node) {
	return precision.Wide(a.mean.NodeValue(g)), precision.Wide(a.variance.NodeValue(g))
}

// update moves the averages towards the batch's values; weight counts the steps.
func (a runningAverages) update(g *Graph, momentum float64, mean, variance *Node) {
	weight := OnePlus(a.weight.NodeValue(g))
	a.weight.SetNodeValue(weight)
	keep := MinScalar(OneMinus(Reciprocal(weight)), momentum)
	for _, average := range []struct {
		variable *model.Variable
		value    *Node
	}{{a.mean, mean}, {a.variance, variance}} {
		value := StopGradient(ConvertDType(average.value, average.variable.DType()))
		average.variable.SetNodeValue(Add(Mul(keep, average.variable.NodeValue(g)), Mul(OneMinus(keep), value)))
	}
}
