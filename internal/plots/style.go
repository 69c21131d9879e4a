package plots

import (
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg/draw"
)

// hues are six of Okabe and Ito's eight colours, which readers with any common colour vision
// deficiency can distinguish. Yellow is left out because it is too pale for a line, and black is
// reserved for references.
var hues = []color.NRGBA{
	{0x00, 0x72, 0xB2, 0xFF}, // blue
	{0xD5, 0x5E, 0x00, 0xFF}, // vermilion
	{0x00, 0x9E, 0x73, 0xFF}, // bluish green
	{0xCC, 0x79, 0xA7, 0xFF}, // reddish purple
	{0xE6, 0x9F, 0x00, 0xFF}, // orange
	{0x56, 0xB4, 0xE9, 0xFF}, // sky blue
}

var black = color.NRGBA{A: 0xFF}

// sequence holds anchors of matplotlib's viridis, whose lightness rises evenly, so that its order
// is visible without hue. Its palest end is left out.
var sequence = []color.NRGBA{
	{0x44, 0x01, 0x54, 0xFF}, {0x3B, 0x52, 0x8B, 0xFF}, {0x21, 0x91, 0x8C, 0xFF},
	{0x5E, 0xC9, 0x62, 0xFF}, {0xB5, 0xDE, 0x2B, 0xFF},
}

// shapes distinguish the series in print without colour.
var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.SquareGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{},
	draw.CrossGlyph{},
}

// common are names that have the same style in every figure.
var common = []string{"training data", "test data", "training data, best step"}

// styles returns the style of each name: the common names always have the same one, the others get
// theirs by their order.
func styles(names []string, ordered bool) map[string]seriesStyle {
	if !ordered && slices.ContainsFunc(names, func(name string) bool { return slices.Contains(common, name) }) {
		rest := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(common, name) })
		names = slices.Concat(common, rest)
	}
	out := make(map[string]seriesStyle, len(names))
	for i, name := range names {
		s := seriesStyle{color: hues[i%len(hues)], shape: shapes[i%len(shapes)]}
		if ordered {
			s.color = sequential(i, len(names))
		}
		out[name] = s
	}
	return out
}

// sequential returns the i-th of n colours along the sequence.
func sequential(i, n int) color.NRGBA {
	if n < 2 {
		return sequence[0]
	}
	return Sequential(float64(i) / float64(n-1))
}

// Sequential returns the colour at a fraction, from 0 to 1, of a sequential scale whose lightness
// rises evenly.
func Sequential(fraction float64) color.NRGBA {
	at := fraction * float64(len(sequence)-1)
	k := min(int(at), len(sequence)-2)
	frac := at - float64(k)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-frac) + float64(b)*frac)) }
	a, b := sequence[k], sequence[k+1]
	return color.NRGBA{R: mix(a.R, b.R), G: mix(a.G, b.G), B: mix(a.B, b.B), A: 0xFF}
}

// linearTicks labels about five round positions with the shortest labels that distinguish them.
type linearTicks struct{}

func (linearTicks) Ticks(lo, hi float64) []plot.Tick {
	if !(hi > lo) {
		return nil
	}
	// The step is the smallest of 1, 2, 5 times a power of ten that is at least a fifth of the
	// axis.
	unit := math.Pow(10, math.Floor(math.Log10((hi-lo)/5)))
	step := 10 * unit
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= (hi-lo)/5 {
			step = m * unit
			break
		}
	}
	var ticks []plot.Tick
	for k := math.Ceil(lo / step); k*step <= hi; k++ {
		v := roundTo10(k * step)
		ticks = append(ticks, plot.Tick{Value: v, Label: formatTick(v)})
	}
	return ticks
}

// roundTo10 rounds to 10 significant digits, which turns 0.30000000000000004 into 0.3, and turns -0
// into 0.
func roundTo10(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 10, 64), 64)
	return v + 0
}

func formatTick(v float64) string {
	if a := math.Abs(v); a >= 1e5 || (a > 0 && a < 1e-3) {
		text := strconv.FormatFloat(v, 'e', -1, 64)
		return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(text)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// logTicks labels powers of ten, or every n-th power on a long axis. An axis with fewer than two
// powers of ten also labels their multiples by 2 and 5. An axis too short for two such labels
// labels all multiples, or round numbers.
type logTicks struct{}

func (logTicks) Ticks(lo, hi float64) []plot.Tick {
	if lo <= 0 || hi <= lo {
		return nil
	}
	first, last := int(math.Floor(math.Log10(lo))), int(math.Ceil(math.Log10(hi)))
	powers := int(math.Floor(math.Log10(hi))) - int(math.Ceil(math.Log10(lo))) + 1
	stride := 1 + max(0, powers-1)/6
	var ticks []plot.Tick
	labelled := 0
	for k := first; k <= last; k++ {
		for m := 1; m < 10; m++ {
			v := float64(m) * math.Pow(10, float64(k))
			if v < lo || v > hi {
				continue
			}
			t := plot.Tick{Value: v}
			power := m == 1 && k%stride == 0
			between := powers < 2 && (m == 1 || m == 2 || m == 5)
			if power || between {
				t.Label = formatLogTick(m, k)
			}
			if t.Label != "" {
				labelled++
			}
			if stride == 1 || m == 1 {
				ticks = append(ticks, t)
			}
		}
	}
	switch {
	case labelled >= 2:
		return ticks
	case len(ticks) >= 3 && len(ticks) <= 6:
		for i := range ticks {
			ticks[i].Label = formatTick(roundTo10(ticks[i].Value))
		}
		return ticks
	}
	return linearTicks{}.Ticks(lo, hi)
}

// exponentTicks are logTicks on an axis of decimal logarithms.
type exponentTicks struct{}

func (exponentTicks) Ticks(lo, hi float64) []plot.Tick {
	// 10^log10(v) may be a rounding error off v, and the axis would lack the tick at its end.
	const rounding = 1e-12
	ticks := logTicks{}.Ticks(math.Pow(10, lo)*(1-rounding), math.Pow(10, hi)*(1+rounding))
	for i := range ticks {
		ticks[i].Value = min(max(math.Log10(ticks[i].Value), lo), hi)
	}
	return ticks
}

// zeroTicks are exponentTicks of an axis with 0 at its left end (see Panel.ZeroX).
type zeroTicks struct{ zero, first float64 } // first is the decimal logarithm of the smallest positive point.

func (z zeroTicks) Ticks(lo, hi float64) []plot.Tick {
	ticks := []plot.Tick{{Value: z.zero, Label: "0"}}
	return append(ticks, exponentTicks{}.Ticks(max(lo, z.first-0.02), hi)...)
}

// formatLogTick writes m·10^k.
func formatLogTick(m, k int) string {
	if k >= -2 && k <= 3 {
		return strconv.FormatFloat(float64(m)*math.Pow(10, float64(k)), 'f', max(0, -k), 64)
	}
	return strconv.Itoa(m) + "e" + strconv.Itoa(k)
}
