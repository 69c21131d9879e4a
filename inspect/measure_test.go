package inspect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/inspect"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestMeasure(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		var reports []string
		for _, sizes := range [][]int{{4, 4}, {5, 3}} {
			s, a, data := problem(sizes...)
			r := measure(t, b, s, inspect.Options{Shown: 2, Noise: []float64{1e-3, 0.5}})
			checkComplexity(t, r, a, data)
			checkMargin(t, r, a, data)
			checkShown(t, r, a, data)
			checkNoise(t, r, a, data)
			checkCollapse(t, r, data)
			r.Seconds, r.GC.Seconds = 0, 0
			// The draws for the layers depend on the batches.
			for i := range r.Layers {
				r.Layers[i].GC, r.Layers[i].StdErr = 0, 0
			}
			r.Readings = slices.DeleteFunc(r.Readings,
				func(r inspect.Reading) bool { return r.Section == inspect.SectionLayers })
			var text bytes.Buffer
			if err := r.JSON(&text); err != nil {
				t.Fatal(err)
			}
			reports = append(reports, rounded(text.String()))
		}
		if reports[0] != reports[1] {
			t.Errorf("batches of other sizes give another report:\n%s\n%s", reports[0], reports[1])
		}
	})
}

// rounded writes the numbers of JSON in nine digits.
func rounded(text string) string {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		panic(err)
	}
	var round func(v any) any
	round = func(v any) any {
		switch v := v.(type) {
		case float64:
			return strconv.FormatFloat(v, 'e', 8, 64)
		case []any:
			for i := range v {
				v[i] = round(v[i])
			}
		case map[string]any:
			for key := range v {
				v[key] = round(v[key])
			}
		}
		return v
	}
	out, err := json.Marshal(round(value))
	if err != nil {
		panic(err)
	}
	return string(out)
}

func squaredNorms(a *mat.Dense, data rows) (norms, largest []float64) {
	for e := range examples {
		var svd mat.SVD
		svd.Factorize(jacobian(a, data, e), mat.SVDNone)
		s := svd.Values(nil)
		norms = append(norms, s[0]*s[0]+s[1]*s[1]+s[2]*s[2])
		largest = append(largest, s[0])
	}
	return norms, largest
}

func checkComplexity(t *testing.T, r *inspect.Report, a *mat.Dense, data rows) {
	norms, largest := squaredNorms(a, data)
	gctest.AssertClose(t, r.GC.PerExample, norms, 1e-9, 0, "squared norms")
	gctest.AssertClose(t, r.GC.Spectrum.PerExample, largest, 1e-8, 0, "largest singular values")
	gctest.AssertClose(t, []float64{r.GC.GC, r.TopTenth},
		[]float64{stat.Mean(norms, nil), slices.Max(norms) / 8 / stat.Mean(norms, nil)},
		1e-9, 0, "GC and the share of one of eight examples")
	var perClass, want []float64
	for class, members := range [][]int{{0, 3, 6}, {1, 4, 5}, {2, 7}} {
		perClass = append(perClass, r.GC.PerClass[class].GC)
		sum := 0.0
		for _, e := range members {
			sum += norms[e] / float64(len(members))
		}
		want = append(want, sum)
	}
	gctest.AssertClose(t, perClass, want, 1e-9, 0, "GC by class")
	// The squares have the Jacobian 2·diag(x), whose Rademacher estimates have no variance.
	sum := 0.0
	for _, v := range data.x {
		sum += 4 * v * v / examples
	}
	if len(r.Layers) != 1 || r.Layers[0].Name != "the squares" || r.Layers[0].Size != values {
		t.Fatalf("layers %+v", r.Layers)
	}
	gctest.AssertClose(t, []float64{r.Layers[0].GC, r.Collapse.GC}, []float64{sum, sum}, 1e-9, 0,
		"GC of the layer, of the features")
}

