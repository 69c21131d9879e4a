package experiments

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"example.com/geometric-complexity/internal/gctest"
	"example.com/geometric-complexity/internal/stats"
)

func asError[T error](err error, target *T) bool { return errors.As(err, target) }

// The experiments at their smallest scale, on the pure-Go backend: every claim
// must come to a verdict with evidence, and all files must be there.
func TestSmoke(t *testing.T) {
	backend := gctest.GoBackend(t)
	for _, e := range append(All(), Experiment(Demo)) {
		info := e.Info()
		t.Run(info.Name, func(t *testing.T) {
			env := Env{Backend: backend, BackendName: "go", Out: t.TempDir()}
			cfg := e.DefaultConfig(Smoke)
			seeds := e.DefaultSeeds(Smoke)
			if e == Experiment(Demo) {
				// It has one scale, for people: here only a little of it.
				cfg.(*DemoConfig).Steps, cfg.(*DemoConfig).Width, seeds = 10, 16, seeds[:2]
			} else if len(seeds) < minSeeds {
				t.Errorf("%d seeds cannot decide a claim", len(seeds))
			}
			result, err := e.RunConfig(context.Background(), env, cfg, seeds)
			if err != nil {
				t.Fatal(err)
			}
			assertResult(t, env.Out, info, result)
			again, err := e.RunConfig(context.Background(), env, cfg, seeds)
			if err != nil {
				t.Fatal(err)
			}
			if again.Reused != len(again.Runs) {
				t.Errorf("second call did %d of %d runs again", len(again.Runs)-again.Reused, len(again.Runs))
			}
			// As JSON, where NaN, which a statistic may be, equals itself.
			if first, second := asJSON(t, result.Claims), asJSON(t, again.Claims); first != second {
				t.Errorf("claims of the second call:\n%s\nof the first:\n%s", second, first)
			}
		})
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func assertResult(t *testing.T, out string, info Info, r *Result) {
	t.Helper()
	if len(r.Claims) != len(info.Claims) {
		t.Fatalf("%d claims decided; want %d", len(r.Claims), len(info.Claims))
	}
	for i, c := range r.Claims {
		if c.ID != info.Claims[i].ID || c.Text != info.Claims[i].Text || c.Evidence == "" || c.Criterion == "" {
			t.Errorf("claim %d: %+v; want %+v with evidence", i, c, info.Claims[i])
		}
	}
	for _, name := range append([]string{"result.json", "claims.txt"}, r.Figures...) {
		if fi, err := os.Stat(filepath.Join(out, name)); err != nil || fi.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(out, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Runs) != len(r.Runs) || back.Backend != "go" {
		t.Errorf("result.json holds %d runs on %q; want %d on go", len(back.Runs), back.Backend, len(r.Runs))
	}
}

func TestFind(t *testing.T) {
	for _, name := range []string{"01", "1", "simplicity-bias"} {
		if e, err := Find(name); err != nil || e != Experiment(SimplicityBias) {
			t.Errorf("Find(%q) = %v, %v", name, e, err)
		}
	}
	for name, want := range map[string]string{
		"simplicity-bais": `unknown experiment "simplicity-bais"; did you mean "simplicity-bias"?`,
		"77": "unknown experiment \"77\"; known: the-measure, simplicity-bias, initialization, explicit-regularization, noise, gc-regularizer, " +
			"implicit-regularization, transfer-inequality, double-descent, optimizers, 00, 01, 02, 03, 04, 05, 06, 07, 08, 09",
	} {
		if _, err := Find(name); err == nil || err.Error() != want {
			t.Errorf("Find(%q): %v; want %s", name, err, want)
		}
	}
}

func TestAllConfigsAreValidAndDescribed(t *testing.T) {
	seen := make(map[string]bool)
	for _, e := range All() {
		info := e.Info()
		if seen[info.Number] || seen[info.Name] || len(info.Number) != 2 || len(info.Claims) == 0 {
			t.Errorf("%s %s is a duplicate or has no claims", info.Number, info.Name)
		}
		seen[info.Number], seen[info.Name] = true, true
		for _, scale := range Scales() {
			if info.Scales[scale] == "" {
				t.Errorf("%s: scale %s is not described", info.Name, scale)
			}
			runs, err := e.Plan(e.DefaultConfig(scale), e.DefaultSeeds(scale))
			if err != nil || len(runs) == 0 {
				t.Errorf("%s at %s: %d runs, %v", info.Name, scale, len(runs), err)
			}
			addresses := make(map[string]string)
			for _, run := range runs {
				address, err := run.Address("go")
				if err != nil {
					t.Fatal(err)
				}
				if other, found := addresses[address]; found {
					t.Errorf("%s at %s: %q and %q have one address", info.Name, scale, run.Label, other)
				}
				addresses[address] = run.Label
			}
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	cfg := func(change func(*GCRegularizerConfig)) any {
		c := GCRegularizer.Config(Smoke)
		change(&c)
		return &c
	}
	for _, tc := range []struct {
		name  string
		e     Experiment
		cfg   any
		seeds []int64
		want  string
	}{
		{"no seeds", SimplicityBias, SimplicityBias.DefaultConfig(Smoke), nil, "no seeds"},
		{"seed twice", SimplicityBias, SimplicityBias.DefaultConfig(Smoke), []int64{1, 2, 1}, "seed 1 is given twice"},
		{"type", SimplicityBias, GCRegularizer.DefaultConfig(Smoke), []int64{1}, "want a *experiments.SimplicityBiasConfig"},
		{"no zero", GCRegularizer, cfg(func(c *GCRegularizerConfig) { c.Coefficients = []float64{1, 2} }), []int64{1}, "must start with 0"},
		{"order", GCRegularizer, cfg(func(c *GCRegularizerConfig) { c.Coefficients = []float64{0, 2, 1} }), []int64{1}, "1 does not rise from 2"},
		{"small", GCRegularizer, cfg(func(c *GCRegularizerConfig) { c.SmallUpTo = 0 }), []int64{1}, "no coefficient but 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := tc.e.Plan(tc.cfg, tc.seeds); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v; want %q", err, tc.want)
			}
		})
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct {
		assignment string
		want       func(GCRegularizerConfig) any
		value      any
	}{
		{"steps=7", func(c GCRegularizerConfig) any { return c.Steps }, int64(7)},
		{"learning_rate = 1e-3", func(c GCRegularizerConfig) any { return c.LearningRate }, 1e-3},
		{"coefficients=0,0.5", func(c GCRegularizerConfig) any { return c.Coefficients }, []float64{0, 0.5}},
		{"coefficients=[0, 2]", func(c GCRegularizerConfig) any { return c.Coefficients }, []float64{0, 2}},
		{"dataset=mnist", func(c GCRegularizerConfig) any { return c.Dataset }, "mnist"},
		{`dataset="mnist"`, func(c GCRegularizerConfig) any { return c.Dataset }, "mnist"},
		{"resnet.steps=9", func(c GCRegularizerConfig) any { return c.ResNet.Steps }, int64(9)},
		{"resnet.coefficients=0,2", func(c GCRegularizerConfig) any { return c.ResNet.Coefficients }, []float64{0, 2}},
		{"estimator=projection:3", func(c GCRegularizerConfig) any { return c.Estimator }, "projection:3"},
	} {
		t.Run(tc.assignment, func(t *testing.T) {
			cfg := GCRegularizer.Config(Smoke)
			if err := Set(&cfg, tc.assignment); err != nil {
				t.Fatal(err)
			}
			if got := tc.want(cfg); !reflect.DeepEqual(got, tc.value) {
				t.Errorf("got %v; want %v", got, tc.value)
			}
		})
	}
	for assignment, want := range map[string]string{
		"setps=7":               `unknown key "setps"; did you mean "steps"?`,
		"resnet.setps=7":        `unknown key "resnet.setps"; did you mean "resnet.steps"?`,
		"steps":                 `"steps" is no assignment; write key=value`,
		"steps=many":            `key "steps": "many" is not a whole number`,
		"steps=1.5":             `key "steps": "1.5" is not a whole number`,
		"learning_rate=fast":    `key "learning_rate": "fast" is not a number`,
		"coefficients=0,little": `key "coefficients": "0,little" is not a list of numbers`,
	} {
		cfg := GCRegularizer.Config(Smoke)
		if err := Set(&cfg, assignment); err == nil || err.Error() != want {
			t.Errorf("Set(%q): %v; want %s", assignment, err, want)
		}
		if !reflect.DeepEqual(cfg, GCRegularizer.Config(Smoke)) {
			t.Errorf("Set(%q) changed the configuration", assignment)
		}
	}
}

// An address that changes by accident makes every stored result unfindable.
func TestAddress(t *testing.T) {
	task := &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(3, 300), LearningRate: 0.02, Steps: 100, Measurements: 5}
	base := Run{Seed: 1, Task: task}
	address := func(r Run, backend string) string {
		a, err := r.Address(backend)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if got, want := address(base, "go"), "f2953f722d0de6c2"; got != want {
		t.Errorf("address %s; want %s (a change of Train's JSON form or Revision, or of recordFormat, explains it)", got, want)
	}
	other := *task
	other.StopLoss = 0.1
	for name, a := range map[string]string{
		"seed": address(Run{Seed: 2, Task: task}, "go"), "backend": address(base, "xla:cpu"), "task": address(Run{Seed: 1, Task: &other}, "go"),
	} {
		if a == address(base, "go") {
			t.Errorf("another %s has the same address", name)
		}
	}
	if address(Run{Label: "a label", Seed: 1, Task: task}, "go") != address(base, "go") {
		t.Error("the label changes the address")
	}
}

func TestVerdicts(t *testing.T) {
	interval := func(lo, hi float64) stats.Interval { return stats.Interval{Lo: lo, Hi: hi} }
	for _, tc := range []struct {
		name  string
		c     criterion
		i     stats.Interval
		seeds int
		want  Verdict
	}{
		{"below", below(0), interval(-1, -0.5), 3, Holds},
		{"crosses", below(0), interval(-1, 0.5), 3, Undecided},
		{"touches", below(0), interval(-1, 0), 3, Undecided},
		{"beyond", below(0), interval(0.1, 0.5), 3, DoesNotHold},
		{"above", above(-0.1), interval(-0.05, 1), 3, Holds},
		{"not above", above(0), interval(-1, -0.1), 3, DoesNotHold},
		{"within", between(0.8, 1.25), interval(0.9, 1.1), 5, Holds},
		{"outside", between(0.8, 1.25), interval(1.3, 1.4), 5, DoesNotHold},
		{"wider", between(0.8, 1.25), interval(0.5, 2), 5, Undecided},
		{"two seeds", below(0), interval(-1, -0.5), 2, Undecided},
		{"no interval", below(0), interval(math.NaN(), math.NaN()), 3, Undecided},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.c.decide(tc.i, tc.seeds); got != tc.want {
				t.Errorf("verdict %q; want %q", got, tc.want)
			}
		})
	}
}

// invented makes the records of a plan from a formula, so that a report can be
// checked for what it concludes.
func invented(t *testing.T, e Experiment, cfg any, seeds []int64, final func(run Run) map[string]Number) []Done {
	t.Helper()
	runs, err := e.Plan(cfg, seeds)
	if err != nil {
		t.Fatal(err)
	}
	var done []Done
	for _, run := range runs {
		values := final(run)
		r := &Record{Seed: run.Seed, Status: Complete, Step: 10}
		if values == nil {
			r.Status = Diverged
		}
		r.Points = []Point{{Step: 0, Values: map[string]Number{"train_gc": 0.1, "interval_gc": 0.1}}, {Step: 10, Values: values}}
		done = append(done, Done{run, r})
	}
	return done
}

func TestReportOfGCRegularizer(t *testing.T) {
	cfg := GCRegularizer.Config(Smoke)
	cfg.ResNet.Coefficients, cfg.ResNet.SmallUpTo = cfg.Coefficients, cfg.SmallUpTo // One formula serves both networks.
	seeds := []int64{0, 1, 2}
	report := func(sign float64, divergeAt string) map[string]Verdict {
		done := invented(t, GCRegularizer, &cfg, seeds, func(run Run) map[string]Number {
			if divergeAt != "" && strings.HasSuffix(run.Label, divergeAt) {
				return nil
			}
			c := run.Task.(*Train).Penalties["gc"]
			noise := 1e-4 * float64(run.Seed)
			gc := Number(10 - sign*50*c + noise)
			return map[string]Number{"train_gc": gc, "test_gc": gc, "train_loss": 1, "test_loss": 1, "train_accuracy": 0.9,
				"test_accuracy": Number(0.8 + sign*2*min(c, 0.01) + noise*(1-50*c))}
		})
		findings, err := GCRegularizer.Report(cfg, seeds, done)
		if err != nil {
			t.Fatal(err)
		}
		verdicts := make(map[string]Verdict)
		for _, c := range findings.Claims {
			verdicts[c.ID] = c.Verdict
		}
		return verdicts
	}
	all := func(v Verdict) map[string]Verdict {
		verdicts := make(map[string]Verdict)
		for _, claim := range GCRegularizer.About.Claims {
			verdicts[claim.ID] = v
		}
		return verdicts
	}
	if got := report(1, ""); !reflect.DeepEqual(got, all(Holds)) {
		t.Errorf("where the penalty lowers GC and helps: %v", got)
	}
	if got := report(-1, ""); !reflect.DeepEqual(got, all(DoesNotHold)) {
		t.Errorf("where the penalty raises GC and harms: %v", got)
	}
	want := all(Undecided)
	for id := range want {
		if strings.HasPrefix(id, "lowers-") {
			want[id] = Holds
		}
	}
	if got := report(1, "coefficient 0.01"); !reflect.DeepEqual(got, want) {
		t.Errorf("where the small rate diverged: %v; want %v", got, want)
	}
}

func TestReportOfSimplicityBias(t *testing.T) {
	cfg := SimplicityBias.Config(Smoke)
	seeds := []int64{0, 1, 2}
	report := func(end, slope, loss float64) map[string]Verdict {
		done := invented(t, SimplicityBias, &cfg, seeds, func(run Run) map[string]Number {
			gc := Number(end + slope*run.Task.(*Train).LearningRate + 1e-3*float64(run.Seed))
			return map[string]Number{"train_gc": gc, "interval_gc": gc, "train_loss": Number(loss)}
		})
		findings, err := SimplicityBias.Report(cfg, seeds, done)
		if err != nil {
			t.Fatal(err)
		}
		verdicts := make(map[string]Verdict)
		for _, c := range findings.Claims {
			verdicts[c.ID] = c.Verdict
		}
		return verdicts
	}
	for _, tc := range []struct {
		name             string
		end, slope, loss float64
		want             [4]Verdict // starts-simple, rises, ends-simple, learning-rate
	}{
		{"as the paper says", 1.3, -0.1, 1e-3, [4]Verdict{Holds, Holds, Holds, Holds}},
		{"the opposite", 0.05, 0.1, 1e-3, [4]Verdict{DoesNotHold, DoesNotHold, DoesNotHold, DoesNotHold}},
		{"never interpolates", 1.3, -0.1, 1, [4]Verdict{Holds, Holds, Holds, Undecided}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := report(tc.end, tc.slope, tc.loss)
			for i, id := range []string{"starts-simple", "rises", "ends-simple", "learning-rate"} {
				if got[id] != tc.want[i] {
					t.Errorf("%s: %q; want %q", id, got[id], tc.want[i])
				}
			}
		})
	}
}

