package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// instant is a task that takes no time.
type instant struct{}

func (*instant) Kind() string  { return "instant" }
func (*instant) Revision() int { return 1 }
func (*instant) Units() int64  { return 1 }

func (*instant) Do(_ context.Context, job *runs.Job) error {
	job.Record.Status = runs.Complete
	return nil
}

type instantConfig struct {
	Lines int `json:"lines"`
}

func instantExperiment() *Definition[instantConfig] {
	return &Definition[instantConfig]{
		About:  Info{Number: "77", Name: "instant", Title: "A figure"},
		Config: func(Scale) instantConfig { return instantConfig{1} },
		Seeds:  func(Scale) []int64 { return []int64{0} },
		Design: func(_ instantConfig, seeds []int64) evidence.Design {
			return evidence.Design{Cells: []evidence.Cell{evidence.NewCell("the run", seeds,
				func() runs.Task { return &instant{} })}}
		},
		Report: func(cfg instantConfig, _ []int64, _ *evidence.Records) (evidence.Findings, error) {
			series := plots.Series{Name: "a line", X: []float64{0, 1}, Y: []float64{0, 1}}
			return evidence.Findings{Figures: []evidence.NamedFigure{{Name: "drawn",
				Figure: plots.Figure{Panels: []plots.Panel{{XLabel: "x", YLabel: "y", Series: []plots.Series{series}}}}}}}, nil
		},
	}
}

// TestResultExplainsItself checks that a result has the command that repeats it and a description
// of its figures, and that its runs name the device.
func TestResultExplainsItself(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	r, err := instantExperiment().Run(context.Background(), env, instantConfig{2}, []int64{0})
	if err != nil {
		t.Fatal(err)
	}
	const command = "gcml run instant --scale laptop --set lines=2"
	if r.Scale != Laptop || r.Command != command {
		t.Errorf("scale %s, command %s; want laptop, %s", r.Scale, r.Command, command)
	}
	if !strings.Contains(r.Text(), "\nscale laptop: "+command+"\n") {
		t.Errorf("the text does not say the command:\n%s", r.Text())
	}
	if want := "y against x. Shown: a line."; r.InWords["drawn"] != want {
		t.Errorf("figure in words %q; want %q", r.InWords["drawn"], want)
	}
	run := runs.Run{Task: &instant{}}
	record, err := runs.Lookup(env.Out, r.Backend, run)
	if err != nil || record == nil || record.Provenance.Device == "" {
		t.Errorf("the record names no device: %+v (%v)", record, err)
	}
}

