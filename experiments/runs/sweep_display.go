package runs

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// estimateEvery is how often the display is told the time left.
const estimateEvery = 500 * time.Millisecond

// display shows one progress of all the runs of a sweep.
type display struct {
	progress Progress
	workers  int
	// Of all runs, how many were complete before or begun, and how many failed.
	total, begun, failed int
	several              bool // experiments
	atWork               []*atWork
	costs                costs
	shown                time.Time // when the time left was last told
}

// atWork is a run that a worker is doing.
type atWork struct {
	Item
	number int // among all runs
	// The units done, now and when the first were told: what a resumed run did
	// before, and compiling, would make the others look faster or slower.
	done, base int64
	since      time.Time
}

func newDisplay(p Progress, total, workers int) *display {
	if p == nil {
		p = NoProgress{}
	}
	return &display{progress: p, workers: workers, total: total, costs: make(costs)}
}

// reuse counts a run that was complete before.
func (d *display) reuse(item Item, record *Record) {
	d.begun++
	d.costs.addRecord(item, record)
}

// start begins the display of what is to be done.
func (d *display) start(todo []Item) {
	var units int64
	parts := make(map[*Part]bool)
	for _, item := range todo {
		units += item.Task.Units()
		parts[item.Part] = true
	}
	title := todo[0].Part.Title
	if d.several = len(parts) > 1; d.several {
		title = fmt.Sprintf("%d experiments", len(parts))
	}
	d.progress.Start(units, title)
}

func (d *display) begin(item Item) *atWork {
	d.begun++
	at := &atWork{Item: item, number: d.begun}
	d.atWork = append(d.atWork, at)
	d.describe(at)
	return at
}

// describe names a run at work: the only one, or the latest.
func (d *display) describe(at *atWork) {
	text := fmt.Sprintf("%s, seed %d", at.Label, at.Seed)
	if d.several {
		text = at.Part.Number + " " + text
	}
	text = fmt.Sprintf("run %d/%d: %s", at.number, d.total, text)
	if d.failed > 0 {
		text += fmt.Sprintf(" (%d failed)", d.failed)
	}
	d.progress.Describe(text)
}

// wait says that there is nothing to do but to wait for another process.
func (d *display) wait(runs int) {
	if runs > 0 && len(d.atWork) == 0 {
		d.progress.Describe(fmt.Sprintf("waiting for another process that is doing %d of %d runs", runs, d.total))
	}
}

func (d *display) advance(at *atWork, units int64) {
	if at.since.IsZero() {
		at.base, at.since = units, time.Now()
	}
	if units > at.done {
		d.progress.Add(units - at.done)
		at.done = units
	}
}

// end counts a run as done. One that failed, or ended early, counts as whole:
// its units will not come.
func (d *display) end(at *atWork, record *Record) {
	d.remove(at)
	if rest := at.Task.Units() - at.done; rest > 0 {
		d.progress.Add(rest)
	}
	if record == nil {
		d.failed++
		return
	}
	d.costs.addRecord(at.Item, record)
}

// giveUp takes back a run that will be tried again.
func (d *display) giveUp(at *atWork) {
	d.remove(at)
	d.begun--
}

func (d *display) remove(at *atWork) {
	d.atWork = slices.DeleteFunc(d.atWork, func(other *atWork) bool { return other == at })
}

// estimate tells the display the time left, now and then.
func (d *display) estimate(todo, busy []Item) {
	now := time.Now()
	if now.Sub(d.shown) < estimateEvery {
		return
	}
	left, known := d.left(now, append(slices.Clone(todo), busy...))
	if !known {
		left = -1
	}
	d.shown = now
	d.progress.Left(left)
}

// left estimates the time until all is done, from what runs like those that are left took. It is not
// known before a run of each kind of task that is left came some way.
func (d *display) left(now time.Time, waiting []Item) (time.Duration, bool) {
	costs := maps.Clone(d.costs)
	for _, at := range d.atWork {
		costs.add(at.Item, now.Sub(at.since).Seconds(), at.done-at.base)
	}
	var sum, longest float64
	add := func(item Item, units int64) (known bool) {
		each, known := costs.of(item)
		seconds := each * float64(units)
		sum, longest = sum+seconds, max(longest, seconds)
		return known
	}
	for _, at := range d.atWork {
		if !add(at.Item, max(0, at.Task.Units()-at.done)) {
			return 0, false
		}
	}
	for _, item := range waiting {
		if !add(item, item.Task.Units()) {
			return 0, false
		}
	}
	seconds := max(longest, sum/float64(d.workers))
	return time.Duration(seconds * float64(time.Second)), true
}

// costs gathers how long units of work took: of the runs of one experiment that differ in their seeds
// alone, of an experiment, and of all. Kinds of tasks are kept apart, as their units are.
type costs map[costKey]cost

type costKey struct {
	part        *Part
	label, kind string
}

type cost struct {
	seconds float64
	units   int64
}

func costKeys(item Item) [3]costKey {
	kind := item.Task.Kind()
	return [3]costKey{{item.Part, item.Label, kind}, {item.Part, "", kind}, {nil, "", kind}}
}

func (c costs) add(item Item, seconds float64, units int64) {
	if units <= 0 {
		return
	}
	for _, key := range costKeys(item) {
		c[key] = cost{c[key].seconds + seconds, c[key].units + units}
	}
}

// addRecord adds a complete run. A diverged one did not do all its units.
func (c costs) addRecord(item Item, record *Record) {
	if record.Status == Complete {
		c.add(item, record.Provenance.Seconds, item.Task.Units())
	}
}

// of gives the seconds for a unit of the most similar runs that there are. It is not known before a task
// of that kind came some way.
func (c costs) of(item Item) (seconds float64, known bool) {
	for _, key := range costKeys(item) {
		if c[key].units > 0 {
			return c[key].seconds / float64(c[key].units), true
		}
	}
	return 0, false
}