func TestIncompleteEnv(t *testing.T) {
	cfg := SimplicityBias.Config(Smoke)
	for _, tc := range []struct {
		env  Env
		want string
	}{
		{Env{Out: t.TempDir()}, "Env.Backend is nil"},
		{Env{Backend: gctest.GoBackend(t)}, "Env.Out is empty"},
	} {
		if _, err := SimplicityBias.Run(context.Background(), tc.env, cfg, []int64{0}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v; want %q", err, tc.want)
		}
		if _, err := Execute(context.Background(), tc.env, Run{Task: panicking{}}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v; want %q", err, tc.want)
		}
	}
}

// panicking is a task as a wrong graph builder would be.
type panicking struct{ value any }

func (panicking) Kind() string                     { return "panicking" }
func (panicking) Revision() int                    { return 1 }
func (panicking) Units() int64                     { return 1 }
func (p panicking) Do(context.Context, *Job) error { panic(p.value) }
func (p panicking) MarshalJSON() ([]byte, error)   { return []byte(`{}`), nil }

func TestPanicsBecomeErrors(t *testing.T) {
	env := Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	for _, value := range []any{errors.New("shapes differ"), "shapes differ"} {
		_, err := Execute(context.Background(), env, Run{Label: "a label", Seed: 7, Task: panicking{value}})
		if err == nil || !strings.HasSuffix(err.Error(), "(a label, seed 7): shapes differ") {
			t.Errorf("panic of a %T: %v", value, err)
		}
	}
}

