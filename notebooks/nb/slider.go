package nb

import (
	"fmt"
	"html"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/dom"
	"github.com/janpfeifer/gonb/gonbui/widgets"
)

// sliderPatience is how long a slider waits for another move before it lets the
// kernel go: a cell that waits keeps all others waiting.
const sliderPatience = 10 * time.Minute

// Slider shows the figure of a value, and a slider that changes it, until its
// button is clicked or the cell interrupted. Headless it shows the figure of
// the first value alone.
func Slider(label string, low, high, value int, draw func(value int) (Figure, error)) {
	place := newCanvas()
	show := func(value int) {
		figure, err := draw(value)
		Check(err)
		Check(place.show(figure))
	}
	if !Interactive() {
		show(value)
		fmt.Printf("%s: %d; the slider appears where this cell runs in JupyterLab\n", label, value)
		return
	}
	ctx := Context()
	box := "gcml-" + gonbui.UniqueId()
	gonbui.DisplayHTML(fmt.Sprintf(`<div id="%s"><b>%s</b> %d </div>`, box, html.EscapeString(label), low))
	show(value)
	slider := widgets.Slider(low, high, value).AppendTo(box).Done()
	dom.Append(box, fmt.Sprintf(" %d ", high))
	button := widgets.Button("Done").AppendTo(box).Done()
	moves, clicks := slider.Listen(), button.Listen()
	for {
		select {
		case value = <-moves.C:
			value = latest(moves.C, value)
			show(value)
		case <-clicks.C:
			return
		case <-ctx.Done():
			return
		case <-time.After(sliderPatience):
			fmt.Println("no move for a while: run the cell again to have the slider back")
			return
		}
	}
}

// latest skips the positions that a slider in motion has left already.
func latest(moves <-chan int, value int) int {
	for {
		select {
		case value = <-moves:
		default:
			return value
		}
	}
}
