package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/geometric-complexity/toolkit/internal/marked"
)

// Names of the generated sections: the full tables, and the short one of README.md.
const (
	tableSection = "bench"
	speedSection = "speed"
)

// updateTable writes a table between the markers of the section.
func updateTable(path, section, table string) error {
	_, err := marked.Update(path, section, table)
	return err
}

// speedCases are the rows of README.md: GC measured and penalized, and a step without the penalty.
var speedCases = []string{"mlp/gc_dense", "mlp/step_dense", "resnet18bn/step_plain", "resnet18bn/step_exact"}

// speedTable is the short table of README.md.
func (r *report) speedTable() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Milliseconds (median) on two cores; JAX %s, PyTorch %s. The ratio is ours over the faster of the two.\n\n"+
		"| case | ours, XLA | JAX | PyTorch | ratio |\n|---|--:|--:|--:|--:|\n", r.version("jax", speedCases...),
		r.version("torch", speedCases...))
	for _, name := range speedCases {
		for i := range r.Rows {
			if row := &r.Rows[i]; row.Case == name && strings.HasPrefix(row.Backend, "xla") {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, row.ms(), number(row.bestOf("jax")),
					number(row.bestOf("torch")), row.ratio())
			}
		}
	}
	return b.String()
}

// report reads the CPU's results.
func (p paths) report() (r report, err error) {
	if err := readJSON(p.latest(), &r); err != nil {
		return r, err
	}
	if len(r.Rows) == 0 {
		return r, fmt.Errorf("%s has no rows: run `make bench` first", p.latest())
	}
	return r, nil
}

// allTables returns the table of the CPU's results, followed by those of the GPU's results that
// exist.
func (p paths) allTables(cpu report) (string, error) {
	text := cpu.table()
	for _, folder := range resultsFolders {
		var r report
		if err := readJSON(filepath.Join(p.results, folder, "latest.json"), &r); err != nil {
			return "", err
		}
		if len(r.Rows) > 0 {
			text += "\n" + r.table()
		}
	}
	return text, nil
}

// table returns the report as Markdown: a table for each machine, with one line for each case.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Median milliseconds; JAX %s, PyTorch %s, GoMLX %s. \"Ratio\" is our time on XLA divided by that of the fastest peer\n"+
		"variant: below 1, ours is faster. \"Of bound\" is our time on XLA divided by that of generic differentiation at the speed of the\n"+
		"forward pass. \"GoMLX's\" is pure Go with GoMLX's own convolution and gradients.\n",
		r.version("jax"), r.version("torch"), r.version("gomlx"))
	machine := ""
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
		if r.Rows[i].Machine != machine {
			machine = r.Rows[i].Machine
			fmt.Fprintf(&b, "\n%s:\n\n", machine)
			b.WriteString("| case | ours, XLA | ours, pure Go | GoMLX's | JAX | PyTorch | ratio | of bound |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Rows[i].Case, xla.ms(), pureGo.ms(),
			number(r.Rows[i].bestOf("gomlx_stock")),
			number(r.Rows[i].bestOf("jax")), number(r.Rows[i].bestOf("torch")), xla.ratio(), xla.boundRatio())
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

func (r *row) boundRatio() string {
	if r == nil || r.RatioFLOPBound == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", *r.RatioFLOPBound)
}

// bestOf returns the time of the fastest peer whose name has the prefix, NaN if there is none.
func (r *row) bestOf(prefix string) float64 {
	best := math.NaN()
	for name, ms := range r.Peers {
		if strings.HasPrefix(name, prefix) && !(ms >= best) {
			best = ms
		}
	}
	return best
}

// number formats v with three significant digits and no exponent.
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
