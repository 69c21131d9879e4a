package main

import (
	"bytes"
	"log/slog"
	"testing"
)

// A user sees only the warnings of what experiments log, a line each.
func TestWarnings(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(warnings{&b}).With("a", 1).WithGroup("g")
	log.Info("run starts")
	log.Warn("a checkpoint cannot be used", "step", 3)
	log.Debug("measured")
	if got, want := b.String(), "gcml: a checkpoint cannot be used\n"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}
