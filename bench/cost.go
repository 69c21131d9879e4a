package main

import (
	"fmt"
	"strings"
)

// costTable is what docs/cost.md shows: for each case what it is counted to cost in forward passes
// of its network, what it did cost, and what its first call takes. Rows whose forward pass was not
// measured on XLA are left out.
func (r *report) costTable(d details) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; GoMLX %s. \"Passes\" is the median time divided by that of the network's forward pass without a gradient,\n"+
		"on the same backend. \"First call\" is the time to build, compile and run; \"peak\" is the process's peak memory during that call,\n"+
		"for a peer that of its fastest variant.\n\n", r.Rows[0].Machine, r.Versions["gomlx"])
	b.WriteString("| case | passes, counted | passes, XLA | passes, pure Go | ms, XLA | first call, ms, XLA | peak, MB, XLA | peak, MB, JAX | peak, MB, PyTorch |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range allCases() {
		xla, forward := r.find(c.Name, "xla"), r.find(c.group()+"/forward", "xla")
		if c.flopBound() == 0 || c.Cold || xla == nil || forward == nil || strings.HasPrefix(c.Name, "growth/") {
			continue
		}
		pureGo := ""
		if row, base := r.find(c.Name, "go"), r.find(c.group()+"/forward", "go"); row != nil && base != nil {
			pureGo = number(row.MSMedian / base.MSMedian)
		}
		first := d.of(c.Name, xla.Backend)
		fmt.Fprintf(&b, "| %s | %g | %s | %s | %s | %.0f | %.0f | %s | %s |\n", c.Name, c.flopBound(),
			number(xla.MSMedian/forward.MSMedian), pureGo, number(xla.MSMedian), first.CompileMS, first.PeakMB,
			d.peakOf(c.Name, "jax"), d.peakOf(c.Name, "torch"))
	}
	return b.String()
}

// find is the row of a case on the backend whose name begins so; nil for none.
func (r *report) find(name, backend string) *row {
	for i := range r.Rows {
		if r.Rows[i].Case == name && strings.HasPrefix(r.Rows[i].Backend, backend) {
			return &r.Rows[i]
		}
	}
	return nil
}

// peakOf is the peak memory of the fastest contender of a case whose name begins so, "" for none.
func (d details) peakOf(name, prefix string) string {
	var best *contenderDetail
	for i, c := range d[name].Contenders {
		if strings.HasPrefix(c.Name, prefix) && (best == nil || c.MSMedian < best.MSMedian) {
			best = &d[name].Contenders[i]
		}
	}
	if best == nil {
		return ""
	}
	return fmt.Sprintf("%.0f", best.PeakMB)
}

// of is what is known of a contender in a case; nothing if it was not there.
func (d details) of(name, contender string) contenderDetail {
	for _, c := range d[name].Contenders {
		if c.Name == contender {
			return c
		}
	}
	return contenderDetail{}
}