func checkMargin(t *testing.T, r *inspect.Report, a *mat.Dense, data rows) {
	_, largest := squaredNorms(a, data)
	var margins, distances []float64
	right := 0.0
	for e := range examples {
		out := forward(a, data.x[e*values:(e+1)*values])
		sorted := slices.Sorted(slices.Values(out))
		distances = append(distances, (sorted[2]-sorted[1])/math.Sqrt2/largest[e])
		own := out[data.labels[e]]
		out[data.labels[e]] = math.Inf(-1)
		margins = append(margins, own-slices.Max(out))
		if margins[e] > 0 {
			right += 1.0 / examples
		}
	}
	m := r.Margin
	gctest.AssertClose(t, []float64{m.Mean, float64(m.Accuracy), m.Distance.Median, m.Distance.Min},
		[]float64{stat.Mean(margins, nil), right, gcml.NewQuantiles(distances).Median, slices.Min(distances)}, 1e-8, 0,
		"margins")
	if mean := stat.Mean(margins, nil); mean > 0 {
		gctest.AssertClose(t, []float64{float64(m.GCOverMargin), float64(m.RootGCOverMargin)},
			[]float64{r.GC.GC / mean, math.Sqrt(r.GC.GC) / mean}, 1e-8, 0, "GC over margin")
	} else if m.GCOverMargin.IsFinite() || m.RootGCOverMargin.IsFinite() {
		t.Errorf("GC over a margin of %g is %g", mean, m.GCOverMargin)
	}
	if !m.Labelled {
		t.Error("the margins are not those of the labels")
	}
}

// checkShown compares with the columns of the Jacobians.
func checkShown(t *testing.T, r *inspect.Report, a *mat.Dense, data rows) {
	norms, _ := squaredNorms(a, data)
	order := []int{0, 1, 2, 3, 4, 5, 6, 7}
	slices.SortFunc(order, func(i, j int) int { return int(math.Copysign(1, norms[j]-norms[i])) })
	want := []int{order[0], order[1], order[7], order[6]}
	for i, e := range r.Shown {
		if e.Index != want[i] || e.Most != (i < 2) {
			t.Fatalf("example %d is shown in place %d, want %v", e.Index, i, want)
		}
		j := jacobian(a, data, e.Index)
		best, largest := -1, 0.0
		for col := range values {
			if norm := mat.Norm(j.ColView(col), 2); norm > largest {
				best, largest = col, norm
			}
		}
		got := e.Sensitive[0]
		if !slices.Equal(got.Index, []int{best / 6, best / 3 % 2, best % 3}) || math.Abs(got.Norm-largest) > 1e-9*largest {
			t.Errorf("example %d is most sensitive to %v by %g, want value %d by %g", e.Index, got.Index, got.Norm, best,
				largest)
		}
		if *e.Label != data.labels[e.Index] {
			t.Errorf("example %d has the label %d", e.Index, *e.Label)
		}
	}
}

// checkNoise compares with the exact mean of the squared change of A·(x ∘ x)/2 by σe: σ²‖J‖² from
// the first order, and σ⁴/4·(2·ΣA² + Σ(A·1)²) from the second.
func checkNoise(t *testing.T, r *inspect.Report, a *mat.Dense, data rows) {
	for _, n := range r.Noise {
		second := 0.0
		for k := range outputs {
			row := 0.0
			for i := range values {
				second += 2 * a.At(k, i) * a.At(k, i)
				row += a.At(k, i)
			}
			second += row * row
		}
		exact := math.Sqrt(n.Sigma*n.Sigma*r.GC.GC + math.Pow(n.Sigma, 4)/4*second)
		if math.Abs(n.Predicted-n.Sigma*math.Sqrt(r.GC.GC)) > 1e-12 {
			t.Errorf("σ = %g: predicted %g", n.Sigma, n.Predicted)
		}
		// 32 draws of three outputs: the root mean square has a relative error of about a tenth.
		if math.Abs(n.Drawn/exact-1) > 0.35 || !(float64(n.Low) < n.Drawn && n.Drawn < float64(n.High)) {
			t.Errorf("σ = %g: drawn %g in [%g, %g], the exact mean is %g", n.Sigma, n.Drawn, n.Low, n.High, exact)
		}
	}
	if small, large := r.Noise[0], r.Noise[1]; small.Flipped > large.Flipped || large.Flipped <= 0 {
		t.Errorf("decisions changed: %g at σ = %g, %g at σ = %g", small.Flipped, small.Sigma, large.Flipped, large.Sigma)
	}
}

