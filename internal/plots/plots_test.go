package plots

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

func sample() Figure {
	x := []float64{0, 1, 10, 100, 1000}
	y := []float64{0, 0.1, 0.5, 2, 2.5}
	band := func(shift float64) (out []float64) {
		for _, v := range y {
			out = append(out, v+shift)
		}
		return out
	}
	nan := math.NaN()
	return Figure{
		Title:   "A figure",
		Caption: strings.Repeat("Bands: smallest to largest of three seeds. ", 6),
		Columns: 2,
		Panels: []Panel{
			{Title: "linear", XLabel: "step", YLabel: "GC (mean squared)", Series: []Series{
				{Name: "with penalty", X: x, Y: y, Lo: band(-0.1), Hi: band(0.2)},
				{Name: "without penalty", X: x, Y: []float64{1, 2, nan, 1, math.Inf(1)}, Dashed: true, Points: true},
			}},
			{Title: "log-log", XLabel: "step", YLabel: "GC", LogX: true, LogY: true, Series: []Series{
				{Name: "with penalty", X: x, Y: y, Lo: band(-0.2), Hi: band(0.2)},
			}},
			{Title: "categories", XLabel: "coefficient", YLabel: "accuracy", Categories: []string{"0", "1e-4", "1e-3"},
				Series: []Series{
					{Name: "reference", X: []float64{0, 2}, Y: []float64{0.8, 0.8}, Reference: true, Dashed: true},
					{Name: "data", X: []float64{0, 1, 2}, Y: []float64{0.8, 0.81, 0.79}, NoLine: true},
				}},
			{Title: "empty", XLabel: "step", YLabel: "loss", LogY: true, Series: []Series{
				{Name: "diverged", X: []float64{1, 2}, Y: []float64{nan, nan}},
			}},
		},
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	if keep := os.Getenv("PLOTS_TEST_DIR"); keep != "" {
		dir = keep // To look at the figures.
	}
	for _, ordered := range []bool{false, true} {
		f := sample()
		f.Ordered = ordered
		base := filepath.Join(dir, "hues")
		if ordered {
			base = filepath.Join(dir, "ordered")
		}
		paths, err := f.Save(base)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		width, height := f.size()
		if got, want := img.Bounds().Dx(), int(math.Round(width.Dots(dpi))); got < want-1 || got > want+1 {
			t.Errorf("image is %d pixels wide; want %d for %v x %v", got, want, width, height)
		}
		svg, err := os.ReadFile(paths[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"GC (mean squared)", "without penalty", "1e-4", "(no finite value)", "three seeds",
			"Liberation Sans,Arial"} {
			if !strings.Contains(string(svg), want) {
				t.Errorf("SVG does not contain %q", want)
			}
		}
	}
}

func TestSaveTwiceGivesTheSameBytes(t *testing.T) {
	dir := t.TempDir()
	var first [2][]byte
	for round := range 2 {
		paths, err := sample().Save(filepath.Join(dir, "f"))
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range paths {
			raw, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				first[i] = raw
			} else if !bytes.Equal(raw, first[i]) {
				t.Errorf("%s differs between two drawings of the same figure", p)
			}
		}
	}
}

// A single point or a constant series would give an axis of length 0.
func TestDegenerateRanges(t *testing.T) {
	for _, log := range []bool{false, true} {
		for name, s := range map[string]Series{
			"one point":     {Name: "a", X: []float64{1}, Y: []float64{1}},
			"small":         {Name: "a", X: []float64{1e-9}, Y: []float64{1e-9}},
			"constant":      {Name: "a", X: []float64{1, 2}, Y: []float64{3, 3}},
			"zero":          {Name: "a", X: []float64{0, 0}, Y: []float64{0, 0}},
			"negative":      {Name: "a", X: []float64{-1, -2}, Y: []float64{-3, -4}},
			"band to below": {Name: "a", X: []float64{1, 2}, Y: []float64{1, 2}, Lo: []float64{-1, 0}, Hi: []float64{2, 3}},
			"none":          {Name: "a"},
		} {
			f := Figure{Panels: []Panel{{LogX: log, LogY: log, Series: []Series{s}}}}
			if _, err := f.Save(filepath.Join(t.TempDir(), "f")); err != nil {
				t.Errorf("%s, logarithmic %v: %v", name, log, err)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		f    Figure
		want string
	}{
		{"no panels", Figure{}, "has no panels"},
		{"lengths", Figure{Panels: []Panel{{Series: []Series{{Name: "a", X: []float64{1}, Y: nil}}}}},
			`panel 1: series "a": it has 1 X values and 0 Y values`},
		{"band", Figure{Panels: []Panel{{Series: []Series{{Name: "a", X: []float64{1}, Y: []float64{1}, Lo: []float64{1},
			Hi: []float64{}}}}}}, "band of 1 and 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base := filepath.Join(t.TempDir(), "f")
			_, err := tc.f.Save(base)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v; want %q", err, tc.want)
			}
			if _, err := os.Stat(base + ".png"); err == nil {
				t.Error("Save failed and left a file")
			}
		})
	}
}

func TestLinearTicks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		lo, hi float64
		want   string
	}{
		{"unit", 0, 1, "0 0.2 0.4 0.6 0.8 1"},
		{"negative", -1.05, 1.05, "-1 -0.5 0 0.5 1"},
		{"just below zero", -0.05, 1.05, "0 0.5 1"},
		{"large", 0, 1e6, "0 2e5 4e5 6e5 8e5 1e6"},
		{"narrow", 0.789, 0.811, "0.79 0.795 0.8 0.805 0.81"},
		{"empty", 1, 1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := labels(linearTicks{}.Ticks(tc.lo, tc.hi)); got != tc.want {
				t.Errorf("labels %q; want %q", got, tc.want)
			}
		})
	}
}

