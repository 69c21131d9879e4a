// Package pace estimates how long work still takes, for the progress displays of terminals and
// notebooks.
package pace

import (
	"strings"
	"time"
)

// A Pace extrapolates nothing before the time guessAfter, and before one in guessPart of the units
// is done: the first units wait for the compiler, and a guess from few of them would be hours for
// what takes minutes.
const (
	guessAfter = 5 * time.Second
	guessPart  = 200
)

// Pace records how many units of work are done, and since when. Its zero value has not started.
type Pace struct {
	Total, Done int64
	begin       time.Time
	// left is the estimate that SetLeft received at the time estimated, if that is not zero.
	left      time.Duration
	estimated time.Time
}

// Start begins work of total units.
func (p *Pace) Start(total int64) { *p = Pace{Total: total, begin: time.Now()} }

// Add says that n more units are done.
func (p *Pace) Add(n int64) { p.Done += n }

// SetLeft receives an estimate of the time left, negative if there is none yet. From then on the
// Pace does not extrapolate from the units done.
func (p *Pace) SetLeft(left time.Duration) { p.left, p.estimated = left, time.Now() }

// Spent returns the time since Start.
func (p *Pace) Spent() time.Duration { return time.Since(p.begin) }

// Percent returns the share of the units that are done, rounded down.
func (p *Pace) Percent() int64 { return p.Done * 100 / max(1, p.Total) }

// Left estimates the time until all units are done, and reports whether there is an estimate: the
// one that SetLeft received, less the time since then, or an extrapolation from the units done.
func (p *Pace) Left() (left time.Duration, known bool) {
	switch {
	case p.Done >= p.Total:
		return 0, true
	case !p.estimated.IsZero():
		return max(0, p.left-time.Since(p.estimated)), p.left >= 0
	case p.Done > 0 && p.Done >= p.Total/guessPart && p.Spent() > guessAfter:
		return time.Duration(float64(p.Spent()) * float64(p.Total-p.Done) / float64(p.Done)), true
	}
	return 0, false
}

// LeftText returns "about 3m20s left", or "" if there is no estimate.
func (p *Pace) LeftText() string {
	left, known := p.Left()
	if !known {
		return ""
	}
	return "about " + Text(left) + " left"
}

// Text writes a duration for people: with seconds below an hour, as in 3m20s, and without them from
// an hour on, as in 2h5m.
func Text(d time.Duration) string {
	if d < time.Hour {
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}
