package nb

import (
	"fmt"
	"html"
	"strings"

	"github.com/janpfeifer/gonb/gonbui"
)

// sliderPositions limits the positions of a slider, because each holds a picture.
const sliderPositions = 25

// Slider shows the figures of the values from low to high, one at a time, and a slider that chooses
// it. It draws all of them first, or an even choice of a long range, so that the slider needs no
// kernel and other cells can run. Without a browser it shows the figure of one value only.
func Slider(label string, low, high, value int, draw func(value int) (Figure, error)) {
	if !Interactive() {
		f, err := draw(value)
		Check(err)
		Show(f)
		fmt.Printf("%s: %d; the slider appears when this cell runs in JupyterLab\n", label, value)
		return
	}
	values := spread(low, high, sliderPositions)
	pictures := make([]string, len(values))
	start := 0
	waiting := "slider-" + gonbui.UniqueId()
	for i, v := range values {
		showHTML(waiting, `<progress max="%d" value="%d"></progress> drawing`, len(values), i)
		f, err := draw(v)
		Check(err)
		pictures[i], err = picture(f)
		Check(err)
		if v <= value {
			start = i
		}
	}
	gonbui.UpdateHTML(waiting, sliderHTML(label, values, start, pictures))
	gonbui.Sync()
}

// spread returns the whole numbers from low to high, or an even choice of at most n of them with
// both ends.
func spread(low, high, n int) []int {
	count := min(high-low+1, n)
	values := make([]int, count)
	for i := range values {
		values[i] = low
		if count > 1 {
			values[i] += i * (high - low) / (count - 1)
		}
	}
	return values
}

// sliderHTML is a slider as wide as the cell with its value beside the label, and below it the
// pictures, all but one of them hidden.
func sliderHTML(label string, values []int, start int, pictures []string) string {
	var b strings.Builder
	name := html.EscapeString(label)
	fmt.Fprintf(&b, `<div><label><b>%s</b> <output>%d</output><br>`, name, values[start])
	fmt.Fprintf(&b, `<input type="range" style="width: 100%%; box-sizing: border-box; margin: 0.5em 0" `+
		`min="0" max="%d" value="%d" aria-label="%s" oninput="`+
		`const all = this.closest('div'); `+
		`all.querySelectorAll('[data-value]').forEach((one, i) => { one.hidden = i != this.value; `+
		`if (!one.hidden) all.querySelector('output').value = one.dataset.value; })"></label>`, len(values)-1, start, name)
	for i, p := range pictures {
		hidden := " hidden"
		if i == start {
			hidden = ""
		}
		fmt.Fprintf(&b, `<div data-value="%d"%s>%s</div>`, values[i], hidden, p)
	}
	b.WriteString("</div>")
	return b.String()
}
