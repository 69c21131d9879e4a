package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of gcml, Go and GoMLX",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return errors.New("this program was built without build information")
			}
			_, err := fmt.Fprint(a.stdout, versionText(info))
			return err
		},
	}
}

// versionText lists the versions of the program, of Go, and of the modules that compute.
func versionText(info *debug.BuildInfo) string {
	var b strings.Builder
	fmt.Fprintf(&b, "gcml %s\n%s %s/%s\n", programVersion(info), cmp.Or(info.GoVersion, runtime.Version()),
		runtime.GOOS, runtime.GOARCH)
	for _, dep := range info.Deps {
		switch dep.Path {
		case "github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla":
			fmt.Fprintf(&b, "%s %s\n", dep.Path, dep.Version)
		}
	}
	return b.String()
}

// programVersion returns the version that go install and go build record: a release, or the commit
// of the checkout. go run records none, unless -buildvcs=true is given.
func programVersion(info *debug.BuildInfo) string {
	var commit string
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "(devel)"
		if commit == "" {
			return version + ", commit unknown: go build and go run -buildvcs=true record it"
		}
	}
	if commit == "" {
		return version
	}
	if modified {
		commit += " with changes"
	}
	return version + ", commit " + commit
}
