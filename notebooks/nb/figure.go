package nb

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"slices"

	"github.com/janpfeifer/gonb/gonbui"
	"golang.org/x/image/draw"

	"github.com/geometric-complexity/toolkit/internal/plots"
)

// Figure is a figure to show. Experiments and this package make them, and cells pass them to
// functions of this package.
type Figure = plots.Figure

// Show shows a figure below the cell.
func Show(f Figure) {
	Check(newFigureSlot().show(f))
	gonbui.Sync()
}

// figureSlot is a part of the cell's output whose figure can be replaced.
type figureSlot struct{ id string }

func newFigureSlot() figureSlot { return figureSlot{"figure-" + gonbui.UniqueId()} }

// show replaces the shown figure.
func (s figureSlot) show(f Figure) error {
	picture, err := picture(f)
	if err == nil && gonbui.IsNotebook {
		gonbui.UpdateHTML(s.id, picture)
	}
	return err
}

// picture draws a figure as HTML.
func picture(f Figure) (string, error) {
	data, err := f.PNG()
	if err != nil {
		return "", err
	}
	return pictureOf(data, f.InWords())
}

// pictureOf returns HTML with the PNG of a figure and its description as alternative text.
// JupyterLab has no other way to give a picture an alternative text.
func pictureOf(data []byte, words string) (string, error) {
	data, err := compact(data)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`<img alt="%s" src="data:image/png;base64,%s">`, html.EscapeString(words),
		base64.StdEncoding.EncodeToString(data)), nil
}

// wide: figures of this width in pixels and more are shown smaller in a notebook.
const wide = 1000

// shrink makes the lettering of a narrow figure, which a notebook shows pixel by pixel, as large as
// that of a wide one.
func shrink(img image.Image) image.Image {
	size := img.Bounds().Size().Mul(3).Div(4)
	out := image.NewRGBA(image.Rectangle{Max: size})
	draw.CatmullRom.Scale(out, out.Bounds(), img, img.Bounds(), draw.Src, nil)
	return out
}

// compact rewrites the PNG of a figure for a notebook: smaller if it is narrow, readable on light
// and on dark pages, and with at most 256 colours, a difference that nobody sees in a line drawing.
// This at least halves the size of the file.
func compact(data []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if img.Bounds().Dx() < wide {
		img = shrink(img)
	}
	bounds := img.Bounds()
	adapted := make(map[color.Color]color.NRGBA)
	counts := make(map[color.NRGBA]int)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			at := img.At(x, y)
			if _, known := adapted[at]; !known {
				adapted[at] = forAnyPage(at)
			}
			counts[adapted[at]]++
		}
	}
	palette, entries := paletteFor(counts)
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, entries[adapted[img.At(x, y)]])
		}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&b, out)
	return b.Bytes(), err
}

// darkest is the smallest relative luminance (WCAG) of a figure's colours. Its contrast is above 4
// to white, and to the black of JupyterLab's dark theme.
const darkest = 0.18

// The difference between the largest and the smallest channel decides the opacity of a colour. Up
// to pale it belongs to a band, a grid or a smooth edge, and is translucent. From solid on it
// belongs to a line, and is opaque.
const pale, solid = 0.22, 0.32

// forAnyPage returns the colour of a figure drawn on white for pages of any background: white
// becomes transparent, pale colours partly so, and dark colours lighter.
func forAnyPage(c color.Color) color.NRGBA {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	channels := [3]float64{float64(n.R) / 255, float64(n.G) / 255, float64(n.B) / 255}
	least, most := min(channels[0], channels[1], channels[2]), max(channels[0], channels[1], channels[2])
	alpha := min(1, max(1-least, (most-least-pale)/(solid-pale)))
	if alpha == 0 {
		return color.NRGBA{}
	}
	luminance := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		// The colour that gives c when it covers white with this alpha, in linear light.
		channels[i] = math.Pow(max(0, (channels[i]-(1-alpha))/alpha), 2.2) // Rounding may bring it below 0.
		luminance += weight * channels[i]
	}
	if luminance < darkest {
		white := (darkest - luminance) / (1 - luminance)
		for i := range channels {
			channels[i] += white * (1 - channels[i])
		}
	}
	to8 := func(v float64) uint8 { return uint8(math.Round(255 * v)) }
	gamma := func(v float64) uint8 { return to8(math.Pow(v, 1/2.2)) }
	return color.NRGBA{R: gamma(channels[0]), G: gamma(channels[1]), B: gamma(channels[2]), A: to8(alpha)}
}

// paletteFor picks a palette for the colours of an image, given with their numbers of pixels, and
// gives each colour its entry. The most frequent colours come first, and none is close to one
// before it.
func paletteFor(counts map[color.NRGBA]int) (palette color.Palette, entries map[color.NRGBA]uint8) {
	const close = 6 // of 255, in each channel
	apart := func(a, b uint8) bool { return int(a) > int(b)+close || int(b) > int(a)+close }
	differ := func(a, b color.NRGBA) bool {
		return apart(a.R, b.R) || apart(a.G, b.G) || apart(a.B, b.B) || apart(a.A, b.A)
	}
	entries = make(map[color.NRGBA]uint8, len(counts))
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.NRGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]),
			bytes.Compare([]byte{a.R, a.G, a.B, a.A}, []byte{b.R, b.G, b.B, b.A}))
	})
	for _, c := range frequent {
		i := palette.Index(c)
		if len(palette) < 256 && (i < 0 || len(palette) == 0 || differ(c, palette[i].(color.NRGBA))) {
			i, palette = len(palette), append(palette, c)
		}
		entries[c] = uint8(i)
	}
	return palette, entries
}
