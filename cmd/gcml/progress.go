package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"example.com/geometric-complexity/experiments"
)

// progressKinds are the values of --progress.
var progressKinds = []string{"auto", "bar", "lines", "none"}

// newProgress returns the display of a kind; auto is a bar on a terminal and
// lines elsewhere.
func (a *app) newProgress(kind string) (experiments.Progress, error) {
	if kind == "auto" {
		kind = "lines"
		if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			kind = "bar"
		}
	}
	switch kind {
	case "bar":
		return &barProgress{w: a.stderr}, nil
	case "lines":
		return &lineProgress{w: a.stderr}, nil
	case "none":
		return nil, nil
	}
	return nil, unknownWord("kind of progress", kind, progressKinds)
}

// barProgress is a progress bar with the time left.
type barProgress struct {
	w   io.Writer
	bar *progressbar.ProgressBar
}

func (p *barProgress) Start(total int64, title string) {
	p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(title),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish())
}

// A display that cannot be drawn is no reason to stop the work: the errors of
// the terminal are let go.
func (p *barProgress) Add(n int64)          { _ = p.bar.Add64(n) }
func (p *barProgress) Describe(text string) { p.bar.Describe(text) }
func (p *barProgress) Finish()              { _ = p.bar.Exit(); fmt.Fprintln(p.w) }

// lineProgress prints a line at each tenth of the work, for logs.
type lineProgress struct {
	w           io.Writer
	total, done int64
	tenths      int64
	begin       time.Time
	text        string
}

func (p *lineProgress) Start(total int64, _ string) { p.total, p.begin = total, time.Now() }
func (p *lineProgress) Describe(text string)        { p.text = text }
func (p *lineProgress) Finish()                     {}

func (p *lineProgress) Add(n int64) {
	p.done += n
	if p.total <= 0 || p.done*10/p.total <= p.tenths {
		return
	}
	p.tenths = p.done * 10 / p.total
	spent := time.Since(p.begin)
	left := time.Duration(float64(spent) * float64(p.total-p.done) / float64(p.done))
	fmt.Fprintf(p.w, "%3d %%  %s  (%s so far, about %s left)\n", p.tenths*10, p.text, spent.Round(time.Second), left.Round(time.Second))
}
