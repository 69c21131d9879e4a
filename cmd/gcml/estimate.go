package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/pace"
)

// askFrom is the shortest estimate for which a user at a terminal is asked before the runs begin.
const askFrom = 5 * time.Minute

// errDeclined reports that the user did not want to begin.
var errDeclined = errors.New("not begun; --yes begins without a question")

// confirm estimates how long the runs take, and asks before long ones if a user can answer: if both
// standard input and standard error are terminals, unless --yes is given.
func (a *app) confirm(ctx context.Context, s *sweep, schedule *runs.Schedule, workers int) error {
	estimate, err := schedule.Estimate(knownRecords(s.planned), workers)
	if err != nil || estimate.Todo == 0 || estimate.Known == 0 && !isTerminal(a.stderr) {
		return err
	}
	fmt.Fprintf(a.stderr, "estimate: %s\n", estimateText(estimate))
	if s.yes || estimate.Time < askFrom || !isTerminal(os.Stdin) || !isTerminal(a.stderr) {
		return nil
	}
	fmt.Fprint(a.stderr, "begin? [y/N] ")
	answer := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			fmt.Fprintln(a.stderr) // The input ended without a line break.
		}
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case word := <-answer:
		if word == "y" || word == "yes" {
			return nil
		}
		return errDeclined
	case <-ctx.Done():
		fmt.Fprintln(a.stderr)
		return interruption("interrupted; nothing was begun")
	}
}

func estimateText(e runs.Estimate) string {
	switch {
	case e.Known == 0:
		return "unknown, because no similar run has finished here yet; the progress display will have one"
	case e.Known < e.Todo:
		return fmt.Sprintf("at least %s for %d of the %d runs; runs like the others have not finished here yet",
			pace.Text(e.Time), e.Known, e.Todo)
	}
	return fmt.Sprintf("about %s, from the times of %d similar runs", pace.Text(e.Time), e.Sources)
}

// knownRecords reads the records of similar runs: those in the output folders, and those of
// finished results of the same experiments, next to the output folders and in the repository. It
// ignores records that cannot be read.
func knownRecords(planned []*experiment.Planned) (known []*runs.Record) {
	seen := make(map[string]bool)
	add := func(r *runs.Record) {
		if r != nil && !seen[r.Hash] {
			seen[r.Hash] = true
			known = append(known, r)
		}
	}
	for _, p := range planned {
		folders, _ := filepath.Glob(filepath.Join(escapeGlob(p.Out), runs.RunsDir, "*"))
		for _, folder := range folders {
			record, _ := runs.ReadRecord(folder)
			add(record)
		}
	}
	for _, p := range planned {
		for _, parent := range []string{filepath.Dir(p.Out), resultsFolder} {
			files, _ := filepath.Glob(filepath.Join(escapeGlob(parent), "*"+p.Name+"*", experiment.RecordsFile))
			for _, file := range files {
				raw, _ := os.ReadFile(file)
				for line := range bytes.Lines(raw) {
					var record runs.Record
					if json.Unmarshal(line, &record) == nil {
						add(&record)
					}
				}
			}
		}
	}
	return known
}
