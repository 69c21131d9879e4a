package gcml_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// batches is a data set of the rows of flat, in batches of the given sizes.
type batches struct {
	flat     []float64
	features int
	sizes    []int
	labels   []int32
	dtype    dtypes.DType
	err      error
}

func (d batches) Name() string { return "test rows" }

func (d batches) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		row := 0
		for _, n := range d.sizes {
			values := append([]float64(nil), d.flat[row*d.features:(row+n)*d.features]...)
			var batch train.Batch
			if d.dtype == dtypes.Float32 {
				single := make([]float32, len(values))
				for i, v := range values {
					single[i] = float32(v)
				}
				batch.Inputs = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(single, n, d.features)}
			} else {
				batch.Inputs = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(values, n, d.features)}
			}
			if d.labels != nil {
				batch.Labels = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(append([]int32(nil), d.labels[row:row+n]...), n,
					1)}
			}
			if !yield(batch, nil) {
				return
			}
			row += n
		}
		if d.err != nil {
			yield(train.Batch{}, d.err)
		}
	}
}

func testRows(t *testing.T, n, features int) batches {
	x := inputsFor(t, dtypes.Float64, []int{n, features})
	return batches{flat: gctest.Flat(x), features: features, sizes: []int{n}, dtype: dtypes.Float64}
}

// TestMeasureWeighsExamples checks that the mean and the standard error are those over all
// examples, however they are divided into batches.
func TestMeasureWeighsExamples(t *testing.T) {
	fn := mlp(activation.TypeTanh)
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dtype := range []dtypes.DType{dtypes.Float64, dtypes.Float32} {
			t.Run(dtype.String(), func(t *testing.T) {
				store := newStore(t, 9)
				rows := testRows(t, 11, 5)
				rows.dtype = dtype
				all := gctest.Flat(run(t, b, store, func(scope *model.Scope, x *Node) *Node {
					return gcml.SquaredJacobianNorm(fn(scope, x), x)
				}, mustBatch(t, rows)))
				mean, deviation := stat.MeanStdDev(all, nil)
				rows.sizes = []int{4, 4, 3}
				var seen []int
				got, err := gcml.Measure(t.Context(), b, store, fn, rows, gcml.WithProgress(func(n int) { seen = append(seen, n) }))
				if err != nil {
					t.Fatal(err)
				}
				gctest.AssertClose(t, []float64{got.GC, float64(got.StdErr)}, []float64{mean, stat.StdErr(deviation, 11)}, 1e-6, 0,
					"mean and standard error")
				if got.Examples != 11 || got.Outputs != 3 || got.Inputs != 5 || got.Estimator != "exact" ||
					got.Backend != b.Name() {
					t.Errorf("got %+v", got)
				}
				if len(seen) != 3 || seen[2] != 11 {
					t.Errorf("progress reported %v", seen)
				}
			})
		}
	})
}

func mustBatch(t *testing.T, d batches) *tensors.Tensor {
	t.Helper()
	for batch, err := range d.Iter() {
		if err != nil {
			t.Fatal(err)
		}
		return batch.Inputs[0]
	}
	t.Fatal("no batch")
	return nil
}

