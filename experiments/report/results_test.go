package report

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// sample returns a result with a claim of each verdict, and characters that HTML and Markdown have
// to escape.
func sample() *experiment.Result {
	made := runs.Provenance{Version: "v1.2.3", Commit: commit, Go: "go1.27", Platform: "linux/amd64", Seconds: 90,
		Starts:   1,
		Finished: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	seeds := []runs.Number{0, 0, 0} // Only their number matters.
	number := func(v float64) *runs.Number { n := runs.Number(v); return &n }
	return &experiment.Result{Number: "05", Name: "gc-regularizer", Title: "GC & <the> regularizer", Paper: "supplement",
		Scale: experiment.Laptop, Command: "gcml run gc-regularizer --scale laptop --seeds 0,1", Backend: "xla:cpu",
		Seeds:  []int64{0, 1, 2},
		Config: json.RawMessage(`{"dataset":"fashion","rates":[0,1],"resnet":{"width":8,"norm":""},"steps":7}`),
		Claims: []evidence.Claim{
			{ID: "lowers", Text: "GC falls by > 1 | more", Statistic: "rank correlation", Value: -1, PerSeed: seeds,
				Interval: &stats.Interval{Lo: -1, Hi: -1, Level: 0.95, Method: "t"},
				P:        number(0.001),
				Evidence: "rank correlation -1, 95 % t interval [-1, -1]", Criterion: "interval below 0", Verdict: evidence.Holds},
			{ID: "keeps", Text: "accuracy is *kept*", Statistic: "difference < 0, namely", Value: -0.1, PerSeed: seeds,
				P:        number(0.002),
				Evidence: "difference < 0, namely -0.1; by seed: a, b", Criterion: "interval above -0.005",
				Verdict: evidence.DoesNotHold},
			{ID: "helps", Text: "accuracy rises", Statistic: "difference", Value: 0.1, PerSeed: seeds, P: number(0.3),
				Evidence: "difference 0.1", Criterion: "interval above 0", Verdict: evidence.Undecided},
		},
		Criteria: &experiment.Criteria{SHA256: "ab", Commit: commit, Fixed: time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)},
		Tables: []evidence.Table{{Title: "At the end", Header: []string{"rate", "GC"},
			Rows: [][]string{{"0", "1.5 ± 0.1"}, {"1", "<0.1"}}, Notes: "Mean & deviation."}},
		Runs: []experiment.RunSummary{{Label: "rate 0", Seed: 0, Hash: "aa", Status: runs.Complete, Step: 9, Seconds: 30},
			{Label: "rate 1", Seed: 0, Hash: "bb", Status: runs.Diverged, Step: 4, Seconds: 60}},
		Provenance: made}
}

