package ranking

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/marked"
)

var update = flag.Bool("update", false, "write the tables of docs/measures.md from the rankings beside it")

// TestPublished checks that the tables of docs/measures.md are those of the measures beside it.
func TestPublished(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	page := filepath.Join(docs, "measures.md")
	results, err := filepath.Glob(filepath.Join(docs, "measures", "*", resultFile))
	if err != nil || len(results) == 0 {
		t.Fatalf("no rankings: %v", err)
	}
	for _, path := range results {
		r, err := load(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		// load computes the correlations anew; the stored ones have to be the same.
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var stored Result
		if err := json.Unmarshal(raw, &stored); err != nil || stored.Markdown() != r.Markdown() {
			t.Errorf("%s has other correlations than the measures beside it (%v)", path, err)
		}
		section := "ranking-" + r.Experiment
		if *update {
			if _, err := marked.Update(page, section, r.Markdown()); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := marked.Section(page, section); err != nil || got != strings.Trim(r.Markdown(), "\n") {
			t.Errorf("the section %s of %s is not that of %s (%v): run go test ./experiments/ranking -run TestPublished -update",
				section, page, path, err)
		}
	}
}

// load reads the ranking in a folder. It computes the correlations anew from the measures.
func load(dir string) (*Result, error) {
	raw, err := os.ReadFile(filepath.Join(dir, resultFile))
	if err != nil {
		return nil, err
	}
	r := new(Result)
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, err
	}
	all, err := readMeasures(dir)
	// There may be measures of other calls.
	r.tabulate(slices.DeleteFunc(all, func(m *Measured) bool {
		return m.Settings != r.Settings || m.Backend != r.Backend || !slices.Contains(r.Seeds, m.Seed)
	}))
	return r, err
}
