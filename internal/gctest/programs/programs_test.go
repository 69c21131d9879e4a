package programs_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gctest/programs"
)

// TestTextForm checks that parsing the text form of a random program returns the program.
func TestTextForm(t *testing.T) {
	everything := func(*programs.Kind) bool { return true }
	generator := programs.Generator(gctest.GoBackend(t), everything)
	rapid.Check(t, func(t *rapid.T) {
		p := generator.Draw(t, "program")
		if got := programs.MustParse(p.String()).String(); got != p.String() {
			t.Errorf("got %q, want %q", got, p)
		}
	})
	for _, text := range []string{
		"", "float64 2x3", "int32 2x3: tanh", "float64 2x0: tanh", "float64 2x3: tanh;", "float64 2x3: nothing",
		"float64 2x3: tanh 1", "float64 2x3: dense x",
	} {
		if p, err := programs.Parse(text); err == nil {
			t.Errorf("%q was read as %q", text, p)
		}
	}
}

// TestOracle compares the oracle with Jacobians known in closed form.
func TestOracle(t *testing.T) {
	for _, c := range []struct {
		program string
		want    func(x float64) float64 // The derivative of an output by the input at its position; the others are 0.
	}{
		{"float64 3x2: square", func(x float64) float64 { return 2 * x }},
		{"float64 3x2: square; neg", func(x float64) float64 { return -2 * x }},
		{"float32 2x2: mixup", func(float64) float64 { return 0.7 }},      // The other example is held fixed.
		{"float64 2x2: ghost_centre", func(float64) float64 { return 1 }}, // The mean is held fixed.
	} {
		t.Run(c.program, func(t *testing.T) {
			p := programs.MustParse(c.program)
			o, err := programs.NewOracle(gctest.GoBackend(t), p, false)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Finalize()
			x := p.Inputs(3)
			j, err := o.Jacobian(x)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float64, len(j.Values))
			for b := range j.Batch {
				for i := range j.Inputs {
					want[(b*j.Outputs+i)*j.Inputs+i] = c.want(x[b*j.Inputs+i])
				}
			}
			gctest.AssertClose(t, j.Values, want, 1e-9, 1e-9, "Jacobian")
		})
	}
	t.Run("a kink is seen", func(t *testing.T) {
		p := programs.MustParse("float64 1x2: relu")
		o, err := programs.NewOracle(gctest.GoBackend(t), p, false)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Finalize()
		for _, at := range []struct {
			x    []float64
			want bool
		}{{[]float64{1, -1}, false}, {[]float64{1, 0}, true}, {[]float64{1, 5e-6}, true}} {
			j, err := o.Jacobian(at.x)
			if err != nil {
				t.Fatal(err)
			}
			if j.Kinked[0] != at.want {
				t.Errorf("at %v: kinked is %t", at.x, j.Kinked[0])
			}
		}
	})
}
