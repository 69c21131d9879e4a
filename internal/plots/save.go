package plots

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// dpi is the resolution of the PNG: a panel is about 660 pixels wide, or 500 in a row of four.
const dpi = 144

// Save writes the figure to base+".png" and base+".svg" and returns both paths. It replaces each
// file as a whole or leaves it unchanged. It returns an error if the figure cannot be drawn or
// written.
func (f Figure) Save(base string) (paths []string, err error) {
	png, err := f.PNG()
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", base, err)
	}
	svg, err := f.SVG()
	if err != nil {
		return nil, fmt.Errorf("figure %s: %w", base, err)
	}
	for i, file := range [][]byte{png, svg} {
		path := base + []string{".png", ".svg"}[i]
		if err := atomicfile.Replace(path, file); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// SVG returns the figure as a drawing whose size is in points, or an error if it cannot be drawn.
func (f Figure) SVG() ([]byte, error) {
	var canvas *vgsvg.Canvas
	err := f.drawOn(func(width, height vg.Length) vg.CanvasSizer {
		canvas = vgsvg.New(width, height)
		return canvas
	})
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	if _, err := canvas.WriteTo(&buffer); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(buffer.Bytes(), []byte(svgFont), []byte(svgFont+svgFallback)), nil
}

// PNG returns the figure as a picture on white, or an error if it cannot be drawn.
func (f Figure) PNG() ([]byte, error) {
	var canvas *vgimg.Canvas
	err := f.drawOn(func(width, height vg.Length) vg.CanvasSizer {
		canvas = vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi))
		return canvas
	})
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	_, err = vgimg.PngCanvas{Canvas: canvas}.WriteTo(&buffer)
	return buffer.Bytes(), err
}

// drawOn draws the figure on a new canvas of its size.
func (f Figure) drawOn(newCanvas func(width, height vg.Length) vg.CanvasSizer) (err error) {
	// gonum/plot panics on figures that it cannot draw.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be drawn: %v", r)
		}
	}()
	if len(f.Panels) == 0 {
		return errors.New("it has no panels: want at least one")
	}
	return f.draw(draw.New(newCanvas(f.size())))
}

// A viewer without the Liberation fonts uses a font whose letters have the same widths.
const (
	svgFont     = "font-family:Liberation Sans"
	svgFallback = ",Arial,Helvetica,sans-serif"
)

func (f Figure) grid() (rows, cols int) {
	cols = f.Columns
	if cols <= 0 || cols > len(f.Panels) {
		cols = len(f.Panels)
	}
	return (len(f.Panels) + cols - 1) / cols, cols
}

func (f Figure) size() (width, height vg.Length) {
	rows, cols := f.grid()
	width = vg.Length(min(cols, mostWidePanels))*panelWidth + 2*margin
	height = vg.Length(rows)*panelHeight + 2*margin
	if f.Title != "" {
		height += lineHeight(titleSize)
	}
	height += vg.Length(len(f.legendRows(width))) * lineHeight(labelSize)
	if lines := len(f.captionLines(width)); lines > 0 {
		height += captionGap + vg.Length(lines)*lineHeight(tickSize)
	}
	return width, height
}

func lineHeight(size vg.Length) vg.Length { return size * 1.5 }

// textStyle returns the style of text outside the panels, whose position is its upper left corner.
func textStyle(size vg.Length) text.Style {
	return text.Style{Color: black, Font: sans(size), YAlign: draw.YTop, Handler: plot.DefaultTextHandler}
}

func (f Figure) draw(c draw.Canvas) error {
	c.SetColor(plot.New().BackgroundColor)
	c.Fill(c.Rectangle.Path())
	width := c.Max.X - c.Min.X
	c = draw.Crop(c, margin, -margin, margin, -margin)
	if f.Title != "" {
		style := textStyle(titleSize)
		style.XAlign = draw.XCenter
		c.FillText(style, vg.Point{X: c.Center().X, Y: c.Max.Y}, f.Title)
		c.Max.Y -= lineHeight(titleSize)
	}
	caption := f.captionLines(width)
	for i, line := range caption {
		y := c.Min.Y + vg.Length(len(caption)-i)*lineHeight(tickSize)
		c.FillText(textStyle(tickSize), vg.Point{X: c.Min.X, Y: y}, line)
	}
	if len(caption) > 0 {
		c.Min.Y += captionGap + vg.Length(len(caption))*lineHeight(tickSize)
	}
	styleOf := f.styles()
	rows := f.legendRows(width)
	for i, row := range rows {
		f.drawLegendRow(c, row, c.Min.Y+vg.Length(len(rows)-i)*lineHeight(labelSize), styleOf)
	}
	c.Min.Y += vg.Length(len(rows)) * lineHeight(labelSize)
	return f.drawPanels(c, styleOf)
}

