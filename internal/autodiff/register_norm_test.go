package autodiff

import (
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// TestBatchNormInHalfPrecision compares the gradients of a batch norm op in float16 with the closed
// form, for a batch whose sum is beyond the largest float16. Half of the examples are 1 and half
// are 3: the mean is 2, the variance is 1, and the normalized values are x̂ = ±1. The loss Σ
// y·x̂/64, with x̂ held constant, has the gradient N/64 with respect to the scale and 0 with
// respect to x; x̂/64 if the statistics are given.
func TestBatchNormInHalfPrecision(t *testing.T) {
	const n = 1 << 16
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if !b.Capabilities().Operations[compute.OpTypeBatchNormForTraining] {
			t.Skip("the backend has no batch normalization ops")
		}
		for _, dtype := range []dtypes.DType{dtypes.Float16, dtypes.BFloat16, dtypes.Float32} {
			out := MustExecOnceN(b, func(signs *Node) []*Node {
				signs = ConvertDType(signs, dtype)
				x := AddScalar(signs, 2)
				scale, offset := Ones(x.Graph(), shapes.Make(dtype, 1)), Zeros(x.Graph(), shapes.Make(dtype, 1))
				y, _, _ := InternalBatchNormForTraining(x, scale, offset, 0, -1)
				loss := ReduceAllSum(Mul(ConvertDType(y, dtypes.Float32), ConvertDType(signs, dtypes.Float32)))
				gradients := Gradient(MulScalar(loss, 1./64), x, scale)
				return []*Node{ReduceAllMax(Abs(gradients[0])), gradients[1]}
			}, alternatingSigns(n))
			gctest.AssertClose(t, gctest.Flat(out[0]), []float64{0}, 0, 1e-4, dtype.String()+": x")
			gctest.AssertClose(t, gctest.Flat(out[1]), []float64{n / 64}, 1e-3, 0, dtype.String()+": scale")

			out = MustExecOnceN(b, func(signs *Node) []*Node {
				signs = ConvertDType(signs, dtype)
				feature := func(value float64) *Node { return AddScalar(Zeros(signs.Graph(), shapes.Make(dtype, 1)), value) }
				x, scale, offset := AddScalar(signs, 2), feature(1), feature(0)
				y := InternalBatchNormForInference(x, scale, offset, feature(2), feature(1), 0, -1)
				loss := ReduceAllSum(Mul(ConvertDType(y, dtypes.Float32), ConvertDType(signs, dtypes.Float32)))
				gradients := Gradient(MulScalar(loss, 1./64), x, scale)
				return []*Node{ReduceAllMax(Abs(gradients[0])), gradients[1]}
			}, alternatingSigns(n))
			gctest.AssertClose(t, gctest.Flat(out[0]), []float64{1. / 64}, 1e-3, 0, dtype.String()+": x, inference")
			gctest.AssertClose(t, gctest.Flat(out[1]), []float64{n / 64}, 1e-3, 0, dtype.String()+": scale, inference")
		}
	})
}

// alternatingSigns returns 1, -1, 1, ... as [n, 1].
func alternatingSigns(n int) *tensors.Tensor {
	values := make([]float32, n)
	for i := range values {
		values[i] = 1 - 2*float32(i%2)
	}
	return tensors.FromFlatDataAndDimensions(values, n, 1)
}

// TestBatchNormOps checks the ops that GoMLX's batch normalization layer uses. Only XLA has them.
func TestBatchNormOps(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if !b.Capabilities().Operations[compute.OpTypeBatchNormForTraining] {
			t.Skip("the backend has no batch normalization ops: see layers.BatchNorm")
		}
		t.Run("training", func(t *testing.T) {
			gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
				y, mean, variance := InternalBatchNormForTraining(in[0], in[1], in[2], 1e-2, -1)
				statistics := ReduceAllSum(Mul(mean, Square(variance)))
				return Add(y, statistics)
			}, []int{5, 2, 3}, []int{3}, []int{3})
		})
		t.Run("training, features not last", func(t *testing.T) {
			gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
				y, _, _ := InternalBatchNormForTraining(in[0], in[1], in[2], 1e-2, 1)
				return y
			}, []int{4, 3, 2}, []int{3}, []int{3})
		})
		t.Run("inference", func(t *testing.T) {
			gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
				return InternalBatchNormForInference(in[0], in[1], in[2], in[3], AddScalar(Square(in[4]), 0.5), 1e-2, -1)
			}, []int{5, 2, 3}, []int{3}, []int{3}, []int{3}, []int{3})
		})
		t.Run("attributes", func(t *testing.T) {
			g := NewGraph(b, "attributes")
			_, _, _ = InternalBatchNormForTraining(Zeros(g, float64Shape(5, 4, 3)), Zeros(g, float64Shape(4)),
				Zeros(g, float64Shape(4)), 0.25, 1)
			nodes := g.Nodes()
			index := slices.IndexFunc(nodes, func(n *Node) bool { return n.Type() == NodeTypeBatchNormForTraining })
			got, _ := gomlxcompat.BatchNormOf(nodes[index])
			if want := (gomlxcompat.BatchNormAttributes{Epsilon: 0.25, FeatureAxis: 1}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	})
}
