package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/bench/fixture"
	"github.com/geometric-complexity/toolkit/bench/proto"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/marked"
)

// fakeWorker returns given answers, and records the order in which workers were timed.
type fakeWorker struct {
	name   string
	values map[string]map[string]float64 // By variant.
	ms     map[string][]float64          // By variant; the last one repeats.
	last   float64
	order  *[]string
	calls  map[string]int
	broken map[string]bool // Variants that cannot be prepared.
}

func (f *fakeWorker) Name() string { return f.name }

func (f *fakeWorker) Do(r proto.Request) (proto.Answer, error) {
	switch r.Op {
	case proto.OpPrepare:
		if f.broken[r.Variant] {
			return proto.Answer{}, errors.New(r.Variant + " does not compile")
		}
		return proto.Answer{Values: f.values[r.Variant], FirstMS: 1}, nil
	case proto.OpTime:
		*f.order = append(*f.order, r.ID)
		times := make([]float64, r.Reps)
		for i := range times {
			n := f.calls[r.ID]
			f.calls[r.ID]++
			ms := f.ms[r.ID]
			times[i] = ms[min(n, len(ms)-1)]
		}
		return proto.Answer{TimesMS: times, Last: &f.last}, nil
	}
	if r.Op == proto.OpVersions {
		return proto.Answer{Versions: map[string]string{f.name: "new"}}, nil
	}
	return proto.Answer{}, errors.New("unexpected " + r.Op)
}

func newFake(name string, order *[]string, ms map[string][]float64) *fakeWorker {
	f := &fakeWorker{name: name, values: map[string]map[string]float64{}, ms: ms, order: order, calls: map[string]int{},
		last: 1}
	for variant := range ms {
		f.values[variant] = map[string]float64{"value": 2.5}
	}
	return f
}

func contendersOf(workers ...*fakeWorker) []*contender {
	var all []*contender
	for _, w := range workers {
		for _, variant := range slices.Sorted(func(yield func(string) bool) {
			for v := range w.ms {
				if !yield(v) {
					return
				}
			}
		}) {
			all = append(all, &contender{worker: w, ours: w.name == "xla:cpu" || w.name == "go", name: variant,
				request: proto.Request{Op: proto.OpPrepare, ID: variant, Variant: variant}})
		}
	}
	return all
}

func TestPairing(t *testing.T) {
	var order []string
	ours := newFake("xla:cpu", &order, map[string][]float64{"xla:cpu": {8, 10, 900, 11, 9}})
	jax := newFake("jax", &order, map[string][]float64{"jax_a": {20}, "jax_b": {21}, "jax_slow": {100}})
	contenders := contendersOf(ours, jax)
	if _, _, err := prepare(contenders, 1e-4, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := timeInTurns(contenders, pacing{Rounds: 4}); err != nil {
		t.Fatal(err)
	}
	want := "xla:cpu jax_a jax_b jax_slow " + "jax_slow jax_b jax_a xla:cpu " + "xla:cpu jax_a jax_b " +
		"jax_b jax_a xla:cpu"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("order of turns\n got %s\nwant %s", got, want)
	}
	c := benchCase{Name: "mlp/gc_exact", Task: proto.TaskGCExact, Problem: fixture.Problem{Outputs: 10}}
	rows := makeRows(c, "cpu", contenders, map[string]float64{"xla:cpu": 2})
	if len(rows) != 1 {
		t.Fatalf("got %d rows, want 1", len(rows))
	}
	r := rows[0]
	if r.Machine != "cpu" || r.MSMedian != 10.5 || r.MSMin != 8 || r.Value != 2.5 {
		t.Errorf("median %g, min %g, value %g; want 10.5, 8, 2.5", r.MSMedian, r.MSMin, r.Value)
	}
	if r.BestPeer != "jax_a" || r.RatioBest != 0.525 || len(r.Peers) != 3 || r.Peers["jax_slow"] != 100 {
		t.Errorf("best peer %s, ratio %g, peers %v; want jax_a, 0.525, all three", r.BestPeer, r.RatioBest, r.Peers)
	}
	if r.RatioFLOPBound == nil || *r.RatioFLOPBound != 0.4773 { // 10.5 / (11 forward passes of 2 ms)
		t.Errorf("ratio to the bound %v, want 0.4773", r.RatioFLOPBound)
	}
}

