package main

import (
	"fmt"
	"strings"
)

// costTable is the table of docs/cost.md: for each case the counted and the measured cost in
// forward passes of its network, and the time of its first call. Cases whose forward pass was not
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
		first := d.contender(c.Name, xla.Backend)
		fmt.Fprintf(&b, "| %s | %g | %s | %s | %s | %.0f | %.0f | %s | %s |\n", c.Name, c.flopBound(),
			number(xla.MSMedian/forward.MSMedian), pureGo, number(xla.MSMedian), first.CompileMS, first.PeakMB,
			d.peakOf(c.Name, "jax"), d.peakOf(c.Name, "torch"))
	}
	return b.String()
}

// find returns the row of a case on the backend whose name has the prefix, nil if there is none.
func (r *report) find(name, backend string) *row {
	for i := range r.Rows {
		if r.Rows[i].Case == name && strings.HasPrefix(r.Rows[i].Backend, backend) {
			return &r.Rows[i]
		}
	}
	return nil
}

// peakOf returns the peak memory of the case's fastest contender whose name has the prefix, "" if
// there is none.
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

// contender returns the details of a contender in a case, the zero value if there are none.
func (d details) contender(name, contender string) contenderDetail {
	for _, c := range d[name].Contenders {
		if c.Name == contender {
			return c
		}
	}
	return contenderDetail{}
}
