package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/geometric-complexity/bench/proto"
)

type options struct {
	cases, backends, python string
	threads                 int
	dry                     bool
	pacing                  pacing
}

// bench is the state of one run.
type bench struct {
	options
	places      places
	log         io.Writer
	ours, peers []launch
	report      report
	details     details
	forwardMS   map[string]map[string]float64 // By group and backend.
}

func (o options) run(log io.Writer) error {
	start := time.Now()
	b, err := o.setUp(log)
	if err != nil {
		return err
	}
	selected, err := selectCases(allCases(), o.cases)
	if err != nil {
		return err
	}
	var failed []error
	for len(selected) > 0 {
		n := 1
		for n < len(selected) && selected[n].group() == selected[0].group() {
			n++
		}
		if err := b.runGroup(selected[:n]); err != nil {
			failed = append(failed, err)
			fmt.Fprintln(log, "  FAILED:", err)
		}
		selected = selected[n:]
	}
	fmt.Fprintf(log, "took %s\n", time.Since(start).Round(time.Second))
	return errors.Join(failed...)
}

func (o options) setUp(log io.Writer) (*bench, error) {
	p, err := findPlaces()
	if err != nil {
		return nil, err
	}
	if _, err := selectCases(allCases(), o.cases); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.cache, 0o755); err != nil {
		return nil, err
	}
	python, err := p.peersPython(o.python, log)
	if err != nil {
		return nil, err
	}
	goWorker, err := p.buildGoWorker(log)
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, places: p, log: log, details: details{}, forwardMS: map[string]map[string]float64{}}
	ours, peers := p.launches(o.threads, python, goWorker, log)
	for _, l := range ours {
		kind, _, _ := strings.Cut(l.name, ":")
		if strings.Contains(","+o.backends+",", ","+kind+",") {
			b.ours = append(b.ours, l)
		}
	}
	b.peers = peers
	if len(b.ours) == 0 {
		return nil, fmt.Errorf("none of our backends %q is to be had", o.backends)
	}
	err = errors.Join(readJSON(p.latest(), &b.report), readJSON(p.details(), &b.details))
	return b, err
}

// runGroup runs the cases of one network with workers of its own, so that one group's memory does not burden the next.
func (b *bench) runGroup(cases []benchCase) (err error) {
	var workers []worker
	for _, l := range append(b.ours[:len(b.ours):len(b.ours)], b.peers...) {
		p, err := l.start(os.Stderr)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		workers = append(workers, p)
	}
	if err := b.readVersions(workers); err != nil {
		return err
	}
	for _, c := range cases {
		if err := b.runCase(c, workers); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return nil
}

func (b *bench) readVersions(workers []worker) error {
	b.report.Machine, b.report.Versions = machineName(b.threads), map[string]string{}
	for _, w := range workers {
		answer, err := w.Do(proto.Request{Op: proto.OpVersions})
		if err != nil {
			return err
		}
		maps.Copy(b.report.Versions, answer.Versions)
	}
	return nil
}

func (b *bench) runCase(c benchCase, workers []worker) error {
	load := loadAverage()
	fmt.Fprintf(b.log, "%s (load before %.2f)\n", c.Name, load)
	fixture, err := c.Problem.Write(b.places.cache)
	if err != nil {
		return err
	}
	contenders, err := b.contenders(c, fixture, workers)
	if err != nil {
		return err
	}
	if c.Cold {
		err = b.timeCold(contenders, fixture)
	} else if err = prepare(contenders, b.log); err == nil {
		err = timeInTurns(contenders, c.pace(b.pacing))
	}
	for _, w := range workers {
		_, releaseErr := w.Do(proto.Request{Op: proto.OpRelease})
		err = errors.Join(err, releaseErr)
	}
	if err != nil {
		return err
	}
	return b.keep(c, contenders, load)
}

// contenders of a case: ours on its backends, and every variant of every peer. A variant of our own workers after their
// first is a peer too.
func (b *bench) contenders(c benchCase, fixture string, workers []worker) ([]*contender, error) {
	var contenders []*contender
	for _, w := range workers {
		task, ours := c.peerTask(), b.isOurs(w.Name())
		if ours {
			task = c.Task
			if !c.runsOn(w.Name()) {
				continue
			}
		}
		answer, err := w.Do(proto.Request{Op: proto.OpVariants, Fixture: fixture, Task: task})
		if err != nil {
			return nil, err
		}
		for i, variant := range answer.Variants {
			n := &contender{worker: w, name: variant, request: proto.Request{
				Op: proto.OpPrepare, ID: variant, Fixture: fixture, Task: task, Variant: variant,
				Coefficient: c.Coefficient, LearningRate: c.LearningRate}}
			if ours && i == 0 {
				n.ours, n.name = true, w.Name()
			}
			contenders = append(contenders, n)
		}
	}
	if len(contenders) == 0 {
		return nil, errors.New("nobody does this case")
	}
	return contenders, nil
}

func (b *bench) isOurs(worker string) bool {
	return slices.ContainsFunc(b.ours, func(l launch) bool { return l.name == worker })
}

// runsOn says whether a backend of ours ("xla:cpu", "go") does the case.
func (c benchCase) runsOn(name string) bool {
	for _, on := range c.On {
		if strings.HasPrefix(name, on) {
			return true
		}
	}
	return len(c.On) == 0
}

// keep makes the rows and writes the results, so that a run that is stopped keeps what it has.
func (b *bench) keep(c benchCase, contenders []*contender, load float64) error {
	forward := b.forwardMS[c.group()]
	if forward == nil {
		forward = map[string]float64{}
		b.forwardMS[c.group()] = forward
	}
	for _, o := range contenders {
		if o.ours && c.Task == proto.TaskForward {
			forward[o.name] = o.median()
		}
	}
	rows := rowsOf(c, b.report.Machine, contenders, forward)
	for _, r := range rows {
		fmt.Fprintf(b.log, "  %-8s %9.4g ms, %s %9.4g ms, ratio %.3f, of bound %s\n",
			r.Backend, r.MSMedian, r.BestPeer, r.Peers[r.BestPeer], r.RatioBest, r.ofBound())
	}
	fmt.Fprintf(b.log, "  peers: %v\n  CPU time:", rows[0].Peers)
	for _, o := range contenders {
		fmt.Fprintf(b.log, " %s %.4g", o.label(), median(o.cpu))
	}
	fmt.Fprintln(b.log)
	if b.dry {
		return nil
	}
	b.details[c.Name] = detailsOf(contenders, time.Now(), load)
	b.report.merge(rows, allCases())
	if err := writeJSON(b.places.details(), b.details); err != nil {
		return err
	}
	return writeJSON(b.places.latest(), b.report)
}
