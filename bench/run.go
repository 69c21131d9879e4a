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

	"github.com/geometric-complexity/toolkit/bench/proto"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

type options struct {
	cases, backends, peers        string
	device                        string // deviceCPU or deviceCUDA.
	python, peersPython, goWorker string
	results                       string
	threads                       int
	dry, tf32                     bool
	limit                         time.Duration
	pacing                        pacing
}

// Devices that all contenders but our pure Go run on.
const (
	deviceCPU  = "cpu"
	deviceCUDA = "cuda"
)

// check returns an error for invalid options and combinations.
func (o options) check() error {
	switch {
	case o.device != deviceCPU && o.device != deviceCUDA:
		return fmt.Errorf("--device %q: want cpu or cuda", o.device)
	case o.pacing.Processes < 0 || o.pacing.Rounds < 0:
		return fmt.Errorf("--processes %d, --rounds %d: want 0 or more", o.pacing.Processes, o.pacing.Rounds)
	case o.tf32 && o.device != deviceCUDA:
		return errors.New("--tf32 is for --device cuda")
	}
	for peer := range strings.SplitSeq(o.peers, ",") {
		if o.peers != "" && !slices.Contains(knownPeers, peer) {
			return fmt.Errorf("--peers: unknown peer %q; known: %s", peer, strings.Join(knownPeers, ", "))
		}
	}
	_, err := selectCases(allCases(), o.cases)
	return err
}

// knownPeers are those with a worker in bench/peers.
var knownPeers = []string{"jax", "torch"}

// tolerance is the allowed difference of two workers' values of the same task, relative to the
// larger. On a GPU convolutions may be computed by transforms, which round more. TF32 has a unit
// roundoff of 5e-4, which grows over a dozen layers and squares.
func (o options) tolerance() float64 {
	switch {
	case o.tf32:
		return 5e-2
	case o.device == deviceCUDA:
		return 1e-3
	}
	return 1e-4
}

// bench is the state of one run.
type bench struct {
	options
	paths                   paths
	machine                 string
	log                     io.Writer
	ourWorkers, peerWorkers []workerCommand
	report                  report
	details                 details
	versions                map[string]string             // Of the libraries of the workers that run.
	forwardMS               map[string]map[string]float64 // By group and backend.
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
	for len(selected) > 0 && !b.outOfTime(start) {
		n := 1
		for n < len(selected) && selected[n].group() == selected[0].group() {
			n++
		}
		done, err := b.runGroup(selected[:n], start)
		if err != nil {
			failed = append(failed, err)
			fmt.Fprintln(log, "  FAILED:", err)
		}
		selected = selected[done:]
	}
	if len(selected) > 0 {
		failed = append(failed,
			fmt.Errorf("%d cases, from %s on, were not started within %s", len(selected), selected[0].Name, o.limit))
	}
	fmt.Fprintf(log, "took %s\n", time.Since(start).Round(time.Second))
	return errors.Join(failed...)
}

// outOfTime returns whether --limit has passed, after which no case is started.
func (o options) outOfTime(start time.Time) bool { return o.limit > 0 && time.Since(start) > o.limit }

func (o options) setUp(log io.Writer) (*bench, error) {
	p, err := findPaths()
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.pacing.Processes == 0 {
		o.pacing.Processes = map[string]int{deviceCPU: 3, deviceCUDA: 1}[o.device]
	}
	p.results = o.resultsIn(p.results)
	for _, folder := range []string{p.cache, p.results} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	if o.peersPython == "" && o.peers != "" {
		if o.peersPython, err = p.installPeers(o.python, log); err != nil {
			return nil, err
		}
	}
	if o.goWorker == "" {
		if o.goWorker, err = p.buildGoWorker(log); err != nil {
			return nil, err
		}
	}
	b := &bench{options: o, paths: p, log: log, details: details{}, forwardMS: map[string]map[string]float64{}}
	if b.machine, err = o.machineName(); err != nil {
		return nil, err
	}
	b.ourWorkers, b.peerWorkers = p.workerCommands(o, log)
	if len(b.ourWorkers) == 0 {
		return nil, fmt.Errorf("no backend of %q is available", o.backends)
	}
	err = errors.Join(readJSON(p.latest(), &b.report), readJSON(p.details(), &b.details))
	b.report.setVersions()
	return b, err
}

// workerCommands returns those of all workers, ours first.
func (b *bench) workerCommands() []workerCommand { return slices.Concat(b.ourWorkers, b.peerWorkers) }

// runGroup runs the cases of one network with workers of its own, so that the memory of one group
// does not affect the next, and again with new ones for as many processes as there are. It returns
// how many cases it is done with. It stops when it is out of time, and after a case that fails,
// because its workers may have crashed.
func (b *bench) runGroup(cases []benchCase, start time.Time) (done int, err error) {
	timed := map[string][]*contender{}
	for process := range b.pacing.processes() {
		if process > 0 {
			fmt.Fprintf(b.log, "the same in new processes (%d of %d)\n", process+1, b.pacing.processes())
		}
		done, err = b.runProcess(cases, timed, start)
		if err == nil && done < len(cases) && process > 0 { // All have results, of fewer rounds.
			fmt.Fprintf(b.log, "out of time: %s and the cases after it have fewer rounds\n", cases[done].Name)
			return len(cases), nil
		}
		if err != nil || done < len(cases) {
			return done, err
		}
	}
	return done, nil
}

