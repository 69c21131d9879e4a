package report

import (
	"fmt"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// older returns whether the result has the older form, without p-values, matchings and criteria.
func (f *Folder) older() bool { return f.Criteria == nil && len(f.Claims) > 0 }

// began returns when the first run began, as far as its record tells: an interrupted run may have
// begun earlier. It returns zero if the folder has no records.
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

// Doubt returns a short sentence on why the claims' criteria may have been chosen to fit the runs,
// and the details. Both are empty if a commit fixed the criteria before the first run began.
func (f *Folder) Doubt() (short, why string) {
	switch began := f.began(); {
	case len(f.Claims) == 0:
		return "", ""
	case f.older():
		return "This result has an older form.",
			"Its verdicts are not corrected, and it does not say when its criteria were fixed."
	case f.Criteria.Commit == "" || f.Criteria.Fixed.IsZero():
		return "The criteria are not committed.", "They may be younger than the runs."
	case began.IsZero():
		return "The criteria may be younger than the runs.", "It is unknown when the runs began."
	case f.Criteria.Fixed.After(began):
		return "The criteria are younger than the runs.",
			fmt.Sprintf("Commit %s fixed them on %s, and the first run began on %s.",
				shortHash(f.Criteria.Commit), minute(f.Criteria.Fixed), minute(began))
	}
	return "", ""
}

// criteria names the commit that fixed the criteria; it is empty if that is unknown.
func (f *Folder) criteria() string {
	if f.Criteria == nil || f.Criteria.Commit == "" {
		return ""
	}
	return fmt.Sprintf("commit %s of %s", shortHash(f.Criteria.Commit), minute(f.Criteria.Fixed))
}

// minute formats a time to the minute.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
