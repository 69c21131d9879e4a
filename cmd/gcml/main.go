// Command gcml measures, watches and regularizes geometric complexity, and runs
// the paper's experiments.
package main

import (
	"fmt"
	"os"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintf(os.Stderr, "gcml: %s\n", oneLine(err))
	}
	os.Exit(exitCode(err))
}
