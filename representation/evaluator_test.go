package representation_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/representation"
)

// rows is a data set of batches of the given sizes: example i is (i, 1) with the label 10·i.
type rows struct {
	sizes    []int
	labelled func(batch int) bool
}

func (rows) Name() string { return "rows" }

func (r rows) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		next := 0
		for k, size := range r.sizes {
			var x []float64
			var labels []int32
			for range size {
				x = append(x, float64(next), 1)
				labels = append(labels, int32(10*next))
				next++
			}
			b := train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(x, size, 2)}}
			if r.labelled(k) {
				b.Labels = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(labels, size, 1)}
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

func always(int) bool { return true }
func never(int) bool  { return false }

// affine maps (x, 1) to (w·x + 2, -x) and, as a second output in bfloat16, to x as [batch, 1, 1].
func affine(scope *model.Scope, x *Node) (first, second *Node) {
	w := scope.VariableWithValue("w", 3.0).NodeValue(x.Graph())
	column := Slice(x, AxisRange(), AxisRange(0, 1))
	one := Slice(x, AxisRange(), AxisRange(1, 2))
	first = Concatenate([]*Node{Add(Mul(column, w), MulScalar(one, 2)), Neg(column)}, 1)
	return first, ConvertDType(Reshape(column, -1, 1, 1), dtypes.BFloat16)
}

func TestEvaluate(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore()
		e := representation.NewEvaluator(b, store, affine)
		defer e.Finalize()
		for name, sizes := range map[string][]int{"equal": {3, 3}, "unequal": {4, 2}, "one": {6}} {
			got, err := e.Evaluate(t.Context(), rows{sizes, always})
			if err != nil {
				t.Fatal(err)
			}
			if got.Examples != 6 || got.Outputs[0].Size != 2 || got.Outputs[1].Size != 1 {
				t.Fatalf("%s: %+v", name, got)
			}
			want := []float64{2, 0, 5, -1, 8, -2, 11, -3, 14, -4, 17, -5}
			gctest.AssertClose(t, got.Outputs[0].Values, want, 0, 0, name)
			gctest.AssertClose(t, got.Outputs[1].Values, []float64{0, 1, 2, 3, 4, 5}, 0, 0, name+", second output")
			if !slices.Equal(got.Labels, []int64{0, 10, 20, 30, 40, 50}) {
				t.Errorf("%s: labels %v", name, got.Labels)
			}
		}
		// Weights are read anew.
		if err := store.GetVariable("/w").SetValue(tensors.FromScalar(1.0)); err != nil {
			t.Fatal(err)
		}
		got, err := e.Evaluate(t.Context(), rows{[]int{2}, never})
		if err != nil || got.Labels != nil {
			t.Fatalf("labels %v, %v", got.Labels, err)
		}
		gctest.AssertClose(t, got.Outputs[0].Values, []float64{2, 0, 3, -1}, 0, 0, "other weights")
	})
}

func TestEvaluateErrors(t *testing.T) {
	b := gctest.GoBackend(t)
	identity := func(_ *model.Scope, x *Node) *Node { return x }
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		want string
		ctx  context.Context
		fn   func(*model.Scope, *Node) *Node
		ds   train.Dataset
	}{
		{"is empty", t.Context(), identity, rows{}},
		{"the batch from example 2 on has no examples", t.Context(), identity, rows{[]int{2, 0, 1}, always}},
		{"context canceled", canceled, identity, rows{[]int{2}, always}},
		{"the batch from example 2 on has labels, or has none", t.Context(), identity,
			rows{[]int{2, 2}, func(k int) bool { return k == 0 }}},
		{"output #0 of example 2 is +Inf", t.Context(),
			func(_ *model.Scope, x *Node) *Node { return Reciprocal(AddScalar(x, -2)) }, rows{[]int{2, 2}, never}},
		{"want a float dtype and a batch axis", t.Context(),
			func(_ *model.Scope, x *Node) *Node { return ReduceAllSum(x) }, rows{[]int{2}, never}},
		{"3 values for example 2, but 4 for those before", t.Context(),
			func(_ *model.Scope, x *Node) *Node {
				return Concatenate(slices.Repeat([]*Node{Slice(x, AxisRange(), AxisRange(0, 1))}, 5-x.Shape().Dimensions[0]+1), 1)
			}, rows{[]int{2, 3}, never}},
	} {
		e := representation.NewEvaluator(b, model.NewStore(), c.fn)
		_, err := e.Evaluate(c.ctx, c.ds)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got error %v, want one line with %q", err, c.want)
		}
		e.Finalize()
	}
}
