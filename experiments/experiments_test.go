package experiments

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

// The experiments at their smallest scale, on the pure-Go backend: every claim
// must come to a verdict with evidence, all files must be there, and the numbers
// must be those of testdata/golden.json.
func TestSmoke(t *testing.T) {
	backend := gctest.GoBackend(t)
	numbers := make(map[string]goldenRun)
	criteria := make(map[string]*experiment.Criteria)
	for _, e := range append(All(), experiment.Experiment(Demo)) {
		info := e.Info()
		t.Run(info.Name, func(t *testing.T) {
			env := runs.Env{Backend: backend, BackendName: "go", Out: t.TempDir()}
			cfg := e.DefaultConfig(experiment.Smoke)
			seeds := e.DefaultSeeds(experiment.Smoke)
			if e == experiment.Experiment(Demo) {
				// It has one scale, for people: here only a little of it.
				cfg.(*DemoConfig).Steps, cfg.(*DemoConfig).Width, seeds = 10, 16, seeds[:2]
			} else if len(seeds) < evidence.MinSeeds {
				t.Errorf("%d seeds cannot decide a claim", len(seeds))
			}
			result, err := e.RunConfig(context.Background(), env, cfg, seeds)
			if err != nil {
				t.Fatal(err)
			}
			assertResult(t, env.Out, info, result)
			criteria[info.Name] = result.Criteria
			maps.Copy(numbers, goldenRuns(t, env.Out, result))
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
	if t.Failed() {
		return // Its numbers are not complete.
	}
	if *updateGolden {
		writeGolden(t, numbers)
	}
	assertGolden(t, numbers)
	if *fixCriteria {
		writeCriteria(t, criteria)
		return
	}
	for name, c := range criteria {
		if c != nil && c.Commit == "" {
			t.Errorf("the claims of %s are decided in a new way: commit it, then run make criteria and commit again", name)
		}
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

func assertResult(t *testing.T, out string, info experiment.Info, r *experiment.Result) {
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
	var back experiment.Result
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Runs) != len(r.Runs) || back.Backend != "go" {
		t.Errorf("result.json holds %d runs on %q; want %d on go", len(back.Runs), back.Backend, len(r.Runs))
	}
}

func TestFind(t *testing.T) {
	for _, name := range []string{"01", "1", "simplicity-bias"} {
		if e, err := Find(name); err != nil || e != experiment.Experiment(SimplicityBias) {
			t.Errorf("Find(%q) = %v, %v", name, e, err)
		}
	}
	for name, want := range map[string]string{
		"simplicity-bais": `unknown experiment "simplicity-bais"; did you mean "simplicity-bias"?`,
		"77": "unknown experiment \"77\"; known: the-measure, simplicity-bias, initialization, explicit-regularization, noise, gc-regularizer, " +
			"implicit-regularization, transfer-inequality, double-descent, optimizers, neural-collapse, margin-bound, " +
			"occams-razor, lipschitz, language, scarce-data, " +
			"00, 01, 02, 03, 04, 05, 06, 07, 08, 09, 10, 11, 12, 13, 14, 15",
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
		for _, scale := range experiment.Scales() {
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

// The scales whose verdicts are published have five seeds for residual networks, ten for others.
func TestSeedsOfPublishedScales(t *testing.T) {
	for _, e := range All() {
		for _, scale := range []experiment.Scale{experiment.Desk, experiment.Paper} {
			plan, err := e.Plan(e.DefaultConfig(scale), e.DefaultSeeds(scale))
			if err != nil {
				t.Fatal(err)
			}
			seeds, least := make(map[string]int), make(map[string]int)
			for _, run := range plan {
				seeds[run.Label]++
				least[run.Label] = 10
				if task, ok := run.Task.(*training.Train); ok && task.Network.Kind == training.KindResNet18 {
					least[run.Label] = 5
				}
			}
			for label, n := range seeds {
				if n < least[label] {
					t.Errorf("%s at %s: %q has %d seeds; want %d", e.Info().Name, scale, label, n, least[label])
				}
			}
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	cfg := func(change func(*GCRegularizerConfig)) any {
		c := GCRegularizer.Config(experiment.Smoke)
		change(&c)
		return &c
	}
	for _, tc := range []struct {
		name  string
		e     experiment.Experiment
		cfg   any
		seeds []int64
		want  string
	}{
		{"no seeds", SimplicityBias, SimplicityBias.DefaultConfig(experiment.Smoke), nil, "no seeds"},
		{"seed twice", SimplicityBias, SimplicityBias.DefaultConfig(experiment.Smoke), []int64{1, 2, 1},
			"seed 1 is given twice"},
		{"type", SimplicityBias, GCRegularizer.DefaultConfig(experiment.Smoke), []int64{1},
			"want a *experiments.SimplicityBiasConfig"},
		{"no zero", GCRegularizer, cfg(func(c *GCRegularizerConfig) { c.Coefficients = []float64{1, 2} }), []int64{1},
			"must start with 0"},
		{"order", GCRegularizer, cfg(func(c *GCRegularizerConfig) { c.Coefficients = []float64{0, 2, 1} }), []int64{1},
			"1 does not rise from 2"},
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
			cfg := GCRegularizer.Config(experiment.Smoke)
			if err := settings.Set(&cfg, tc.assignment); err != nil {
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
		"steps":                 `"steps" is not an assignment: write key=value`,
		"steps=many":            `key "steps": "many" is not a whole number`,
		"steps=1.5":             `key "steps": "1.5" is not a whole number`,
		"learning_rate=fast":    `key "learning_rate": "fast" is not a number`,
		"coefficients=0,little": `key "coefficients": "0,little" is not a list of numbers`,
	} {
		cfg := GCRegularizer.Config(experiment.Smoke)
		if err := settings.Set(&cfg, assignment); err == nil || err.Error() != want {
			t.Errorf("Set(%q): %v; want %s", assignment, err, want)
		}
		if !reflect.DeepEqual(cfg, GCRegularizer.Config(experiment.Smoke)) {
			t.Errorf("Set(%q) changed the configuration", assignment)
		}
	}
}

// invented makes the records of a plan from a formula, so that a report can be
// checked for what it concludes.
func invented(t *testing.T, e experiment.Experiment, cfg any, seeds []int64,
	final func(run runs.Run) map[string]runs.Number) *evidence.Records {
	t.Helper()
	all, err := e.Plan(cfg, seeds)
	if err != nil {
		t.Fatal(err)
	}
	records := &evidence.Records{}
	for _, run := range all {
		values := final(run)
		r := &runs.Record{Seed: run.Seed, Status: runs.Complete, Step: 10}
		if values == nil {
			r.Status = runs.Diverged
		}
		r.Points = []runs.Point{{Step: 0, Values: map[string]runs.Number{"train_gc": 0.1, "interval_gc": 0.1}},
			{Step: 10, Values: values}}
		if err := records.Add(run, r); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

func TestReportOfGCRegularizer(t *testing.T) {
	cfg := GCRegularizer.Config(experiment.Smoke)
	cfg.ResNet.Coefficients, cfg.ResNet.SmallUpTo = cfg.Coefficients, cfg.SmallUpTo // One formula serves both networks.
	seeds := []int64{0, 1, 2}
	report := func(sign float64, divergeAt string) map[string]evidence.Verdict {
		done := invented(t, GCRegularizer, &cfg, seeds, func(run runs.Run) map[string]runs.Number {
			if divergeAt != "" && strings.HasSuffix(run.Label, divergeAt) {
				return nil
			}
			c := run.Task.(*training.Train).Penalties["gc"]
			noise := 1e-4 * float64(run.Seed)
			gc := runs.Number(10 - sign*50*c + noise)
			return map[string]runs.Number{"train_gc": gc, "test_gc": gc, "train_loss": 1, "test_loss": 1, "train_accuracy": 0.9,
				"test_accuracy": runs.Number(0.8 + sign*2*min(c, 0.01) + noise*(1-50*c))}
		})
		findings, err := GCRegularizer.Report(cfg, seeds, done)
		if err != nil {
			t.Fatal(err)
		}
		return verdictsOf(findings)
	}
	all := func(v evidence.Verdict) map[string]evidence.Verdict {
		verdicts := make(map[string]evidence.Verdict)
		for _, claim := range GCRegularizer.About.Claims {
			verdicts[claim.ID] = v
		}
		return verdicts
	}
	if got := report(1, ""); !reflect.DeepEqual(got, all(evidence.Holds)) {
		t.Errorf("where the penalty lowers GC and helps: %v", got)
	}
	if got := report(-1, ""); !reflect.DeepEqual(got, all(evidence.DoesNotHold)) {
		t.Errorf("where the penalty raises GC and harms: %v", got)
	}
	want := all(evidence.Undecided)
	for id := range want {
		if strings.HasPrefix(id, "lowers-") {
			want[id] = evidence.Holds
		}
	}
	if got := report(1, "coefficient 0.01"); !reflect.DeepEqual(got, want) {
		t.Errorf("where the small rate diverged: %v; want %v", got, want)
	}
}

// sixSeeds are as many as decide a claim when all give the same value, as invented runs do.
var sixSeeds = []int64{0, 1, 2, 3, 4, 5}

func TestReportOfSimplicityBias(t *testing.T) {
	cfg := SimplicityBias.Config(experiment.Smoke)
	seeds := sixSeeds
	report := func(end, slope, loss float64) map[string]evidence.Verdict {
		done := invented(t, SimplicityBias, &cfg, seeds, func(run runs.Run) map[string]runs.Number {
			gc := runs.Number(end + slope*run.Task.(*training.Train).LearningRate + 1e-3*float64(run.Seed))
			return map[string]runs.Number{"train_gc": gc, "interval_gc": gc, "train_loss": runs.Number(loss)}
		})
		findings, err := SimplicityBias.Report(cfg, seeds, done)
		if err != nil {
			t.Fatal(err)
		}
		return verdictsOf(findings)
	}
	for _, tc := range []struct {
		name             string
		end, slope, loss float64
		want             [4]evidence.Verdict // starts-simple, rises, ends-simple, learning-rate
	}{
		{"as the paper says", 1.3, -0.1, 1e-3,
			[4]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Holds, evidence.Holds}},
		{"the opposite", 0.05, 0.1, 1e-3,
			[4]evidence.Verdict{evidence.DoesNotHold, evidence.DoesNotHold, evidence.DoesNotHold, evidence.DoesNotHold}},
		{"never interpolates", 1.3, -0.1, 1,
			[4]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Holds, evidence.Undecided}},
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
	cfg := SimplicityBias.Config(experiment.Smoke)
	for _, tc := range []struct {
		env  runs.Env
		want string
	}{
		{runs.Env{Out: t.TempDir()}, "Env.Backend is nil"},
		{runs.Env{Backend: gctest.GoBackend(t)}, "Env.Out is empty"},
	} {
		if _, err := SimplicityBias.Run(context.Background(), tc.env, cfg, []int64{0}); err == nil ||
			!strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v; want %q", err, tc.want)
		}
	}
}

// verdictsOf are the verdicts by the claims' IDs.
func verdictsOf(f evidence.Findings) map[string]evidence.Verdict {
	verdicts := make(map[string]evidence.Verdict)
	for _, c := range f.Claims {
		verdicts[c.ID] = c.Verdict
	}
	return verdicts
}
