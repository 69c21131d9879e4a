package main

import (
	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/cmd/gcml/internal/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check the machine, and print the command that fixes each problem",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			return doctor.Report(a.stdout, func(s doctor.State, text string) string {
				switch s {
				case doctor.OK:
					return a.paint(text, color.FgGreen)
				case doctor.Problem:
					return a.paint(text, color.FgRed, color.Bold)
				}
				return a.paint(text, color.Faint)
			})
		},
	}
}
