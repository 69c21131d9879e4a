package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// report is bench/results/latest.json.
type report struct {
	Machine  string            `json:"machine"`  // That of the last run; each row has its own.
	Versions map[string]string `json:"versions"` // That each library had last; each row has its own.
	Rows     []row             `json:"rows"`
}

// row compares one of our backends with all peers on one case. Times are in milliseconds; a ratio
// is our time divided by theirs.
type row struct {
	Case           string             `json:"case"`
	Machine        string             `json:"machine"`
	Backend        string             `json:"backend"` // Begins with "xla" or "go".
	MSMedian       float64            `json:"ms_median"`
	MSMin          float64            `json:"ms_min"`
	Value          float64            `json:"value"`
	Peers          map[string]float64 `json:"peers"` // Median of each variant.
	BestPeer       string             `json:"best_peer"`
	RatioBest      float64            `json:"ratio_best"`
	RatioFLOPBound *float64           `json:"ratio_flop_bound"` // Null where there is no bound.
	// Versions are those of the libraries that ran. Older results have none: see setVersions.
	Versions map[string]string `json:"versions,omitempty"`
}

// details is bench/results/details.json: the measurements behind the rows, by case.
type details map[string]caseDetails

type caseDetails struct {
	Measured   string            `json:"measured"` // UTC.
	Load       float64           `json:"load"`     // Mean number of runnable processes in the minute before; 0: unknown.
	Contenders []contenderDetail `json:"contenders"`
	LeftOut    map[string]string `json:"left_out,omitempty"` // Variants of peers that failed, with their messages.
}

type contenderDetail struct {
	Name      string             `json:"name"`
	Runs      int                `json:"runs"`
	MSMedian  float64            `json:"ms_median"`
	MSMin     float64            `json:"ms_min"`
	MSMax     float64            `json:"ms_max"`
	CPUMedian *float64           `json:"cpu_ms_median,omitempty"` // CPU time of all threads in a run.
	FirstMS   float64            `json:"first_ms,omitempty"`      // Time to build, compile and run once.
	FirstCPU  float64            `json:"first_cpu_ms,omitempty"`  // CPU time of all threads in that time.
	PeakMiB   float64            `json:"peak_mb"`                 // Peak resident MiB until the check of values.
	Values    map[string]float64 `json:"values"`
	Retired   bool               `json:"retired,omitempty"` // Much slower than another, and timed no longer.
	// Measured is in UTC, for a contender that did not run when the case was last measured.
	Measured string `json:"measured,omitempty"`

	// CompileMS is in results from before FirstMS was measured: the first call and the check of the
	// values, which for a step is a second run.
	CompileMS float64 `json:"compile_ms,omitempty"`
}

// first is the time of the first call in milliseconds, an upper bound in older results, "" if
// unknown.
func (c contenderDetail) first() string {
	switch {
	case c.FirstMS > 0:
		return fmt.Sprintf("%.0f", c.FirstMS)
	case c.CompileMS > 0:
		return fmt.Sprintf("≤ %.0f", c.CompileMS)
	}
	return ""
}

// peak is the peak memory in MiB, "" if unknown.
func (c contenderDetail) peak() string {
	if c.PeakMiB == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", c.PeakMiB)
}

// makeRows makes one row for each of our backends. forwardMS gives the forward pass's median by
// backend.
func makeRows(c benchCase, machine string, contenders []*contender, forwardMS map[string]float64) []row {
	peers := map[string]float64{}
	best := ""
	for _, p := range contenders {
		if p.ours {
			continue
		}
		peers[p.name] = round4(p.median())
		if best == "" || peers[p.name] < peers[best] {
			best = p.name
		}
	}
	var rows []row
	for _, o := range contenders {
		if !o.ours {
			continue
		}
		r := row{Case: c.Name, Machine: machine, Backend: o.name, MSMedian: round4(o.median()),
			MSMin: round4(slices.Min(o.times)),
			Value: o.prepared.Values["value"], Peers: peers, BestPeer: best}
		if best != "" {
			r.RatioBest = round4(o.median() / peers[best])
		}
		if bound := c.flopBound() * forwardMS[o.name]; bound > 0 && !c.Cold {
			ratio := round4(o.median() / bound)
			r.RatioFLOPBound = &ratio
		}
		rows = append(rows, r)
	}
	return rows
}