// runProcess is runGroup for one process of each worker. It adds to the times of the processes
// before, by case, and saves the results of all.
func (b *bench) runProcess(cases []benchCase, timed map[string][]*contender, start time.Time) (done int, err error) {
	var workers []worker
	for _, w := range b.workerCommands() {
		p, err := w.start(os.Stderr)
		if err != nil {
			return len(cases), err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		workers = append(workers, p)
	}
	if err := b.readVersions(workers); err != nil {
		return len(cases), err
	}
	for i, c := range cases {
		if b.outOfTime(start) {
			return i, nil
		}
		if c.Cold && timed[c.Name] != nil { // It starts processes of its own.
			continue
		}
		if timed[c.Name], err = b.runCase(c, workers, timed[c.Name]); err != nil {
			return i + 1, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return len(cases), nil
}

// readVersions updates the versions of what runs. Peers that do not run keep theirs, as their rows
// stay.
func (b *bench) readVersions(workers []worker) error {
	b.report.Machine = b.machine
	if b.report.Versions == nil {
		b.report.Versions = map[string]string{}
	}
	b.versions = map[string]string{}
	for _, w := range workers {
		answer, err := w.Do(proto.Request{Op: proto.OpVersions})
		if err != nil {
			return err
		}
		maps.Copy(b.versions, answer.Versions)
	}
	maps.Copy(b.report.Versions, b.versions)
	return nil
}

// runCase times a case and saves its results. It returns the contenders, with the times of those
// before added.
func (b *bench) runCase(c benchCase, workers []worker, before []*contender) ([]*contender, error) {
	load := loadAverage()
	fmt.Fprintf(b.log, "%s (load before %.2f)\n", c.Name, load)
	fixture, err := c.Problem.Write(b.paths.cache)
	if err != nil {
		return nil, err
	}
	contenders, err := b.contenders(c, fixture, workers)
	if err != nil {
		return nil, err
	}
	contenders = notRetired(before, contenders)
	var leftOut map[string]string
	if c.Cold {
		err = b.timeCold(contenders, fixture)
	} else if contenders, leftOut, err = prepare(contenders, c.tolerance(b.options), b.log); err == nil {
		err = timeInTurns(contenders, c.pace(b.pacing))
	}
	for _, w := range workers {
		_, releaseErr := w.Do(proto.Request{Op: proto.OpRelease})
		err = errors.Join(err, releaseErr)
	}
	if err != nil {
		return nil, err
	}
	contenders = withTimesOf(before, contenders)
	return contenders, b.saveResults(c, contenders, leftOut, load)
}

// notRetired returns the contenders but those that an earlier process took out.
func notRetired(before, contenders []*contender) []*contender {
	return slices.DeleteFunc(contenders, func(c *contender) bool {
		i := indexOf(before, c)
		return i >= 0 && before[i].retired
	})
}

// withTimesOf returns the contenders of earlier processes with the times of those of another one
// added. Their first calls and their memory are those of the first.
func withTimesOf(before, contenders []*contender) []*contender {
	for _, c := range contenders {
		i := indexOf(before, c)
		if i < 0 {
			before = append(before, c)
			continue
		}
		b := before[i]
		b.times, b.cpu, b.retired = append(b.times, c.times...), append(b.cpu, c.cpu...), c.retired
	}
	return before
}

// indexOf returns the index of the same contender in another process, -1 if there is none.
func indexOf(others []*contender, c *contender) int {
	return slices.IndexFunc(others, func(o *contender) bool {
		return o.label() == c.label() && o.worker.Name() == c.worker.Name()
	})
}

// contenders returns those of a case: ours on each backend, and every variant of every peer. The
// first variant of our own workers is ours, further ones are peers.
func (b *bench) contenders(c benchCase, fixture string, workers []worker) ([]*contender, error) {
	var contenders []*contender
	for _, w := range workers {
		task, ours := c.peerTask(), b.isOurs(w.Name())
		if ours {
			task = c.Task
			if c.GoApart && w.Name() == "go" && b.peers != "" {
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
		return nil, errors.New("no backend or peer runs this case")
	}
	return contenders, nil
}

func (b *bench) isOurs(worker string) bool {
	return slices.ContainsFunc(b.ourWorkers, func(w workerCommand) bool { return w.name == worker })
}

// saveResults makes the rows of a case and writes the results, so that a run that is interrupted
// keeps the cases that are done.
func (b *bench) saveResults(c benchCase, contenders []*contender, leftOut map[string]string, load float64) error {
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
	rows := makeRows(c, b.report.Machine, contenders, forward)
	for i, r := range rows {
		rows[i].Versions = b.versions
		versus := ""
		if r.BestPeer != "" {
			versus = fmt.Sprintf("%s %9.4g ms, ratio %.3f, ", r.BestPeer, r.Peers[r.BestPeer], r.RatioBest)
		}
		fmt.Fprintf(b.log, "  %-8s %9.4g ms, %sof bound %s\n", r.Backend, r.MSMedian, versus, r.boundRatio())
	}
	fmt.Fprintf(b.log, "  peers: %v\n  CPU time:", rows[0].Peers)
	for _, o := range contenders {
		fmt.Fprintf(b.log, " %s %.4g", o.label(), median(o.cpu))
	}
	fmt.Fprintln(b.log)
	if b.dry {
		return nil
	}
	b.details.merge(c.Name, makeDetails(contenders, leftOut, time.Now(), load))
	b.report.merge(rows, allCases())
	if err := atomicfile.WriteJSON(b.paths.details(), b.details); err != nil {
		return err
	}
	return atomicfile.WriteJSON(b.paths.latest(), b.report)
}
