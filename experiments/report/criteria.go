package report

import (
	"fmt"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// older says that the result was made before results had p-values, matchings and criteria.
func (f *Folder) older() bool { return f.Criteria == nil && len(f.Claims) > 0 }

// began is when the first run began, as far as its record tells: an interrupted one may have begun
// before. It is zero where the folder has no records.
func (f *Folder) began() (first time.Time) {
	for _, r := range f.Records {
		if r.Provenance.Finished.IsZero() {
			continue
		}
		if begin := begin(r.Provenance); first.IsZero() || begin.Before(first) {
			first = begin
		}
	}
	return first
}

func begin(p runs.Provenance) time.Time {
	return p.Finished.Add(-time.Duration(p.Seconds * float64(time.Second)))
}

// doubt says in a short sentence what is against the claims' criteria, which could have been chosen
// to fit the runs, and then why. Both are empty where a commit fixed them before the first run
// began.
func (f *Folder) doubt() (short, why string) {
	switch began := f.began(); {
	case len(f.Claims) == 0:
		return "", ""
	case f.older():
		return "This result is of an older form.",
			"Its verdicts are not corrected, and it does not say when its criteria were fixed."
	case f.Criteria.Commit == "" || f.Criteria.Fixed.IsZero():
		return "The criteria are in no commit.", "They may be younger than the runs."
	case began.IsZero():
		return "The criteria may be younger than the runs.", "When these began is not known."
	case f.Criteria.Fixed.After(began):
		return "The criteria are younger than the runs.",
			fmt.Sprintf("Commit %s fixed them on %s, and the first run began on %s.",
				shortHash(f.Criteria.Commit), minute(f.Criteria.Fixed), minute(began))
	}
	return "", ""
}

// criteria says which commit fixed them; empty where it is not known.
func (f *Folder) criteria() string {
	if f.Criteria == nil || f.Criteria.Commit == "" {
		return ""
	}
	return fmt.Sprintf("commit %s of %s", shortHash(f.Criteria.Commit), minute(f.Criteria.Fixed))
}

// minute writes a time as people read it.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