func TestMeasureParts(t *testing.T) {
	b := gctest.GoBackend(t)
	rows := testRows(t, 10, 5)
	rows.sizes = []int{6, 4}
	rows.labels = []int32{0, 2, 2, 0, 0, 2, 2, 2, 2, 2}
	store := newStore(t, 9)
	fn := func(scope *model.Scope, x *Node) *Node {
		return mlp(activation.TypeTanh)(scope, Sin(x).WithAlias("features"))
	}
	got, err := gcml.Measure(t.Context(), b, store, fn, rows, gcml.WithPerOutput(), gcml.WithPerClass(), gcml.WithLayers())
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, v := range got.PerOutput {
		total += v
	}
	gctest.AssertClose(t, []float64{total}, []float64{got.GC}, 1e-12, 0, "sum over outputs")
	if len(got.PerClass) != 2 || got.PerClass[0].Class != 0 || got.PerClass[1].Class != 2 ||
		got.PerClass[1].Examples != 7 {
		t.Fatalf("classes: %+v", got.PerClass)
	}
	mixed := (3*got.PerClass[0].GC + 7*got.PerClass[1].GC) / 10
	gctest.AssertClose(t, []float64{mixed}, []float64{got.GC}, 1e-12, 0, "classes weighted by their sizes")
	cosines := 0.0
	for _, v := range rows.flat {
		cosines += math.Cos(v) * math.Cos(v) / 10
	}
	if len(got.Layers) != 1 || got.Layers[0].Name != "/features" || got.Layers[0].Size != 5 {
		t.Fatalf("layers: %+v", got.Layers)
	}
	gctest.AssertClose(t, []float64{got.Layers[0].GC}, []float64{cosines}, 1e-12, 0, "GC of the sines")
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

// TestMeasureInRounds measures a model with so many outputs that one graph computes only some of
// them.
func TestMeasureInRounds(t *testing.T) {
	const outputs = 50
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		rows := testRows(t, 6, 4)
		rows.sizes = []int{4, 2}
		store := newStore(t, 9)
		fn := func(scope *model.Scope, x *Node) *Node {
			w := scope.VariableWithShape("w", shapes.Make(x.DType(), 4, outputs)).NodeValue(x.Graph())
			return Tanh(DotProduct(x, w))
		}
		whole, err := gcml.Measure(t.Context(), b, store, fn, rows, gcml.WithPerOutput(), gcml.WithCotangents(outputs))
		if err != nil {
			t.Fatal(err)
		}
		parts, err := gcml.Measure(t.Context(), b, store, fn, rows, gcml.WithPerOutput(), gcml.WithCotangents(3))
		if err != nil {
			t.Fatal(err)
		}
		total, err := gcml.Measure(t.Context(), b, store, fn, rows, gcml.WithCotangents(3))
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, parts.PerOutput, whole.PerOutput, 1e-12, 0, "per output")
		gctest.AssertClose(t, []float64{parts.GC, total.GC, float64(total.StdErr)},
			[]float64{whole.GC, whole.GC, float64(whole.StdErr)}, 1e-12, 0, "GC")
	})
}

// TestMeasureLeavesTheStore checks that neither the variables nor the random state change, and that
// only the seed decides the value of a random estimator.
func TestMeasureLeavesTheStore(t *testing.T) {
	b := gctest.GoBackend(t)
	rows := testRows(t, 6, 5)
	fn := mlp(activation.TypeTanh)
	draw := func(store *model.Store) float64 {
		return gctest.Flat(run(t, b, store, func(scope *model.Scope, g *Graph) *Node {
			return scope.RandomNormal(g, shapes.Make(dtypes.Float64))
		}))[0]
	}
	measure := func(store *model.Store, seed int64) float64 {
		got, err := gcml.Measure(t.Context(), b, store, fn, rows, gcml.WithEstimator(gcml.Projection(1)), gcml.WithSeed(seed))
		if err != nil {
			t.Fatal(err)
		}
		return got.GC
	}
	plain, measured := newStore(t, 4), newStore(t, 4)
	for _, store := range []*model.Store{plain, measured} {
		run(t, b, store, fn, mustBatch(t, rows))
	}
	first, second, other := measure(measured, 1), measure(measured, 1), measure(measured, 2)
	if first != second || first == other {
		t.Errorf("seeds 1, 1, 2 gave %g, %g, %g", first, second, other)
	}
	if a, c := draw(plain), draw(measured); a != c {
		t.Errorf("the random state changed: %g, then %g", a, c)
	}
}

// shared adds an input that holds for all examples to each batch: a scalar, or as many values as
// there are.
type shared struct {
	train.Dataset
	values []float64
}

// Iter implements train.Dataset.
func (s shared) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range s.Dataset.Iter() {
			added := tensors.FromScalar(s.values[0])
			if len(s.values) > 1 {
				added = tensors.FromFlatDataAndDimensions(slices.Clone(s.values), len(s.values))
			}
			batch.Inputs = append(batch.Inputs, added)
			if !yield(batch, err) {
				return
			}
		}
	}
}