// checkCollapse computes CDNV from the distances of all pairs.
func checkCollapse(t *testing.T, r *inspect.Report, data rows) {
	var classes [3][][]float64
	for e, label := range data.labels {
		row := slices.Clone(data.x[e*values : (e+1)*values])
		for i := range row {
			row[i] *= row[i]
		}
		classes[label] = append(classes[label], row)
	}
	mean := func(class int) []float64 {
		m := make([]float64, values)
		for _, row := range classes[class] {
			for i, v := range row {
				m[i] += v / float64(len(classes[class]))
			}
		}
		return m
	}
	squared := func(a, b []float64) (d float64) {
		for i := range a {
			d += (a[i] - b[i]) * (a[i] - b[i])
		}
		return d
	}
	cdnv, geometric := 0.0, 0.0
	for _, pair := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
		between := squared(mean(pair[0]), mean(pair[1]))
		for _, class := range pair {
			for _, row := range classes[class] {
				n := float64(len(classes[class]))
				cdnv += squared(row, mean(class)) / n / 2 / between / 3
				for _, v := range row {
					geometric += 4 * v / n / 2 / between / 3 // The features are the squares of x.
				}
			}
		}
	}
	gctest.AssertClose(t, []float64{float64(r.Collapse.CDNV), float64(r.Collapse.GeometricCollapse)},
		[]float64{cdnv, geometric}, 1e-9, 0,
		"CDNV and geometric collapse")
	if r.Collapse.Features != "the squares" || r.Collapse.Classes != 3 {
		t.Errorf("collapse %+v", r.Collapse)
	}
}

// TestFixedBatch has a network that takes batches of four only.
func TestFixedBatch(t *testing.T) {
	s, _, _ := problem(4, 4)
	inner := s.Model
	s.Model = func(scope *model.Scope, spec any, inputs []*Node) []*Node {
		inputs[0].AssertDims(4, 2, 2, 3)
		return inner(scope, spec, inputs)
	}
	s.BatchSize = 4
	b := gctest.GoBackend(t)
	got := measure(t, b, s, inspect.Options{Shown: 3, Noise: []float64{}})
	free, _, _ := problem(4, 4)
	want := measure(t, b, free, inspect.Options{Shown: 3, Noise: []float64{}})
	for i := range want.Shown {
		if g, w := got.Shown[i].Sensitive[0], want.Shown[i].Sensitive[0]; math.Abs(g.Norm-w.Norm) > 1e-12 ||
			!slices.Equal(g.Index, w.Index) {
			t.Errorf("example %d: %v, want %v", want.Shown[i].Index, g, w)
		}
	}
}

