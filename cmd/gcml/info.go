package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/cmd/gcml/internal/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what the machine has, what is missing, and what mends it",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return doctor.Report(a.stdout) },
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of gcml, Go and GoMLX",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return fmt.Errorf("this program was built without build information")
			}
			version := info.Main.Version
			for _, setting := range info.Settings {
				if setting.Key == "vcs.revision" {
					version += ", commit " + setting.Value
				}
			}
			fmt.Fprintf(a.stdout, "gcml %s\n%s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			for _, dep := range info.Deps {
				switch dep.Path {
				case "github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla":
					fmt.Fprintf(a.stdout, "%s %s\n", dep.Path, dep.Version)
				}
			}
			return nil
		},
	}
}