func TestNumberJSON(t *testing.T) {
	data, err := json.Marshal([]Number{1.5, Number(math.NaN()), Number(math.Inf(-1)), 1e-300})
	if err != nil || string(data) != "[1.5,null,null,1e-300]" {
		t.Fatalf("marshalled %s, %v", data, err)
	}
	var back []Number
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back[0] != 1.5 || !math.IsNaN(float64(back[1])) || back[3] != 1e-300 {
		t.Errorf("came back as %v", back)
	}
	if got, _ := json.Marshal(shortNumber(0.1)); string(got) != "0.1" {
		t.Errorf("float32 0.1 is written %s; want 0.1", got)
	}
	if got := shortNumber(float32(math.Inf(1))); !math.IsInf(float64(got), 1) {
		t.Errorf("infinity became %v", got)
	}
	if err := json.Unmarshal([]byte(`["x"]`), &back); err == nil {
		t.Error("a string was taken for a number")
	}
}

func TestTableText(t *testing.T) {
	got := Table{Title: "Title", Header: []string{"", "value"}, Rows: [][]string{{"größe", "1 ± 2"}, {"b", "10.5"}}, Notes: "A note."}.String()
	want := "Title\n         value\n  -----  -----\n  größe  1 ± 2\n  b       10.5\n  A note.\n"
	if got != want {
		t.Errorf("table:\n%q; want\n%q", got, want)
	}
}
