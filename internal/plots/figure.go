// Package plots draws the experiments' figures as PNG and SVG with gonum/plot: panels of lines with
// bands over seeds, one legend below them, which never covers data, and a caption.
package plots

import (
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is one line, or set of points, with an optional band.
type Series struct {
	Name   string    // Legend entry; series with one name share it and their colour.
	X, Y   []float64 // Of one length; points that are not finite are left out.
	Lo, Hi []float64 // Band around Y, each nil or as long as X.
	Points bool      // Markers at the points.
	NoLine bool      // No line between the points; implies markers.
	Dashed bool
	// Reference draws the series in black: the other series are compared with it.
	Reference bool
	// Color is the colour of all series of the name, if the first has one. Otherwise the figure
	// chooses it.
	Color color.Color
}

// Panel is one pair of axes.
type Panel struct {
	Title, XLabel, YLabel string // Labels include their unit.
	LogX, LogY            bool   // Points at or below 0 are left out.
	// ZeroX makes a logarithmic X axis show points at 0, such as the state before the first
	// training step. They stand at its left end, separate from the other points.
	ZeroX bool
	// Categories labels the positions X = 0, 1, 2, …, for sweeps whose values have no common scale
	// (such as zero and powers of ten).
	Categories []string
	Series     []Series
}

// Figure is one or more rows of panels with one legend below them.
type Figure struct {
	Title   string
	Caption string // Below the legend; says what the bands are and what was run.
	Columns int    // Panels in a row; 0 means all of them.
	// Ordered colours the series by a sequential scale instead of distinct hues, for sweeps over
	// one quantity.
	Ordered bool
	Panels  []Panel
}

// mostWidePanels is the number of panels in a row from which on the figure stays as wide and the
// panels become narrower: a page shows all figures at its own width, so a wider one has smaller
// letters.
const mostWidePanels = 3

const (
	panelWidth  = 4.6 * vg.Inch
	panelHeight = 3.4 * vg.Inch
	margin      = 0.15 * vg.Inch
	titleSize   = 14
	labelSize   = 12
	tickSize    = 11
)

func sans(size vg.Length) font.Font {
	return font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size)
}

