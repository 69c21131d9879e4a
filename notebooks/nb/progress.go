package nb

import (
	"time"

	"github.com/janpfeifer/gonb/gonbui"
)

// progress shows one line in place: a bar, what is being done, and how long it takes still. It
// implements experiments.Progress.
type progress struct {
	id          string
	begin, last time.Time
	total, done int64
	text        string
	left        time.Duration // 0 if it was not told, negative if it is not known
}

// progressEvery is the shortest time between two updates of the line.
const progressEvery = 250 * time.Millisecond

// guessAfter is the time before which nothing is said of the time left: the first steps wait for
// the compiler.
const guessAfter = 5 * time.Second

func newProgress() *progress { return &progress{id: "progress-" + gonbui.UniqueId()} }

func (p *progress) Start(total int64, title string) {
	p.total, p.text, p.begin = total, title, time.Now()
}

func (p *progress) Describe(text string) { p.text = text }

func (p *progress) Left(left time.Duration) { p.left = left }

func (p *progress) Add(n int64) {
	p.done += n
	if time.Since(p.last) >= progressEvery {
		p.last = time.Now()
		p.show()
	}
}

func (p *progress) Finish() {}

func (p *progress) show() {
	spent := time.Since(p.begin)
	left := "?"
	if p.left > 0 {
		left = p.left.Round(time.Second).String()
	} else if p.left == 0 && p.done > 0 && spent > guessAfter {
		left = (time.Duration(float64(spent) * float64(p.total-p.done) / float64(p.done))).Round(time.Second).String()
	}
	showHTML(p.id, `<progress max="%d" value="%d"></progress> %d %% &middot; %s &middot; %s so far, about %s left`,
		p.total, p.done, p.done*100/max(1, p.total), p.text, spent.Round(time.Second).String(), left)
}

// end replaces the line by a last word.
func (p *progress) end(format string, args ...any) { showHTML(p.id, format, args...) }
