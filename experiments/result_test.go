package experiments

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/geometric-complexity/internal/gctest"
	"example.com/geometric-complexity/internal/plots"
	"example.com/geometric-complexity/internal/stats"
)

// instant is a task that is done at once.
type instant struct{}

func (*instant) Kind() string  { return "instant" }
func (*instant) Revision() int { return 1 }
func (*instant) Units() int64  { return 1 }

func (*instant) Do(_ context.Context, job *Job) error {
	job.Record.Status = Complete
	return nil
}

type instantConfig struct {
	Lines int `json:"lines"`
}

func instantExperiment() *Definition[instantConfig] {
	return &Definition[instantConfig]{
		About:  Info{Number: "77", Name: "instant", Title: "A figure"},
		Config: func(Scale) instantConfig { return instantConfig{1} },
		Seeds:  func(Scale) []int64 { return firstSeeds(1) },
		List: func(_ instantConfig, seeds []int64) ([]Run, error) {
			return []Run{{Label: "the run", Seed: seeds[0], Task: &instant{}}}, nil
		},
		Report: func(cfg instantConfig, _ []int64, _ []Done) (Findings, error) {
			series := plots.Series{Name: "a line", X: []float64{0, 1}, Y: []float64{0, 1}}
			return Findings{Figures: []NamedFigure{{"drawn", plots.Figure{Panels: []plots.Panel{{XLabel: "x", YLabel: "y", Series: []plots.Series{series}}}}}}}, nil
		},
	}
}

// A result says how it is repeated and what its figures show, and its runs on
// what they were computed.
func TestResultExplainsItself(t *testing.T) {
	env := Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
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
	records, err := r.Records(env.Out, "the run")
	if err != nil || records[0].Provenance.Device == "" {
		t.Errorf("the record names no device (%v)", err)
	}
}

// Where result.json is, all it speaks of is there, also when a later report
// stops half way.
func TestNoResultBesideOtherFigures(t *testing.T) {
	env := Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
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

func TestSummary(t *testing.T) {
	text, none := ClaimText{"id", "a claim"}, stats.Interval{Lo: math.NaN(), Hi: math.NaN()}
	for _, tc := range []struct {
		perSeed []float64
		want    string
	}{
		{[]float64{1, 2, 3}, "mean 2"},
		{[]float64{1, 3}, "mean 2; 2 seed(s) cannot decide it, at least 3 are needed"},
	} {
		claim := newClaim(text, "mean", 2, tc.perSeed, none, above(0), "more; and more")
		claim.Evidence += "; what an experiment adds" // The summary is not cut out of it.
		if got := claim.Summary(); got != tc.want {
			t.Errorf("of %d seeds: %q; want %q", len(tc.perSeed), got, tc.want)
		}
	}
}
