package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/geometric-complexity/experiments/experiment"
	"example.com/geometric-complexity/internal/marked"
)

func TestReadmes(t *testing.T) {
	root := t.TempDir()
	results, readme := filepath.Join(root, "results"), filepath.Join(root, "README.md")
	listed := filepath.Join(results, "README.md")
	write(t, filepath.Join(results, "05-gc-regularizer"), sample())
	put(t, filepath.Join(results, "05-gc-regularizer", DiscussionFile), "## keeps\nIt fell.\n")
	paper := sample()
	paper.Scale, paper.Command, paper.Claims = experiment.Paper, "gcml run 05 --set 'a|b'", paper.Claims[2:]
	write(t, filepath.Join(results, "05-gc-regularizer-paper"), paper)
	empty := "before\n" + marked.Begin(ClaimsSection) + "\n" + marked.End(ClaimsSection) + "\nafter\n"
	put(t, readme, empty)
	put(t, listed, strings.ReplaceAll(empty, ClaimsSection, ResultsSection))

	for _, want := range [][]string{{readme, listed}, nil} {
		changed, err := UpdateReadmes(load(t, results), readme, results)
		if err != nil || !slices.Equal(changed, want) {
			t.Fatalf("changed %q, error %v; want %q", changed, err, want)
		}
	}
	for path, want := range map[string]string{
		readme: `before
<!-- claims:begin -->
Of 4 claims 1 hold, 1 do not hold, and 2 are undecided.

| no. | claim | verdict | evidence |
|---|---|---|---|
| [05](results/05-gc-regularizer) | GC falls by > 1 \| more | **holds** | rank correlation -1, 95 % t interval [-1, -1] |
| [05](results/05-gc-regularizer) | accuracy is \*kept\* | **does not hold** | difference &lt; 0, namely -0.1 |
| [05](results/05-gc-regularizer) | accuracy rises | undecided | difference 0.1 |
| [05, paper scale](results/05-gc-regularizer-paper) | accuracy rises | undecided | difference 0.1 |

- [05](results/05-gc-regularizer) accuracy is \*kept\* (does not hold): It fell.

<!-- claims:end -->
after
`,
		listed: `before
<!-- results:begin -->
| folder | command | backend | seeds | date |
|---|---|---|---|---|
| [05-gc-regularizer](05-gc-regularizer) | ` + "`gcml run gc-regularizer --scale laptop --set rates=0,1`" + ` | xla:cpu | 0, 1, 2 | 2030-01-02 |
| [05-gc-regularizer-paper](05-gc-regularizer-paper) | ` + "`gcml run 05 --set 'a\\|b'`" + ` | xla:cpu | 0, 1, 2 | 2030-01-02 |

<!-- results:end -->
after
`} {
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is\n%s\nwant\n%s(%v)", path, got, want, err)
		}
	}
}

func TestClaimsWithoutResults(t *testing.T) {
	if got := Claims(nil, "."); got != "No experiment's results are here yet." {
		t.Errorf("%q", got)
	}
}

// The repository's own tables are those of its results: gcml report readme
// writes them. A claim that does not hold is discussed.
func TestRepositorySaysWhatItsResultsSay(t *testing.T) {
	const root = "../.."
	results := filepath.Join(root, "results")
	folders, unfinished, err := LoadAll(results)
	if err != nil {
		t.Fatal(err)
	}
	if len(unfinished) > 0 {
		t.Errorf("%q have no result", unfinished)
	}
	for _, s := range []struct{ path, name, want string }{
		{filepath.Join(root, "README.md"), ClaimsSection, Claims(folders, root)},
		{filepath.Join(results, "README.md"), ResultsSection, List(folders, results)},
	} {
		got, err := marked.Section(s.path, s.name)
		if err != nil {
			t.Error(err)
		} else if want := strings.Trim(s.want, "\n"); got != want {
			t.Errorf("%s has drifted; run gcml report readme. It has\n%s\nand the results say\n%s", s.path, got, want)
		}
	}
	for _, f := range folders {
		if ids := f.Undiscussed(); len(ids) > 0 {
			t.Errorf("%s: %q do not hold; say why they may not, under \"## ID\"", filepath.Join(f.Dir, DiscussionFile), ids)
		}
	}
	if _, err := HTML(folders); err != nil {
		t.Error(err)
	}
}