// plot builds gonum's plot of the panel.
func (p Panel) plot(style map[string]seriesStyle) (*plot.Plot, error) {
	pl := plot.New()
	pl.X.Label.Text, pl.Y.Label.Text = p.XLabel, p.YLabel
	for _, axis := range []*plot.Axis{&pl.X, &pl.Y} {
		axis.Label.TextStyle.Font = sans(labelSize)
		axis.Label.Padding = 4
		axis.Tick.Label.Font = sans(tickSize)
		axis.Tick.Marker = linearTicks{}
	}
	// A logarithmic axis is a linear axis of decimal logarithms. gonum's LogScale shifts the panel,
	// because it misplaces the tick labels, and panics if the axis has a single point.
	if p.LogX {
		pl.X.Tick.Marker = exponentTicks{}
		if zero, first, ok := p.zero(); ok {
			pl.X.Tick.Marker = zeroTicks{zero, first}
		}
	}
	if p.LogY {
		pl.Y.Tick.Marker = exponentTicks{}
	}
	if p.Categories != nil {
		ticks := make([]plot.Tick, len(p.Categories))
		for i, label := range p.Categories {
			ticks[i] = plot.Tick{Value: float64(i), Label: label}
		}
		pl.X.Tick.Marker = plot.ConstantTicks(ticks)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{230}, color.Gray{230}
	pl.Add(grid)
	for _, s := range p.Series {
		if err := p.addBand(pl, s, style[s.Name]); err != nil {
			return nil, fmt.Errorf("series %q: %w", s.Name, err)
		}
	}
	drawn := false
	for _, s := range p.Series {
		some, err := p.addLine(pl, s, style[s.Name])
		if err != nil {
			return nil, fmt.Errorf("series %q: %w", s.Name, err)
		}
		drawn = drawn || some
	}
	if !drawn {
		pl.X.Min, pl.X.Max, pl.Y.Min, pl.Y.Max = 0, 1, 0, 1
	}
	padRange(&pl.Y)
	if p.Categories != nil {
		pl.X.Min, pl.X.Max = -0.3, float64(len(p.Categories))-0.7
	}
	return pl, nil
}

// title returns the title, with a remark if the panel has no point that its axes can show.
func (p Panel) title() string {
	for _, s := range p.Series {
		for i := range s.X {
			if p.visible(s.X[i], s.Y[i]) {
				return p.Title
			}
		}
	}
	return strings.TrimSpace(p.Title + " (no finite value)")
}

// padRange widens an axis so that lines do not run along its ends, and so that the axis of a
// constant series is not empty.
func padRange(axis *plot.Axis) {
	pad := 0.05 * (axis.Max - axis.Min)
	if pad == 0 {
		pad = max(0.05*math.Abs(axis.Max), 1e-9)
	}
	axis.Min, axis.Max = axis.Min-pad, axis.Max+pad
}

// zero returns the position of 0 on a logarithmic X axis, and of the smallest positive point,
// first. Zero stands to the left of first, at a seventh of the distance from first to the largest
// point. ok is false if the axis does not show 0.
func (p Panel) zero() (at, first float64, ok bool) {
	smallest, largest, some := math.Inf(1), math.Inf(-1), false
	for _, s := range p.Series {
		for _, x := range s.X {
			some = some || x == 0
			if x > 0 {
				smallest, largest = min(smallest, math.Log10(x)), max(largest, math.Log10(x))
			}
		}
	}
	return smallest - max(0.2, (largest-smallest)/7), smallest, p.LogX && p.ZeroX && some && largest >= smallest
}

// point returns the position of a point on the panel's axes.
func (p Panel) point(x, y float64) plotter.XY {
	if p.LogX {
		if zero, _, ok := p.zero(); ok && x == 0 {
			x = zero
		} else {
			x = math.Log10(x)
		}
	}
	if p.LogY {
		y = math.Log10(y)
	}
	return plotter.XY{X: x, Y: y}
}

// visible reports whether the panel's axes can show the point.
func (p Panel) visible(x, y float64) bool {
	finite := !math.IsNaN(x) && !math.IsInf(x, 0) && !math.IsNaN(y) && !math.IsInf(y, 0)
	return finite && (!p.LogX || x > 0 || x == 0 && p.ZeroX) && (!p.LogY || y > 0)
}

func (p Panel) addBand(pl *plot.Plot, s Series, style seriesStyle) error {
	if s.Lo == nil || s.Hi == nil {
		return nil
	}
	if len(s.Lo) != len(s.X) || len(s.Hi) != len(s.X) {
		return fmt.Errorf("it has %d X values and a band of %d and %d: want equal lengths", len(s.X), len(s.Lo), len(s.Hi))
	}
	var upper, lower plotter.XYs
	for i, x := range s.X {
		lo := s.Lo[i]
		if p.LogY && lo <= 0 && s.Hi[i] > 0 && i < len(s.Y) {
			// The lower edge of this band is not on a logarithmic axis: the band ends at a tenth of
			// the middle line.
			lo = s.Y[i] / 10
		}
		if p.visible(x, lo) && p.visible(x, s.Hi[i]) && !(p.LogX && x == 0) {
			upper = append(upper, p.point(x, s.Hi[i]))
			lower = append(lower, p.point(x, lo))
		}
	}
	if len(upper) < 2 {
		return nil
	}
	outline := upper
	for i := len(lower) - 1; i >= 0; i-- {
		outline = append(outline, lower[i])
	}
	polygon, err := plotter.NewPolygon(outline)
	if err != nil {
		return err
	}
	polygon.Color = style.band()
	polygon.LineStyle.Width = 0
	pl.Add(polygon)
	return nil
}

func (p Panel) addLine(pl *plot.Plot, s Series, style seriesStyle) (drawn bool, err error) {
	if len(s.X) != len(s.Y) {
		return false, fmt.Errorf("it has %d X values and %d Y values: want equal lengths", len(s.X), len(s.Y))
	}
	var points, atZero plotter.XYs // No line joins atZero, the points at 0 of a logarithmic axis.
	for i := range s.X {
		switch {
		case !p.visible(s.X[i], s.Y[i]):
		case p.LogX && s.X[i] == 0:
			atZero = append(atZero, p.point(s.X[i], s.Y[i]))
		default:
			points = append(points, p.point(s.X[i], s.Y[i]))
		}
	}
	if len(atZero) > 0 {
		scatter, err := plotter.NewScatter(atZero)
		if err != nil {
			return false, err
		}
		scatter.GlyphStyle = style.glyph()
		pl.Add(scatter)
	}
	if len(points) == 0 {
		return len(atZero) > 0, nil
	}
	if !s.NoLine {
		line, err := plotter.NewLine(points)
		if err != nil {
			return false, err
		}
		line.LineStyle = style.line(s.Dashed)
		pl.Add(line)
	}
	if s.Points || s.NoLine {
		scatter, err := plotter.NewScatter(points)
		if err != nil {
			return false, err
		}
		scatter.GlyphStyle = style.glyph()
		pl.Add(scatter)
	}
	return true, nil
}

// seriesStyle is the style of one name in every panel of a figure.
type seriesStyle struct {
	color color.NRGBA
	shape draw.GlyphDrawer
}

func (s seriesStyle) line(dashed bool) draw.LineStyle {
	style := draw.LineStyle{Color: s.color, Width: vg.Points(1.8)}
	if dashed {
		style.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
	}
	return style
}

func (s seriesStyle) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.color, Radius: vg.Points(3.2), Shape: s.shape}
}

func (s seriesStyle) band() color.NRGBA {
	c := s.color
	c.A = 60
	return c
}