func TestMeasureErrors(t *testing.T) {
	b := gctest.GoBackend(t)
	rows := testRows(t, 6, 5)
	rows.sizes = []int{3, 3}
	withNaN := rows
	withNaN.flat = append([]float64(nil), rows.flat...)
	withNaN.flat[4*5] = math.NaN()
	failing := rows
	failing.err = errors.New("disk on fire")
	fn := mlp(activation.TypeTanh)
	overflow := func(scope *model.Scope, x *Node) *Node { return Exp(MulScalar(x, 1e6)) }
	huge := func(_ *model.Scope, x *Node) *Node { return MulScalar(MulScalar(x, 1e200).WithAlias("huge"), 1e-200) }
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := []struct {
		name, want string
		ctx        context.Context
		fn         func(scope *model.Scope, x *Node) *Node
		ds         train.Dataset
		opts       []gcml.Option
	}{
		{name: "empty", want: `data set "test rows" is empty`, ds: batches{}},
		{name: "NaN", want: "batch 1, example 4: input #0 holds NaN", ds: withNaN},
		{name: "a scalar that is NaN", want: "batch 0: input #1 holds NaN", ds: shared{rows, []float64{math.NaN()}}},
		{name: "an infinite value for all examples", want: "batch 0: input #1 holds -Inf",
			ds: shared{rows, []float64{0, 0, 0, 0, 0, 0, 0, math.Inf(-1)}}, opts: []gcml.Option{gcml.WithMaxExamples(2)}},
		{name: "overflow", want: "batch 0, example 0: the squared Jacobian norm is NaN", ds: rows, fn: overflow},
		{name: "overflow in a layer", want: "batch 0, example 0: the squared Jacobian norm of /huge is +Inf", ds: rows,
			fn:   huge,
			opts: []gcml.Option{gcml.WithLayers()}},
		{name: "data set fails", want: `data set "test rows": disk on fire`, ds: failing},
		{name: "cancelled", want: "context canceled", ds: rows, ctx: cancelled},
		{name: "no labels", want: "WithPerClass needs labels, but batch 0 has none", ds: rows,
			opts: []gcml.Option{gcml.WithPerClass()}},
		{name: "no layers", want: "name nodes of the model with Node.WithAlias", ds: rows,
			opts: []gcml.Option{gcml.WithLayers()}},
		{name: "estimator", want: "at least one sample", ds: rows,
			opts: []gcml.Option{gcml.WithEstimator(gcml.Projection(0))}},
		{name: "rows of an estimate", want: "mixes the outputs", ds: rows,
			opts: []gcml.Option{gcml.WithPerOutput(), gcml.WithEstimator(gcml.Projection(1))}},
		{name: "too many projections", want: "use at most 3", ds: rows,
			opts: []gcml.Option{gcml.WithEstimator(gcml.Projection(4))}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.fn == nil {
				c.fn = fn
			}
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			_, err := gcml.Measure(c.ctx, b, newStore(t, 1), c.fn, c.ds, c.opts...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %v, want one line with %q", err, c.want)
			}
		})
	}
}

// TestMeasureAdvisesFloat64 checks that a squared norm beyond float32 is an error that names
// float64, in which it has its value: that of f(x) = cx with n features is nc².
func TestMeasureAdvisesFloat64(t *testing.T) {
	const advice = "or measure the model in float64"
	scaled := func(c float64) func(*model.Scope, *Node) *Node {
		return func(_ *model.Scope, x *Node) *Node { return MulScalar(x, c) }
	}
	double := testRows(t, 3, 5)
	single := double
	single.dtype = dtypes.Float32
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		_, err := gcml.Measure(t.Context(), b, model.NewStore(), scaled(1e25), single)
		if err == nil || !strings.Contains(err.Error(), "batch 0, example 0: the squared Jacobian norm is +Inf") ||
			!strings.Contains(err.Error(), advice) || strings.Contains(err.Error(), "\n") {
			t.Errorf("in float32 got error %v, want one line with %q", err, advice)
		}
		got, err := gcml.Measure(t.Context(), b, model.NewStore(), scaled(1e25), double)
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, []float64{got.GC}, []float64{5e50}, 1e-12, 0, "in float64")
		_, err = gcml.Measure(t.Context(), b, model.NewStore(), scaled(1e200), double)
		if err == nil || strings.Contains(err.Error(), advice) {
			t.Errorf("beyond float64 got error %v, want one without %q", err, advice)
		}
	})
}

