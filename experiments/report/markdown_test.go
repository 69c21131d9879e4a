package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/marked"
)

func TestReadmes(t *testing.T) {
	root := t.TempDir()
	results, readme := filepath.Join(root, "results"), filepath.Join(root, "README.md")
	listed := filepath.Join(results, "README.md")
	r := sample()
	rank := runs.Number(-0.95)
	r.Claims[0].Effect, r.Claims[0].Rank = "GC falls by > 2 | more", &rank
	r.Claims[0].Matched = []evidence.Matched{{Matching: "at equal training loss (0.3)", Effect: "falls by 2",
		Verdict: evidence.Holds},
		{Matching: "at the last step", Effect: "changes", Verdict: evidence.Undecided}}
	bound := evidence.Claim{ClaimText: evidence.ClaimText{ID: "bound", Text: "GC is bounded", Proven: true},
		Statistic: "largest", Value: 0.5, PerSeed: r.Claims[0].PerSeed,
		Criterion: "no value above 1", Verdict: evidence.Holds}
	r.Claims = append(r.Claims, bound)
	write(t, filepath.Join(results, "05-gc-regularizer"), r)
	put(t, filepath.Join(results, "05-gc-regularizer", DiscussionFile), "## keeps: does not hold\nIt fell.\n")
	paper := sample()
	paper.Name, paper.Number, paper.Title = "noise", "06", "Noise"
	paper.Scale, paper.Command, paper.Criteria, paper.Claims = experiment.Paper, "gcml run 05 --set 'a|b'", nil,
		paper.Claims[2:]
	paper.Claims[0].P = nil
	write(t, filepath.Join(results, "06-noise-paper"), paper)
	empty := "before\n" + marked.Begin(claimsSection) + "\n" + marked.End(claimsSection) + "\nafter\n"
	put(t, readme, empty)
	put(t, listed, strings.ReplaceAll(empty, claimsSection,
		resultsSection)+marked.Begin(claimsSection)+"\n"+marked.End(claimsSection)+"\n")

	for _, want := range [][]string{{readme, listed}, nil} {
		changed, err := UpdateReadmes(load(t, results), readme, results)
		if err != nil || !slices.Equal(changed, want) {
			t.Fatalf("changed %q, error %v; want %q", changed, err, want)
		}
	}
	for path, want := range map[string]string{
		readme: `before
<!-- claims:begin -->
Of 3 empirical claims, after Holm's correction for their number: 1 holds, 1 does not hold, 1 undecided. The runs refute none of 1 theorems and identities. Of 1 claims in results of an older form, whose verdicts are not corrected: 0 hold, 0 do not hold, 1 undecided.

| experiment | what was found | hold | do not hold | undecided | proven | scale |
|---|---|---|---|---|---|---|
| [05 GC & &lt;the> regularizer](results/05-gc-regularizer) | GC falls by > 2 \| more, at equal training loss (0.3). | 1 | 1 | 1 | 1 not refuted | laptop: a first look |
| [06 Noise](results/06-noise-paper) | Accuracy rises. Undecided: difference 0.1. *This result has an older form.* | 0 | 0 | 1 |  | paper |

[Every claim](results/README.md), with its effect, verdicts and criterion.
<!-- claims:end -->
after
`,
		listed: `before
<!-- results:begin -->
| folder | command | backend | seeds | date |
|---|---|---|---|---|
| [05-gc-regularizer](05-gc-regularizer) | ` + "`gcml run gc-regularizer --scale laptop --seeds 0,1`" + ` | xla:cpu | 0, 1, 2 | 2030-01-02 |
| [06-noise-paper](06-noise-paper) | ` + "`gcml run 05 --set 'a\\|b'`" + ` | xla:cpu | 0, 1, 2 | 2030-01-02 |
<!-- results:end -->
after
<!-- claims:begin -->
Of 3 empirical claims, after Holm's correction for their number: 1 holds, 1 does not hold, 1 undecided. The runs refute none of 1 theorems and identities. Of 1 claims in results of an older form, whose verdicts are not corrected: 0 hold, 0 do not hold, 1 undecided.

### [05 GC & &lt;the> regularizer](05-gc-regularizer)

Laptop scale: a first look. Criteria fixed by commit 0123456789ab of 2029-01-01 00:00 UTC, before the first run began.

| verdict | claim | effect | where compared, without correction | rank correlation | without correction | p-value | holds if |
|---|---|---|---|---|---|---|---|
| ✘ **does not hold** | accuracy is \*kept\* | difference &lt; 0, namely -0.1 |  |  | does not hold | 0.002, corrected 0.004 | interval above -0.005 |
| ? **undecided** | accuracy rises | difference 0.1 |  |  | undecided | 0.3, corrected 0.3 | interval above 0 |
| ✔ **holds** | GC falls by > 1 \| more | GC falls by > 2 \| more | ✔ at equal training loss (0.3): holds<br>? at the last step: undecided | -0.95 | holds | 0.001, corrected 0.003 | interval below 0 |

Proven:

- **not refuted** in 2 runs: GC is bounded (largest 0.5; holds if: no value above 1)

Discussion:

- accuracy is \*kept\* (does not hold): It fell.

### [06 Noise](06-noise-paper)

Paper scale. This result has an older form. Its verdicts are not corrected, and it does not say when its criteria were fixed.

| verdict | claim | effect | where compared, without correction | rank correlation | without correction | p-value | holds if |
|---|---|---|---|---|---|---|---|
| ? **undecided** | accuracy rises | difference 0.1 |  |  | undecided | unknown | interval above 0 |
<!-- claims:end -->
`} {
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is\n%s\nwant\n%s(%v)", path, got, want, err)
		}
	}
}

