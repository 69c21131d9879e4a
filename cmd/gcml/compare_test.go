package main

import (
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/inspect"
)

func TestDifferentOutputs(t *testing.T) {
	network := func(name string, outputs int) *openedNetwork {
		return &openedNetwork{Subject: inspect.Subject{Name: name}, found: checked{outputs: outputs}}
	}
	if got := differentOutputs([]*openedNetwork{network("a", 4), network("b", 4)}); got != "" {
		t.Errorf("networks with as many outputs: %s", got)
	}
	got := differentOutputs([]*openedNetwork{network("a", 4), network("b", 4), network("c", 10)})
	if !strings.HasPrefix(got, "a has 4 outputs and c has 10: ") {
		t.Errorf("note %q", got)
	}
}