// labels joins the labels of the ticks that have one.
func labels(ticks []plot.Tick) string {
	var out []string
	for _, tick := range ticks {
		if tick.Label != "" {
			out = append(out, tick.Label)
		}
	}
	return strings.Join(out, " ")
}

func TestLogTicks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		lo, hi float64
		want   string
	}{
		{"decades", 0.5, 2000, "1 10 100 1000"},
		{"within a decade", 1.5, 7, "2 5"},
		{"one decade", 3, 30, "5 10 20"},
		{"short", 0.85, 1.5, "1 1.2 1.4"},
		{"multiples", 0.23, 0.75, "0.3 0.4 0.5 0.6 0.7"},
		{"small", 1e-6, 1e-3, "1e-6 1e-5 1e-4 1e-3"},
		{"long", 1e-12, 1, "1e-12 1e-9 1e-6 1e-3 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := labels(logTicks{}.Ticks(tc.lo, tc.hi)); got != tc.want {
				t.Errorf("labels %q; want %q", got, tc.want)
			}
		})
	}
}

// An axis that ends at a round number has a tick there, though 10^log10(0.02) is larger than 0.02.
func TestLogTicksAtTheEndsOfTheAxis(t *testing.T) {
	lo, hi := math.Log10(0.02), math.Log10(0.2)
	ticks := exponentTicks{}.Ticks(lo, hi)
	if got, want := labels(ticks), "0.02 0.05 0.1 0.2"; got != want {
		t.Errorf("labels %q; want %q", got, want)
	}
	if first, last := ticks[0].Value, ticks[len(ticks)-1].Value; first != lo || last != hi {
		t.Errorf("ticks from %g to %g; want %g to %g", first, last, lo, hi)
	}
}

// Pages show all figures at the same width, so that letters shrink with a wider figure.
func TestFourPanelsAreAsWideAsThree(t *testing.T) {
	wide := func(panels, columns int) vg.Length {
		width, _ := Figure{Panels: make([]Panel, panels), Columns: columns}.size()
		return width
	}
	if two, three := wide(2, 0), wide(3, 0); two >= three {
		t.Errorf("two panels are %v points wide, three %v", two, three)
	}
	for _, columns := range []int{4, 6} {
		if got, want := wide(8, columns), wide(3, 0); got != want {
			t.Errorf("a row of %d panels is %v points wide, one of three %v", columns, got, want)
		}
	}
}

// A logarithmic axis must not make its panel lower: with gonum's LogScale this panel lost a tenth
// of its height.
func TestLogPanelKeepsItsHeight(t *testing.T) {
	height := func(log bool) vg.Length {
		p := Panel{Title: "training loss", XLabel: "step", YLabel: "mean squared error", LogY: log, Series: []Series{
			{Name: "a", X: []float64{1, 2, 3}, Y: []float64{1.2e-4, 0.01, 0.0733}}}}
		pl, err := p.plot(styles([]string{"a"}, false))
		if err != nil {
			t.Fatal(err)
		}
		size := pl.DataCanvas(draw.New(vgimg.New(panelWidth, panelHeight))).Size()
		return size.Y
	}
	if linear, log := height(false), height(true); linear-log > 10 {
		t.Errorf("logarithmic panel is %v points high, the linear one %v", log, linear)
	}
}

