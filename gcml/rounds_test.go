package gcml

import (
	"iter"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// rows is a data set of the rows of x in batches of the given sizes, and with the given specs if
// there are any.
type rows struct {
	x     *mat.Dense
	dtype dtypes.DType
	sizes []int
	specs []any
}

func (d rows) Name() string { return "rows" }

func (d rows) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		_, features := d.x.Dims()
		at := 0
		for i, n := range d.sizes {
			values := mat.DenseCopyOf(d.x.Slice(at, at+n, 0, features)).RawMatrix().Data
			at += n
			batch := train.Batch{Inputs: []*tensors.Tensor{tensorOf(d.dtype, values, n, features)}}
			if d.specs != nil {
				batch.Spec = d.specs[i]
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func tensorOf(dtype dtypes.DType, values []float64, dims ...int) *tensors.Tensor {
	if dtype == dtypes.Float64 {
		return tensors.FromFlatDataAndDimensions(values, dims...)
	}
	single := make([]float32, len(values))
	for i, v := range values {
		single[i] = float32(v)
	}
	return tensors.FromFlatDataAndDimensions(single, dims...)
}

// sineNetwork is f(x) = s·C·sin(A·x), whose Jacobian is s·C·diag(cos(A·x))·A. The factor s is the
// spec, 1 if there is none. The sines have the alias "sines".
type sineNetwork struct{ a, c *mat.Dense } // [units, inputs], [outputs, units].

func newSineNetwork(inputs, units, outputs int, rng *rand.Rand) sineNetwork {
	return sineNetwork{randomMatrix(units, inputs, rng), randomMatrix(outputs, units, rng)}
}

func randomMatrix(r, c int, rng *rand.Rand) *mat.Dense {
	m := mat.NewDense(r, c, nil)
	m.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, m)
	return m
}

func (n sineNetwork) model(_ *model.Scope, spec any, inputs []*Node) []*Node {
	x := inputs[0]
	weights := func(m *mat.Dense) *Node { // Transposed, [from, to].
		rows, columns := m.Dims()
		return ConstTensor(x.Graph(), tensorOf(x.DType(), mat.DenseCopyOf(m.T()).RawMatrix().Data, columns, rows))
	}
	y := Dot(Sin(Dot(x, weights(n.a)).Product()).WithAlias("sines"), weights(n.c)).Product()
	if s, ok := spec.(float64); ok {
		y = MulScalar(y, s)
	}
	return []*Node{y}
}

// norms returns the squared norms of the rows of the Jacobian of the outputs at x, and that of the
// sines.
func (n sineNetwork) norms(x []float64, s float64) (perOutput []float64, sines float64) {
	units, inputs := n.a.Dims()
	slope := mat.NewDense(units, inputs, nil)
	for u := range units {
		cos := math.Cos(mat.Dot(n.a.RowView(u), mat.NewVecDense(inputs, x)))
		for i := range inputs {
			slope.Set(u, i, cos*n.a.At(u, i))
			sines += slope.At(u, i) * slope.At(u, i)
		}
	}
	var jacobian mat.Dense
	jacobian.Mul(n.c, slope)
	outputs, _ := jacobian.Dims()
	for k := range outputs {
		row := mat.Norm(jacobian.RowView(k), 2)
		perOutput = append(perOutput, s*s*row*row)
	}
	return perOutput, sines
}

// TestMeasureBatches compares everything that Measure reports with the closed form, over several
// batches, equal and unequal, with and without rounds. Each kind of batch must get its own number
// of rounds and its own graph.
func TestMeasureBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	wide, narrow := newSineNetwork(4, 6, 40, rng), newSineNetwork(9, 5, 3, rng)
	examples := func(n sineNetwork, count int) *mat.Dense {
		_, inputs := n.a.Dims()
		return randomMatrix(count, inputs, rng)
	}
	cases := []struct {
		name    string
		network sineNetwork
		dtype   dtypes.DType
		sizes   []int
		specs   []any
		opts    []Option
		rounds  int
	}{
		{name: "two batches in rounds of two", network: wide, dtype: dtypes.Float64, sizes: []int{16, 16},
			opts: []Option{WithCotangents(2)}, rounds: 20},
		{name: "four batches in rounds of two", network: wide, dtype: dtypes.Float64, sizes: []int{8, 8, 8, 8},
			opts: []Option{WithCotangents(2)}, rounds: 20},
		{name: "unequal batches in rounds of one", network: wide, dtype: dtypes.Float64, sizes: []int{5, 3, 5, 1, 3},
			opts: []Option{WithCotangents(1)}, rounds: 40},
		{name: "parts that do not divide the outputs", network: wide, dtype: dtypes.Float32, sizes: []int{6, 6, 2},
			opts: []Option{WithCotangents(3)}, rounds: 1},
		{name: "rounds that do not divide the outputs", network: newSineNetwork(4, 6, 50, rng), dtype: dtypes.Float32,
			sizes: []int{6, 6, 2}, opts: []Option{WithCotangents(3)}, rounds: 17},
		{name: "rounds for want of memory", network: wide, dtype: dtypes.Float32, sizes: []int{6, 6, 6},
			opts: []Option{WithMemoryBudget(2 * 6 * (40 + 6 + 6) * 4)}, rounds: 20},
		{name: "one graph", network: wide, dtype: dtypes.Float64, sizes: []int{6, 6, 4, 4}, rounds: 1},
		{name: "few outputs, one at a time", network: narrow, dtype: dtypes.Float64, sizes: []int{4, 4, 1},
			opts: []Option{WithCotangents(1)}, rounds: 1},
		{name: "a layer in rounds, the outputs not", network: newSineNetwork(4, 20, 3, rng), dtype: dtypes.Float64,
			sizes: []int{4, 4, 1}, opts: []Option{WithCotangents(1)}, rounds: 1},
		{name: "specs", network: narrow, dtype: dtypes.Float64, sizes: []int{4, 4, 4, 2}, specs: []any{1.0, 10.0, nil, 10.0},
			rounds: 1},
		{name: "specs in rounds", network: wide, dtype: dtypes.Float64, sizes: []int{4, 4, 3}, specs: []any{1.0, 10.0, 1.0},
			opts: []Option{WithCotangents(2)}, rounds: 20},
		{name: "the closed form", network: newSineNetwork(60, 5, 40, rng), dtype: dtypes.Float64, sizes: []int{16, 16, 8},
			rounds: 1},
		{name: "the closed form in rounds", network: newSineNetwork(60, 5, 40, rng), dtype: dtypes.Float64,
			sizes: []int{16, 16, 8}, opts: []Option{WithCotangents(2)}, rounds: 20},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				count := 0
				for _, n := range c.sizes {
					count += n
				}
				ds := rows{x: examples(c.network, count), dtype: c.dtype, sizes: c.sizes, specs: c.specs}
				measureBatches(t, b, c.network, ds, c.opts, c.rounds)
			})
		}
	})
}

