package experiments

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
)

var fixCriteria = flag.Bool("criteria", false, "note the last commit as the one that fixed criteria which are new")

// writeCriteria adds the criteria that are new to the file.
func writeCriteria(t *testing.T, criteria map[string]*experiment.Criteria) {
	t.Helper()
	fixed, err := experiment.FixedCriteria()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("git", "log", "-1", "--format=%H %cI").Output()
	if err != nil {
		t.Fatal(err)
	}
	commit, date, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	at, err := time.Parse(time.RFC3339, date)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range criteria {
		if c != nil && c.Commit == "" {
			fixed[name] = append(fixed[name], experiment.Criteria{SHA256: c.SHA256, Commit: commit, Fixed: at.UTC()})
		}
	}
	raw, err := json.MarshalIndent(fixed, "", " ")
	if err == nil {
		err = os.WriteFile("experiment/criteria.json", append(raw, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
