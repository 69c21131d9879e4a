package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/geometric-complexity/toolkit/bench/proto"
)

// contender is one way to compute a case: a worker and a variant.
type contender struct {
	worker  worker
	ours    bool   // Ours, or a peer.
	name    string // The backend for ours, the variant for a peer.
	request proto.Request

	prepared proto.Answer
	times    []float64 // Milliseconds.
	cpu      []float64 // CPU milliseconds of all threads, for each of times.
	retired  bool      // Much slower than another peer or variant, and no longer timed.
}

func (c *contender) median() float64 { return median(c.times) }

// pacing says how long a case is timed.
type pacing struct {
	// Processes is the number of times that all workers are started anew, each time for its share
	// of the rounds: how fast a process is also depends on where its memory lies. 0 stands for 1.
	Processes int
	Rounds    int           // 0: as many as fit into Budget, between minRounds and maxRounds.
	Budget    time.Duration // For all contenders of a case together.
	Turn      time.Duration // A turn repeats a short task for about this long.
	Rest      time.Duration // Between turns, so that the spinning threads of a worker go to sleep.
}

// processes returns how often workers are started: no more often than there are rounds.
func (p pacing) processes() int {
	if p.Rounds > 0 {
		return max(min(p.Processes, p.Rounds), 1)
	}
	return max(p.Processes, 1)
}

// share returns the rounds of each process, of so many for all.
func (p pacing) share(rounds int) int { return (rounds + p.processes() - 1) / p.processes() }

const (
	minRounds, maxRounds = 20, 40
	maxReps              = 50
	// A variant is retired when its median is retireRatio times that of its worker's best after
	// retireAfter rounds, or that of the best peer after retirePeerAfter rounds: it decides no
	// ratio, and the others get their rounds in the same time.
	retireAfter, retirePeerAfter = 2, 3
	retireRatio                  = 1.6
)

// prepare builds the task of every contender, and checks that all have the same values. It times
// nothing. If a variant of a peer fails, as PyTorch's compilers may, it is left out as long as
// another variant of that peer is ready. prepare returns the contenders that are ready, and the
// messages of those left out.
func prepare(contenders []*contender, tolerance float64,
	log io.Writer) (ready []*contender, leftOut map[string]string, err error) {
	leftOut = map[string]string{}
	failed := map[string]error{} // By worker.
	for _, c := range contenders {
		answer, err := c.worker.Do(c.request)
		switch {
		case err != nil && c.ours:
			return nil, nil, err
		case err != nil:
			leftOut[c.label()], failed[c.worker.Name()] = err.Error(), err
			fmt.Fprintf(log, "  %-34s LEFT OUT: %v\n", c.label(), err)
		default:
			c.prepared = answer
			ready = append(ready, c)
			fmt.Fprintf(log, "  %-34s ready in %6.1f s, value %.7g\n", c.label(), answer.FirstMS/1e3, answer.Values["value"])
		}
	}
	for name, err := range failed {
		if !slices.ContainsFunc(ready, func(c *contender) bool { return c.worker.Name() == name && !c.ours }) {
			return nil, nil, err
		}
	}
	return ready, leftOut, checkEqual(ready, tolerance)
}

func (c *contender) label() string {
	if c.ours {
		return c.worker.Name()
	}
	return c.name
}

// checkEqual returns an error unless the values of all contenders are finite and equal to a
// relative tolerance.
func checkEqual(contenders []*contender, tolerance float64) error {
	first := contenders[0]
	for _, c := range contenders {
		if len(c.prepared.Values) == 0 || len(c.prepared.Values) != len(first.prepared.Values) {
			return fmt.Errorf("%s gave %d values, %s %d", first.label(), len(first.prepared.Values), c.label(),
				len(c.prepared.Values))
		}
		for key, want := range first.prepared.Values {
			got, ok := c.prepared.Values[key]
			if !ok || !(math.Abs(got-want) <= tolerance*max(math.Abs(got), math.Abs(want))) || math.IsInf(got, 0) {
				return fmt.Errorf("%s of %s is %.8g, of %s %.8g: more than %g apart, nothing was timed",
					key, first.label(), want, c.label(), got, tolerance)
			}
		}
	}
	return nil
}

// timeInTurns lets the contenders take turns, and reverses their order every other round, so that
// other load on the machine affects all alike.
func timeInTurns(contenders []*contender, p pacing) error {
	reps := make([]int, len(contenders))
	for i := range reps {
		reps[i] = 1
	}
	start := time.Now()
	atLeast, atMost := p.share(minRounds), p.share(maxRounds)
	rounds := max(p.share(p.Rounds), atLeast)
	for round := 0; round < rounds; round++ {
		for i := range contenders {
			if round%2 == 1 {
				i = len(contenders) - 1 - i
			}
			if c := contenders[i]; !c.retired {
				if err := c.turn(reps[i], round == 0); err != nil {
					return err
				}
				reps[i] = min(max(int(p.Turn.Seconds()*1e3/c.median()), 1), maxReps)
				time.Sleep(p.Rest)
			}
		}
		retire(contenders, round+1)
		if p.Rounds == 0 {
			perRound := time.Since(start) / time.Duration(round+1)
			budget := p.Budget / time.Duration(p.processes())
			rounds = min(max(int(budget/max(perRound, 1)), atLeast), atMost)
		} else {
			rounds = p.share(p.Rounds)
		}
	}
	return nil
}

// turn times one contender. The contender before it left the caches and the clock rate in another
// state, so one untimed repetition comes first where it is cheap, and always in the first round,
// where it ends the warm-up.
func (c *contender) turn(reps int, first bool) error {
	warmup := 1
	if !first && reps == 1 {
		warmup = 0
	}
	answer, err := c.worker.Do(proto.Request{Op: proto.OpTime, ID: c.request.ID, Reps: reps, Warmup: warmup})
	if err != nil {
		return err
	}
	if len(answer.TimesMS) != reps || answer.Last == nil {
		return fmt.Errorf("worker %s gave %d times, want %d and the last value", c.label(), len(answer.TimesMS), reps)
	}
	if math.IsNaN(*answer.Last) || math.IsInf(*answer.Last, 0) {
		return fmt.Errorf("%s diverged: its last value is %g", c.label(), *answer.Last)
	}
	c.times = append(c.times, answer.TimesMS...)
	c.cpu = append(c.cpu, answer.CPUMS...)
	return nil
}

// retire takes slow variants of peers out of the remaining rounds. All variants of our own workers
// stay: each of those that are peers shows something else.
func retire(contenders []*contender, rounds int) {
	best, ours, bestPeer := map[string]float64{}, map[string]bool{}, math.Inf(1)
	for _, c := range contenders {
		name := c.worker.Name()
		ours[name] = ours[name] || c.ours
		if b, ok := best[name]; !ok || c.median() < b {
			best[name] = c.median()
		}
		if !c.ours {
			bestPeer = min(bestPeer, c.median())
		}
	}
	for _, c := range contenders {
		name := c.worker.Name()
		slow := rounds >= retireAfter && c.median() > retireRatio*best[name] ||
			rounds >= retirePeerAfter && c.median() > retireRatio*bestPeer
		if slow && !ours[name] {
			c.retired = true
		}
	}
}

// median returns the median of the values, the mean of the middle two for an even count, and NaN
// for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
