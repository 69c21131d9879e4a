// Command gcml measures, watches and regularizes geometric complexity, and runs the paper's
// experiments.
package main

import (
	"errors"
	"fmt"
	"os"

	_ "github.com/geometric-complexity/toolkit/backend/keepmemory" // XLA then trains faster.
)

func main() {
	quietCrashes()
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintf(os.Stderr, "gcml: %s\n", oneLine(err))
	}
	var resumable resumableError
	if errors.As(err, &resumable) {
		fmt.Fprintf(os.Stderr, "to continue: %s\n", resumable.command)
	}
	var hinted hintedError
	if errors.As(err, &hinted) {
		fmt.Fprintf(os.Stderr, "to fix it: %s\n", hinted.hint)
	}
	os.Exit(exitCode(err))
}