// TestWhatIsLeftOut has networks for which a part does not apply: the report says so.
func TestWhatIsLeftOut(t *testing.T) {
	b := gctest.GoBackend(t)
	one := func(_ *model.Scope, x *Node) *Node { return ReduceSum(Square(x), 1, 2, 3) }
	_, _, data := problem(8)
	for name, c := range map[string]struct {
		change func(*inspect.Subject)
		note   string
		check  func(*inspect.Report) bool
	}{
		"single output": {func(s *inspect.Subject) { *s = inspect.NewSubject("", model.NewStore(), one, data) },
			"not those of a classifier", func(r *inspect.Report) bool {
				return r.Margin == nil && !r.Noise[0].Flipped.IsFinite()
			}},
		"no labels": {func(s *inspect.Subject) { d := data; d.labels = nil; s.Data = d },
			"Without labels", func(r *inspect.Report) bool {
				return r.Collapse == nil && !r.Margin.Labelled && !r.Margin.Accuracy.IsFinite() && r.Shown[0].Label == nil
			}},
		"one class": {func(s *inspect.Subject) { d := data; d.labels = make([]int64, 8); s.Data = d },
			"all 8 examples are of class 0", func(r *inspect.Report) bool { return r.Collapse == nil && r.Margin.Labelled }},
		"labels that are no outputs": {func(s *inspect.Subject) {
			d := data
			d.labels = []int64{7, 8, 7, 8, 7, 8, 7, 8}
			s.Data = d
		}, "not all numbers of outputs", func(r *inspect.Report) bool { return !r.Margin.Labelled && r.Collapse != nil }},
		"inner node": {func(s *inspect.Subject) { s.InputNode = "squares"; s.Features = "" },
			"inner node", func(r *inspect.Report) bool { return r.Noise == nil && r.GC.Inputs == values }},
		"no named nodes": {func(s *inspect.Subject) { *s = inspect.NewSubject("", model.NewStore(), one, data) },
			"no named inner node", func(r *inspect.Report) bool { return r.Layers == nil }},
		"equal inputs": {func(s *inspect.Subject) {
			d := data
			d.x = slices.Repeat([]float64{2}, len(data.x))
			s.Data = d
		}, "all values of the inputs are equal", func(r *inspect.Report) bool {
			// Classes are points at one place: collapsed, though not apart.
			return r.Noise == nil && r.Collapse.CDNV == 0 && !r.Collapse.NC1.IsFinite()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := problem(8)
			c.change(&s)
			r := measure(t, b, s, inspect.Options{})
			if !strings.Contains(strings.Join(r.Notes, " "), c.note) || !c.check(r) {
				t.Errorf("notes %q, report %+v", r.Notes, r)
			}
			var page, text bytes.Buffer
			if err := r.Page(&page); err != nil {
				t.Error(err)
			}
			if err := r.JSON(&text); err != nil {
				t.Error(err)
			}
			for _, bad := range []string{"NaN", "+Inf", "%!"} {
				if strings.Contains(page.String(), bad) {
					t.Errorf("the page has %q", bad)
				}
			}
		})
	}
}

// TestSeed checks that the seed decides the random numbers of a random estimator for the maps of
// the inputs, and that the subject's own random state stays as it was.
func TestSeed(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		s, _, _ := problem(1, 1, 1, 1, 1, 1, 1, 1)
		if err := s.Store.SetRNGStateFromSeed(5); err != nil {
			t.Fatal(err)
		}
		state := func() []uint64 {
			v := s.Store.GetVariable("/" + model.RNGStateVariableName)
			return tensors.MustCopyFlatData[uint64](v.MustValue())
		}
		before := state()
		report := func(seed int64) string {
			r := measure(t, b, s, inspect.Options{Estimator: gcml.Projection(1), Seed: seed, Shown: 4})
			maps := map[int][]inspect.Value{} // Of all examples.
			for _, e := range r.Shown {
				maps[e.Index] = e.Sensitive
			}
			return fmt.Sprint(maps)
		}
		if first, again, other := report(1), report(1), report(2); first != again || first == other {
			t.Errorf("seeds 1, 1 and 2 gave\n%s\n%s\n%s", first, again, other)
		}
		if after := state(); !slices.Equal(before, after) {
			t.Errorf("the random state of the subject is %v, before %v", after, before)
		}
	})
}

