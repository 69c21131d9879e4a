package inspect_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/inspect"
)

// rows are examples with labels, in batches of the given sizes.
type rows struct {
	x      []float64 // [examples, dims...]
	dims   []int
	labels []int64 // nil for none
	sizes  []int
}

func (rows) Name() string { return "rows" }

func (r rows) NumExamples() int { return len(r.x) / r.size() }

func (r rows) size() int {
	size := 1
	for _, d := range r.dims {
		size *= d
	}
	return size
}

func (r rows) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		from := 0
		for _, n := range r.sizes {
			to := from + n
			x := r.x[from*r.size() : to*r.size()]
			b := train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(x, append([]int{n}, r.dims...)...)}}
			if r.labels != nil {
				b.Labels = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(r.labels[from:to], n)}
			}
			if !yield(b, nil) {
				return
			}
			from = to
		}
	}
}

const (
	examples = 8
	values   = 12 // Of an image of 2 x 2 pixels with 3 channels.
	outputs  = 3
)

// problem is f(x) = A·(x ∘ x)/2 of x in batches of the given sizes, whose Jacobian A·diag(x) is
// that of no other example. Its features are x ∘ x.
func problem(sizes ...int) (inspect.Subject, *mat.Dense, rows) {
	rng := rand.New(rand.NewPCG(11, 12))
	a := mat.NewDense(outputs, values, nil)
	for k := range outputs {
		for i := range values {
			a.Set(k, i, rng.NormFloat64())
		}
	}
	data := rows{dims: []int{2, 2, 3}, sizes: sizes, labels: []int64{0, 1, 2, 0, 1, 1, 0, 2}}
	for range examples * values {
		data.x = append(data.x, rng.NormFloat64())
	}
	fn := func(scope *model.Scope, x *Node) *Node {
		squares := Square(Reshape(x, x.Shape().Dimensions[0], -1)).WithAlias("squares")
		weights := scope.VariableWithValue("a", tensors.FromFlatDataAndDimensions(slices.Clone(a.RawMatrix().Data), outputs,
			values))
		return MulScalar(Einsum("bi,ki->bk", squares, weights.NodeValue(x.Graph())), 0.5)
	}
	s := inspect.NewSubject("quadratic", model.NewStore(), fn, data)
	s.Features = "squares"
	s.LayerNames = map[string]string{"squares": "the squares"}
	return s, a, data
}

// jacobian is that of the problem for example e, and forward its outputs.
func jacobian(a *mat.Dense, data rows, e int) *mat.Dense {
	j := mat.NewDense(outputs, values, nil)
	j.Apply(func(k, i int, v float64) float64 { return v * data.x[e*values+i] }, a)
	return j
}

func forward(a *mat.Dense, x []float64) []float64 {
	out := make([]float64, outputs)
	for k := range outputs {
		for i, v := range x {
			out[k] += a.At(k, i) * v * v / 2
		}
	}
	return out
}

func measure(t *testing.T, b compute.Backend, s inspect.Subject, o inspect.Options) *inspect.Report {
	t.Helper()
	r, err := inspect.Measure(t.Context(), b, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
