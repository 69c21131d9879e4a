package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// progressKinds are the values of --progress.
var progressKinds = []string{"auto", "bar", "lines", "none"}

// newProgress returns the display of a kind; auto is a bar on a terminal and lines elsewhere.
func (a *app) newProgress(kind string) (runs.Progress, error) {
	if kind == "auto" {
		kind = "lines"
		if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
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

// pace is how far the work is, and since when.
type pace struct {
	total, done int64
	begin       time.Time
	text        string
	// What Left was told, and when.
	told   time.Duration
	toldAt time.Time
}

func (p *pace) start(total int64, title string) {
	*p = pace{total: total, text: title, begin: time.Now()}
}

func (p *pace) Left(left time.Duration) { p.told, p.toldAt = left, time.Now() }

// left is how long the rest takes, by what was told or by the units done.
func (p *pace) left() string {
	var left time.Duration
	switch {
	case p.done >= p.total:
	case p.told < 0:
		return ""
	case !p.toldAt.IsZero():
		left = max(0, p.told-time.Since(p.toldAt))
	case p.done > 0:
		left = time.Duration(float64(time.Since(p.begin)) * float64(p.total-p.done) / float64(p.done))
	default:
		return ""
	}
	return fmt.Sprintf("about %s left", left.Round(time.Second))
}

// barProgress is a progress bar with the time left.
type barProgress struct {
	pace
	w    io.Writer
	room int // for the text, in columns; 0 is any
	bar  *progressbar.ProgressBar
}

// barRoom is the most that a line takes beside the text.
const barRoom = len(" 100% |          |  ")

func newBar(w io.Writer) *barProgress {
	p := &barProgress{w: w}
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			p.room = max(1, columns-barRoom-1)
		}
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

// A display that cannot be drawn is no reason to stop the work: the errors of the terminal are let
// go.
func (p *barProgress) Add(n int64)          { p.done += n; _ = p.bar.Add64(n); p.show() }
func (p *barProgress) Describe(text string) { p.text = text; p.show() }
func (p *barProgress) Finish()              { _ = p.bar.Exit(); fmt.Fprintln(p.w) }

// show puts the text beside the bar. A line longer than the terminal could not be drawn over.
func (p *barProgress) show() {
	text := []rune(p.text)
	if left := p.left(); left != "" {
		text = []rune(left + ": " + p.text)
	}
	if p.room > 0 && len(text) > p.room {
		text = append(text[:p.room-1], '…')
	}
	p.bar.Describe(string(text))
}

// lineEvery is the longest time without a line.
const lineEvery = 5 * time.Minute

// lineProgress prints a line at each tenth of the work and every few minutes, for logs.
type lineProgress struct {
	pace
	w      io.Writer
	tenths int64
	last   time.Time
}

func (p *lineProgress) Start(total int64, title string) {
	p.start(total, title)
	p.tenths, p.last = 0, p.begin
}

func (p *lineProgress) Describe(text string) { p.text = text }
func (p *lineProgress) Finish()              {}

func (p *lineProgress) Add(n int64) {
	p.done += n
	if p.total <= 0 || p.done*10/p.total <= p.tenths && time.Since(p.last) < lineEvery {
		return
	}
	p.tenths, p.last = p.done*10/p.total, time.Now()
	spent := time.Since(p.begin).Round(time.Second).String() + " so far"
	if left := p.left(); left != "" {
		spent += ", " + left
	}
	fmt.Fprintf(p.w, "%3d %%  %s  (%s)\n", p.done*100/p.total, p.text, spent)
}
