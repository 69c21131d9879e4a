package inspect_test

import (
	"encoding/json"
	"iter"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/inspect"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// halfBatch is a data set of one batch, [2, 3] in float16.
type halfBatch struct{}

func (halfBatch) Name() string { return "half" }

func (halfBatch) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		x, err := numbers.Tensor([]float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, dtypes.Float16, 2, 3)
		yield(train.Batch{Inputs: []*tensors.Tensor{x}}, err)
	}
}

// TestSensitivitiesOfHalf: the derivatives of (300·x₀, 400·x₁, 500·x₂), and those of a millionth of
// it, have squares that float16 cannot hold.
func TestSensitivitiesOfHalf(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, scale := range []float64{1, 1e-6} {
			fn := func(_ *model.Scope, x *Node) *Node {
				slopes := MulScalar(Const(x.Graph(), [][]float32{{300, 400, 500}}), scale)
				return Mul(x, ConvertDType(slopes, x.DType()))
			}
			subject := inspect.NewSubject("s", model.NewStore(), fn, halfBatch{})
			r, err := inspect.Measure(t.Context(), b, subject, inspect.Options{})
			if err != nil {
				t.Fatal(err)
			}
			v := r.Shown[0].Sensitive[0]
			gctest.AssertClose(t, []float64{float64(v.Norm)}, []float64{500 * scale}, 1e-3, 0, "norm")
			if v.Index[0] != 2 {
				t.Errorf("scale %g: the most sensitive value is %v, want [2]", scale, v.Index)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		}
	})
}
