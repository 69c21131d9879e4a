package main

import (
	"io"
	"os"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/report"
)

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	f, ok := fileOf(stream)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth returns the columns of a terminal, or 0 if they are unknown or stream is none.
func terminalWidth(stream any) int {
	if f, ok := fileOf(stream); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			return columns
		}
	}
	return 0
}

func fileOf(stream any) (*os.File, bool) {
	if checked, ok := stream.(*checkedWriter); ok {
		stream = checked.w
	}
	f, ok := stream.(*os.File)
	return f, ok
}

// usageWidth is the greatest width of the help, in columns.
const usageWidth = 100

// wrapFlagUsages wraps the descriptions of flags in the help of a command and its subcommands, to
// the width of the terminal.
func (a *app) wrapFlagUsages(root *cobra.Command) {
	cobra.AddTemplateFunc("wrapped", func(flags *pflag.FlagSet) string {
		width := usageWidth
		if columns := terminalWidth(a.stdout); columns > 0 {
			width = min(width, columns)
		}
		return flags.FlagUsagesWrapped(width)
	})
	root.SetUsageTemplate(strings.NewReplacer(".LocalFlags.FlagUsages", "wrapped .LocalFlags",
		".InheritedFlags.FlagUsages", "wrapped .InheritedFlags").Replace(root.UsageTemplate()))
}

// colorKinds are the values of --color.
var colorKinds = []string{"auto", "always", "never"}

func (a *app) addColor(root *cobra.Command) {
	a.color = "auto"
	addChoice(root, root.PersistentFlags(), &choice{"kind of color", colorKinds, &a.color}, "color",
		"`when` to color words: auto (on a terminal, unless NO_COLOR is set), always or never")
}

// colored reports whether text for a writer is to be colored. See https://no-color.org.
func (a *app) colored(w io.Writer) bool {
	switch a.color {
	case "always":
		return true
	case "auto":
		return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
	}
	return false
}

// paint gives text for standard output attributes such as color.Bold, where it is to be colored.
func (a *app) paint(text string, attributes ...color.Attribute) string {
	if len(attributes) == 0 || !a.colored(a.stdout) {
		return text
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(text)
}

// paintVerdict colors text by a verdict.
func (a *app) paintVerdict(v evidence.Verdict, text string) string {
	var attributes []color.Attribute
	for _, code := range report.LookOf(v).Terminal {
		attributes = append(attributes, color.Attribute(code))
	}
	return a.paint(text, attributes...)
}