// TestNoResultBesideOtherFigures checks that result.json never stands beside figures of another
// result, even if a later report stops half way.
func TestNoResultBesideOtherFigures(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	run := func() error {
		_, err := instantExperiment().Run(context.Background(), env, instantConfig{1}, []int64{0})
		return err
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	figure := filepath.Join(env.Out, "figures", "drawn.svg")
	if err := os.Remove(figure); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(figure, 0o777); err != nil { // no file can be put there
		t.Fatal(err)
	}
	if err := run(); err == nil {
		t.Fatal("no error")
	}
	if _, err := os.Stat(filepath.Join(env.Out, ResultFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old result is still there (%v)", err)
	}
}

// TestResultNamesItsData checks that a result names the data of its runs, each content once.
func TestResultNamesItsData(t *testing.T) {
	copied := runs.DataContent{Name: "cifar10", SHA256: strings.Repeat("0123456789abcdef", 4), Content: "a JPEG copy"}
	other := runs.DataContent{Name: "mnist", SHA256: strings.Repeat("f", 64), Content: "the published content"}
	var done []doneRun
	for _, content := range []*runs.DataContent{&copied, nil, &other,
		{Name: copied.Name, SHA256: copied.SHA256, Content: copied.Content}} {
		done = append(done, doneRun{runs.Run{}, &runs.Record{Data: content}})
	}
	r, err := newResult("go", instantExperiment(), Nearest, &instantConfig{1}, []int64{0}, done, evidence.Findings{})
	if err != nil || !slices.Equal(r.Data, []runs.DataContent{copied, other}) {
		t.Errorf("data %v, %v", r.Data, err)
	}
	if want := "\ndata cifar10: a JPEG copy (SHA-256 0123456789abcdef…)\ndata mnist"; !strings.Contains(r.Text(), want) {
		t.Errorf("the text is\n%s\nwant %q in it", r.Text(), want)
	}
}

// outcome is a task with a given outcome.
type outcome struct {
	Status runs.Status `json:"status"`
}

func (*outcome) Kind() string  { return "outcome" }
func (*outcome) Revision() int { return 1 }
func (*outcome) Units() int64  { return 1 }

func (o *outcome) Do(_ context.Context, job *runs.Job) error {
	job.Record.Points = []runs.Point{{Step: 1, Values: map[string]runs.Number{"n": 1}}}
	job.Record.Status = o.Status
	return nil
}

// outcomes returns an experiment with a run of each status.
func outcomes() *Definition[instantConfig] {
	d := instantExperiment()
	d.Design = func(_ instantConfig, seeds []int64) (design evidence.Design) {
		for _, status := range []runs.Status{runs.Complete, runs.Diverged} {
			design.Cells = append(design.Cells,
				evidence.NewCell(string(status), seeds, func() runs.Task { return &outcome{status} }))
		}
		return design
	}
	return d
}

func TestRecordsFile(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), BackendName: "go", Out: t.TempDir()}
	e, cfg, seeds := outcomes(), instantConfig{1}, []int64{7, 3}
	result, err := e.Run(context.Background(), env, cfg, seeds)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(env.Out, RecordsFile))
	if err != nil {
		t.Fatal(err)
	}
	all, err := e.Plan(&cfg, seeds)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	if len(lines) != 4 || len(all) != 4 {
		t.Fatalf("%d lines of %d runs; want 4", len(lines), len(all))
	}
	var seconds float64
	for i, line := range lines {
		var got struct {
			runs.Record
			Label string
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		want, err := runs.Lookup(env.Out, "go", all[i])
		if err != nil {
			t.Fatal(err)
		}
		want.Task = got.Task // It is spread over lines there.
		if got.Label != all[i].Label || !reflect.DeepEqual(got.Record, *want) {
			t.Errorf("line %d is\n%+v; want\n%+v", i, got.Record, *want)
		}
		seconds += want.Provenance.Seconds
	}
	if result.Provenance.Seconds != seconds || result.Provenance.Finished.IsZero() {
		t.Errorf("the result took %v s, until %v; want the sum of its runs, %v s", result.Provenance.Seconds,
			result.Provenance.Finished, seconds)
	}
	// Deciding again gives the same result.
	again, err := e.Decide(context.Background(), env.Out, "go", Nearest, &cfg, seeds)
	result.Reused = 0
	if err != nil || !reflect.DeepEqual(again, result) {
		t.Errorf("again: %+v, %v; want %+v", again, err, result)
	}
	seeds = append(seeds, 8, 9)
	var missing *MissingError
	if _, err := e.Decide(context.Background(), env.Out, "go", Nearest, &cfg, seeds); !errors.As(err, &missing) ||
		missing.Missing != 4 || missing.Total != 8 {
		t.Errorf("deciding with half of the runs: %v; want 4 of 8 missing", err)
	}
}

// TestTextSaysWhatVerdictsAreWorth checks that verdicts are printed with the caveat of the result's
// scale. At smoke scale neither the verdicts nor the evidence, which contains verdicts, may be
// printed.
func TestTextSaysWhatVerdictsAreWorth(t *testing.T) {
	const effect, verdict = "GC falls by a factor of 2 [1.5, 3]", "HOLDS          larger: lower"
	for scale, caveat := range map[Scale]string{Smoke: "smoke: too small for a verdict\n",
		Laptop: "laptop: a first look\n", Paper: ""} {
		r := &Result{Scale: scale,
			Claims: []evidence.Claim{{ClaimText: evidence.ClaimText{ID: "a", Text: "larger: lower"}, Effect: effect,
				Evidence: effect + "; at the last step: falls (holds)", Criterion: "interval below 1", Verdict: evidence.Holds}}}
		text := r.Text()
		if !strings.Contains(text, "\n"+caveat) || caveat == "" && strings.Contains(text, "\npaper: ") {
			t.Errorf("%s: no %q in\n%s", scale, caveat, text)
		}
		if decided := strings.Contains(text, verdict) && strings.Contains(text, "(holds)"); decided != (scale != Smoke) {
			t.Errorf("%s: verdict printed: %t\n%s", scale, decided, text)
		}
		for _, want := range []string{"larger: lower", effect, "holds if: interval below 1"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", scale, want, text)
			}
		}
		if strings.Contains(strings.ToLower(strings.ReplaceAll(text, "holds if", "")), "holds") && scale == Smoke {
			t.Errorf("a verdict is in\n%s", text)
		}
	}
}
