package nb

import (
	"bytes"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/plots"
)

func lines(panels int) Figure {
	panel := plots.Panel{XLabel: "x", YLabel: "y <unit>", Series: []plots.Series{
		{Name: "a", X: []float64{0, 1, 2}, Y: []float64{0, 1, 0}, Lo: []float64{-1, 0, -1}, Hi: []float64{1, 2, 1}},
		{Name: "b", X: []float64{0, 1, 2}, Y: []float64{1, 0, 1}}}}
	f := Figure{Title: "t"}
	for range panels {
		f.Panels = append(f.Panels, panel)
	}
	return f
}

// luminance is WCAG's relative luminance of an opaque colour, with its exact transfer function.
func luminance(c color.NRGBA) float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// over is the colour that c gives on a page of one grey.
func over(c color.NRGBA, page uint8) color.NRGBA {
	mix := func(v uint8) uint8 {
		a := float64(c.A) / 255
		return uint8(math.Round(a*float64(v) + (1-a)*float64(page)))
	}
	return color.NRGBA{mix(c.R), mix(c.G), mix(c.B), 255}
}

// A colour drawn on white reads on the light and the dark page of JupyterLab.
func TestForAnyPage(t *testing.T) {
	if c := forAnyPage(color.White); c.A != 0 {
		t.Errorf("white became %v, want nothing", c)
	}
	contrast := func(c color.NRGBA, page uint8) float64 {
		a, b := luminance(over(c, page)), luminance(color.NRGBA{page, page, page, 255})
		return (max(a, b) + 0.05) / (min(a, b) + 0.05)
	}
	for _, c := range []color.NRGBA{{A: 255}, {0x44, 0x01, 0x54, 255}, {0, 0x72, 0xB2, 255}, {0xD5, 0x5E, 0, 255},
		{0xCC, 0x79, 0xA7, 255}} {
		got := forAnyPage(c)
		if light, dark := contrast(got, 255), contrast(got, 0x11); light < 3 || dark < 3 {
			t.Errorf("%v became %v, of contrast %.1f to a light page and %.1f to a dark one", c, got, light, dark)
		}
	}
	// A colour that is not dark looks on white as it was: a band, and an orange.
	for _, c := range []color.NRGBA{{0xE6, 0x9F, 0, 255}, {0xF5, 0xE0, 0xC4, 255}, {0xCC, 0x79, 0xA7, 255}} {
		got := over(forAnyPage(c), 255)
		for i, d := range []int{int(got.R) - int(c.R), int(got.G) - int(c.G), int(got.B) - int(c.B)} {
			if d < -3 || d > 3 {
				t.Errorf("%v looks like %v on white: channel %d differs", c, got, i)
			}
		}
	}
}

// No colour of a figure becomes darker than the darkest that reads on a dark page.
func TestForAnyPageIsNeverDark(t *testing.T) {
	for r := 0; r < 256; r += 5 {
		for g := 0; g < 256; g += 5 {
			for b := 0; b < 256; b += 5 {
				c := color.NRGBA{uint8(r), uint8(g), uint8(b), 255}
				got := forAnyPage(c)
				if got.A > 0 && luminance(color.NRGBA{got.R, got.G, got.B, 255}) < darkest-0.02 {
					t.Fatalf("%v became %v", c, got)
				}
			}
		}
	}
}

// A line can be told from the band around it on a light and on a dark page.
func TestLineOnItsBand(t *testing.T) {
	for _, line := range []color.NRGBA{{0, 0x72, 0xB2, 255}, {0xD5, 0x5E, 0, 255}, {0, 0x9E, 0x73, 255},
		{0xCC, 0x79, 0xA7, 255}, {0xE6, 0x9F, 0, 255}, {0x56, 0xB4, 0xE9, 255}, {0x44, 0x01, 0x54, 255}} {
		band := line
		band.A = 60
		drawn := over(band, 255)
		for _, page := range []uint8{255, 0x11} {
			a, b := luminance(over(forAnyPage(line), page)), luminance(over(forAnyPage(drawn), page))
			if contrast := (max(a, b) + 0.05) / (min(a, b) + 0.05); contrast < 1.7 {
				t.Errorf("line %v on its band on a page of grey %d: contrast %.2f", line, page, contrast)
			}
		}
	}
}

// The picture is smaller, of the same size in pixels where it is wide, and transparent where
// nothing is drawn.
func TestCompact(t *testing.T) {
	before, err := lines(2).PNG()
	if err != nil {
		t.Fatal(err)
	}
	after, err := compact(before)
	if err != nil {
		t.Fatal(err)
	}
	if 2*len(after) > len(before) {
		t.Errorf("%d bytes became %d", len(before), len(after))
	}
	a, errA := png.Decode(bytes.NewReader(before))
	b, errB := png.Decode(bytes.NewReader(after))
	if errA != nil || errB != nil || a.Bounds() != b.Bounds() {
		t.Fatalf("decoding: %v, %v", errA, errB)
	}
	if _, _, _, alpha := b.At(1, 1).RGBA(); alpha != 0 {
		t.Errorf("the corner has alpha %d", alpha)
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			want := forAnyPage(a.At(x, y))
			got := color.NRGBAModel.Convert(b.At(x, y)).(color.NRGBA)
			for _, page := range []uint8{255, 0x11} {
				w, g := over(want, page), over(got, page)
				if d := max(math.Abs(float64(w.R)-float64(g.R)), math.Abs(float64(w.G)-float64(g.G)),
					math.Abs(float64(w.B)-float64(g.B))); d > 30 {
					t.Fatalf("pixel %d, %d is %v on a page of grey %d, want %v", x, y, g, page, w)
				}
			}
		}
	}
}

// A picture says in words what it shows.
func TestPicture(t *testing.T) {
	got, err := picture(lines(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<img alt="t. y &lt;unit&gt; against x. Shown: a, b."`,
		`src="data:image/png;base64,iVBOR`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %.300s", want, got)
		}
	}
}