func TestMeasureErrors(t *testing.T) {
	b := gctest.GoBackend(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for want, c := range map[string]struct {
		change  func(*inspect.Subject)
		options inspect.Options
		ctx     context.Context
	}{
		"context canceled": {ctx: canceled},
		"noise of σ = -1":  {options: inspect.Options{Noise: []float64{-1}}},
		"noise is drawn on inputs": {change: func(s *inspect.Subject) { s.InputNode = "squares" },
			options: inspect.Options{Noise: []float64{1}}},
		"images are drawn of inputs": {change: func(s *inspect.Subject) { s.InputNode = "squares" },
			options: inspect.Options{Image: []int{2, 2}}},
		"-1 examples to show":                          {options: inspect.Options{Shown: -1}},
		"no node \"wrong\" for the features":           {change: func(s *inspect.Subject) { s.Features = "wrong" }},
		"no node \"wrong\" to differentiate by":        {change: func(s *inspect.Subject) { s.InputNode = "wrong" }},
		"there is no input #3":                         {change: func(s *inspect.Subject) { s.Input = 3 }},
		"lacks its store, model or data":               {change: func(s *inspect.Subject) { s.Store = nil }},
		"is empty":                                     {change: func(s *inspect.Subject) { s.Data = rows{dims: []int{3}} }},
		"images of dimensions [5 5] do not have":       {options: inspect.Options{Image: []int{5, 5}}},
		"image dimensions [2 2 3 1]":                   {options: inspect.Options{Image: []int{2, 2, 3, 1}}},
		"the estimator noise:0.1:1 has no derivatives": {options: inspect.Options{Estimator: gcml.ForwardNoise(0.1, 1)}},
	} {
		s, _, _ := problem(4, 4)
		if c.change != nil {
			c.change(&s)
		}
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		_, err := inspect.Measure(c.ctx, b, s, c.options)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got error %v, want one line with %q", err, want)
		}
	}
}

// TestCost: the cost is announced before any work, all of it is reported as done, and an error of
// Announce stops it.
func TestCost(t *testing.T) {
	s, _, _ := problem(4, 4)
	var cost inspect.Cost
	done := int64(0)
	options := inspect.Options{
		Announce: func(c inspect.Cost) error { cost = c; return nil },
		Progress: func(_ string, units int64) {
			if cost.Products == 0 {
				t.Error("work began before the cost was said")
			}
			done += units
		}}
	measure(t, gctest.GoBackend(t), s, options)
	// Three outputs for GC and as many for the singular values, four directions for one layer,
	// twelve features; one evaluation, and four draws for each of five σ.
	if cost.Products != 3+3+4+12 || cost.Evaluations != 1+4*5 || cost.Examples != examples {
		t.Errorf("%+v", cost)
	}
	if done != cost.Units() {
		t.Errorf("%d units were done of %d", done, cost.Units())
	}
	options.Announce = func(inspect.Cost) error { return context.DeadlineExceeded }
	if _, err := inspect.Measure(t.Context(), gctest.GoBackend(t), s, options); err != context.DeadlineExceeded {
		t.Errorf("error %v", err)
	}
}

// TestFeaturesInAnotherOrder: features of another order than the examples are an error, or the
// outputs take their place.
func TestFeaturesInAnotherOrder(t *testing.T) {
	b := gctest.GoBackend(t)
	s, a, _ := problem(4, 4)
	plain := s
	plain.Features = ""
	want := measure(t, b, plain, inspect.Options{})
	s.Model = func(scope *model.Scope, _ any, inputs []*Node) []*Node {
		turned := Transpose(Square(Reshape(inputs[0], inputs[0].Shape().Dimensions[0], -1)), 0, 1).WithAlias("turned")
		weights := scope.VariableWithValue("a", tensors.FromFlatDataAndDimensions(slices.Clone(a.RawMatrix().Data), outputs,
			values))
		return []*Node{MulScalar(Einsum("ib,ki->bk", turned, weights.NodeValue(inputs[0].Graph())), 0.5)}
	}
	s.Features = "turned"
	if _, err := inspect.Measure(t.Context(), b, s, inspect.Options{}); err == nil ||
		!strings.Contains(err.Error(), "the features turned are not values of each example") {
		t.Errorf("error %v", err)
	}
	s.FeaturesOrOutputs = true
	got := measure(t, b, s, inspect.Options{})
	gctest.AssertClose(t, []float64{float64(got.Collapse.CDNV)}, []float64{float64(want.Collapse.CDNV)}, 1e-9, 0, "CDNV")
	if got.Collapse.Features != "outputs" ||
		!strings.Contains(strings.Join(got.Notes, "\n"), "the outputs take their place") {
		t.Errorf("features %q, notes %q", got.Collapse.Features, got.Notes)
	}
}
