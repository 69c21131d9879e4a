package nb

import (
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/internal/pace"
)

// progress shows one line in place: a bar, what is being done, the time spent and the time left. It
// implements runs.Progress.
type progress struct {
	pace.Pace
	id    string
	text  string
	shown time.Time
}

// progressEvery is the shortest time between two updates of the line.
const progressEvery = 250 * time.Millisecond

func newProgress() *progress { return &progress{id: "progress-" + gonbui.UniqueId()} }

func (p *progress) Start(total int64, title string) {
	p.Pace.Start(total)
	p.text = title
	p.show()
}

func (p *progress) Describe(text string) {
	p.text = text
	p.show()
}

func (p *progress) Left(left time.Duration) { p.SetLeft(left) }

func (p *progress) Add(n int64) {
	p.Pace.Add(n)
	if time.Since(p.shown) >= progressEvery {
		p.shown = time.Now()
		p.show()
	}
}

func (p *progress) Finish() {}

func (p *progress) show() {
	spent := pace.Text(p.Spent()) + " so far"
	if left := p.LeftText(); left != "" {
		spent += ", " + left
	}
	showHTML(p.id, `<progress max="%d" value="%d"></progress> %d %% &middot; %s &middot; %s`,
		p.Total, p.Done, p.Percent(), p.text, spent)
}

// end replaces the line by a last word.
func (p *progress) end(format string, args ...any) { showHTML(p.id, format, args...) }
