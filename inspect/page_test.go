package inspect_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"image/png"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/inspect"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// page returns the page of a problem whose names are those of an attacker.
func page(t *testing.T) (*inspect.Report, string) {
	t.Helper()
	s, _, _ := problem(4, 4)
	s.Name = `<script>alert("name")</script>`
	s.LayerNames["squares"] = `"><img src=x onerror=alert(1)>`
	r := measure(t, gctest.GoBackend(t), s, inspect.Options{})
	var b bytes.Buffer
	if err := r.Page(&b); err != nil {
		t.Fatal(err)
	}
	return r, b.String()
}

var attribute = regexp.MustCompile(`\s(src|href|srcset|action|on\w+)="([^"]*)"`)

// TestPage: the page shows every reading, loads nothing and escapes names.
func TestPage(t *testing.T) {
	r, text := page(t)
	plain := html.UnescapeString(text)
	for _, reading := range r.Readings {
		for _, want := range []string{reading.Name, reading.Value, reading.Meaning} {
			if !strings.Contains(plain, want) {
				t.Errorf("the page has no %q", want)
			}
		}
	}
	sections := map[string]bool{}
	for _, reading := range r.Readings {
		sections[reading.Section] = true
		if strings.Count(strings.TrimSuffix(reading.Meaning, "."), ". ") > 0 || !strings.HasSuffix(reading.Meaning, ".") {
			t.Errorf("%s: %q is not one sentence", reading.Name, reading.Meaning)
		}
	}
	for _, section := range []string{inspect.SectionComplexity, inspect.SectionClasses, inspect.SectionLayers,
		inspect.SectionLipschitz,
		inspect.SectionMargin, inspect.SectionNoise, inspect.SectionCollapse} {
		if !sections[section] || !strings.Contains(text, `<section id="`+section+`">`) {
			t.Errorf("no section %s", section)
		}
	}
	for _, unwanted := range []string{"<script", "<img src=x", "onerror=alert(1)>", "url(", "@import", "<link", "%!",
		"ZgotmplZ"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("the page has %q", unwanted)
		}
	}
	for _, m := range attribute.FindAllStringSubmatch(text, -1) {
		if m[1] != "src" || !strings.HasPrefix(m[2], "data:image/") {
			t.Errorf("an attribute %.60s", m[0])
		}
	}
	for _, want := range []string{`<html lang="en">`, `name="viewport"`, "default-src &#39;none&#39;",
		"prefers-color-scheme: dark", "@media print",
		"&lt;script&gt;"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// TestImages: the pictures are PNG of the inputs' size, eight of them, and eight maps. The
// brightest pixel of a map is the one with the largest norm.
func TestImages(t *testing.T) {
	r, text := page(t)
	images := regexp.MustCompile(`data:image/png;base64,([^"]+)`).FindAllStringSubmatch(text, -1)
	if len(images) != 2*len(r.Shown) || len(r.Shown) != examples {
		t.Fatalf("%d pictures of %d examples", len(images), len(r.Shown))
	}
	_, a, data := problem(4, 4)
	for i, e := range r.Shown {
		raw, err := base64.StdEncoding.DecodeString(html.UnescapeString(images[2*i+1][1]))
		if err != nil {
			t.Fatal(err)
		}
		heat, err := png.Decode(bytes.NewReader(raw))
		if err != nil || heat.Bounds().Dx() != 2 || heat.Bounds().Dy() != 2 {
			t.Fatalf("map %d is %v (%v)", i, heat, err)
		}
		j := jacobian(a, data, e.Index)
		largest, brightest, at, lit := 0.0, uint32(0), -1, -1
		for pixel := range 4 {
			norm := 0.0
			for channel := range 3 {
				for k := range outputs {
					norm += math.Pow(j.At(k, 3*pixel+channel), 2)
				}
			}
			if norm > largest {
				largest, at = norm, pixel
			}
			_, green, _, _ := heat.At(pixel%2, pixel/2).RGBA() // It rises along the scale.
			if green > brightest {
				brightest, lit = green, pixel
			}
		}
		if at != lit {
			t.Errorf("example %d: pixel %d is the brightest, want %d", e.Index, lit, at)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestPageErrors(t *testing.T) {
	r, _ := page(t)
	if err := r.Page(broken{}); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("error %v", err)
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{1.5: "1.5", math.Inf(1): "null", math.NaN(): "null"} {
		text, err := json.Marshal(inspect.Number(value))
		var back inspect.Number
		if err != nil || string(text) != want {
			t.Errorf("%g becomes %s (%v), want %s", value, text, err, want)
		}
		if err := json.Unmarshal(text, &back); err != nil || back.IsFinite() != (want != "null") {
			t.Errorf("%s becomes %g (%v)", text, float64(back), err)
		}
	}
}
