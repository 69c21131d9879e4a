package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/pace"
)

// progressKinds are the values of --progress.
var progressKinds = []string{"auto", "bar", "lines", "none"}

// newProgress returns the display of a kind, nil for none. auto is a bar on a terminal, and lines
// elsewhere.
func (a *app) newProgress(kind string) (runs.Progress, error) {
	if kind == "auto" {
		kind = "lines"
		if isTerminal(a.stderr) {
			kind = "bar"
		}
	}
	switch kind {
	case "bar":
		return newBar(a.stderr), nil
	case "lines":
		return &lineProgress{w: a.stderr}, nil
	case "none":
		return nil, nil
	}
	return nil, unknownWord("kind of progress", kind, progressKinds)
}

// progressState is the state that every display keeps: the share of the work that is done, and the
// current step.
type progressState struct {
	pace.Pace
	text string
}

func (s *progressState) start(total int64, title string) {
	s.Pace.Start(total)
	s.text = title
}

// Left implements runs.Progress.
func (s *progressState) Left(left time.Duration) { s.SetLeft(left) }

// barProgress is a progress bar in the last line of a terminal.
type barProgress struct {
	progressState
	w    io.Writer
	room int // columns for the text; 0 if they are not limited
	bar  *progressbar.ProgressBar
}

// barRoom is the number of columns that a line needs besides the text.
const barRoom = len(" 100% |          |  ")

func newBar(w io.Writer) *barProgress {
	p := &barProgress{w: w}
	if columns := terminalWidth(w); columns > 0 {
		p.room = max(1, columns-barRoom-1)
	}
	return p
}

func (p *barProgress) Start(total int64, title string) {
	p.start(total, title)
	p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionSetWidth(10),
		progressbar.OptionSetPredictTime(false), progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionUseANSICodes(true),
		progressbar.OptionClearOnFinish())
	p.show()
}

// The methods ignore errors of the terminal, because the work can continue without a display.
func (p *barProgress) Add(n int64)          { p.Pace.Add(n); _ = p.bar.Add64(n); p.show() }
func (p *barProgress) Describe(text string) { p.text = text; p.show() }
func (p *barProgress) Finish()              { _ = p.bar.Exit(); fmt.Fprintln(p.w) }

// show puts the text next to the bar. It shortens the text to the width of the terminal, because a
// longer line could not be overwritten.
func (p *barProgress) show() {
	text := []rune(p.text)
	if left := p.LeftText(); left != "" {
		text = []rune(left + ": " + p.text)
	}
	if p.room > 0 && len(text) > p.room {
		text = append(text[:p.room-1], '…')
	}
	p.bar.Describe(string(text))
}

// firstLine and lineEvery are the longest time between two lines while work is done: from the first
// on, each time twice as long as the time before, up to the last.
const (
	firstLine = 10 * time.Second
	lineEvery = 5 * time.Minute
)

// lineProgress prints what is done first, which may take long to compile, then a line after each
// tenth of the work, and some in between, for logs.
type lineProgress struct {
	progressState
	w      io.Writer
	tenths int64 // tenths of the work that a line has shown
	shown  time.Time
	wait   time.Duration // until the next line at the latest
}

func (p *lineProgress) Start(total int64, title string) {
	p.start(total, title)
	p.tenths, p.shown, p.wait = 0, time.Now(), 0
}

func (p *lineProgress) Describe(text string) {
	p.text = text
	if p.wait == 0 && p.Done == 0 {
		p.wait = firstLine
		fmt.Fprintf(p.w, "%3d %%  %s\n", 0, p.text)
	}
}

func (p *lineProgress) Finish() {}

func (p *lineProgress) Add(n int64) {
	p.Pace.Add(n)
	p.wait = max(p.wait, firstLine)
	isLate := time.Since(p.shown) >= p.wait
	if p.Total <= 0 || p.Done*10/p.Total <= p.tenths && !isLate {
		return
	}
	if isLate {
		p.wait = min(2*p.wait, lineEvery)
	}
	p.tenths, p.shown = p.Done*10/p.Total, time.Now()
	spent := pace.Text(p.Spent()) + " so far"
	if left := p.LeftText(); left != "" {
		spent += ", " + left
	}
	fmt.Fprintf(p.w, "%3d %%  %s  (%s)\n", p.Percent(), p.text, spent)
}
