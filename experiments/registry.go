package experiments

import (
	"slices"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// All lists the experiments in the order of their numbers.
func All() []experiment.Experiment {
	return []experiment.Experiment{TheMeasure, SimplicityBias, Initialization, ExplicitRegularization, Noise,
		GCRegularizer, ImplicitRegularization, Transfer, DoubleDescent, Optimizers,
		NeuralCollapse, MarginBound, OccamsRazor, Lipschitz, Language, ScarceData}
}

// Find returns the experiment of a name or number ("simplicity-bias", "01" or
// "1"). Its error names the nearest right one.
func Find(nameOrNumber string) (experiment.Experiment, error) {
	var names []string
	for _, e := range All() {
		info := e.Info()
		if nameOrNumber == info.Name || nameOrNumber == info.Number || "0"+nameOrNumber == info.Number {
			return e, nil
		}
		names = append(names, info.Name)
	}
	err := nearest.Unknown("experiment", nameOrNumber, names)
	if isNumber(nameOrNumber) {
		for _, e := range All() {
			err.Known = append(err.Known, e.Info().Number)
		}
		err.Nearest = ""
	}
	return nil, err
}

func isNumber(s string) bool {
	return s != "" && !slices.ContainsFunc([]rune(s), func(r rune) bool { return r < '0' || r > '9' })
}

// firstSeeds are the seeds 0 to n-1.
func firstSeeds(n int) []int64 {
	seeds := make([]int64, n)
	for i := range seeds {
		seeds[i] = int64(i)
	}
	return seeds
}

// seedsPerScale takes the first so many seeds at each scale.
func seedsPerScale(smoke, laptop, desk, paper int) func(experiment.Scale) []int64 {
	counts := map[experiment.Scale]int{
		experiment.Smoke: smoke, experiment.Laptop: laptop, experiment.Desk: desk, experiment.Paper: paper,
	}
	return func(s experiment.Scale) []int64 { return firstSeeds(counts[s]) }
}

// firstOf takes the first n seeds; all of them if n is 0 or there are no more.
func firstOf(seeds []int64, n int) []int64 {
	if n == 0 || n > len(seeds) {
		return seeds
	}
	return seeds[:n]
}