func makeDetails(contenders []*contender, leftOut map[string]string, now time.Time, load float64) caseDetails {
	d := caseDetails{Measured: now.UTC().Format(time.RFC3339), Load: load, LeftOut: leftOut}
	for _, c := range contenders {
		detail := contenderDetail{Name: c.label(), Runs: len(c.times),
			MSMedian: round4(c.median()), MSMin: round4(slices.Min(c.times)), MSMax: round4(slices.Max(c.times)),
			FirstMS: round4(c.prepared.FirstMS), FirstCPU: round4(c.prepared.FirstCPUMS), PeakMiB: round4(c.prepared.PeakMiB),
			Values: c.prepared.Values, Retired: c.retired}
		if len(c.cpu) > 0 {
			cpu := round4(median(c.cpu))
			detail.CPUMedian = &cpu
		}
		d.Contenders = append(d.Contenders, detail)
	}
	return d
}

// round4 keeps 4 significant digits, more than the times here are accurate to.
func round4(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// merge replaces the rows that were run, keeps the others, and sorts them in the order of the
// cases. It drops rows of cases that no longer exist, and of the same case on another machine.
func (r *report) merge(rows []row, order []benchCase) {
	r.Rows = slices.DeleteFunc(r.Rows, func(o row) bool {
		return slices.ContainsFunc(rows, func(n row) bool {
			return n.Case == o.Case && (n.Backend == o.Backend || n.Machine != o.Machine)
		})
	})
	r.Rows = append(r.Rows, rows...)
	position := map[string]int{}
	for i, c := range order {
		position[c.Name] = i + 1
	}
	r.Rows = slices.DeleteFunc(r.Rows, func(o row) bool { return position[o.Case] == 0 })
	slices.SortStableFunc(r.Rows, func(a, b row) int {
		if d := position[a.Case] - position[b.Case]; d != 0 {
			return d
		}
		return -strings.Compare(a.Backend, b.Backend) // XLA before Go.
	})
}

// merge replaces the details of a case. Contenders that did not run now stay as they were measured.
func (d details) merge(name string, now caseDetails) {
	for _, old := range d[name].Contenders {
		if !slices.ContainsFunc(now.Contenders, func(c contenderDetail) bool { return c.Name == old.Name }) {
			old.Measured = cmp.Or(old.Measured, d[name].Measured)
			now.Contenders = append(now.Contenders, old)
		}
	}
	d[name] = now
}

// setVersions gives rows without versions those of the report, so that they keep them when other
// rows are measured with other versions.
func (r *report) setVersions() {
	for i := range r.Rows {
		if r.Rows[i].Versions == nil {
			r.Rows[i].Versions = maps.Clone(r.Versions)
		}
	}
}

// version returns the version of a library that most of the rows were measured with, followed by
// other versions and their cases: "0.10 (0.9 in mlp/forward)". If cases are given, other rows do
// not count.
func (r *report) version(library string, cases ...string) string {
	measured := map[string][]string{} // Cases by version.
	for _, row := range r.Rows {
		if cases != nil && !slices.Contains(cases, row.Case) {
			continue
		}
		version := row.Versions[library]
		if row.Versions == nil {
			version = r.Versions[library]
		}
		if of := measured[version]; version != "" && !slices.Contains(of, row.Case) {
			measured[version] = append(of, row.Case)
		}
	}
	versions := slices.SortedFunc(maps.Keys(measured), func(a, b string) int {
		return cmp.Or(len(measured[b])-len(measured[a]), strings.Compare(a, b))
	})
	if len(versions) == 0 {
		return r.Versions[library]
	}
	text := versions[0]
	for _, other := range versions[1:] {
		text += fmt.Sprintf(" (%s in %s)", other, strings.Join(measured[other], ", "))
	}
	return text
}

// readJSON reads the file into value. If the file does not exist, value stays as it is.
func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%s: %w; remove it to measure again from the start", path, err)
	}
	return nil
}
