package experiments

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestPeak(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		name   string
		values []float64
		at     int
		height float64
	}{
		{"double descent", []float64{3, 2, 4, 1}, 2, 2},
		{"shallow on the left", []float64{3.8, 4, 1, 0.5}, 1, 4 / 3.8},
		{"the higher of two", []float64{1, 2, 1, 4, 1}, 3, 4},
		{"descent", []float64{4, 3, 2, 1}, 1, 0.75},
		{"rise", []float64{1, 2, 3, 4}, 2, 0.75},
		{"diverged run in between", []float64{1, nan, 2, 1}, 2, 2},
		{"diverged runs on one side", []float64{nan, 2, 1}, -1, nan},
		{"a dead network", []float64{0, 3, 2, 4, 1}, 3, 2},
		{"too few", []float64{1, 2}, -1, nan},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at, height := peak(tc.values)
			if at != tc.at || math.IsNaN(height) != math.IsNaN(tc.height) || math.Abs(height-tc.height) > 1e-12 {
				t.Errorf("peak at %d of height %g; want %d, %g", at, height, tc.at, tc.height)
			}
		})
	}
}

// TestPeakHeights: the mean of the other seeds has its peak at the third width for the first seed,
// and at the second one for the others. The last width lacks a value.
func TestPeakHeights(t *testing.T) {
	nan := math.NaN()
	rows := [][]float64{{2, 6, 3, 1, 8}, {1, 2, 3, 2, nan}, {2, 5, 8, 1, 9}}
	// The others' means of the first seed: √2, √10, √24, √2; of the second: 2, √30, √24, 1; of the
	// third: √2, √12, 3, √2.
	gctest.AssertClose(t, peakHeights(rows), []float64{3. / 2, 2. / 2, 5. / 2}, 1e-12, 0, "heights")
	for _, few := range [][][]float64{{{1, 2, 1}}, {{1, 2}, {1, 2}}} {
		for _, h := range peakHeights(few) {
			if !math.IsNaN(h) {
				t.Errorf("height %g of %v; want NaN", h, few)
			}
		}
	}
}

// TestScatterIsNoPeak draws curves of 12 widths that scatter. By chance at most a fortieth of the
// experiments without a peak should meet the criterion, and with a real peak nearly all. The
// heights of each seed's own peak meet it as often as docs/claims.md says.
func TestScatterIsNoPeak(t *testing.T) {
	flat := func(int) float64 { return 0 }
	falling := func(k int) float64 { return -0.13 * float64(k) }
	peaked := func(k int) float64 { return 0.5*math.Exp(-float64((k-4)*(k-4))/2) - 0.03*float64(k) }
	ownHeights := func(rows [][]float64) (heights []float64) {
		for _, row := range rows {
			_, height := peak(row)
			heights = append(heights, height)
		}
		return heights
	}
	for _, c := range []struct {
		name        string
		logCurve    func(k int) float64
		scatter     float64
		heights     func([][]float64) []float64
		seeds       int
		least, most float64
	}{
		{"flat", flat, 0.05, peakHeights, 3, 0, 0.025},
		{"flat", flat, 0.1, peakHeights, 10, 0, 0.025},
		{"falling", falling, 0.1, peakHeights, 10, 0, 0.025},
		{"peaked", peaked, 0.1, peakHeights, 10, 0.95, 1},
		{"flat, own peaks", flat, 0.05, ownHeights, 3, 0.36, 0.42},
		{"flat, own peaks", flat, 0.05, ownHeights, 10, 0.99, 1},
	} {
		if share := shareWithPeak(c.logCurve, c.scatter, c.heights, c.seeds); share < c.least || share > c.most {
			t.Errorf("%s: the criterion holds in %g of the experiments with %d seeds, want %g to %g", c.name, share, c.seeds,
				c.least, c.most)
		}
	}
}

// shareWithPeak returns the share of simulated experiments in which the criterion of a peak holds.
func shareWithPeak(logCurve func(k int) float64, scatter float64, heights func([][]float64) []float64,
	seeds int) float64 {
	const widths, experiments = 12, 4000
	rng := rand.New(rand.NewPCG(5, 8))
	n := 0
	for range experiments {
		rows := make([][]float64, seeds)
		for i := range rows {
			for k := range widths {
				rows[i] = append(rows[i], math.Exp(logCurve(k)+scatter*rng.NormFloat64()))
			}
		}
		claim := evidence.FactorClaim(evidence.ClaimText{}, "height", heights(rows), evidence.Above(peakFactor), "")
		if claim.Verdict == evidence.Holds {
			n++
		}
	}
	return float64(n) / experiments
}

// y = a + b·u + c·u² in u = log x, standardized: c times the variance of log x.
func TestCurvature(t *testing.T) {
	x := []float64{1, math.E, math.Exp(2), math.Exp(3), math.Exp(4), 0, math.Inf(1)}
	for _, c := range []float64{-2, 0.5} {
		var y []float64
		for _, v := range x {
			u := math.Log(v)
			y = append(y, 7-3*u+c*u*u)
		}
		gctest.AssertClose(t, []float64{curvature(x, y)}, []float64{2.5 * c}, 1e-12, 0, "curvature")
	}
	if v := curvature(x[:3], x[:3]); !math.IsNaN(v) {
		t.Errorf("curvature of three points %g; want NaN", v)
	}
}
