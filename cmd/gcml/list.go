package main

import (
	"fmt"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

func (a *app) listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [NAME|NUMBER...]",
		Short: "List the experiments, or the claims, scales and settings of one",
		Long: "list prints one line for each experiment: its number, its name, and the question that it\n" +
			"asks. With names or numbers it prints those experiments in full: where they are in the\n" +
			"paper, their claims, what each scale runs, and the settings that --set changes, with\n" +
			"their values at laptop scale.",
		Example:           "  gcml list\n  gcml list 05",
		ValidArgsFunction: completeExperiments,
		RunE: func(_ *cobra.Command, args []string) error {
			chosen, err := findAll(args)
			if err != nil {
				return asUsage(err)
			}
			all := len(chosen) == 0
			if all {
				chosen = experiments.All()
			}
			switch {
			case asJSON:
				infos := make([]experiment.Info, len(chosen))
				for i, e := range chosen {
					infos[i] = e.Info()
				}
				return a.printJSON(infos)
			case all:
				return a.listAll(chosen)
			}
			for i, e := range chosen {
				if i > 0 {
					fmt.Fprintln(a.stdout)
				}
				if err := a.listOne(e); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON, without the settings")
	return cmd
}

// listAll prints a line for each experiment.
func (a *app) listAll(all []experiment.Experiment) error {
	width := 0
	for _, e := range all {
		width = max(width, len(e.Info().Name))
	}
	for _, e := range all {
		info := e.Info()
		name := a.paint(fmt.Sprintf("%s  %-*s", info.Number, width, info.Name), color.Bold)
		fmt.Fprintf(a.stdout, "%s  %s\n", name, info.Question)
	}
	if isTerminal(a.stdout) {
		fmt.Fprintln(a.stderr, "gcml list 05 shows claims, scales and settings; gcml run 05 --scale smoke takes seconds")
	}
	return nil
}

// listOne prints all that is known of an experiment before it runs.
func (a *app) listOne(e experiment.Experiment) error {
	info := e.Info()
	fmt.Fprintf(a.stdout, "%s\n%s (%s)\n%s\n", a.paint(info.Number+" "+info.Name, color.Bold), info.Title, info.Paper,
		info.Question)
	fmt.Fprintf(a.stdout, "\n%s\n", a.paint("claims", color.Bold))
	for _, claim := range info.Claims {
		fmt.Fprintf(a.stdout, "  %s\n", claim.Text)
	}
	fmt.Fprintf(a.stdout, "\n%s\n", a.paint("scales", color.Bold))
	for _, scale := range experiment.Scales() {
		fmt.Fprintf(a.stdout, "  %-6s  %s\n", scale, info.Scales[scale])
	}
	fmt.Fprintf(a.stdout, "\n%s\n", a.paint("settings at laptop scale, for --set", color.Bold))
	assignments, err := settings.Assignments(e.DefaultConfig(experiment.Laptop))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "  %s\n", strings.Join(assignments, "\n  "))
	return err
}
