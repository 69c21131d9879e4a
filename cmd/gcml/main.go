// Command gcml measures, watches and regularizes geometric complexity, and runs the paper's
// experiments.
package main

import (
	"errors"
	"fmt"
	"os"

	_ "github.com/geometric-complexity/toolkit/backend/keepmemory" // XLA trains faster with it.
)

func main() {
	quietCrashes()
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintf(os.Stderr, "gcml: %s\n", oneLine(err))
	}
	var resumable resumableError
	if errors.As(err, &resumable) {
		fmt.Fprintf(os.Stderr, "to go on: %s\n", resumable.command)
	}
	os.Exit(exitCode(err))
}
