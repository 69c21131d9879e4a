// Command bench measures geometric complexity and training steps with it against JAX and PyTorch.
//
// One run compares all contenders: ours, and the peers (JAX and PyTorch, in several variants). They
// get identical weights and data, and must agree on every value to 1e-4 before they are timed. Then
// they take turns, so that other load on the machine affects all alike. The result is our median
// time divided by that of the fastest variant of any peer. Each case is written to
// bench/results/latest.json when it is done.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	if err := newCommand(os.Stdout).Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func newCommand(out io.Writer) *cobra.Command {
	var o options
	root := &cobra.Command{
		Use: "bench", Short: "Measure against JAX and PyTorch, and write bench/results/latest.json",
		Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error { return o.run(out) },
	}
	flags := root.Flags()
	flags.StringVar(&o.cases, "cases", "all",
		"cases to run, as 'mlp/*,cold'; the other rows of the results stay as they are")
	flags.StringVar(&o.backends, "backends", "xla,go", "our backends to run")
	flags.StringVar(&o.peers, "peers", "jax,torch", "peers to run; empty for none")
	flags.StringVar(&o.device, "device", "cpu", "cpu or cuda, for all contenders but our pure Go")
	flags.BoolVar(&o.tf32, "tf32", false,
		"with --device cuda: all contenders may compute in TF32, which keeps 11 bits of 24")
	flags.IntVar(&o.pacing.Rounds, "rounds", 0, "turns of every contender; 0 for as many as fit into --budget")
	flags.IntVar(&o.pacing.Processes, "processes", 0,
		"start all workers so often, each time for a part of the rounds; 0 for 3 on a CPU and 1 on a GPU")
	flags.DurationVar(&o.pacing.Budget, "budget", 30*time.Second, "time for the turns of one case")
	flags.DurationVar(&o.pacing.Turn, "turn", 250*time.Millisecond, "a turn repeats a short task for about this long")
	flags.DurationVar(&o.pacing.Rest, "rest", 10*time.Millisecond, "pause between turns")
	flags.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of every contender")
	flags.StringVar(&o.python, "python", "python3", "interpreter to make the peers' environment with")
	flags.StringVar(&o.peersPython, "peers-python", "",
		"interpreter that already has the peers; then nothing is installed")
	flags.StringVar(&o.goWorker, "goworker", "",
		"built program of bench/goworker; then nothing is built, and no Go is needed")
	flags.StringVar(&o.results, "results", "",
		"folder for the results (default bench/results, with cuda or cuda-tf32 for a GPU)")
	flags.DurationVar(&o.limit, "limit", 0, "start no case after this long; 0 for no limit")
	flags.BoolVar(&o.dry, "dry", false, "check the values and time the cases, but write no results")
	root.AddCommand(&cobra.Command{
		Use: "readme", Short: "Put the tables of the results into README.md, bench/README.md and docs/cost.md", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return readme() },
	}, &cobra.Command{
		Use: "list", Short: "List the cases", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			for _, c := range allCases() {
				fmt.Fprintln(out, c.Name)
			}
		},
	})
	return root
}

func readme() error {
	p, err := findPaths()
	if err != nil {
		return err
	}
	r, err := p.report()
	if err != nil {
		return err
	}
	d := details{}
	if err := readJSON(p.details(), &d); err != nil {
		return err
	}
	table, err := p.allTables(r)
	if err != nil {
		return err
	}
	for _, s := range []struct{ file, section, table string }{
		{"README.md", speedSection, r.speedTable()},
		{"bench/README.md", tableSection, table},
		{"docs/cost.md", tableSection, r.costTable(d)},
	} {
		if err := updateTable(filepath.Join(p.root, s.file), s.section, s.table); err != nil {
			return err
		}
	}
	return nil
}
