package vjp

import "github.com/gomlx/gomlx/core/graph"

// ValuesOf is what knownValues computes.
func ValuesOf(n *graph.Node) ([]int, bool) { return make(knownValues).of(n) }

// GainsInKernels is the number of convolutions whose kernel has taken the gain behind them.
func (s *Pullback) GainsInKernels() int { return len(s.scaled) }
