package gcml_test

import (
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/gcml"
)

// FuzzParseEstimator checks that a text is refused in one line, or gives an estimator whose String
// parses to the same estimator.
func FuzzParseEstimator(f *testing.F) {
	for _, text := range []string{
		"exact", "projection", "projection:3", " rademacher:2 ", "gaussian:1", "noise", "noise:0.1:4", "noise:1e-3",
		"exact:1", "projection:0", "projection:-1", "noise:nan", "noise:inf:2", "noise:0", "noise:1e400", "gauss", ":", "",
		"projection:99999999999999999999", "projection:1:2", "projection:+3", "noise:0x1p-2:1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := gcml.ParseEstimator(text)
		if err != nil {
			if message := err.Error(); message == "" || strings.Contains(message, "\n") {
				t.Errorf("want an error of one line, got %q", message)
			}
			return
		}
		again, err := gcml.ParseEstimator(e.String())
		if err != nil || again != e || again.String() != e.String() {
			t.Errorf("%q gives %q, which gives %q (%v)", text, e, again, err)
		}
		if strings.Contains(strings.ToLower(e.String()), "inf") {
			t.Errorf("%q was taken for %q", text, e)
		}
	})
}