// write writes the output folder of a result with two figures.
func write(t *testing.T, dir string, r *experiment.Result) {
	t.Helper()
	r.Figures, r.InWords = nil, map[string]string{}
	for _, name := range []string{"sweep", "training"} {
		for ext, text := range map[string]string{".png": "a picture",
			".svg": `<svg width="75pt" height="30pt" xmlns="http://www.w3.org/2000/svg"><text>` + name + `</text></svg>`} {
			put(t, filepath.Join(dir, "figures", name+ext), text)
		}
		r.Figures = append(r.Figures, "figures/"+name+".png", "figures/"+name+".svg")
		r.InWords[name] = `"GC" against rate in the ` + name
	}
	var records []string
	for _, run := range r.Runs {
		p := r.Provenance
		p.Device = "a processor"
		line, err := json.Marshal(Record{Hash: run.Hash, Status: run.Status, Provenance: p})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, string(line)+"\n")
	}
	result, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, experiment.RecordsFile), strings.Join(records, ""))
	put(t, filepath.Join(dir, experiment.ClaimsFile), r.Text())
	put(t, filepath.Join(dir, experiment.ResultFile), string(result))
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, dirs ...string) []*Folder {
	t.Helper()
	folders, _, err := LoadAll(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

func TestLoadAllSorts(t *testing.T) {
	root := t.TempDir()
	for folder, change := range map[string]func(*experiment.Result){
		"a": func(r *experiment.Result) { r.Number, r.Name = "", "demo" },
		"b": func(r *experiment.Result) { r.Scale = experiment.Paper },
		"c": func(*experiment.Result) {},
		"d": func(r *experiment.Result) { r.Number, r.Name = "00", "the-measure" },
	} {
		r := sample()
		change(r)
		write(t, filepath.Join(root, folder), r)
	}
	put(t, filepath.Join(root, "e", "runs", "aa", "log.jsonl"), "")
	put(t, filepath.Join(root, ".hidden", "x"), "")
	put(t, filepath.Join(root, "f", "ranking.json"), "")
	put(t, filepath.Join(root, "ranking", "g", "measures.jsonl"), "")
	folders, skipped, err := LoadAll(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range folders {
		got = append(got, f.ID())
	}
	if want := []string{"d", "c", "b", "a"}; !slices.Equal(got, want) {
		t.Errorf("order %q; want %q", got, want)
	}
	want := []string{"e has no result.json", "f is a ranking, not an experiment",
		"ranking has rankings, not an experiment"}
	for i, s := range skipped {
		if i >= len(want) || !strings.HasPrefix(s.Err.Error(), filepath.Join(root, want[i])) ||
			!strings.HasPrefix(s.Err.Error(), s.Dir+" ") || errors.Is(s.Err, ErrUnfinished) != (i == 0) {
			t.Errorf("skipped: %+v", s)
		}
	}
	if len(skipped) != len(want) {
		t.Errorf("%d folders skipped, want %q", len(skipped), want)
	}
}

func TestLoadAllErrors(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "one", "05"), sample())
	write(t, filepath.Join(root, "two", "05"), sample())
	put(t, filepath.Join(root, "empty", "x"), "")
	put(t, filepath.Join(root, "rank", "ranking.json"), "")
	put(t, filepath.Join(root, "cut", "result.json"), `{"number": "05", "na`)
	put(t, filepath.Join(root, "other", "result.json"), `{"answer": 42}`)
	write(t, filepath.Join(root, "records"), sample())
	put(t, filepath.Join(root, "records", experiment.RecordsFile), "{\"hash\":\"aa\"}\n{\"hash\"")
	for _, tc := range []struct {
		name string
		dirs []string
		want string
	}{
		{"not there", []string{"none"}, "there is no folder"},
		{"nothing in it", []string{"empty"}, "no results in"},
		{"a ranking", []string{"rank"}, "rank is a ranking, not an experiment"},
		{"same name", []string{"one", "two"}, "have the same name"},
		{"half written", []string{"cut"}, "result.json is damaged (unexpected end of JSON input); run the experiment again"},
		{"another JSON", []string{"other"}, "names no experiment"},
		{"half a record", []string{"records"}, "records.jsonl: line 2 is damaged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var dirs []string
			for _, dir := range tc.dirs {
				dirs = append(dirs, filepath.Join(root, dir))
			}
			_, _, err := LoadAll(dirs...)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v; want one line with %q", err, tc.want)
			}
		})
	}
}

func TestDiscussion(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, sample())
	for _, tc := range []struct {
		name, text, wantErr string
		want                map[string]string
		undiscussed         []string
	}{
		{"none", "", "", nil, []string{"keeps"}},
		{"of one", "## keeps: does not hold\n\nIt fell\nby 1.  So there.\n\nAnd more.\n", "",
			map[string]string{"keeps": "It fell by 1. So there. And more."}, nil},
		{"empty", "## keeps: does not hold\n\n## helps: undecided\nToo few seeds.\n", "",
			map[string]string{"keeps": "", "helps": "Too few seeds."}, []string{"keeps"}},
		{"holds", "## lowers: holds\nAs expected.\n", "", map[string]string{"lowers": "As expected."}, []string{"keeps"}},
		{"mistyped", "## keep: holds\ntext\n", `unknown claim "keep"; did you mean "keeps"?`, nil, nil},
		{"unknown", "## something-else\ntext\n", `unknown claim "something-else"; known: lowers, keeps, helps`, nil, nil},
		{"of another verdict", "## lowers: does not hold\ntext\n",
			`claim lowers has a text of another result; here its verdict is: holds; check it, then write "## lowers: holds"`,
			nil, nil},
		{"without a verdict", "## keeps\ntext\n", `then write "## keeps: does not hold"`, nil, nil},
		{"under no claim", "text\n", `"text" is under no claim's heading`, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			put(t, filepath.Join(dir, DiscussionFile), tc.text)
			f, err := Load(dir)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), DiscussionFile+": ") || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("error %v; want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for id, text := range tc.want {
				if f.Discussion[id] != text {
					t.Errorf("of %s: %q; want %q", id, f.Discussion[id], text)
				}
			}
			if len(f.Discussion) != len(tc.want) || !slices.Equal(f.Undiscussed(), tc.undiscussed) {
				t.Errorf("discussion %q, undiscussed %q; want %q, %q", f.Discussion, f.Undiscussed(), tc.want, tc.undiscussed)
			}
		})
	}
}
