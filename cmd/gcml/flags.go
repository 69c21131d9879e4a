package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// choice is a flag whose value is one of several words.
type choice struct {
	what  string // the kind of word, for messages
	words []string
	value *string
}

var _ pflag.Value = (*choice)(nil)

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return "word" }

// Set implements pflag.Value. Its error names the nearest word.
func (c *choice) Set(word string) error {
	for _, known := range c.words {
		if word == known {
			*c.value = word
			return nil
		}
	}
	return nearest.Unknown(c.what, word, c.words)
}

// addChoice adds a flag for one of several words, which the shell completes. The flag's value
// before parsing is the default.
func addChoice(cmd *cobra.Command, flags *pflag.FlagSet, c *choice, name, usage string) {
	flags.Var(c, name, usage)
	complete(cmd, name, cobra.FixedCompletions(c.words, cobra.ShellCompDirectiveNoFileComp))
}

// complete sets how the shell completes a flag. An error means that there is no such flag, which is
// a fault of this program.
func complete(cmd *cobra.Command, flag string, fn cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, fn); err != nil {
		panic(err)
	}
}

// addScale adds the flag of the scale, for commands that have more than one.
func addScale(cmd *cobra.Command, scale *string) {
	*scale = string(experiment.Laptop)
	addChoice(cmd, cmd.Flags(), scaleChoice(scale), "scale",
		"`size`: smoke (seconds), laptop (minutes to hours), desk (a night) or paper (for a GPU)")
}

func scaleChoice(scale *string) *choice {
	c := &choice{what: "scale", value: scale}
	for _, s := range experiment.Scales() {
		c.words = append(c.words, string(s))
	}
	return c
}

// addProgress adds the flag of the progress display.
func addProgress(cmd *cobra.Command, kind *string) {
	*kind = "auto"
	addChoice(cmd, cmd.Flags(), &choice{"kind of progress", progressKinds, kind}, "progress",
		"`how` to show progress on standard error: auto, bar, lines or none")
}

// addSeeds adds the flag of the seeds of runs; otherwise says which there are without it.
func addSeeds(cmd *cobra.Command, seeds *[]int64, otherwise string) {
	cmd.Flags().Int64SliceVar(seeds, "seeds", nil, "`list` of seeds, such as 0,1,2 (default: "+otherwise+")")
	cmd.Flags().Lookup("seeds").DefValue = "" // pflag would print "(default [])".
	complete(cmd, "seeds", cobra.NoFileCompletions)
}

// flagError puts pflag's errors into one line, with the nearest right flag or value.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	var valueless *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var unknown *nearest.UnknownError
	switch {
	case errors.As(err, &unknown):
		return usageError{unknown}
	case errors.As(err, &missing):
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		got := "--" + missing.GetSpecifiedName()
		if short := missing.GetSpecifiedShortnames(); short != "" {
			got = "-" + short
		}
		return unknownWord("flag", got, known)
	case errors.As(err, &valueless):
		f := valueless.GetFlag()
		what, _ := pflag.UnquoteUsage(f)
		return usagef("--%s needs a value: --%s %s", f.Name, f.Name, what)
	case errors.As(err, &invalid):
		return usagef("--%s: %q is not %s", invalid.GetFlag().Name, invalid.GetValue(),
			valueKind(invalid.GetFlag().Value.Type()))
	}
	return usageError{err}
}

func valueKind(pflagType string) string {
	switch pflagType {
	case "int64Slice":
		return "a list of whole numbers, such as 0,1,2"
	case "float64Slice":
		return "a list of numbers, such as 0.01,0.1"
	case "int", "int64":
		return "a whole number"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	}
	return "a " + pflagType
}
