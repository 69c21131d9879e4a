// Package webpage has what the toolkit's HTML pages share: the style, the policy of what a page may
// do, and pictures that are part of the page. A page is one file that loads nothing.
package webpage

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Style is the CSS of every page: text, tables and figures, for wide and narrow windows, light and
// dark, and in print.
//
//go:embed base.css
var Style string

// Policy returns a Content-Security-Policy by which a page runs the given script and nothing else,
// and loads nothing: what it shows may be a stranger's. Without a script it runs none.
func Policy(script []byte) string {
	scripts := ""
	if len(script) > 0 {
		sum := sha256.Sum256(script)
		scripts = "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; "
	}
	return "default-src 'none'; img-src data:; style-src 'unsafe-inline'; " + scripts + "base-uri 'none'; form-action 'none'"
}

// Picture is a figure, whole in its URL, with its size in CSS pixels.
type Picture struct {
	URL           template.URL
	Alt           string
	Width, Height int
	// MinWidth is the smallest width at which its text can be read; a narrower page scrolls it.
	MinWidth int
}

// PictureTemplate defines the template "picture", which shows a Picture.
const PictureTemplate = `{{define "picture"}}<figure class="scroll" tabindex="0">` +
	`<img src="{{.URL}}" alt="{{.Alt}}" width="{{.Width}}" height="{{.Height}}" ` +
	`style="max-width: {{.Width}}px; min-width: {{.MinWidth}}px" /></figure>
{{end}}`

// readableFraction of a figure's width leaves its smallest text, of 11 points, at 9 CSS pixels.
const readableFraction = 0.6

// NewPicture returns the picture of an SVG drawing whose size is in points. alt says in words what
// it shows.
func NewPicture(svg []byte, alt string) (Picture, error) {
	width, height, err := svgSize(svg)
	if err != nil {
		return Picture{}, err
	}
	return Picture{URL: DataURL("image/svg+xml", svg), Alt: alt, Width: width, Height: height,
		MinWidth: int(readableFraction * float64(width))}, nil
}

// DataURL returns the URL that holds the data itself, of a media type such as image/png.
func DataURL(mediaType string, data []byte) template.URL {
	return template.URL("data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(data))
}

// svgSize reads the size of a drawing, given in points, in CSS pixels.
func svgSize(data []byte) (width, height int, err error) {
	var svg struct {
		XMLName xml.Name `xml:"svg"`
		Width   string   `xml:"width,attr"`
		Height  string   `xml:"height,attr"`
	}
	if err := xml.Unmarshal(data, &svg); err != nil {
		return 0, 0, fmt.Errorf("is no SVG: %w", err)
	}
	const pixelsPerPoint = 96.0 / 72
	var size [2]int
	for i, text := range []string{svg.Width, svg.Height} {
		points, err := strconv.ParseFloat(strings.TrimSuffix(text, "pt"), 64)
		if err != nil {
			return 0, 0, fmt.Errorf("size %q is not in points", text)
		}
		size[i] = int(math.Round(points * pixelsPerPoint))
	}
	return size[0], size[1], nil
}
