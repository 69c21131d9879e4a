package gcml_test

import (
	stderrors "errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"pgregory.net/rapid"

	"example.com/geometric-complexity/internal/gctest"
	"example.com/geometric-complexity/internal/gctest/programs"
)

// knownCases are programs that were measured wrongly once, or that stand for a kind of fault.
var knownCases = []string{
	"float64 3x4: dense 3; tanh",
}

func TestKnownPrograms(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, text := range knownCases {
			t.Run(text, func(t *testing.T) {
				p := programs.MustParse(text)
				for _, training := range modes(p) {
					if err := (trial{program: p, training: training, seed: 1, gradient: true, measure: true}).run(t, b); err != nil {
						t.Errorf("training %t: %v", training, err)
					}
				}
			})
		}
	})
}

// modes are the modes that matter to a program: training and evaluation, or evaluation alone.
func modes(p programs.Program) []bool {
	if p.Has(func(k *programs.Kind) bool { return k.Trains }) {
		return []bool{false, true}
	}
	return []bool{false}
}

// TestRandomPrograms compares every estimator, on models that are drawn at random, with the per-example oracle,
// and the penalty's gradient with differences of the value. Every model is run on the Go backend, one in three
// on XLA as well, where compiling takes the time. RAPID_CHECKS says how many models there are, GCML_SEED where to
// start: 1 by default, "random" for another each time. GCML_PROGRAM runs the program of that text alone.
func TestRandomPrograms(t *testing.T) {
	if text := os.Getenv("GCML_PROGRAM"); text != "" {
		p := programs.MustParse(text)
		for _, training := range modes(p) {
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				err := trial{program: p, training: training, seed: 1, gradient: true, measure: true}.run(t, b)
				t.Logf("%s, training %t: %v", text, training, err)
				if wrong(err) {
					t.Fail()
				}
			})
		}
		return
	}
	seedRapid(t)
	xla := gctest.XLABackend(t)
	generator := programs.Generator(gctest.GoBackend(t), func(*programs.Kind) bool { return true })
	var counts tally
	defer func() { t.Log(counts.String()) }()
	rapid.Check(t, func(rt *rapid.T) {
		c := trial{
			program:  generator.Draw(rt, "program"),
			training: rapid.Bool().Draw(rt, "training"),
			seed:     rapid.Uint64Range(1, 1000).Draw(rt, "seed"),
			gradient: rapid.Bool().Draw(rt, "gradient"),
			measure:  rapid.Bool().Draw(rt, "measure"),
		}
		if pending(c) {
			return
		}
		backends := []compute.Backend{gctest.GoBackend(t)}
		if xla != nil && rapid.IntRange(0, 2).Draw(rt, "xla") == 2 {
			backends = append(backends, xla)
		}
		for _, b := range backends {
			err := c.run(t, b)
			counts.add(err)
			if wrong(err) {
				rt.Fatalf("%s\ntraining %t, inputs of seed %d, gradient %t, measure %t, on %s:\n%v",
					c.program, c.training, c.seed, c.gradient, c.measure, b.Name(), err)
			}
		}
	})
	if counts.agree < 2*counts.refused || counts.agree < 2*counts.unusable {
		t.Errorf("too few models were compared: %s", &counts)
	}
}

// seedRapid sets the seed that GCML_SEED asks for, and says it.
func seedRapid(t *testing.T) {
	t.Helper()
	set := func(name, value string) {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	switch seed := os.Getenv("GCML_SEED"); seed {
	case "":
		set("rapid.seed", "1")
	case "random":
		set("rapid.seed", strconv.FormatInt(int64(os.Getpid())*1_000_003+int64(len(os.Args)), 10))
	default:
		set("rapid.seed", seed)
	}
	set("rapid.nofailfile", "true") // The text of the program is enough.
	t.Logf("GCML_SEED=%s", flag.Lookup("rapid.seed").Value)
}

// trial is what is done with one program.
type trial struct {
	program           programs.Program
	training          bool
	seed              uint64
	gradient, measure bool
}

// run returns nil if everything agrees, a refusal or unusable if there is nothing to compare, or what is wrong.
func (c trial) run(t testing.TB, b compute.Backend) error {
	s, err := newSubject(t, c.program, c.training, c.seed)
	if err != nil {
		return err
	}
	onGo := b == gctest.GoBackend(t)
	exact := exactEstimates(s.jacobian.Outputs)
	if !onGo {
		err := s.check(b, exact[1], exact[2+int(c.seed)%4])
		if err == nil && c.gradient {
			err = s.checkGradient(b, int(c.seed))
		}
		return err
	}
	for _, e := range exact {
		if err := s.check(b, e); err != nil {
			return err // Refused by one, refused by all.
		}
	}
	for _, e := range randomEstimates() {
		lowered := s.program.Has(func(k *programs.Kind) bool { return k.Lowers })
		if e.name == "noise" && lowered {
			continue // Rounding is larger than the noise.
		}
		if err := s.check(b, e); wrong(err) {
			return err
		}
	}
	if c.gradient {
		if err := s.checkGradient(b, int(c.seed)); err != nil {
			return err
		}
	}
	if c.measure {
		return s.checkMeasure(b, int(c.seed))
	}
	return nil
}

// pending tells whether a program is one of those that docs/batch-norm.md excepts: in a batch of one, some mixtures look
// like what mixes nothing.
func pending(c trial) bool {
	return c.program.Shape[0] == 1 && c.program.Has(func(k *programs.Kind) bool { return k.Mixes })
}

// wrong tells whether an error is neither a refusal nor a model that cannot be compared.
func wrong(err error) bool {
	_, refused := stderrors.AsType[refusal](err)
	_, useless := stderrors.AsType[unusable](err)
	return err != nil && !refused && !useless
}

// tally counts what became of the models.
type tally struct {
	mu                       sync.Mutex
	agree, refused, unusable int
	reasons                  map[string]int
}

func (c *tally) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reasons == nil {
		c.reasons = make(map[string]int)
	}
	switch err.(type) {
	case nil:
		c.agree++
	case refusal:
		c.refused++
		c.reasons[err.Error()]++
	case unusable:
		c.unusable++
		c.reasons[err.Error()]++
	}
}

func (c *tally) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d agree, %d are refused, %d cannot be compared", c.agree, c.refused, c.unusable)
	for reason, n := range c.reasons {
		fmt.Fprintf(&text, "\n%4d %s", n, reason)
	}
	return text.String()
}
