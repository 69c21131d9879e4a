package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/geometric-complexity/toolkit/bench/proto"
)

// coldRounds has one round more than the others, because the first is not counted.
const coldRounds = minRounds + 1

// timeCold lets the contenders take turns, and times whole processes, each from its start to the
// line with its first GC value.
func (b *bench) timeCold(contenders []*contender, fixture string) error {
	rounds := coldRounds
	if b.pacing.Rounds > 0 {
		rounds = b.pacing.Rounds
	}
	for round := range rounds {
		for _, c := range contenders {
			if c.retired {
				continue
			}
			all := b.workerCommands()
			w := all[slices.IndexFunc(all, func(w workerCommand) bool { return w.name == c.worker.Name() })]
			ms, answer, err := w.timeColdStart(fixture, c.request.Variant)
			if err != nil {
				return err
			}
			c.prepared = answer
			if round > 0 || rounds == 1 { // The first start reads the files from disk.
				c.times = append(c.times, ms)
			}
		}
		if err := checkEqual(contenders, b.tolerance()); err != nil {
			return err
		}
		retire(contenders, round) // Of the rounds that count.
	}
	return nil
}

// timeColdStart starts a process that computes one value, and returns the time until it printed it.
func (w workerCommand) timeColdStart(fixture, variant string) (ms float64, answer proto.Answer, err error) {
	cmd := w.command("-cold", fixture, "-variant", variant)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, answer, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, answer, err
	}
	line, readErr := bufio.NewReader(out).ReadBytes('\n')
	ms = time.Since(start).Seconds() * 1e3
	if err := cmd.Wait(); err != nil {
		return 0, answer, fmt.Errorf("worker %s: %w", w.name, err)
	}
	if readErr != nil {
		return 0, answer, fmt.Errorf("worker %s printed nothing", w.name)
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return 0, answer, fmt.Errorf("worker %s printed %q: %w", w.name, line, err)
	}
	if answer.Error != "" {
		return 0, answer, fmt.Errorf("worker %s: %s", w.name, answer.Error)
	}
	return ms, answer, nil
}
