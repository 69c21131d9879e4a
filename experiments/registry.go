package experiments

import "slices"

// All lists the experiments in the order of their numbers.
func All() []Experiment {
	return []Experiment{TheMeasure, SimplicityBias, Initialization, ExplicitRegularization, Noise, GCRegularizer,
		ImplicitRegularization, Transfer, DoubleDescent, Optimizers}
}

// Find returns the experiment of a name or number ("simplicity-bias", "01" or
// "1"). Its error names the nearest right one.
func Find(nameOrNumber string) (Experiment, error) {
	var names []string
	for _, e := range All() {
		info := e.Info()
		if nameOrNumber == info.Name || nameOrNumber == info.Number || "0"+nameOrNumber == info.Number {
			return e, nil
		}
		names = append(names, info.Name)
	}
	err := unknown("experiment", nameOrNumber, names)
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
