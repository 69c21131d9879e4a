package gcml_test

import (
	stderrors "errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"pgregory.net/rapid"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gctest/programs"
)

// knownCases are programs that were once measured wrongly, or represent a kind of fault.
var knownCases = []struct {
	fault    string
	programs []string
	refused  bool // In one line; otherwise the value has to be right.
}{
	{fault: "one of several outputs beside a fused form", programs: []string{
		"float64 3x4: qkv_first", "float64 2x3x4: attention_qkv 2 2", "float64 2x3: qkv_product",
	}},
	{fault: "a maximum of values that XLA computes again with another rounding", programs: []string{
		"float32 8x4x6: layer_norm 1; reduce_max 1", "float32 8x6: softmax 1; reduce_max 1",
		"float32 4x5x4x2: layer_norm 1; max_pool 2 2 0",
	}},
	{fault: "examples that are mixed", programs: []string{
		"float64 4x3: mixup", "float64 4x3: ghost_centre", "float64 3x4: less_first", "float64 3x3: batch_cum_sum",
		"float64 3x2x3: between_examples", "float64 3x4: batch_deviation; tanh",
	}},
	{fault: "a batch of one", programs: []string{
		"float64 1x3x4: merged_dense 4; tokens_and_mean", "float64 1x4x4x2: patches 2 3; tanh",
		"float64 1x3: feature_dense 2",
	}},
	{fault: "a batch as large as another axis", programs: []string{
		"float64 3x3x3: tokens_and_mean; layer_norm 1", "float64 4x4: batch_last; dense 4",
	}},
	{fault: "an activation that is not elementwise", programs: []string{"float64 3x4: swiglu"}},
	{fault: "a gradient that the Go backend writes over another", programs: []string{"float64 2x18: swiglu; tanh"}},
	{fault: "gathers and sums by index of another form", programs: []string{
		"float64 2x1x5: interpolate_nearest 4; dense 2", "float64 3x4x6: dense 2; gather_slices 2",
	}},
	{fault: "values that reach the output through a function of the graph alone", refused: true, programs: []string{
		"float64 3x4: if", "float64 3x4: while",
	}},
}

func TestKnownPrograms(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range knownCases {
			for _, text := range c.programs {
				t.Run(text, func(t *testing.T) {
					onGo := b == gctest.GoBackend(t) // Compiling is what takes the time on XLA.
					made := trial{program: programs.MustParse(text), seed: 2, gradient: onGo, measure: onGo}
					err := made.run(t, b)
					if isA[unusable](err) && c.refused {
						t.Skip(err) // The backend cannot run it at all.
					}
					if c.refused != isA[refusal](err) || !c.refused && err != nil {
						t.Errorf("%s: %v", c.fault, err)
					}
				})
			}
		}
	})
}

// modes returns the modes that matter to a program: training and evaluation, or only evaluation.
func modes(p programs.Program) []bool {
	if p.Has(func(k *programs.Kind) bool { return k.MixesInTraining }) {
		return []bool{false, true}
	}
	return []bool{false}
}

// TestRandomPrograms compares every estimator on random models with the per-example oracle, and the
// penalty's gradient with differences of the value. It runs every model on the Go backend, and one
// in three on XLA too, where compiling takes long. RAPID_CHECKS sets the number of models,
// GCML_SEED the first one: 1 by default, "random" for a new one each time. GCML_PROGRAM runs only
// the program of that text.
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

// seedOf returns the seed in GCML_SEED: 1 by default, a new one each time for "random".
func seedOf(t *testing.T) int {
	t.Helper()
	switch text := os.Getenv("GCML_SEED"); text {
	case "":
		return 1
	case "random":
		return os.Getpid()*1_000_003 + len(os.Args)
	default:
		seed, err := strconv.Atoi(text)
		if err != nil || seed < 1 {
			t.Fatalf("GCML_SEED=%s: want a whole number of 1 or more, or random", text)
		}
		return seed
	}
}

// seedRapid sets rapid's seed to that of GCML_SEED, and logs it.
func seedRapid(t *testing.T) {
	t.Helper()
	seed := strconv.Itoa(seedOf(t))
	for name, value := range map[string]string{"rapid.seed": seed, "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil { // No failure files: the program's text is enough.
			t.Fatal(err)
		}
	}
	t.Logf("GCML_SEED=%s", seed)
}

// trial says how one program is tested.
type trial struct {
	program           programs.Program
	training          bool
	seed              uint64
	gradient, measure bool
}

// run returns nil if everything agrees, a refusal or an unusable error if nothing can be compared,
// or an error that says what is wrong.
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
			if err = s.checkGradient(b, int(c.seed)); isA[untested](err) {
				return nil
			}
		}
		return err
	}
	for _, e := range exact {
		if err := s.check(b, e); err != nil {
			return err // Refused by one, refused by all.
		}
	}
	for _, e := range randomEstimates() {
		lowered := s.program.Has(func(k *programs.Kind) bool { return k.LowersPrecision })
		if e.name == "noise" && lowered {
			continue // Rounding is larger than the noise.
		}
		if err := s.check(b, e); wrong(err) {
			return err
		}
	}
	if c.gradient {
		if err := s.checkGradient(b, int(c.seed)); err != nil && !isA[untested](err) {
			return err
		}
	}
	if c.measure {
		return s.checkMeasure(b, int(c.seed))
	}
	return nil
}

// isA returns whether err is, or wraps, an error of type E.
func isA[E error](err error) bool {
	_, ok := stderrors.AsType[E](err)
	return ok
}

// wrong returns whether an error is neither a refusal nor unusable.
func wrong(err error) bool {
	return err != nil && !isA[refusal](err) && !isA[unusable](err) && !isA[untested](err)
}

// TestChecksSeeErrors checks that errors of a hundredth are found, in values and in gradients.
func TestChecksSeeErrors(t *testing.T) {
	b := gctest.GoBackend(t)
	s, err := newSubject(t, programs.MustParse("float64 3x4: dense 3; tanh"), false, 1)
	if err != nil {
		t.Fatal(err)
	}
	larger := norms("larger")
	larger.build = func(outputs, inputs *Node) *Node { return MulScalar(gcml.SquaredJacobianNorm(outputs, inputs), 1.01) }
	if err := s.check(b, larger); !wrong(err) {
		t.Errorf("a value of 1.01 times the right one: %v", err)
	}
	stops, err := newSubject(t, programs.MustParse("float64 3x4: dense 3; stop_gradient"), false, 1)
	if err != nil {
		t.Fatal(err)
	}
	along, _, err := stops.gradientAlong(b, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if difference, err := stops.differenceAlong(1, 1e-4); err != nil || math.Abs(along-difference) < 0.01*math.Abs(along) {
		t.Errorf("where the gradient is stopped it is %g, differences have %g (%v)", along, difference, err)
	}
}

// tally counts the outcomes of the models.
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
