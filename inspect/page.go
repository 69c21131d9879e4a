package inspect

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/webpage"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number, "percent": percent,
}).Parse(webpage.PictureTemplate)).Parse(pageText))

// Page writes the report as one HTML page that loads nothing and runs no script. Names, which may
// come from a stranger's file, are escaped.
func (r *Report) Page(w io.Writer) error {
	data := page{Report: r, Style: template.CSS(webpage.Style + pageStyle), Policy: webpage.Policy(nil)}
	for _, section := range sections {
		s, err := r.section(section.id, section.title)
		if err != nil {
			return err
		}
		if len(s.Readings) > 0 {
			data.Sections = append(data.Sections, s)
		}
	}
	for _, e := range r.Shown {
		data.add(e)
	}
	var b bytes.Buffer // So that nothing is written of a page that fails.
	if err := pageTemplate.Execute(&b, &data); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

var sections = []struct{ id, title string }{
	{SectionComplexity, "How steep the function is"},
	{SectionClasses, "By class"},
	{SectionLayers, "By layer"},
	{SectionLipschitz, "The worst direction"},
	{SectionMargin, "Beside the margin"},
	{SectionNoise, "What noise on the inputs does"},
	{SectionCollapse, "How features of a class collapse"},
}

// page is the data of the template.
type page struct {
	*Report
	Style       template.CSS
	Policy      string
	Sections    []section
	Most, Least []shown
}

type section struct {
	ID, Title string
	Readings  []Reading
	Pictures  []webpage.Picture
	Bars      []bar
	Scale     string // of the bars
	Table     *table
}

// bar is a row with a bar of a length from 0 to 100.
type bar struct {
	Name, Value, Note string
	Length            float64
}

type table struct {
	Header []string
	Rows   [][]string
}

// shown is an example with its pictures.
type shown struct {
	Example
	Image, Sensitivity template.URL
	Width              int // CSS pixels of each picture
}

// pictureWidth is the least width at which a small image is shown.
const pictureWidth = 112

func (p *page) add(e Example) {
	s := shown{Example: e, Width: pictureWidth}
	if len(e.image) > 0 {
		s.Image, s.Sensitivity = webpage.DataURL("image/png", e.image), webpage.DataURL("image/png", e.sensitivity)
	}
	if e.Most {
		p.Most = append(p.Most, s)
	} else {
		p.Least = append(p.Least, s)
	}
}

// Sensitive says which values of its input an example is sensitive to.
func (s shown) Sensitive() string {
	text := ""
	for i, v := range s.Example.Sensitive {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%v %s", v.Index, number(v.Norm))
	}
	return text
}

// HasImages says whether the inputs are images.
func (p *page) HasImages() bool {
	return slices.ContainsFunc(p.Shown, func(e Example) bool { return len(e.image) > 0 })
}

func (r *Report) section(id, title string) (s section, err error) {
	s = section{ID: id, Title: title}
	for _, reading := range r.Readings {
		if reading.Section == id {
			s.Readings = append(s.Readings, reading)
		}
	}
	var figure plots.Figure
	switch id {
	case SectionComplexity:
		figure = distribution(r.GC.PerExample)
	case SectionClasses:
		s.Bars, s.Scale = r.classBars(), "Bars begin at 0."
	case SectionLayers:
		s.Bars, s.Scale = r.layerBars(), "Bars are on a logarithmic scale, "+
			"from a tenth of the smallest value: equal steps are equal factors. Estimated by "+r.LayersEstimator+"."
	case SectionNoise:
		figure, s.Table = noiseFigure(r.Noise), noiseTable(r.Noise)
	}
	if len(figure.Panels) == 0 {
		return s, nil
	}
	svg, err := figure.SVG()
	if err != nil {
		return s, fmt.Errorf("inspect: figure of %s: %w", id, err)
	}
	picture, err := webpage.NewPicture(svg, figure.InWords())
	s.Pictures = append(s.Pictures, picture)
	return s, err
}

// distribution draws the fraction of the examples below each squared norm; nothing if fewer than
// two are positive.
func distribution(norms []float64) plots.Figure {
	sorted := slices.Sorted(slices.Values(norms))
	var x, y []float64
	for i, v := range sorted {
		if v > 0 {
			x, y = append(x, v), append(y, float64(i+1)/float64(len(sorted)))
		}
	}
	if len(x) < 2 {
		return plots.Figure{}
	}
	x, y = thinned(x, y)
	return plots.Figure{Panels: []plots.Panel{{XLabel: "squared norm of an example's Jacobian",
		YLabel: "fraction of examples at or below",
		LogX:   x[len(x)-1] > 10*x[0], Series: []plots.Series{{X: x, Y: y}}}}}
}

// thinned keeps at most a few hundred of the points, the first and the last among them.
func thinned(x, y []float64) (a, b []float64) {
	const most = 400
	if len(x) <= most {
		return x, y
	}
	for i := range most {
		k := i * (len(x) - 1) / (most - 1)
		a, b = append(a, x[k]), append(b, y[k])
	}
	return a, b
}

func (r *Report) classBars() (bars []bar) {
	largest := 0.0
	for _, c := range r.GC.PerClass {
		largest = max(largest, c.GC)
	}
	for _, c := range r.GC.PerClass {
		bars = append(bars, bar{Name: fmt.Sprintf("class %d", c.Class), Value: withError(c.GC, c.StdErr),
			Note: fmt.Sprintf("%d examples", c.Examples), Length: 100 * fraction(c.GC, largest)})
	}
	return bars
}

func (r *Report) layerBars() (bars []bar) {
	smallest, largest := math.Inf(1), 0.0
	for _, l := range r.Layers {
		if l.GC > 0 {
			smallest, largest = min(smallest, l.GC), max(largest, l.GC)
		}
	}
	for _, l := range r.Layers {
		b := bar{Name: l.Name, Value: withError(l.GC, l.StdErr), Note: fmt.Sprintf("%d values", l.Size)}
		if l.GC > 0 {
			b.Length = 100 * math.Log(10*l.GC/smallest) / math.Log(10*largest/smallest)
		}
		bars = append(bars, b)
	}
	return bars
}

func withError(v float64, e gcml.StandardError) string { return fmt.Sprintf("%s ± %s", number(v), e) }

func noiseFigure(noise []Noise) plots.Figure {
	drawn := plots.Series{Name: "drawn, with 95 % interval", Points: true}
	predicted := plots.Series{Name: "σ·√GC", Reference: true, Dashed: true}
	for _, n := range noise {
		drawn.X, drawn.Y = append(drawn.X, n.Sigma), append(drawn.Y, n.Drawn)
		drawn.Lo, drawn.Hi = append(drawn.Lo, float64(n.Low)), append(drawn.Hi, float64(n.High))
		predicted.X, predicted.Y = append(predicted.X, n.Sigma), append(predicted.Y, n.Predicted)
	}
	if len(noise) < 2 || noise[0].Predicted == 0 {
		return plots.Figure{}
	}
	return plots.Figure{Panels: []plots.Panel{{XLabel: "σ of the noise on each input value",
		YLabel: "change of the outputs",
		LogX:   true, LogY: true, Series: []plots.Series{predicted, drawn}}}}
}

func noiseTable(noise []Noise) *table {
	if len(noise) == 0 {
		return nil
	}
	t := &table{Header: []string{"σ", "σ·√GC", "drawn", "95 % interval", "ratio", "decisions changed"}}
	for _, n := range noise {
		row := []string{number(n.Sigma), number(n.Predicted), number(n.Drawn), "unknown", ratio(n.Drawn, n.Predicted),
			"none made"}
		if n.Low.IsFinite() {
			row[3] = number(float64(n.Low)) + " to " + number(float64(n.High))
		}
		if n.Flipped.IsFinite() {
			row[5] = percent(float64(n.Flipped))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