// measureBatches compares everything that Measure reports with the closed form, and the number of
// rounds.
func measureBatches(t *testing.T, b compute.Backend, n sineNetwork, ds rows, opts []Option, rounds int) {
	outputs, _ := n.c.Dims()
	var norms, sines []float64
	perOutput := make([]float64, outputs)
	for batch, at := 0, 0; batch < len(ds.sizes); batch++ {
		s := 1.0
		if ds.specs != nil && ds.specs[batch] != nil {
			s = ds.specs[batch].(float64)
		}
		for range ds.sizes[batch] {
			each, inner := n.norms(ds.x.RawRowView(at), s)
			total := 0.0
			for k, v := range each {
				total += v
				perOutput[k] += v
			}
			norms, sines = append(norms, total), append(sines, inner)
			at++
		}
	}
	mean, deviation := stat.MeanStdDev(norms, nil)
	for k := range perOutput {
		perOutput[k] /= float64(len(norms))
	}
	tolerance := 1e-12
	if ds.dtype == dtypes.Float32 {
		tolerance = 1e-5
	}
	for _, reported := range [][]Option{nil, {WithPerOutput(), WithLayers()}} {
		m, err := NewMeasurer(b, model.NewStore(), train.ModelFn(n.model), append(reported, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Finalize()
		for range 2 { // The second time all graphs exist.
			got, err := m.Measure(t.Context(), ds)
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{got.GC, float64(got.StdErr)},
				[]float64{mean, stat.StdErr(deviation, float64(len(norms)))},
				tolerance, 0, "GC and its standard error")
			if reported != nil {
				gctest.AssertClose(t, got.PerOutput, perOutput, tolerance, 0, "per output")
				gctest.AssertClose(t, []float64{got.Layers[0].GC}, []float64{stat.Mean(sines, nil)}, tolerance, 0,
					"GC of the sines")
			}
		}
		results, l, err := m.graphs.Call(firstBatch(t, ds), tensors.FromScalar(int32(0)), newState(t, m))
		if err != nil {
			t.Fatal(err)
		}
		if len(results) != len(l.plans)+2 || l.plans[0].rounds != rounds {
			t.Errorf("%d results and the plan %+v, want %d rounds", len(results), l.plans[0], rounds)
		}
	}
}

func firstBatch(t *testing.T, ds train.Dataset) train.Batch {
	for batch, err := range ds.Iter() {
		if err != nil {
			t.Fatal(err)
		}
		return batch
	}
	t.Fatal("no batch")
	return train.Batch{}
}

func newState(t *testing.T, m *Measurer) *tensors.Tensor {
	state, err := m.newState()
	if err != nil {
		t.Fatal(err)
	}
	return state
}
