package experiment

import (
	"fmt"
	"slices"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

// RepeatedBy returns the scale of a result with a configuration and seeds, and the command that
// repeats it: the experiment at that scale, with flags for the differences. The scale is the one
// that was asked for. If it is Nearest, it is the one with the fewest differences, of equally near
// ones laptop, as for an experiment with the same configuration at every scale.
func RepeatedBy(e Experiment, asked Scale, cfg any, seeds []int64) (nearest Scale, command string, err error) {
	var fewest []string
	for _, scale := range []Scale{Laptop, Desk, Paper, Smoke} {
		if asked != Nearest && scale != asked {
			continue
		}
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
