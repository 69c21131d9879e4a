package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

func (a *app) listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the experiments, their claims and scales",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				var infos []experiment.Info
				for _, e := range experiments.All() {
					infos = append(infos, e.Info())
				}
				return a.printJSON(infos)
			}
			for i, e := range experiments.All() {
				if i > 0 {
					fmt.Fprintln(a.stdout)
				}
				a.listOne(e)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func (a *app) listOne(e experiment.Experiment) {
	info := e.Info()
	fmt.Fprintf(a.stdout, "%s %s\n   %s (%s)\n", info.Number, info.Name, info.Title, info.Paper)
	for _, claim := range info.Claims {
		fmt.Fprintf(a.stdout, "   claim: %s\n", claim.Text)
	}
	for _, scale := range experiment.Scales() {
		fmt.Fprintf(a.stdout, "   %-6s %s\n", scale, info.Scales[scale])
	}
	keys := settings.Keys(e.DefaultConfig(experiment.Laptop))
	fmt.Fprintf(a.stdout, "   keys:  %s\n", strings.Join(keys, ", "))
}
