package experiment

import (
	"fmt"
	"slices"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

// RepeatedBy returns the scale nearest to a configuration and its seeds, and the command that
// repeats its result: the experiment at that scale, with flags for the differences. Of equally near
// scales it prefers laptop, as for an experiment with the same configuration at every scale.
func RepeatedBy(e Experiment, cfg any, seeds []int64) (nearest Scale, command string, err error) {
	var fewest []string
	for _, scale := range []Scale{Laptop, Desk, Paper, Smoke} {
		flags, err := settings.Difference(e.DefaultConfig(scale), cfg)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", e.Info().Name, err)
		}
		if !slices.Equal(seeds, e.DefaultSeeds(scale)) {
			flags = append([]string{"--seeds", strings.ReplaceAll(evidence.JoinInts(seeds), " ", "")}, flags...)
		}
		if nearest == "" || len(flags) < len(fewest) {
			nearest, fewest = scale, flags
		}
	}
	words := []string{"gcml", e.Info().Name}
	if e.Info().Number != "" {
		words = []string{"gcml", "run", e.Info().Name, "--scale", string(nearest)}
	}
	return nearest, shellescape.QuoteCommand(append(words, fewest...)), nil
}
