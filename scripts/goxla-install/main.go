// Command goxla-install runs go-xla's own plugin installer for one kind of plugin, "cpu" or "cuda",
// and prints where the plugin lies. It is what `make xla` and `make cuda` fall back to where no
// pinned wheel fits.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/gomlx/go-xla/installer"

	"github.com/geometric-complexity/toolkit/backend"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, strings.Join(strings.Fields(err.Error()), " "))
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 || (args[0] != backend.KindCPU && args[0] != backend.KindCUDA) {
		return fmt.Errorf("usage: goxla-install cpu|cuda")
	}
	kind := args[0]
	if err := installer.AutoInstallPlugin(kind, "", false, installer.Quiet); err != nil {
		return err
	}
	// The installer does nothing, without an error, where the kind does not fit the machine.
	path, ok := backend.FindPlugin(kind)
	if !ok {
		return fmt.Errorf("it has no %s plugin for this machine", kind)
	}
	fmt.Println(path)
	return nil
}
