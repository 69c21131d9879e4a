package nb

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
	"golang.org/x/image/draw"

	"github.com/geometric-complexity/toolkit/internal/plots"
)

// Figure is a figure to show. Experiments and this package make them; a cell hands them on.
type Figure = plots.Figure

// canvas is a place in the cell's output that shows one figure after another.
type canvas struct{ id string }

func newCanvas() canvas { return canvas{"figure-" + gonbui.UniqueId()} }

// show draws the figure in place of the one before.
func (c canvas) show(f Figure) error {
	png, err := toPNG(f)
	if err != nil || !gonbui.IsNotebook {
		return err
	}
	gonbui.SendData(&protocol.DisplayData{Data: map[protocol.MIMEType]any{protocol.MIMEImagePNG: png}, DisplayID: c.id})
	return nil
}

// toPNG draws a figure.
func toPNG(f Figure) ([]byte, error) {
	dir, err := os.MkdirTemp("", "gcml-figure-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	paths, err := f.Save(filepath.Join(dir, "figure"))
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		return nil, err
	}
	return compact(data)
}

// wide is the width in pixels from which on a notebook shows a figure smaller than it is.
const wide = 1000

// shrink makes the lettering of a narrow figure, which a notebook shows pixel by pixel, as large as
// that of a wide one.
func shrink(img image.Image) image.Image {
	size := img.Bounds().Size().Mul(3).Div(4)
	out := image.NewRGBA(image.Rectangle{Max: size})
	draw.CatmullRom.Scale(out, out.Bounds(), img, img.Bounds(), draw.Src, nil)
	return out
}

// compact rewrites a PNG, made smaller if it is narrow, with at most 256 colours, so few that the
// eye cannot tell it in a line drawing: half the size or less, and notebooks stay small.
func compact(data []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if img.Bounds().Dx() < wide {
		img = shrink(img)
	}
	bounds := img.Bounds()
	counts := make(map[color.Color]int)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[img.At(x, y)]++
		}
	}
	palette, nearest := fewColours(counts)
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[img.At(x, y)])
		}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&b, out)
	return b.Bytes(), err
}

// fewColours picks a palette from the colours of an image, the most frequent first and none that is
// close to one before, and gives each colour its entry.
func fewColours(counts map[color.Color]int) (palette color.Palette, nearest map[color.Color]uint8) {
	const close = 0x0600 // of 0xffff, in each channel
	apart := func(a, b uint32) bool { return a > b+close || b > a+close }
	nearest = make(map[color.Color]uint8, len(counts))
	colours := slices.SortedFunc(maps.Keys(counts),
		func(a, b color.Color) int { return cmp.Compare(counts[b], counts[a]) })
	for _, c := range colours {
		i := palette.Index(c)
		if len(palette) < 256 {
			r, g, b, _ := c.RGBA()
			if len(palette) == 0 {
				palette = append(palette, c)
			} else if r2, g2, b2, _ := palette[i].RGBA(); apart(r, r2) || apart(g, g2) || apart(b, b2) {
				i, palette = len(palette), append(palette, c)
			}
		}
		nearest[c] = uint8(i)
	}
	return palette, nearest
}
