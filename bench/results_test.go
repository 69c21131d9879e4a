package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/marked"
)

func TestMergeKeepsOtherRows(t *testing.T) {
	order := []benchCase{{Name: "a/x"}, {Name: "b/x"}}
	r := report{Rows: []row{{Case: "b/x", Backend: "go", MSMedian: 1}, {Case: "gone/x", Backend: "go"}}}
	r.merge([]row{{Case: "a/x", Backend: "go"}, {Case: "a/x", Backend: "xla:cpu"}}, order)
	r.merge([]row{{Case: "b/x", Backend: "go", MSMedian: 2}}, order)
	var got []string
	for _, x := range r.Rows {
		got = append(got, x.Case+" "+x.Backend)
	}
	if want := []string{"a/x xla:cpu", "a/x go", "b/x go"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	r.merge([]row{{Case: "a/x", Backend: "go", MSMedian: 3}}, order)
	if got := r.Rows[1].MSMedian; len(r.Rows) != 3 || got != 3 {
		t.Errorf("%d rows, of pure Go alone %g ms; want 3, 3", len(r.Rows), got)
	}
	other := report{Rows: slices.Clone(r.Rows)}
	other.merge([]row{{Case: "a/x", Backend: "go", Machine: "another"}}, order)
	if len(other.Rows) != 2 {
		t.Errorf("%d rows after one of another machine, want 2 without the one of the same case here", len(other.Rows))
	}
	if r.Rows[2].MSMedian != 2 {
		t.Errorf("the row run again has %g ms, want 2", r.Rows[2].MSMedian)
	}
	path := filepath.Join(t.TempDir(), "latest.json")
	if err := atomicfile.WriteJSON(path, r); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := readJSON(path, &back); err != nil || len(back.Rows) != 3 {
		t.Errorf("read back %d rows (%v), want 3", len(back.Rows), err)
	}
}

// TestMergeKeepsOtherContenders: what was measured before stays, with its time.
func TestMergeKeepsOtherContenders(t *testing.T) {
	d := details{"a/x": {Measured: "then", Contenders: []contenderDetail{{Name: "go", Runs: 1}, {Name: "jax", Runs: 1}}}}
	for range 2 {
		d.merge("a/x", caseDetails{Measured: "now", Contenders: []contenderDetail{{Name: "go", Runs: 2}}})
	}
	want := []contenderDetail{{Name: "go", Runs: 2}, {Name: "jax", Runs: 1, Measured: "then"}}
	if got := d["a/x"]; got.Measured != "now" || !reflect.DeepEqual(got.Contenders, want) {
		t.Errorf("%+v", got)
	}
}

// TestVersionsOfRowsThatStay: rows of a peer that does not run now are still of its version.
func TestVersionsOfRowsThatStay(t *testing.T) {
	b := &bench{report: report{Versions: map[string]string{"jax": "old", "torch": "old"}}}
	if err := b.readVersions([]worker{&fakeWorker{name: "torch"}}); err != nil {
		t.Fatal(err)
	}
	if got := b.report.Versions; got["jax"] != "old" || got["torch"] != "new" {
		t.Errorf("versions %v", got)
	}
	if want := map[string]string{"torch": "new"}; !maps.Equal(b.versions, want) {
		t.Errorf("versions of new rows %v, want %v", b.versions, want)
	}
}

// TestVersionsByRow: a table says which of its rows were measured with other versions than most.
func TestVersionsByRow(t *testing.T) {
	old := map[string]string{"jax": "1", "torch": "7"}
	r := report{Versions: old, Rows: []row{{Case: "a/x", Backend: "xla:cpu"}, {Case: "a/x", Backend: "go"},
		{Case: "b/x", Backend: "go"}, {Case: "c/x", Backend: "go"}}}
	if got := r.version("jax"); got != "1" {
		t.Errorf("version %q of rows without versions, want the report's", got)
	}
	r.setVersions()
	r.Versions = map[string]string{"jax": "2", "torch": "7"}
	r.merge([]row{{Case: "a/x", Backend: "xla:cpu", Versions: r.Versions},
		{Case: "a/x", Backend: "go", Versions: r.Versions}},
		[]benchCase{{Name: "a/x"}, {Name: "b/x"}, {Name: "c/x"}})
	for _, tc := range []struct {
		library string
		cases   []string
		want    string
	}{
		{"jax", nil, "1 (2 in a/x)"},
		{"torch", nil, "7"},
		{"jax", []string{"a/x"}, "2"},
		{"jax", []string{"b/x", "c/x"}, "1"},
	} {
		if got := r.version(tc.library, tc.cases...); got != tc.want {
			t.Errorf("%s in %q: version %q, want %q", tc.library, tc.cases, got, tc.want)
		}
	}
}

func TestReadme(t *testing.T) {
	bound := 0.9
	peers := map[string]float64{"jax_a": 20, "jax_b": 25, "torch_loop": 30}
	stock := map[string]float64{"gomlx_stock_conv": 2500, "gomlx_conv_our_gradients": 700}
	r := &report{Rows: []row{
		{Case: "mlp/gc_exact", Machine: "one", Backend: "xla:cpu", MSMedian: 10, Peers: peers, BestPeer: "jax_a",
			RatioBest: 0.5, RatioFLOPBound: &bound},
		{Case: "mlp/gc_exact", Machine: "one", Backend: "go", MSMedian: 123.4, Peers: peers, BestPeer: "jax_a",
			RatioBest: 6.17},
		{Case: "growth/outputs-10/gc_exact", Machine: "one", Backend: "go", MSMedian: 7, Peers: peers},
		{Case: "resnet18k16/forward", Machine: "one", Backend: "go", MSMedian: 25, Peers: stock},
		{Case: "resnet18k16/step_plain", Machine: "another", Backend: "go", MSMedian: 100, Peers: stock},
	}}
	path := filepath.Join(t.TempDir(), "README.md")
	text := "before\n" + marked.Begin(tableSection) + "\nold\n" + marked.End(tableSection) + "\nafter\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // The second time changes nothing.
		if err := updateTable(path, tableSection, r.table()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\none:\n\n| case |",
		"--:|\n| mlp/gc_exact | 10.0 | 123 |  | 20.0 | 30.0 | 0.50 | 0.90 |\n| growth/outputs-10/gc_exact |  | 7.00 |  | 20.0 | 30.0 |  |  |\n| resnet18k16/forward |  | 25.0 | 2500 |",
		"\nanother:\n\n| case |", "--:|\n| resnet18k16/step_plain |  | 100 | 2500 |"} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if bytes.Contains(got, []byte("old")) {
		t.Errorf("the old table is in\n%s", got)
	}
}

func TestCostTable(t *testing.T) {
	r := &report{Rows: []row{
		{Case: "mlp/forward", Backend: "xla:cpu", MSMedian: 4}, {Case: "mlp/forward", Backend: "go", MSMedian: 5},
		{Case: "mlp/gc_exact", Backend: "xla:cpu", MSMedian: 30}, {Case: "mlp/gc_exact", Backend: "go", MSMedian: 60},
		{Case: "cold/gc_exact", Backend: "xla:cpu", MSMedian: 400},
		{Case: "resnet18/step_exact", Backend: "xla:cpu", MSMedian: 400}, // Its forward pass is not there.
	}}
	got := r.costTable(details{"mlp/gc_exact": {Contenders: []contenderDetail{
		{Name: "jax_slow", MSMedian: 9, PeakMiB: 1, FirstMS: 2},
		{Name: "jax_fast", MSMedian: 8, PeakMiB: 300.4, FirstMS: 800},
		{Name: "gomlx_stock_conv", MSMedian: 1, PeakMiB: 5, FirstMS: 7}, {Name: "go", CompileMS: 140.2, PeakMiB: 60},
		{Name: "xla:cpu", FirstMS: 386.6, PeakMiB: 227.5}}}})
	want := "| mlp/gc_exact | 11 | 7.50 | 12.0 | 30.0 | 387 | ≤ 140 | 800 |  | 228 | 60 | 300 |  |\n"
	if !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
	if strings.Contains(got, "cold") || strings.Contains(got, "resnet18") {
		t.Errorf("rows without a bound in\n%s", got)
	}
}

// TestTablesAreThoseOfTheResults checks that the committed tables are what `go run ./bench readme`
// writes.
func TestTablesAreThoseOfTheResults(t *testing.T) {
	var r report
	d := details{}
	if err := readJSON("results/latest.json", &r); err != nil {
		t.Fatal(err)
	}
	if err := readJSON("results/details.json", &d); err != nil {
		t.Fatal(err)
	}
	tables, err := paths{results: "results"}.allTables(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct{ path, section, table string }{
		{"../README.md", speedSection, r.speedTable()},
		{"README.md", tableSection, tables},
		{"../docs/cost.md", tableSection, r.costTable(d)},
	} {
		got, err := marked.Section(s.path, s.section)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Trim(s.table, "\n"); got != want {
			t.Errorf("%s has\n%s\nbut the results say\n%s\nRun `go run ./bench readme`", s.path, got, want)
		}
	}
}

func TestTablesOfGPU(t *testing.T) {
	p := paths{results: t.TempDir()}
	cpu := report{Rows: []row{{Case: "mlp/forward", Machine: "a processor", Backend: "xla:cpu", MSMedian: 4}}}
	gpu := report{Rows: []row{{Case: "mlp/forward", Machine: "a GPU, TF32 on", Backend: "xla:cuda", MSMedian: 0.5}}}
	if text, err := p.allTables(cpu); err != nil || text != cpu.table() {
		t.Errorf("without results of a GPU: %q (%v)", text, err)
	}
	folder := filepath.Join(p.results, "cuda-tf32")
	if err := errors.Join(os.Mkdir(folder, 0o755),
		atomicfile.WriteJSON(filepath.Join(folder, "latest.json"), gpu)); err != nil {
		t.Fatal(err)
	}
	text, err := p.allTables(cpu)
	if err != nil || !strings.Contains(text, "\na GPU, TF32 on:\n") || !strings.Contains(text, "| mlp/forward | 0.50 |") ||
		!strings.Contains(text, "\na processor:\n") {
		t.Errorf("%s (%v)", text, err)
	}
}