// TestSlowPeersRetire checks that a variant far behind the best peer is timed for a few rounds, and
// one that is a little behind for all.
func TestSlowPeersRetire(t *testing.T) {
	var order []string
	ours := newFake("xla:cpu", &order, map[string][]float64{"xla:cpu": {1}})
	jax := newFake("jax", &order, map[string][]float64{"jax": {17}})
	torch := newFake("torch", &order, map[string][]float64{"torch": {10}, "torch_b": {15}})
	contenders := contendersOf(ours, jax, torch)
	if err := timeInTurns(contenders, pacing{Rounds: 8}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{8, retirePeerAfter, 8, 8} {
		if n := len(contenders[i].times); n != want {
			t.Errorf("%s was timed %d times, want %d", contenders[i].name, n, want)
		}
	}
}

// TestPeersInOurWorkersStay checks that a slow variant of our own worker, which is a peer, is never
// retired.
func TestPeersInOurWorkersStay(t *testing.T) {
	var order []string
	goWorker := newFake("go", &order, map[string][]float64{"go": {10}, "stock": {300}})
	contenders := contendersOf(goWorker)
	contenders[1].ours = false
	if err := timeInTurns(contenders, pacing{Rounds: 5}); err != nil {
		t.Fatal(err)
	}
	if n := len(contenders[1].times); n != 5 {
		t.Errorf("timed %d times, want 5", n)
	}
}

func TestUnequalValuesAreNotTimed(t *testing.T) {
	for name, values := range map[string]map[string]float64{
		"differ":     {"value": 2.5 * (1 + 2e-4)},
		"not finite": {"value": math.NaN()},
		"missing":    {"value": 2.5, "update_norm": 1},
		"none":       {},
	} {
		t.Run(name, func(t *testing.T) {
			var order []string
			ours := newFake("go", &order, map[string][]float64{"go": {1}})
			torch := newFake("torch", &order, map[string][]float64{"torch": {1}})
			torch.values["torch"] = values
			if _, _, err := prepare(contendersOf(ours, torch), 1e-4, io.Discard); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("within the tolerance", func(t *testing.T) {
		var order []string
		ours := newFake("go", &order, map[string][]float64{"go": {1}})
		torch := newFake("torch", &order, map[string][]float64{"torch": {1}})
		torch.values["torch"] = map[string]float64{"value": 2.5 * (1 + 5e-5)}
		if _, _, err := prepare(contendersOf(ours, torch), 1e-4, io.Discard); err != nil {
			t.Error(err)
		}
	})
}

// TestBrokenVariants checks that a failing variant of a peer is left out and reported, and that it
// is an error if all variants of a peer fail, or ours.
func TestBrokenVariants(t *testing.T) {
	for _, tc := range []struct {
		name    string
		broken  []string
		leftOut map[string]string
		wantErr bool
	}{
		{name: "one of two", broken: []string{"torch_b"}, leftOut: map[string]string{"torch_b": "torch_b does not compile"}},
		{name: "all of a peer", broken: []string{"torch_a", "torch_b"}, wantErr: true},
		{name: "ours", broken: []string{"xla:cpu"}, wantErr: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var order []string
			ours := newFake("xla:cpu", &order, map[string][]float64{"xla:cpu": {1}})
			torch := newFake("torch", &order, map[string][]float64{"torch_a": {1}, "torch_b": {1}})
			for _, f := range []*fakeWorker{ours, torch} {
				f.broken = map[string]bool{}
				for _, variant := range tc.broken {
					f.broken[variant] = true
				}
			}
			ready, leftOut, err := prepare(contendersOf(ours, torch), 1e-4, io.Discard)
			if (err != nil) != tc.wantErr {
				t.Fatalf("error %v, want one: %v", err, tc.wantErr)
			}
			if err == nil && (len(ready) != 2 || !maps.Equal(leftOut, tc.leftOut)) {
				t.Errorf("%d are ready, left out are %v; want 2, %v", len(ready), leftOut, tc.leftOut)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct{ args, wantErr string }{
		{args: "--device gpu", wantErr: `--device "gpu": want cpu or cuda`},
		{args: "--tf32", wantErr: "--tf32 is for --device cuda"},
		{args: "--peers jax,tensorflow", wantErr: `unknown peer "tensorflow"; known: jax, torch`},
		{args: "--cases nothing", wantErr: `no case matches "nothing"`},
	} {
		cmd := newCommand(io.Discard)
		cmd.SetArgs(strings.Fields(tc.args))
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), tc.wantErr) {
			t.Errorf("bench %s: %v, want %s", tc.args, err, tc.wantErr)
		}
	}
}

// TestDevices checks the settings of each device: on a GPU all contenders get the same precision,
// share its memory, and write to other folders.
func TestDevices(t *testing.T) {
	for _, tc := range []struct {
		o         options
		folder    string
		tolerance float64
		env       map[string]string // "" if unset or empty.
	}{
		{options{device: deviceCPU}, "results", 1e-4,
			map[string]string{"BENCH_DEVICE": "cpu", "JAX_PLATFORMS": "cpu", "BENCH_TF32": ""}},
		{options{device: deviceCUDA}, "results/cuda", 1e-3, map[string]string{"BENCH_DEVICE": "cuda", "JAX_PLATFORMS": "cuda",
			"BENCH_TF32": "0", "NVIDIA_TF32_OVERRIDE": "0", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}},
		{options{device: deviceCUDA, tf32: true}, "results/cuda-tf32", 5e-2, map[string]string{"BENCH_DEVICE": "cuda",
			"BENCH_TF32": "1", "NVIDIA_TF32_OVERRIDE": "", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}},
		{options{device: deviceCUDA, results: "elsewhere"}, "elsewhere", 1e-3, nil},
	} {
		if got := tc.o.resultsIn("results"); got != tc.folder {
			t.Errorf("%+v: results in %s, want %s", tc.o, got, tc.folder)
		}
		if got := tc.o.tolerance(); got != tc.tolerance {
			t.Errorf("%+v: tolerance %g, want %g", tc.o, got, tc.tolerance)
		}
		got := map[string]string{}
		for _, setting := range tc.o.environment() {
			name, value, _ := strings.Cut(setting, "=")
			got[name] = value
		}
		for name, want := range tc.env {
			if got[name] != want {
				t.Errorf("%+v: %s is %q, want %q", tc.o, name, got[name], want)
			}
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

func TestDivergenceIsAnError(t *testing.T) {
	var order []string
	ours := newFake("go", &order, map[string][]float64{"go": {1}})
	ours.last = math.Inf(1)
	if err := timeInTurns(contendersOf(ours), pacing{Rounds: 1}); err == nil {
		t.Error("no error for a value of +Inf")
	}
}

func TestBudgetSetsRounds(t *testing.T) {
	var order []string
	ours := newFake("go", &order, map[string][]float64{"go": {1e6}})
	if err := timeInTurns(contendersOf(ours), pacing{Budget: 0}); err != nil {
		t.Fatal(err)
	}
	if len(order) != minRounds {
		t.Errorf("%d rounds without a budget, want %d", len(order), minRounds)
	}
	order = nil
	if err := timeInTurns(contendersOf(ours), pacing{Budget: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if len(order) != maxRounds {
		t.Errorf("%d rounds with an hour, want %d", len(order), maxRounds)
	}
}

// TestProcesses checks that processes share the rounds, that their times add up by contender, and
// that a peer that one of them took out stays out.
func TestProcesses(t *testing.T) {
	p := pacing{Processes: 3}
	if p.share(minRounds) != 7 || (pacing{Processes: 3, Rounds: 2}).processes() != 2 || (pacing{}).share(20) != 20 {
		t.Errorf("%d rounds of 20 in each of three processes; want 7", p.share(minRounds))
	}
	var all []*contender
	for _, ms := range []float64{1, 5, 3} {
		var order []string
		ours := newFake("xla:cpu", &order, map[string][]float64{"xla:cpu": {ms}})
		torch := newFake("torch", &order, map[string][]float64{"torch": {10 * ms}, "torch_slow": {100 * ms}})
		contenders := notRetired(all, contendersOf(ours, torch))
		if err := timeInTurns(contenders, p); err != nil {
			t.Fatal(err)
		}
		all = withTimesOf(all, contenders)
	}
	if len(all) != 3 || len(all[0].times) != 21 || all[0].median() != 3 || all[1].median() != 30 {
		t.Errorf("%d contenders, medians %g of %d times and %g; want 3, 3 of 21 and 30", len(all), all[0].median(),
			len(all[0].times), all[1].median())
	}
	if slow := all[2]; !slow.retired || len(slow.times) != retireAfter {
		t.Errorf("%s was timed %d times in all processes, want %d", slow.name, len(slow.times), retireAfter)
	}
}

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
