package nb

import (
	"slices"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		low, high, n int
		want         []int
	}{{0, 3, 25, []int{0, 1, 2, 3}}, {2, 2, 25, []int{2}}, {0, 10, 3, []int{0, 5, 10}}, {1, 4, 2, []int{1, 4}}} {
		if got := spread(c.low, c.high, c.n); !slices.Equal(got, c.want) {
			t.Errorf("spread(%d, %d, %d) = %v, want %v", c.low, c.high, c.n, got, c.want)
		}
	}
}

// The value is shown, one picture is visible, and the browser moves the slider by itself.
func TestSliderHTML(t *testing.T) {
	got := sliderHTML("step <k>", []int{0, 10, 20}, 1, []string{"A", "B", "C"})
	for _, want := range []string{`<b>step &lt;k&gt;</b> <output>10</output>`, `max="2" value="1"`, "width: 100%",
		`<div data-value="0" hidden>A</div>`, `<div data-value="10">B</div>`, `<div data-value="20" hidden>C</div>`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "<script") {
		t.Error("it has a script")
	}
}