func (f Figure) drawPanels(c draw.Canvas, styleOf map[string]seriesStyle) error {
	rows, cols := f.grid()
	title := lineHeight(labelSize)
	tiles := draw.Tiles{Rows: rows, Cols: cols, PadX: 14, PadY: 14 + title, PadTop: 4 + title, PadBottom: 6, PadRight: 8}
	built := make([][]*plot.Plot, rows)
	for r := range built {
		built[r] = make([]*plot.Plot, cols)
		for k := range built[r] {
			i := r*cols + k
			if i >= len(f.Panels) {
				continue
			}
			p, err := f.Panels[i].plot(styleOf)
			if err != nil {
				return fmt.Errorf("panel %d: %w", i+1, err)
			}
			built[r][k] = p
		}
	}
	for r, row := range plot.Align(built, tiles, c) {
		for k, canvas := range row {
			if built[r][k] == nil {
				continue
			}
			built[r][k].Draw(canvas)
			// Draw the title here instead of in the plot, so that the titles of a row are level.
			style := textStyle(labelSize)
			style.XAlign = draw.XCenter
			axes := built[r][k].DataCanvas(canvas)
			at := vg.Point{X: axes.Center().X, Y: tiles.At(c, k, r).Max.Y + title}
			c.FillText(style, at, f.Panels[r*cols+k].title())
		}
	}
	return nil
}

// styles returns the style of each name: references are black, the others get colours by their
// order, if they have none of their own.
func (f Figure) styles() map[string]seriesStyle {
	var coloured []string
	out := make(map[string]seriesStyle)
	for _, name := range f.names() {
		if f.first(name).Reference {
			out[name] = seriesStyle{color: black, shape: draw.CircleGlyph{}}
		} else {
			coloured = append(coloured, name)
		}
	}
	for name, style := range styles(coloured, f.Ordered) {
		if own := f.first(name).Color; own != nil {
			style.color = color.NRGBAModel.Convert(own).(color.NRGBA)
		}
		out[name] = style
	}
	return out
}

// names lists the names of the series in the order of first use.
func (f Figure) names() (names []string) {
	for _, p := range f.Panels {
		for _, s := range p.Series {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

const (
	thumbWidth  = 26
	legendSpace = 18
	captionGap  = 6
)

func entryWidth(name string) vg.Length {
	style := textStyle(labelSize)
	return thumbWidth + 6 + fallbackWidth*style.Width(name) + legendSpace
}

// legendRows breaks the legend into rows that fit the figure.
func (f Figure) legendRows(width vg.Length) (rows [][]string) {
	room := width - 2*margin
	used := vg.Length(0)
	for _, name := range f.names() {
		if name == "" {
			continue
		}
		w := entryWidth(name)
		if len(rows) == 0 || used+w-legendSpace > room {
			rows = append(rows, nil)
			used = 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], name)
		used += w
	}
	return rows
}

// drawLegendRow draws the names in a row whose top is at y, centred.
func (f Figure) drawLegendRow(c draw.Canvas, row []string, y vg.Length, styleOf map[string]seriesStyle) {
	total := vg.Length(-legendSpace)
	for _, name := range row {
		total += entryWidth(name)
	}
	x := c.Center().X - total/2
	for _, name := range row {
		s := f.first(name)
		middle := y - 0.42*lineHeight(labelSize)
		if s.Lo != nil {
			box := vg.Rectangle{Min: vg.Point{X: x, Y: middle - 5}, Max: vg.Point{X: x + thumbWidth, Y: middle + 5}}
			c.SetColor(styleOf[name].band())
			c.Fill(box.Path())
		}
		if !s.NoLine {
			c.StrokeLine2(styleOf[name].line(s.Dashed), x, middle, x+thumbWidth, middle)
		}
		if s.Points || s.NoLine {
			c.DrawGlyph(styleOf[name].glyph(), vg.Point{X: x + thumbWidth/2, Y: middle})
		}
		c.FillText(textStyle(labelSize), vg.Point{X: x + thumbWidth + 6, Y: y + 1}, name)
		x += entryWidth(name)
	}
}

// first returns the first series with this name.
func (f Figure) first(name string) Series {
	for _, p := range f.Panels {
		for _, s := range p.Series {
			if s.Name == name {
				return s
			}
		}
	}
	return Series{}
}

// fallbackWidth is the factor by which the text of an SVG file may be wider than measured: where
// the font is missing, browsers take another one. DejaVu Sans makes published captions up to 1.15
// times as wide.
const fallbackWidth = 1.16

// captionLines breaks the caption into lines that fit the figure.
func (f Figure) captionLines(width vg.Length) (lines []string) {
	style := textStyle(tickSize)
	room := (width - 2*margin) / fallbackWidth
	for _, paragraph := range strings.Split(f.Caption, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			longer := strings.TrimSpace(line + " " + word)
			if line != "" && style.Width(longer) > room {
				lines = append(lines, line)
				longer = word
			}
			line = longer
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
