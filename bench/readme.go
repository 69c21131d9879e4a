package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
)

const (
	tableBegin = "<!-- bench:begin -->"
	tableEnd   = "<!-- bench:end -->"
)

// updateTable puts a table of the report between the markers of the file.
func updateTable(path, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin := bytes.Index(text, []byte(tableBegin))
	end := bytes.Index(text, []byte(tableEnd))
	if begin < 0 || end < begin {
		return fmt.Errorf("%s has no lines %s and %s, in this order, to put the table between", path, tableBegin, tableEnd)
	}
	var out bytes.Buffer
	out.Write(text[:begin+len(tableBegin)])
	fmt.Fprintf(&out, "\n%s\n", table)
	out.Write(text[end:])
	if bytes.Equal(out.Bytes(), text) {
		return nil
	}
	return writeFile(path, out.Bytes())
}

// table is the report as Markdown: one line a case, but for the growth rows, which are many.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Milliseconds (median), %s; JAX %s, PyTorch %s, GoMLX %s. \"Ratio\" is ours on XLA over the best peer variant:\n"+
		"below 1 is faster. \"Of bound\" is ours on XLA over the FLOPs of generic differentiation at the forward pass's rate.\n\n",
		r.Machine, r.Versions["jax"], r.Versions["torch"], r.Versions["gomlx"])
	b.WriteString("| case | ours, XLA | ours, pure Go | JAX | PyTorch | ratio | of bound |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for i := 0; i < len(r.Rows); {
		j := i
		var xla, pureGo *row
		for ; j < len(r.Rows) && r.Rows[j].Case == r.Rows[i].Case; j++ {
			if strings.HasPrefix(r.Rows[j].Backend, "xla") {
				xla = &r.Rows[j]
			} else {
				pureGo = &r.Rows[j]
			}
		}
		if name := r.Rows[i].Case; !strings.HasPrefix(name, "growth/") {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, xla.ms(), pureGo.ms(),
				number(r.Rows[i].bestOf("jax")), number(r.Rows[i].bestOf("torch")), xla.ratio(), xla.ofBound())
		}
		i = j
	}
	return b.String()
}

func (r *row) ms() string {
	if r == nil {
		return ""
	}
	return number(r.MSMedian)
}

func (r *row) ratio() string {
	if r == nil || r.BestPeer == "" {
		return ""
	}
	return fmt.Sprintf("%.2f", r.RatioBest)
}

func (r *row) ofBound() string {
	if r == nil || r.RatioFLOPBound == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", *r.RatioFLOPBound)
}

// bestOf is the fastest of the peers whose name begins so; NaN for none.
func (r *row) bestOf(prefix string) float64 {
	best := math.NaN()
	for name, ms := range r.Peers {
		if strings.HasPrefix(name, prefix) && !(ms >= best) {
			best = ms
		}
	}
	return best
}

// number with three significant digits, and no exponent.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
