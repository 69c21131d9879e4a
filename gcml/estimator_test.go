package gcml_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestParseEstimator(t *testing.T) {
	for _, e := range []gcml.Estimator{
		gcml.Exact(), gcml.Projection(3), gcml.Hutchinson(1, gcml.Rademacher), gcml.Hutchinson(2, gcml.Gaussian),
		gcml.ForwardNoise(0.01, 4), gcml.ForwardNoise(1e-3, 1),
	} {
		t.Run(e.String(), func(t *testing.T) {
			got, err := gcml.ParseEstimator(e.String())
			if err != nil || got != e {
				t.Errorf("ParseEstimator(%q) = %v, %v", e, got, err)
			}
		})
	}
	for text, want := range map[string]gcml.Estimator{
		"projection": gcml.Projection(1), " exact ": gcml.Exact(), "noise": gcml.ForwardNoise(0.01, 1),
		"noise:0.5": gcml.ForwardNoise(0.5, 1),
	} {
		if got, err := gcml.ParseEstimator(text); err != nil || got != want {
			t.Errorf("ParseEstimator(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "unknown estimator", "exakt": "unknown estimator", "projection:0": "at least one sample",
		"projection:x": "not a whole number", "noise:x": "not a number", "noise:-1": "sigma > 0",
		"noise:NaN": "sigma > 0", "noise:Inf": "from 1e-15 to 1e+15", "noise:-Inf": "sigma > 0",
		"noise:1e-300": "from 1e-15 to 1e+15",
		"noise:1e300":  "from 1e-15 to 1e+15", "noise:1e999": "not a number", "noise:0": "sigma > 0",
		"noise:0.1:0": "at least one sample",
		"noise:":      "not a number", "projection:": "not a whole number", "projection:1.5": "not a whole number",
		"rademacher:-3": "at least one sample", "projection:99999999999999999999": "not a whole number",
		"exact:":          "unexpected text",
		"Distribution(7)": "unknown estimator", "Exact": "unknown estimator", "exact:3": "unexpected text",
		"gaussian:1:2": "unexpected text",
	} {
		if _, err := gcml.ParseEstimator(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseEstimator(%q) gave error %v, want one with %q", text, err, want)
		}
	}
}

// TestUnknownDistribution checks that an unknown distribution is refused wherever the estimator is
// used.
func TestUnknownDistribution(t *testing.T) {
	e := gcml.Hutchinson(1, gcml.Distribution(7))
	const want = "unknown distribution Distribution(7), want gcml.Rademacher or gcml.Gaussian"
	_, err := CallOnce(gctest.GoBackend(t), func(g *Graph) *Node {
		x := Zeros(g, shapes.Make(dtypes.Float32, 4, 3))
		return gcml.Complexity(Sin(x), x, gcml.WithEstimator(e))
	})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Complexity gave error %v, want one with %q", err, want)
	}
	_, err = gcml.Measure(t.Context(), gctest.GoBackend(t), model.NewStore(), mlp(activation.TypeTanh), testRows(t, 4, 5),
		gcml.WithEstimator(e))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Measure gave error %v, want one with %q", err, want)
	}
}

// TestEstimatorsAreUnbiased draws each estimator many times, for the first
// example of each problem, and compares the mean with the slow oracle.
func TestEstimatorsAreUnbiased(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, p := range problems {
			if b != gctest.GoBackend(t) && p.name != "mlp relu" {
				continue // The draws are the same for every model.
			}
			estimators := []gcml.Estimator{
				gcml.Projection(1), gcml.Hutchinson(1, gcml.Rademacher), gcml.Hutchinson(2, gcml.Gaussian),
				gcml.ForwardNoise(1e-4, 1),
			}
			if p.outputs > 2 {
				estimators = append(estimators, gcml.Projection(2))
			}
			store := newStore(t, 3)
			x := inputsFor(t, dtypes.Float64, p.inputs)
			want := 0.0
			for _, v := range oracle(t, store, p, x)[:p.outputs] {
				want += v
			}
			for _, e := range estimators {
				t.Run(p.name+" "+e.String(), func(t *testing.T) {
					meanIsWithinError(t, b, store, p, x, e, want)
				})
			}
		}
	})
}

// meanIsWithinError compares the mean over many copies of the first example, each with its own
// directions.
func meanIsWithinError(t *testing.T, b compute.Backend, store *model.Store, p problem, x *tensors.Tensor,
	e gcml.Estimator, want float64) {
	const copies = 1500
	got := gctest.Flat(run(t, b, store, func(scope *model.Scope, x *Node) *Node {
		first := Slice(x, AxisRange(0, 1))
		many := BroadcastToDims(first, append([]int{copies}, p.inputs[1:]...)...)
		return gcml.SquaredJacobianNorm(p.model(scope, many), many, gcml.WithEstimator(e))
	}, x))
	mean, deviation := stat.MeanStdDev(got, nil)
	if p.outputs == 1 && e != gcml.Hutchinson(2, gcml.Gaussian) && e != gcml.ForwardNoise(1e-4, 1) {
		gctest.AssertClose(t, []float64{mean}, []float64{want}, 1e-7, 0, "exact for one output")
		return
	}
	if deviation == 0 {
		t.Fatal("no two draws differ")
	}
	if z := (mean - want) / stat.StdErr(deviation, copies); math.Abs(z) > 4 {
		t.Errorf("mean %g of %d draws is %.1f standard errors from %g", mean, copies, z, want)
	}
}

// TestProjectionOntoAllOutputsIsExact checks that as many orthonormal directions as outputs give
// the exact value.
func TestProjectionOntoAllOutputsIsExact(t *testing.T) {
	fn := mlp(activation.TypeTanh)
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := newStore(t, 3)
		x := inputsFor(t, dtypes.Float64, []int{6, 12})
		norms := func(e gcml.Estimator) []float64 {
			return gctest.Flat(run(t, b, store, func(scope *model.Scope, x *Node) *Node {
				return gcml.SquaredJacobianNorm(fn(scope, x), x, gcml.WithEstimator(e))
			}, x))
		}
		gctest.AssertClose(t, norms(gcml.Projection(3)), norms(gcml.Exact()), 1e-12, 0, "p = K")
	})
}

// TestHutchinsonOfOneOutput checks that Rademacher signs are exact for one output, because they
// square to 1.
func TestHutchinsonOfOneOutput(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		got := run(t, b, newStore(t, 1), func(scope *model.Scope, g *Graph) *Node {
			x := scope.RandomNormal(g, shapes.Make(dtypes.Float64, 5, 3))
			y := ReduceSum(Sin(x), 1)
			exact := gcml.SquaredJacobianNorm(y, x)
			return Sub(exact, gcml.SquaredJacobianNorm(y, x, gcml.WithEstimator(gcml.Hutchinson(1, gcml.Rademacher))))
		})
		gctest.AssertClose(t, gctest.Flat(got), make([]float64, 5), 0, 1e-14, "difference")
	})
}
