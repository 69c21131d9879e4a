package autodiff

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/precision"
)

// registerNormalization registers gradients of the batch normalization ops, which only XLA has,
// that consist of primitive ops. These depend on the operand also through the batch statistics, so
// that their own derivatives are complete.
func registerNormalization() {
	replace(NodeTypeBatchNormForTraining, func(node *Node, vjps []*Node, _ shapes.Shape) []*Node {
		return batchNormForTrainingVJP(node, vjps[0], vjps[1], vjps[2])
	})
	registerOne(NodeTypeBatchNormForInference, batchNormForInferenceVJP)
}

// batchNormForTrainingVJP takes the gradients of the three outputs: the normalized values, the
// batch mean and the batch variance (the mean squared distance to the mean).
func batchNormForTrainingVJP(node, v, vMean, vVariance *Node) []*Node {
	p, _ := gomlxcompat.BatchNormOf(node)
	x, scale := precision.Wide(node.Inputs()[0]), precision.Wide(node.Inputs()[1])
	v, vMean, vVariance = precision.Wide(v), precision.Wide(vMean), precision.Wide(vVariance)
	axes, perFeature := featureAxes(x, p.FeatureAxis)

	centered := Sub(x, Reshape(ReduceMean(x, axes...), perFeature...))
	variance := Reshape(ReduceMean(Square(centered), axes...), perFeature...)
	inverseStd := Reciprocal(Sqrt(AddScalar(variance, p.Epsilon)))
	normalized := Mul(centered, inverseStd)

	dOffset := ReduceSum(v, axes...)
	dScale := ReduceSum(Mul(v, normalized), axes...)
	count := float64(x.Shape().Size() / x.Shape().Dim(p.FeatureAxis))
	mean := func(sum *Node) *Node { return Reshape(MulScalar(sum, 1/count), perFeature...) }
	dx := Mul(Mul(Reshape(scale, perFeature...), inverseStd),
		Sub(Sub(v, mean(dOffset)), Mul(normalized, mean(dScale))))
	dx = Add(dx, mean(vMean))
	dx = Add(dx, Mul(centered, MulScalar(mean(vVariance), 2)))
	return inDTypesOf(node, dx, dScale, dOffset)
}

// batchNormForInferenceVJP is the rule of offset + scale·(x - mean)/sqrt(variance + epsilon).
func batchNormForInferenceVJP(node, v *Node) []*Node {
	p, _ := gomlxcompat.BatchNormOf(node)
	x, scale := precision.Wide(node.Inputs()[0]), precision.Wide(node.Inputs()[1])
	mean, variance := precision.Wide(node.Inputs()[3]), precision.Wide(node.Inputs()[4])
	v = precision.Wide(v)
	axes, perFeature := featureAxes(x, p.FeatureAxis)

	inverseStd := Reciprocal(Sqrt(AddScalar(variance, p.Epsilon))) // [features], like scale and mean.
	slope := Mul(scale, inverseStd)
	centered := Sub(x, Reshape(mean, perFeature...))
	dx := Mul(v, Reshape(slope, perFeature...))
	dOffset := ReduceSum(v, axes...)
	sum := ReduceSum(Mul(v, centered), axes...)
	dScale := Mul(sum, inverseStd)
	dMean := Neg(Mul(slope, dOffset))
	dVariance := MulScalar(Mul(Mul(slope, Square(inverseStd)), sum), -0.5)
	return inDTypesOf(node, dx, dScale, dOffset, dMean, dVariance)
}

// inDTypesOf converts the gradients to the dtypes of the node's inputs. The rules compute in
// float32 for shorter dtypes, because they sum over the batch.
func inDTypesOf(node *Node, gradients ...*Node) []*Node {
	for i, in := range node.Inputs() {
		gradients[i] = ConvertDType(gradients[i], in.DType())
	}
	return gradients
}

// featureAxes returns all axes of x except the feature axis, and the dimensions with which one
// value per feature broadcasts to x.
func featureAxes(x *Node, featureAxis int) (others, perFeature []int) {
	for axis := range x.Rank() {
		if axis == featureAxis {
			perFeature = append(perFeature, x.Shape().Dim(axis))
			continue
		}
		others, perFeature = append(others, axis), append(perFeature, 1)
	}
	return others, perFeature
}