func TestClaimsWithoutResults(t *testing.T) {
	if got := experimentsTable(nil, ".", "README.md"); got != "There are no results yet." {
		t.Errorf("%q", got)
	}
}

// TestRepositorySaysWhatItsResultsSay checks that the repository's tables are those that `gcml
// report readme` writes, and that every claim that does not hold is discussed.
func TestRepositorySaysWhatItsResultsSay(t *testing.T) {
	const root = "../.."
	results := filepath.Join(root, "results")
	folders, skipped, err := LoadAll(results)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range skipped {
		t.Error(s.Err)
	}
	for _, s := range []struct{ path, name, want string }{
		{filepath.Join(root, "README.md"), claimsSection, experimentsTable(folders, root, filepath.Join(results, "README.md"))},
		{filepath.Join(results, "README.md"), resultsSection, foldersTable(folders, results)},
		{filepath.Join(results, "README.md"), claimsSection, claimsList(folders, results)},
	} {
		got, err := marked.Section(s.path, s.name)
		if err != nil {
			t.Error(err)
		} else if want := strings.Trim(s.want, "\n"); got != want {
			t.Errorf("%s is out of date; run gcml report readme. It has\n%s\nbut the results give\n%s", s.path, got, want)
		}
	}
	for _, f := range folders {
		if ids := f.Undiscussed(); len(ids) > 0 {
			t.Errorf("%s: %q do not hold; say why they may not, under \"## ID: does not hold\"",
				filepath.Join(f.Dir, DiscussionFile), ids)
		}
	}
	if _, err := HTML(folders); err != nil {
		t.Error(err)
	}
}

func TestRepeatedByNamesTheGoBackend(t *testing.T) {
	for _, c := range []struct{ backend, command, want string }{
		{"go", "gcml run 12", "GOMLX_BACKEND=go gcml run 12"},
		{"go", "GOMLX_BACKEND=go gcml run 12", "GOMLX_BACKEND=go gcml run 12"},
		{"go", "", ""},
		{"xla:cpu", "gcml run 05", "gcml run 05"},
	} {
		f := &Folder{Result: &experiment.Result{Backend: c.backend, Command: c.command}}
		if got := f.repeatedBy(); got != c.want {
			t.Errorf("%q on %s: %q, want %q", c.command, c.backend, got, c.want)
		}
	}
}
