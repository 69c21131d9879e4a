package webpage_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/webpage"
)

// The figures that package plots draws have a size that a page can read.
func TestPicture(t *testing.T) {
	f := plots.Figure{Panels: []plots.Panel{{Series: []plots.Series{{Name: "a", X: []float64{0, 1}, Y: []float64{1, 2}}}}}}
	svg, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	p, err := webpage.NewPicture(svg, "words")
	// A panel is 4.6 inches wide, with margins.
	if err != nil || p.Width < 440 || p.Width > 500 || p.Height < 300 || p.Height > p.Width || p.MinWidth >= p.Width {
		t.Errorf("%d x %d pixels, %v", p.Width, p.Height, err)
	}
	data, ok := strings.CutPrefix(string(p.URL), "data:image/svg+xml;base64,")
	if decoded, err := base64.StdEncoding.DecodeString(data); !ok || err != nil || string(decoded) != string(svg) {
		t.Errorf("%.40s… does not hold the drawing (%v)", p.URL, err)
	}
	for text, want := range map[string]string{
		"\x89PNG":                          "is no SVG",
		`<svg width="100%" height="3pt"/>`: `size "100%" is not in points`,
	} {
		if _, err := webpage.NewPicture([]byte(text), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestPolicy(t *testing.T) {
	if p := webpage.Policy(nil); strings.Contains(p, "script-src") || !strings.HasPrefix(p, "default-src 'none'") {
		t.Errorf("without a script: %s", p)
	}
	sum := sha256.Sum256([]byte("alert()"))
	if p := webpage.Policy([]byte("alert()")); !strings.Contains(p,
		"script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("with a script: %s", p)
	}
}
