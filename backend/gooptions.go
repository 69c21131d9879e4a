package backend

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// goOptions adds this package's default to the options of the backend "go": at most as many
// operations at a time as there are processors. Each takes one of the backend's workers, of which
// there are two for each processor. By default it is up to eight operations, also when there is
// only one to compute, so that up to four processors have no worker left to share its work.
func goOptions(options string) string {
	given := strings.Split(options, ",")
	for _, name := range []string{"num_executors", "parallelism", "ops_sequential"} {
		if slices.ContainsFunc(given, func(o string) bool { key, _, _ := strings.Cut(o, "="); return key == name }) {
			return options
		}
	}
	executors := "num_executors=" + strconv.Itoa(min(runtime.GOMAXPROCS(0), defaultExecutors))
	if options == "" {
		return executors
	}
	return options + "," + executors
}

// defaultExecutors is GoMLX's own number.
const defaultExecutors = 8
