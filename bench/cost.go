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
		"on the same backend. \"First\" is the time to build, compile and run once, in milliseconds, in a process that has run the cases above\n"+
		"(\"≤\": with the check of the values, for a step a second run); \"peak\" is the process's peak memory until then, in MiB. Both are those\n"+
		"of each library's fastest variant.\n\n", r.Rows[0].Machine, r.version("gomlx"))
	b.WriteString("| case | passes, counted | passes, XLA | passes, pure Go | ms, XLA | first, XLA | first, pure Go | first, JAX | first, PyTorch " +
		"| peak, XLA | peak, pure Go | peak, JAX | peak, PyTorch |\n|---|" + strings.Repeat("--:|", 12) + "\n")
	for _, c := range allCases() {
		xla, forward := r.find(c.Name, "xla"), r.find(c.group()+"/forward", "xla")
		if c.flopBound() == 0 || c.Cold || xla == nil || forward == nil || strings.HasPrefix(c.Name, "growth/") {
			continue
		}
		pureGo := ""
		if row, base := r.find(c.Name, "go"), r.find(c.group()+"/forward", "go"); row != nil && base != nil {
			pureGo = number(row.MSMedian / base.MSMedian)
		}
		fmt.Fprintf(&b, "| %s | %g | %s | %s | %s |", c.Name, c.flopBound(), number(xla.MSMedian/forward.MSMedian), pureGo,
			number(xla.MSMedian))
		var peaks strings.Builder
		for _, library := range []string{xla.Backend, "go", "jax", "torch"} {
			fastest := d.fastest(c.Name, library)
			fmt.Fprintf(&b, " %s |", fastest.first())
			fmt.Fprintf(&peaks, " %s |", fastest.peak())
		}
		b.WriteString(peaks.String() + "\n")
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

// fastest returns the details of the case's fastest contender whose name is name or begins with
// name and an underscore, the zero value if there is none.
func (d details) fastest(caseName, name string) contenderDetail {
	var best contenderDetail
	for _, c := range d[caseName].Contenders {
		isOne := c.Name == name || strings.HasPrefix(c.Name, name+"_")
		if isOne && (best.Name == "" || c.MSMedian < best.MSMedian) {
			best = c
		}
	}
	return best
}
