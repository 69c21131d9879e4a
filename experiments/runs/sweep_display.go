package runs

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// estimateEvery is the time between two estimates of the time left.
const estimateEvery = 500 * time.Millisecond

// display shows the progress of all runs of a schedule as one.
type display struct {
	progress Progress
	workers  int
	// Numbers of runs: all, those complete before or begun, and those that failed.
	total, begun, failed int
	several              bool // whether the runs belong to several experiments
	active               []*activeRun
	costs                costs
	shown                time.Time // time of the last estimate
}

// activeRun is a run that a worker is doing.
type activeRun struct {
	Item
	number int // among all runs
	// done counts the units done; base counts those done at the first report, at time since. The
	// estimate excludes the time before it, in which the graphs compile, and the units that a
	// resumed run had done earlier.
	done, base int64
	since      time.Time
}

func newDisplay(p Progress, total, workers int) *display {
	if p == nil {
		p = NoProgress{}
	}
	return &display{progress: p, workers: workers, total: total, costs: make(costs)}
}

// reuse counts a run that was already complete.
func (d *display) reuse(item Item, record *Record) {
	d.begun++
	d.costs.addRecord(item, record)
}

// start begins the display with the runs to do.
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

func (d *display) begin(item Item) *activeRun {
	d.begun++
	run := &activeRun{Item: item, number: d.begun}
	d.active = append(d.active, run)
	d.describe(run)
	return run
}

// describe names the run that began last. Until its first unit is done it is building and compiling
// its graphs and measuring the network at step 0, of which the first takes longest.
func (d *display) describe(run *activeRun) {
	text := fmt.Sprintf("%s, seed %d", run.Label, run.Seed)
	if run.done == 0 {
		text += ": compiling ..."
	}
	if d.several {
		text = run.Part.Number + " " + text
	}
	text = fmt.Sprintf("run %d/%d: %s", run.number, d.total, text)
	if d.failed > 0 {
		text += fmt.Sprintf(" (%d failed)", d.failed)
	}
	d.progress.Describe(text)
}

// wait shows that all remaining runs are being done by another process.
func (d *display) wait(runs int) {
	if runs > 0 && len(d.active) == 0 {
		d.progress.Describe(fmt.Sprintf("waiting for another process that is doing %d of %d runs", runs, d.total))
	}
}

func (d *display) advance(run *activeRun, units int64) {
	if run.since.IsZero() {
		run.base, run.since = units, time.Now()
	}
	if units > run.done {
		compiling := run.done == 0
		d.progress.Add(units - run.done)
		run.done = units
		if compiling && run == d.active[len(d.active)-1] {
			d.describe(run)
		}
	}
}

// end counts a run as done. All units of a run that failed or ended early count as done, because it
// will report no more.
func (d *display) end(run *activeRun, record *Record) {
	d.remove(run)
	if rest := run.Task.Units() - run.done; rest > 0 {
		d.progress.Add(rest)
	}
	if record == nil {
		d.failed++
		return
	}
	d.costs.addRecord(run.Item, record)
}

// giveUp forgets the attempt at a run that will be tried again.
func (d *display) giveUp(run *activeRun) {
	d.remove(run)
	d.begun--
}

func (d *display) remove(run *activeRun) {
	d.active = slices.DeleteFunc(d.active, func(other *activeRun) bool { return other == run })
}

// estimate reports the time left to the display, at most once every estimateEvery.
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

// left estimates the time until all runs are done, from the time that similar runs took. There is
// no estimate until some units are done for each remaining kind of task.
func (d *display) left(now time.Time, waiting []Item) (time.Duration, bool) {
	costs := maps.Clone(d.costs)
	for _, run := range d.active {
		costs.add(run.Item, now.Sub(run.since).Seconds(), run.done-run.base)
	}
	var sum, longest float64
	add := func(item Item, units int64) (known bool) {
		each, known := costs.perUnit(item)
		seconds := each * float64(units)
		sum, longest = sum+seconds, max(longest, seconds)
		return known
	}
	for _, run := range d.active {
		if !add(run.Item, max(0, run.Task.Units()-run.done)) {
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

// costs adds up how long units of work took, at three levels: the runs of an experiment that differ
// only in their seeds, an experiment, and all experiments. Kinds of tasks are separate, because
// their units differ.
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

// addRecord adds a complete run. It ignores diverged runs, which did not do all of their units.
func (c costs) addRecord(item Item, record *Record) {
	if record.Status == Complete {
		c.add(item, record.Provenance.Seconds, item.Task.Units())
	}
}

// perUnit returns the seconds that a unit took in the most similar runs. It is unknown until units
// of a task of that kind are done.
func (c costs) perUnit(item Item) (seconds float64, known bool) {
	for _, key := range costKeys(item) {
		if c[key].units > 0 {
			return c[key].seconds / float64(c[key].units), true
		}
	}
	return 0, false
}
