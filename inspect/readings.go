package inspect

import (
	"fmt"
	"math"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// The sections of a report, in its order.
const (
	SectionComplexity = "complexity"
	SectionClasses    = "classes"
	SectionLayers     = "layers"
	SectionLipschitz  = "lipschitz"
	SectionMargin     = "margin"
	SectionNoise      = "noise"
	SectionCollapse   = "collapse"
)

// readings says what to make of each number of a report.
func readings(r *Report) []Reading {
	var all []Reading
	add := func(section, name, value, meaning string, args ...any) {
		all = append(all, Reading{Section: section, Name: name, Value: value, Meaning: fmt.Sprintf(meaning, args...)})
	}
	readComplexity(r, add)
	readClasses(r, add)
	readLayers(r, add)
	readLipschitz(r, add)
	readMargin(r, add)
	readNoise(r, add)
	readCollapse(r, add)
	return all
}

type adder = func(section, name, value, meaning string, args ...any)

func readComplexity(r *Report, add adder) {
	gc := r.GC
	value := number(gc.GC)
	if low, high := gc.Interval(stats.Level); gc.StdErr.IsKnown() {
		value = fmt.Sprintf("%s, 95 %% interval %s to %s", number(gc.GC), number(low), number(high))
	}
	add(SectionComplexity, "Geometric complexity (GC)", value,
		"A small step of length d in a random direction of the input changes the outputs by about %s·d in the root mean square, so compare "+
			"GC only between networks whose inputs and outputs have the same units.",
		number(math.Sqrt(gc.GC/float64(gc.Inputs))))
	even := float64(tenth(gc.Examples)) / float64(gc.Examples)
	spread := "the mean describes most examples"
	if r.TopTenth > 5*even {
		spread = "a few steep examples make the mean, so look at them below before you compare it"
	} else if r.TopTenth > 2.5*even {
		spread = "the mean lies above the typical example, so read the median beside it"
	}
	add(SectionComplexity, "Share of the steepest tenth of the examples", percent(r.TopTenth),
		"An even share would be %s; here %s (median %s).", percent(even), spread, number(gc.Quantiles.Median))
}

func readClasses(r *Report, add adder) {
	classes := r.GC.PerClass
	if len(classes) < 2 {
		return
	}
	low, high := classes[0], classes[0]
	for _, c := range classes {
		if c.GC < low.GC {
			low = c
		}
		if c.GC > high.GC {
			high = c
		}
	}
	apart := "their simultaneous 95 % intervals overlap, so this may be chance"
	if _, lowEnd := classInterval(low, len(classes)); !math.IsNaN(lowEnd) {
		if highEnd, _ := classInterval(high, len(classes)); highEnd > lowEnd {
			apart = fmt.Sprintf("their simultaneous 95 %% intervals do not overlap: the function is steeper around class %d",
				high.Class)
		}
	}
	add(SectionClasses, "Largest over smallest GC of a class", ratio(high.GC, low.GC),
		"Class %d has the largest and class %d the smallest GC, and %s.", high.Class, low.Class, apart)
}

// classInterval returns the interval of the GC of one of several classes, so wide that all of them
// hold their GCs with 95 % (Bonferroni's inequality): the class with the largest of 100 equal GCs
// almost always lies above the one with the smallest by more than their own intervals. Both ends
// are NaN for one example.
func classInterval(c gcml.ClassResult, classes int) (low, high float64) {
	half := stats.TFactor(c.Examples, 1-(1-stats.Level)/float64(classes)) * float64(c.StdErr)
	return c.GC - half, c.GC + half
}

func readLayers(r *Report, add adder) {
	if len(r.Layers) == 0 {
		return
	}
	largest, name := 0.0, ""
	for i := 1; i < len(r.Layers); i++ {
		if before := r.Layers[i-1]; before.GC > 0 && r.Layers[i].GC/before.GC > largest {
			largest, name = r.Layers[i].GC/before.GC, r.Layers[i].Name
		}
	}
	if name == "" {
		add(SectionLayers, "GC of the only layer", number(r.Layers[0].GC), "There is no earlier layer to compare %s with.",
			r.Layers[0].Name)
		return
	}
	meaning := "GC grows most in %s, so its weights are where decay, a spectral penalty or a smaller scale lowers GC most directly."
	if largest <= 1 {
		meaning = "GC falls from each layer to the next, the least in %s, so none of them makes the function steeper."
	}
	add(SectionLayers, "Largest growth from one layer to the next", "× "+number(largest), meaning, name)
}

func readLipschitz(r *Report, add adder) {
	s := r.GC.Spectrum
	bound := ""
	if s.LanczosSteps > 0 {
		bound = " (a lower bound, by Lanczos steps)"
	}
	add(SectionLipschitz, "Largest local Lipschitz constant", number(s.Largest)+bound,
		"Any Lipschitz constant that is claimed for this network must be at least this, because at one of these examples a "+
			"small step d in the worst direction changes the outputs by this times d.")
	add(SectionLipschitz, "Mean local Lipschitz constant", number(s.Norm),
		"In the worst direction a small step d changes the outputs of an average example by this times d: %s times as much as "+
			"in a random direction.", number(fraction(s.Norm, math.Sqrt(r.GC.GC/float64(r.GC.Inputs)))))
	rank := fmt.Sprintf("the effect is spread over about %.0f of %d possible directions, so defend against more than one",
		math.Round(s.StableRank), min(r.GC.Outputs, r.GC.Inputs))
	if s.StableRank < 1.5 {
		rank = "a single direction of the input dominates, so GC and the squared Lipschitz constant tell about the same"
	}
	add(SectionLipschitz, "Stable rank of the Jacobian", number(s.StableRank), "‖J‖²_F/σ₁² says that %s.", rank)
}

func readMargin(r *Report, add adder) {
	m := r.Margin
	if m == nil {
		return
	}
	if m.Labelled {
		add(SectionMargin, "Accuracy on these examples", percent(float64(m.Accuracy)),
			"Read all other numbers of this page for a network that is right so often on these examples.")
		add(SectionMargin, "Mean margin of the label", number(m.Mean),
			"An example is decided rightly where its margin is positive; the smallest twentieth lies below %s.",
			number(m.Quantiles.P5))
	} else {
		add(SectionMargin, "Mean margin of the decision", number(m.Mean),
			"This is how far the largest output stands above the second; whether it is the right one needs labels.")
	}
	if m.GCOverMargin.IsFinite() {
		add(SectionMargin, "GC over margin", number(float64(m.GCOverMargin)),
			"Bounds on the error outside of the training set grow with GC and fall with the margin (arXiv:2405.18590), so of two networks "+
				"of equal training error prefer the smaller value; it is a diagnostic, not a certificate.")
		add(SectionMargin, "√GC over margin", number(float64(m.RootGCOverMargin)),
			"This form does not change when all outputs are multiplied by a number, so use it for networks whose outputs have different scales.")
	}
	if m.Distance.Median > 0 {
		add(SectionMargin, "Median distance to the decision's boundary", number(m.Distance.Median),
			"To first order no change of the input shorter than this flips the decision of half of the examples, and none shorter "+
				"than %s that of 95 %% of them; the true boundary may be nearer.", number(m.Distance.P5))
	}
}

// isLinear reports whether the drawn change agrees with σ·√GC: its 95 % interval holds a value
// within 10 % of that.
func (n Noise) isLinear() bool {
	const within = 0.1
	low, high := n.Drawn, n.Drawn
	if n.Low.IsFinite() && n.High.IsFinite() {
		low, high = float64(n.Low), float64(n.High)
	}
	return low <= (1+within)*n.Predicted && high >= (1-within)*n.Predicted
}

func readNoise(r *Report, add adder) {
	linear := 0.0
	for _, n := range r.Noise {
		if !n.isLinear() {
			break
		}
		linear = n.Sigma
	}
	if len(r.Noise) == 0 {
		return
	}
	smallest, largest := r.Noise[0], r.Noise[len(r.Noise)-1]
	if linear > 0 {
		add(SectionNoise, "Largest noise σ for which GC tells the effect", number(linear),
			"Up to this σ the drawn change of the outputs is σ·√GC, but for 10 %% and the interval of the draws, so GC predicts what such "+
				"noise does.")
	} else {
		add(SectionNoise, "Drawn over predicted change at the smallest noise", ratio(smallest.Drawn, smallest.Predicted),
			"Even at σ = %s the outputs do not change by σ·√GC, so the function bends at this scale and GC alone does not tell what noise does: "+
				"try a smaller --noise.", number(smallest.Sigma))
	}
	if largest.Flipped.IsFinite() {
		what := "decisions withstand all of the noise that was tried"
		for _, n := range r.Noise {
			if n.Flipped > 0.01 {
				what = fmt.Sprintf("the first noise that changes more than 1 %% of them is σ = %s", number(n.Sigma))
				break
			}
		}
		add(SectionNoise, fmt.Sprintf("Decisions changed at σ = %s", number(largest.Sigma)),
			percent(float64(largest.Flipped)),
			"Of all decisions so many are others under this noise, and %s.", what)
	}
}

func readCollapse(r *Report, add adder) {
	c := r.Collapse
	if c == nil {
		return
	}
	if c.CDNV.IsFinite() {
		what := "the spread within classes is not small beside the distances between them"
		if c.CDNV < 0.1 {
			what = "classes are tight beside their distances"
		}
		// Experiment 10 at desk scale: dense networks whose CDNV is below 0.1 have a 5-shot
		// accuracy of 0.68 and 0.70 on new classes, and those between 0.2 and 0.3 have 0.73 to
		// 0.76.
		add(SectionCollapse, "Class-distance normalized variance (CDNV)", number(float64(c.CDNV)),
			"At this value %s; it does not tell how well the features separate other classes, so measure that on "+
				"examples of the other task.", what)
	} else {
		add(SectionCollapse, "Class-distance normalized variance (CDNV)", "infinite",
			"Two classes have the same mean, so these features do not tell them apart.")
	}
	if c.GeometricCollapse.IsFinite() {
		add(SectionCollapse, "Geometric collapse", number(float64(c.GeometricCollapse)),
			"CDNV is at most the Poincaré constant of the inputs of a class times this (arXiv:2405.15706), so lowering the GC of the "+
				"features lowers the bound on CDNV; here the constant is at least %s.", ratio(float64(c.CDNV),
				float64(c.GeometricCollapse)))
	}
	if c.NC1.IsFinite() {
		add(SectionCollapse, "Variability within classes (NC1)", number(float64(c.NC1)),
			"tr(Σ_W Σ_B⁺)/C falls to 0 as training goes on past zero error, so a larger value late in training says that it is not done, or that "+
				"a regularizer holds it up.")
	}
	if c.NormVariation.IsFinite() && c.AngleDeviation.IsFinite() {
		add(SectionCollapse, "Shape of the class means (NC2)",
			fmt.Sprintf("norms vary by %s, cosines by %s", percent(float64(c.NormVariation)), number(float64(c.AngleDeviation))),
			"Both are 0 when the means have collapsed to a regular simplex; a class with an uneven share of the data bends it.")
	}
	add(SectionCollapse, "Nearest class mean is right (NC4)", percent(float64(c.NearestMeanAccuracy)),
		"A classifier that only compares features with the class means of these examples is right so often: near the accuracy, the last "+
			"layer does nothing more.")
}

// number writes a value in four digits.
func number(v float64) string { return fmt.Sprintf("%.4g", v) }

func percent(fraction float64) string { return fmt.Sprintf("%.3g %%", 100*fraction) }

// ratio writes a quotient, or "unbounded" for a division by 0.
func ratio(a, b float64) string {
	switch {
	case a == 0 && b == 0:
		return "1"
	case b == 0:
		return "unbounded"
	}
	return number(a / b)
}
