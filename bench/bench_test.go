package main

import (
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/bench/fixture"
	"github.com/geometric-complexity/toolkit/bench/proto"
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
	case proto.OpVersions:
		return proto.Answer{Versions: map[string]string{f.name: "new"}}, nil
	case proto.OpVariants:
		return proto.Answer{Variants: slices.Sorted(maps.Keys(f.ms))}, nil
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

// TestGoApart: a case that needs the memory for itself runs in pure Go only if no peer runs.
func TestGoApart(t *testing.T) {
	var order []string
	fake := func(name string) *fakeWorker { return newFake(name, &order, map[string][]float64{name: {1}}) }
	for _, tc := range []struct {
		peers   string
		workers []worker
		want    []string
	}{
		{"torch", []worker{fake("xla:cpu"), fake("go"), fake("torch")}, []string{"xla:cpu", "torch"}},
		{"", []worker{fake("xla:cpu"), fake("go")}, []string{"xla:cpu", "go"}},
	} {
		b := &bench{options: options{peers: tc.peers}, ourWorkers: []workerCommand{{name: "xla:cpu"}, {name: "go"}}}
		got, err := b.contenders(benchCase{GoApart: true}, "", tc.workers)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range got {
			names = append(names, c.worker.Name())
		}
		if !slices.Equal(names, tc.want) {
			t.Errorf("peers %q: contenders %q, want %q", tc.peers, names, tc.want)
		}
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
