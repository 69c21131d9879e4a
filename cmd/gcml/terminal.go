package main

import (
	"io"
	"os"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
)

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	if checked, ok := stream.(*checkedWriter); ok {
		stream = checked.w
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
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
	if !a.colored(a.stdout) {
		return text
	}
	c := color.New(attributes...)
	c.EnableColor()
	return c.Sprint(text)
}

// paintVerdict colors text by a verdict.
func (a *app) paintVerdict(v evidence.Verdict, text string) string {
	switch v {
	case evidence.Holds:
		return a.paint(text, color.FgGreen, color.Bold)
	case evidence.DoesNotHold:
		return a.paint(text, color.FgRed, color.Bold)
	case evidence.Undecided:
		return a.paint(text, color.FgYellow, color.Bold)
	}
	return text
}