func TestMeasureMaxExamples(t *testing.T) {
	rows := testRows(t, 9, 5)
	rows.sizes = []int{4, 4, 1}
	rows.labels = []int32{-1, 5, 5, 5, 5, 5, 5, 5, 5}
	got, err := gcml.Measure(t.Context(), gctest.GoBackend(t), newStore(t, 1), mlp(activation.TypeTanh), rows,
		gcml.WithMaxExamples(6), gcml.WithPerClass(), gcml.WithPerOutput())
	if err != nil {
		t.Fatal(err)
	}
	if got.Examples != 6 || len(got.PerClass) != 2 || got.PerClass[0].Class != -1 || got.PerClass[1].Examples != 5 {
		t.Errorf("got %+v", got)
	}
	total := 0.0
	for _, v := range got.PerOutput {
		total += v
	}
	gctest.AssertClose(t, []float64{total}, []float64{got.GC}, 1e-12, 0, "sum over outputs")
}

// TestMeasureBatchesOfSeveralSizes measures a function of any number of values. The dimensions of a
// result are the largest, whichever batch has them.
func TestMeasureBatchesOfSeveralSizes(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		fn := func(_ *model.Scope, x *Node) *Node { return MulScalar(Square(x).WithAlias("squares"), 0.5) }
		wide, narrow := [][]float64{{1, 2, 3}, {0, 1, 0}}, [][]float64{{5, 1}}
		for _, ds := range []inTurn{{wide, narrow}, {narrow, wide}} {
			got, err := gcml.Measure(t.Context(), b, newStore(t, 1), fn, ds, gcml.WithLayers())
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Layers) != 1 || got.Layers[0].Size != 3 || got.Outputs != 3 || got.Inputs != 3 {
				t.Fatalf("got %+v, want 3 outputs, inputs and values of the layer", got)
			}
			// ‖J‖² is ‖x‖², four times as much for the layer.
			gctest.AssertClose(t, []float64{got.GC, got.Layers[0].GC}, []float64{(14 + 1 + 26) / 3., 4 * (14 + 1 + 26) / 3.},
				1e-12, 0, "GC")
		}
	})
}

// inTurn is a data set of batches with one input each.
type inTurn [][][]float64

func (inTurn) Name() string { return "in turn" }

func (d inTurn) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for _, x := range d {
			if !yield(train.Batch{Inputs: []*tensors.Tensor{tensors.FromValue(x)}}, nil) {
				return
			}
		}
	}
}

// TestMeasureMaxExamplesIgnoresTheRest checks that NaN in examples beyond WithMaxExamples, in the
// same batch, changes nothing.
func TestMeasureMaxExamplesIgnoresTheRest(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x := tensors.FromValue([][]float64{{1, 2}, {3, 4}, {math.NaN(), 5}})
		fn := func(_ *model.Scope, x *Node) *Node { return MulScalar(Square(x), 0.5) } // ‖J‖² = ‖x‖².
		got, err := gcml.Measure(t.Context(), b, newStore(t, 1), fn, oneBatch{train.Batch{Inputs: []*tensors.Tensor{x}}},
			gcml.WithMaxExamples(2), gcml.WithPerExample(), gcml.WithSpectralNorm())
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, got.PerExample, []float64{5, 25}, 1e-12, 0, "squared norms")
		gctest.AssertClose(t, got.Spectrum.PerExample, []float64{2, 4}, 1e-9, 0, "largest singular values")
	})
}

// oneBatch is a data set of a single batch.
type oneBatch struct{ batch train.Batch }

func (d oneBatch) Name() string { return "one batch" }

func (d oneBatch) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) { yield(d.batch, nil) }
}