// With ZeroX a logarithmic axis shows 0, to the left of the smallest positive point.
func TestZeroOnALogarithmicAxis(t *testing.T) {
	p := Panel{LogX: true, ZeroX: true, Series: []Series{{Name: "a", X: []float64{0, 1, 1e7}, Y: []float64{3, 4, 5}}}}
	if at, first, ok := p.zero(); !ok || at != -1 || first != 0 {
		t.Errorf("0 is at %g, %t, the first other point at %g; want -1 and 0", at, ok, first)
	}
	if xy := p.point(0, 3); xy.X != -1 || xy.Y != 3 {
		t.Errorf("the point at 0 is drawn at %v", xy)
	}
	ticks := zeroTicks{-1, 0}.Ticks(-1.4, 7)
	if ticks[0].Value != -1 || ticks[0].Label != "0" {
		t.Errorf("first tick %+v", ticks[0])
	}
	for _, tick := range ticks[1:] {
		if tick.Value < -0.1 {
			t.Errorf("tick %+v is too close to 0", tick)
		}
	}
	p.ZeroX = false
	if p.visible(0, 3) {
		t.Error("0 is visible without ZeroX")
	}
}

func TestCommonNamesKeepTheirStyle(t *testing.T) {
	first, second := styles([]string{"test data", "other", "training data"}, false),
		styles([]string{"training data", "test data"}, false)
	for _, name := range []string{"test data", "training data"} {
		if first[name] != second[name] {
			t.Errorf("%q has different styles in two figures", name)
		}
	}
	if first["other"].color == first["test data"].color {
		t.Error("two names share a colour")
	}
}

// dejaVu has the advances of letters in DejaVu Sans, in 1/2048 of its size: most Linux browsers
// take it where Liberation Sans is missing.
var dejaVu = map[rune]vg.Length{'a': 1255, 'b': 1300, 'c': 1126, 'd': 1300, 'e': 1260, 'f': 721, 'g': 1300, 'h': 1298,
	'i': 569, 'j': 569, 'k': 1186, 'l': 569, 'm': 1995, 'n': 1298, 'o': 1253, 'p': 1300, 'q': 1300, 'r': 842, 's': 1067,
	't': 803, 'u': 1298, 'v': 1212, 'w': 1675, 'x': 1212, 'y': 1212, 'z': 1075, 'A': 1401, 'B': 1405, 'C': 1430,
	'D': 1577, 'E': 1294, 'F': 1178, 'G': 1587, 'L': 1141, 'M': 1767, 'P': 1235, 'S': 1300, 'T': 1251, ' ': 651,
	'.': 651, ',': 651, ':': 690, ';': 690, '(': 799, ')': 799, '0': 1303, '1': 1303, '2': 1303, '3': 1303, '4': 1303,
	'5': 1303, '6': 1303, '8': 1303, '9': 1303}

// The lines of a caption, and the rows of a legend, end within the figure in a wider font, too, and
// no line is so short that the next word would have fitted.
func TestCaptionFitsInAWiderFont(t *testing.T) {
	width := func(text string, size vg.Length) (sum vg.Length) {
		for _, letter := range text {
			advance, known := dejaVu[letter]
			if !known {
				t.Fatalf("no advance of %q", letter)
			}
			sum += advance / 2048 * size
		}
		return sum
	}
	f := Figure{Caption: strings.Repeat("Lines: mean over 10 seeds; bands: smallest to largest. At the last step, but where it "+
		"says best step: that of the best test accuracy. Losses without the penalty. ", 3),
		Panels: []Panel{{Series: []Series{{Name: "training data"}, {Name: "test data"}, {Name: "training data, best step"},
			{Name: "from the modified flow"}}}}}
	for _, wide := range []vg.Length{panelWidth, 2 * panelWidth, 4 * panelWidth} {
		lines := f.captionLines(wide)
		if got := strings.Join(lines, " "); got != strings.TrimSpace(f.Caption) {
			t.Errorf("the lines say %q", got)
		}
		for i, line := range lines {
			if w := width(line, tickSize); w > wide-2*margin {
				t.Errorf("%q is %.0f points wide, in a figure of %.0f", line, w, wide)
			}
			if i+1 < len(lines) {
				next, _, _ := strings.Cut(lines[i+1], " ")
				if w := width(line+" "+next, tickSize); w < 0.95*(wide-2*margin) {
					t.Errorf("%q ends before %q, which fits: %.0f points of %.0f", line, next, w, wide)
				}
			}
		}
		for _, row := range f.legendRows(wide) {
			sum := vg.Length(0)
			for _, name := range row {
				sum += thumbWidth + 6 + width(name, labelSize)
			}
			if sum > wide-2*margin {
				t.Errorf("the legend's row %q is %.0f points wide, in a figure of %.0f", row, sum, wide)
			}
		}
	}
}
