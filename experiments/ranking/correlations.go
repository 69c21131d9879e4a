package ranking

import (
	"math"
	"slices"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// Correlation says how a measure ranks the networks by an error. All values are Kendall's τ-b: 1 if
// more of the measure always goes with more of the error, -1 if it always goes with less.
type Correlation struct {
	Measure string `json:"measure"`
	Error   string `json:"error"`
	Runs    int    `json:"runs"` // that have a value
	// All compares all runs of a seed with each other.
	All Statistic `json:"all"`
	// GivenLoss is Kendall's partial τ of the same runs given the training loss, so that it tells
	// what a measure adds to how far the training has come.
	GivenLoss Statistic `json:"given_loss"`
	// Granulated is the mean over the settings of ByAxis.
	Granulated Statistic `json:"granulated"`
	// ByAxis has, for each setting, the mean τ over the groups of runs that differ in it alone.
	ByAxis map[string]Statistic `json:"by_axis"`
}

// Statistic is a mean over seeds.
type Statistic struct {
	Mean runs.Number `json:"mean"`
	// Interval is Student's t over the seeds; nil for fewer than two, and for too few that agree.
	// It tells how the value varies with the random numbers of the training, not with the choice of
	// the settings.
	Interval *stats.Interval `json:"interval,omitempty"`
	PerSeed  []runs.Number   `json:"per_seed"`
}

func newStatistic(perSeed []float64) Statistic {
	perSeed = slices.DeleteFunc(perSeed, math.IsNaN)
	mean, _ := stats.MeanStd(perSeed)
	s := Statistic{Mean: runs.Number(mean), PerSeed: runs.Numbers(perSeed)}
	if interval := stats.SeedInterval(perSeed, stats.Level); !math.IsNaN(interval.Lo) {
		s.Interval = &interval
	}
	return s
}

// value returns a value of a run; it is NaN if the run has none.
func (m *Measured) value(key string) float64 {
	if v, ok := m.Values[key]; ok {
		return float64(v)
	}
	return math.NaN()
}

// correlationsOf returns the correlations of each measure that two runs or more have, with each
// error.
func correlationsOf(all []*Measured) (correlations []Correlation) {
	axes, seeds := axesOf(all), seedsOf(all)
	for _, target := range []string{TestError, Gap} {
		for _, measure := range Measures() {
			c := correlate(all, seeds, axes, measure, target)
			if c.Runs > 1 {
				correlations = append(correlations, c)
			}
		}
	}
	return correlations
}

func seedsOf(all []*Measured) (seeds []int64) {
	for _, m := range all {
		seeds = append(seeds, m.Seed)
	}
	slices.Sort(seeds)
	return slices.Compact(seeds)
}

func correlate(all []*Measured, seeds []int64, axes []axis, measure Measure, target string) Correlation {
	c := Correlation{Measure: measure.ID, Error: target, ByAxis: make(map[string]Statistic)}
	for _, m := range all {
		if !math.IsNaN(m.value(measure.ID)) && !math.IsNaN(m.value(target+measure.At)) {
			c.Runs++
		}
	}
	columns := func(positions []int) (x, y, loss []float64) {
		for _, i := range positions {
			x = append(x, all[i].value(measure.ID))
			y = append(y, all[i].value(target+measure.At))
			loss = append(loss, all[i].value(trainLoss))
		}
		return x, y, loss
	}
	var overall, given, granulated []float64
	byAxis := make([][]float64, len(axes))
	for _, seed := range seeds {
		var own []int
		for i, m := range all {
			if m.Seed == seed {
				own = append(own, i)
			}
		}
		x, y, loss := columns(own)
		overall = append(overall, stats.Kendall(x, y))
		if measure.At == "" {
			given = append(given, stats.PartialKendall(x, y, loss))
		}
		var means []float64
		for k, a := range axes {
			var taus []float64
			for _, g := range a.groups {
				if g.seed == seed {
					x, y, _ := columns(g.runs)
					taus = append(taus, stats.Kendall(x, y))
				}
			}
			mean, _ := stats.MeanStd(taus)
			byAxis[k], means = append(byAxis[k], mean), append(means, mean)
		}
		mean, _ := stats.MeanStd(means)
		granulated = append(granulated, mean)
	}
	c.All, c.GivenLoss, c.Granulated = newStatistic(overall), newStatistic(given), newStatistic(granulated)
	for k, a := range axes {
		c.ByAxis[a.name] = newStatistic(byAxis[k])
	}
	return c
}
