package nb

import (
	"context"
	"fmt"
	"html"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/dom"
	"github.com/janpfeifer/gonb/gonbui/widgets"
)

// sliderPatience is how long a slider waits for another move before it lets the kernel go: a cell
// that waits keeps all others waiting.
const sliderPatience = 10 * time.Minute

// widgetPatience is how long a widget may take to say its first word.
var widgetPatience = 10 * time.Second

// Slider shows the figure of a value, and a slider that changes it, until its button is clicked or
// the cell interrupted. Headless it shows the figure of the first value alone.
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
	gonbui.DisplayHTML(fmt.Sprintf(`<div><b>%s</b> %d <span id="%s"></span> %d <span id="%s-done"></span></div>`,
		html.EscapeString(label), low, box, high, box))
	show(value)
	slider := connected(ctx, box,
		func() *widgets.SliderBuilder { return widgets.Slider(low, high, value).AppendTo(box).Done() })
	button := connected(ctx, box+"-done",
		func() *widgets.ButtonBuilder { return widgets.Button("Done").AppendTo(box + "-done").Done() })
	if slider == nil || button == nil {
		return
	}
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

// connected returns what build gives, a widget in the element place. Such a widget waits for its
// script's first word, and the browser now and then, when it is busy, does not run the script: then
// the widget is made anew. It returns nil when the cell is interrupted.
func connected[T any](ctx context.Context, place string, build func() *T) *T {
	for {
		ready := channelOf(build)
		select {
		case widget := <-ready:
			return widget
		case <-ctx.Done():
			return nil
		case <-time.After(widgetPatience):
			dom.SetInnerHtml(place, "")
		}
	}
}

// channelOf returns a channel that gives the function's result.
func channelOf[T any](fn func() T) <-chan T {
	result := make(chan T, 1)
	go func() { result <- fn() }()
	return result
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
