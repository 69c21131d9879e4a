package layers

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/precision"
)

// GroupNorm normalizes x, shaped [batch, ..., channels], for each example over each group of
// neighbouring channels and all axes between batch and channels, then scales and shifts every
// channel by learned values (Wu & He 2018). epsilon, added to the variance, is 1e-5.
//
// It behaves the same in training and evaluation, and an example's output does not depend on the
// other examples. One group is a layer normalization; to normalize the last axis alone, use GoMLX's
// norm.LayerNorm, whose derivatives are right to every order.
//
// Its variables are "group_normalization/scale" and "/offset", each shaped [channels]. It computes
// in float32 for an x of a shorter dtype. It panics if groups does not divide the number of
// channels.
func GroupNorm(scope *model.Scope, x *Node, groups int) *Node {
	if x.Rank() < 2 {
		Panicf("layers.GroupNorm: x must be shaped [batch, ..., channels], got %s", x.Shape())
	}
	channels := x.Shape().Dim(-1)
	if groups < 1 || channels%groups != 0 {
		Panicf("layers.GroupNorm: cannot divide the channels of x %s into %d groups", x.Shape(), groups)
	}
	g := x.Graph()
	scope = scope.In("group_normalization")
	shape := shapes.Make(x.DType(), channels)
	scale := precision.Wide(scope.WithInitializer(initializer.One).VariableWithShape("scale", shape).NodeValue(g))
	offset := precision.Wide(scope.WithInitializer(initializer.Zero).VariableWithShape("offset", shape).NodeValue(g))

	grouped := Reshape(precision.Wide(x), x.Shape().Dim(0), -1, groups, channels/groups)
	centered := Sub(grouped, ReduceAndKeep(grouped, ReduceMean, 1, 3))
	variance := ReduceAndKeep(Square(centered), ReduceMean, 1, 3)
	normalized := Div(centered, Sqrt(AddScalar(variance, 1e-5)))
	y := Reshape(normalized, x.Shape().Dimensions...)
	y = Add(Mul(y, ExpandLeftToRank(scale, y.Rank())), ExpandLeftToRank(offset, y.Rank()))
	return ConvertDType(y, x.DType())
}
