package inspect

import (
	"math"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/gcml"
)

// meaning returns the sentence of a reading whose name begins so, or "".
func meaning(r *Report, name string) string {
	for _, reading := range readings(r) {
		if strings.HasPrefix(reading.Name, name) {
			return reading.Value + ": " + reading.Meaning
		}
	}
	return ""
}

// sampleReport has values of which nothing special can be said.
func sampleReport() *Report {
	return &Report{TopTenth: 0.12, GC: gcml.Result{GC: 8, StdErr: 0.5, Examples: 100, Inputs: 4, Outputs: 3,
		Spectrum: &gcml.SpectrumResult{Norm: 2, Largest: 3, StableRank: 2},
		PerClass: []gcml.ClassResult{{Class: 0, GC: 8, StdErr: 1, Examples: 50}, {Class: 1, GC: 8.5, StdErr: 1,
			Examples: 50}},
		PerExample: []float64{8}},
		Layers: []Layer{{Name: "first", GC: 2}, {Name: "second", GC: 6}, {Name: "third", GC: 8}},
		Margin: &Margin{Labelled: true, Mean: 2, Accuracy: 0.9, GCOverMargin: 4, RootGCOverMargin: 1.4},
		Noise: []Noise{{Sigma: 0.1, Predicted: 1, Drawn: 1.02, Low: 0.98, High: 1.05, Flipped: 0},
			{Sigma: 1, Predicted: 10, Drawn: 14, Low: 13, High: 15, Flipped: 0.2}},
		Collapse: &Collapse{CDNV: 0.5, GeometricCollapse: 2, NC1: 1, NormVariation: 0.1, AngleDeviation: 0.2,
			NearestMeanAccuracy: 0.9}}
}

// spread returns classes whose GCs are the quantiles of a normal distribution, with a standard
// error of 1.
func spread(n int, deviation float64) (classes []gcml.ClassResult) {
	for i := range n {
		quantile := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/float64(n)-1)
		classes = append(classes, gcml.ClassResult{Class: int64(i), GC: 20 + deviation*quantile, StdErr: 1, Examples: 50})
	}
	return classes
}

// TestReadings changes one value, and expects another sentence.
func TestReadings(t *testing.T) {
	for _, c := range []struct {
		name   string // of the reading
		want   string
		change func(*Report)
	}{
		{"Geometric complexity",
			"8, 95 % interval 7.008 to 8.992: A small step of length d in a random direction of the input changes the " +
				"outputs by about 1.414·d", func(*Report) {}},
		{"Geometric complexity", "8: A small", func(r *Report) { r.GC.StdErr = gcml.StandardError(math.NaN()) }},
		{"Share", "the mean describes most", func(*Report) {}},
		{"Share", "read the median", func(r *Report) { r.TopTenth = 0.3 }},
		{"Share", "a few steep examples", func(r *Report) { r.TopTenth = 0.6 }},
		{"Share", "An even share would be 25 %; here the mean describes", func(r *Report) {
			r.GC.Examples, r.TopTenth = 4,
				0.6
		}},
		{"Largest over smallest GC",
			"1.062: Class 1 has the largest and class 0 the smallest GC, and their simultaneous 95 % intervals overlap", func(*Report) {}},
		{"Largest over smallest GC", "steeper around class 1", func(r *Report) { r.GC.PerClass[1].GC = 80 }},
		// Estimates of 100 equal GCs spread by 5 standard errors; by 9 they are not equal.
		{"Largest over smallest GC", "overlap, so this may be chance", func(r *Report) { r.GC.PerClass = spread(100, 1) }},
		{"Largest over smallest GC", "steeper around class 99", func(r *Report) { r.GC.PerClass = spread(100, 1.8) }},
		{"Largest over smallest GC", "unbounded", func(r *Report) { r.GC.PerClass[0].GC = 0 }},
		{"Largest growth", "× 3: GC grows most in second", func(*Report) {}},
		{"Largest growth", "× 0.5: GC falls from each layer to the next, the least in third",
			func(r *Report) { r.Layers[1].GC, r.Layers[2].GC = 0.2, 0.1 }},
		{"GC of the only layer", "2: There is no earlier", func(r *Report) { r.Layers = r.Layers[:1] }},
		{"Largest local Lipschitz", "3: Any", func(*Report) {}},
		{"Largest local Lipschitz", "3 (a lower bound", func(r *Report) { r.GC.Spectrum.LanczosSteps = 24 }},
		{"Mean local Lipschitz", "1.414 times as much", func(*Report) {}},
		{"Stable rank", "about 2 of 3 possible", func(*Report) {}},
		{"Stable rank", "single direction", func(r *Report) { r.GC.Spectrum.StableRank = 1.2 }},
		{"Mean margin of the decision", "needs labels", func(r *Report) { r.Margin.Labelled = false }},
		{"GC over margin", "4: Bounds", func(*Report) {}},
		{"Largest noise σ", "0.1: Up to", func(*Report) {}},
		{"Largest noise σ", "1: Up to", func(r *Report) { r.Noise[1].Low = 11 }},
		{"Drawn over predicted", "1.02: Even at σ = 0.1", func(r *Report) {
			r.Noise[0].Predicted, r.Noise[0].Low,
				r.Noise[0].Drawn = 0.5, 0.6, 0.51
		}},
		{"Decisions changed at σ = 1",
			"20 %: Of all decisions so many are others under this noise, and the first noise that changes more than 1 % of them is σ = 1", func(*Report) {}},
		{"Decisions changed at σ = 1", "withstand all", func(r *Report) { r.Noise[1].Flipped = 0 }},
		{"Class-distance", "is not small beside the distances between them; it does not tell", func(*Report) {}},
		{"Class-distance", "0.05: At this value classes are tight beside their distances; it does not tell",
			func(r *Report) { r.Collapse.CDNV = 0.05 }},
		{"Class-distance", "infinite: Two classes", func(r *Report) { r.Collapse.CDNV = Number(math.Inf(1)) }},
		{"Geometric collapse", "at least 0.25", func(*Report) {}},
	} {
		r := sampleReport()
		c.change(r)
		if got := meaning(r, c.name); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, absent := range []string{"GC over margin", "Median distance"} {
		r := sampleReport()
		r.Margin.GCOverMargin, r.Margin.RootGCOverMargin = Number(math.NaN()), Number(math.NaN())
		if got := meaning(r, absent); got != "" {
			t.Errorf("%s: %q of a margin without it", absent, got)
		}
	}
}
