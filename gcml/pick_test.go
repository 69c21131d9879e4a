package gcml_test

import (
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// tokens is a classifier of sequences of integers. Its head maps the embedding, [batch, 4, 3], to
// two logits.
func tokens(scope *model.Scope, x *Node) *Node {
	return head(scope, layers.Embedding(scope.In("embedding"), x, dtypes.Float64, 7, 3).WithAlias("embedding"))
}

func head(scope *model.Scope, embedded *Node) *Node {
	h := Tanh(layers.Dense(scope.In("hidden"), Reshape(embedded, embedded.Shape().Dimensions[0], -1), true,
		5)).WithAlias("hidden")
	return layers.Dense(scope.In("logits"), h, true, 2)
}

// TestInputNode compares GC with respect to an embedding, also of an inner node, with central
// differences of the head alone, and so the penalty's gradient.
func TestInputNode(t *testing.T) {
	inner := []gcml.Option{gcml.WithInputNode("embedding"), gcml.WithOutputNode("hidden")}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		ids := tensors.FromFlatDataAndDimensions([]int32{0, 1, 2, 3, 3, 3, 5, 6, 4, 0, 6, 1}, 3, 4)
		store := newStore(t, 5)
		embedded := run(t, b, store, func(scope *model.Scope, x *Node) *Node {
			tokens(scope, x)
			return x.Graph().GetNodeByAlias("embedding")
		}, ids)
		mean := func(p problem) (total float64) {
			for _, v := range oracle(t, store, p, embedded) {
				total += v / 3
			}
			return total
		}
		ofLogits := mean(problem{inputs: []int{3, 4, 3}, outputs: 2, model: head})
		ofHidden := mean(problem{inputs: []int{3, 4, 3}, outputs: 5, model: func(scope *model.Scope, x *Node) *Node {
			head(scope, x)
			return x.Graph().GetNodeByAlias("hidden")
		}})
		for _, c := range []struct {
			want float64
			opts []gcml.Option
		}{
			{ofLogits, []gcml.Option{gcml.WithInputNode("/embedding")}},
			{ofHidden, inner},
			{ofLogits, []gcml.Option{gcml.WithInputNode("embedding"), gcml.WithEstimator(gcml.Projection(2))}},
		} {
			got, err := gcml.Measure(t.Context(), b, store, tokens,
				oneBatch{train.Batch{Inputs: []*tensors.Tensor{mustClone(t, ids)}}}, c.opts...)
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{got.GC}, []float64{c.want}, 1e-7, 0, "GC")
			if got.Inputs != 12 {
				t.Errorf("%d inputs, want 12", got.Inputs)
			}
			store.SetParam(gcml.ParamCoefficient, 1.0)
			regularized := run(t, b, store, func(scope *model.Scope, x *Node) *Node {
				scope.SetTraining(x.Graph(), true)
				gcml.Regularize(tokens, c.opts...)(scope, nil, []*Node{x})
				return train.GetRegularizationLoss(x.Graph())
			}, ids)
			gctest.AssertClose(t, gctest.Flat(regularized), []float64{c.want}, 1e-7, 0, "penalty")
		}
		gradientEqualsDifferences(t, b, "penalty from an embedding", 1e-6, ids, func(scope *model.Scope, x *Node) *Node {
			scope.SetTraining(x.Graph(), true)
			scope.Store().SetParam(gcml.ParamCoefficient, 1.0)
			gcml.Regularize(tokens, inner...)(scope, nil, []*Node{x})
			return train.GetRegularizationLoss(x.Graph())
		})
	})
}

func mustClone(t *testing.T, x *tensors.Tensor) *tensors.Tensor {
	t.Helper()
	c, err := x.LocalClone()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestInputNodeOfBytes checks that GC with respect to bytes that the model scales by 1/255 is that
// with respect to the scaled values.
func TestInputNodeOfBytes(t *testing.T) {
	b := gctest.GoBackend(t)
	bytes := tensors.FromFlatDataAndDimensions([]uint8{0, 255, 7, 90, 13, 200}, 2, 3)
	fn := func(scope *model.Scope, x *Node) *Node {
		pixels := DivScalar(ConvertDType(x, dtypes.Float64), 255).WithAlias("pixels")
		w := scope.VariableWithValue("w", [][]float64{{1, 2}, {-3, 0.5}, {0, 1}}).NodeValue(x.Graph())
		return Sin(Dot(pixels, w).Product())
	}
	got, err := gcml.Measure(t.Context(), b, newStore(t, 1), fn,
		oneBatch{train.Batch{Inputs: []*tensors.Tensor{mustClone(t, bytes)}}},
		gcml.WithInputNode("pixels"))
	if err != nil {
		t.Fatal(err)
	}
	want := gctest.Flat(run(t, b, newStore(t, 1), func(scope *model.Scope, x *Node) *Node {
		w := [][]float64{{1, 2}, {-3, 0.5}, {0, 1}} // GC = mean over x of Σ_k cos²(z_k)·‖w_k‖².
		z := Dot(DivScalar(ConvertDType(x, dtypes.Float64), 255), Const(x.Graph(), w)).Product()
		return ReduceAllMean(ReduceSum(Mul(Square(Cos(z)), Const(x.Graph(), [][]float64{{10, 5.25}})), 1))
	}, bytes))
	gctest.AssertClose(t, []float64{got.GC}, want, 1e-12, 0, "GC")
}

// TestIntegerInputsAdvice checks that the error for integer inputs names the option, which works:
// see TestInputNode.
func TestIntegerInputsAdvice(t *testing.T) {
	ids := tensors.FromShape(shapes.Make(dtypes.Int32, 3, 4))
	_, err := gcml.Measure(t.Context(), gctest.GoBackend(t), newStore(t, 1), tokens,
		oneBatch{train.Batch{Inputs: []*tensors.Tensor{ids}}})
	if err == nil || !strings.Contains(err.Error(), "gcml.WithInputNode") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %v, want one line that names WithInputNode", err)
	}
}
