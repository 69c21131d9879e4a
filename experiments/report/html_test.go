package report

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/geometric-complexity/experiments/experiment"
	"example.com/geometric-complexity/experiments/runs"
	"example.com/geometric-complexity/internal/plots"
)

// element is a start tag of a page.
type element struct {
	name       string
	attributes map[string]string
}

// parse reads a page, which has to be well-formed XML too.
func parse(t *testing.T, page []byte) (elements []element, text string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	var b strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, strings.Join(strings.Fields(b.String()), " ")
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}}
			for _, a := range token.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			elements = append(elements, e)
		case xml.CharData:
			b.Write(token)
		}
	}
}

func samplePage(t *testing.T) (dir string, elements []element, text, page string) {
	t.Helper()
	root := t.TempDir()
	dir = filepath.Join(root, "05-gc-regularizer")
	write(t, dir, sample())
	put(t, filepath.Join(dir, DiscussionFile), "## keeps\nIt fell by <1 %. So be it.\n")
	demo := sample()
	demo.Number, demo.Name, demo.Title, demo.Claims, demo.Tables = "", "demo", "The demonstration", nil, nil
	write(t, filepath.Join(root, "demo"), demo)
	html, err := HTML(load(t, root))
	if err != nil {
		t.Fatal(err)
	}
	elements, text = parse(t, html)
	return dir, elements, text, string(html)
}

func TestPageSaysItAll(t *testing.T) {
	_, _, text, _ := samplePage(t)
	wants := []string{"Of 3 claims 1 hold, 1 do not hold, and 1 are undecided.", "05 GC & <the> regularizer", "laptop scale", "In the paper: supplement",
		"gcml run gc-regularizer --scale laptop --set rates=0,1", "It fell by <1 %. So be it.", "rate 1, seed 0, at step 4", `dataset"fashion"`, "rates[0, 1]", `resnet.width8resnet.norm""steps7`,
		"At the end", "1.5 ± 0.1", "Mean & deviation.", "versionv1.2.3", commit, "go1.27", "linux/amd64", "xla:cpu", "a processor", "0, 1, 2",
		"2030-01-02 03:04 UTC", "2, 1m30s in all", "Without claims: The demonstration"}
	for _, c := range sample().Claims {
		wants = append(wants, c.Text, c.Evidence, "Holds if: "+c.Criterion, marks[c.Verdict]+" "+string(c.Verdict)+" "+c.Text)
	}
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// The claims come first, each with its verdict and the short form of its evidence.
func TestPageBeginsWithTheClaims(t *testing.T) {
	_, _, _, page := samplePage(t)
	table := page[strings.Index(page, `<table class="claims">`):strings.Index(page, "</table>")]
	if strings.Contains(table, `class="result"`) {
		t.Fatal("an experiment comes before the claims")
	}
	_, text := parse(t, []byte(table+"</table>"))
	for _, c := range sample().Claims {
		if want := "05" + c.Text + marks[c.Verdict] + " " + string(c.Verdict) + c.Summary(); !strings.Contains(text, want) {
			t.Errorf("no row %q in %q", want, text)
		}
	}
	if strings.Contains(text, "by seed") {
		t.Error("the table has the whole evidence")
	}
}

func TestPageEmbedsEveryFigure(t *testing.T) {
	dir, elements, _, _ := samplePage(t)
	var got []string
	for _, e := range elements {
		if e.name != "img" {
			continue
		}
		data, isSVG := strings.CutPrefix(e.attributes["src"], "data:image/svg+xml;base64,")
		svg, err := base64.StdEncoding.DecodeString(data)
		if !isSVG || err != nil {
			t.Fatalf("src %.40q is no SVG in a data URL (%v)", e.attributes["src"], err)
		}
		got = append(got, string(svg))
		if alt := e.attributes["alt"]; !strings.HasPrefix(alt, `"GC" against rate in the `) {
			t.Errorf("alternative text %q does not say what is drawn", alt)
		}
		if width, height := e.attributes["width"], e.attributes["height"]; width != "100" || height != "40" {
			t.Errorf("size %s x %s; want 100 x 40 pixels", width, height)
		}
	}
	if len(got) != 4 {
		t.Fatalf("%d images; want 2 for each result", len(got))
	}
	for i, name := range []string{"sweep", "training"} {
		want, err := os.ReadFile(filepath.Join(dir, "figures", name+".svg"))
		if err != nil || got[i] != string(want) {
			t.Errorf("image %d is not figures/%s.svg (%v)", i, name, err)
		}
	}
}

// The figures that experiments draw have a size that the page can read.
func TestFiguresHaveASize(t *testing.T) {
	f := plots.Figure{Panels: []plots.Panel{{Series: []plots.Series{{Name: "a", X: []float64{0, 1}, Y: []float64{1, 2}}}}}}
	paths, err := f.Save(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	// A panel is 4.6 inches wide, with margins.
	if width, height, err := svgSize(svg); err != nil || width < 440 || width > 500 || height < 300 || height > width {
		t.Errorf("%d x %d pixels, %v", width, height, err)
	}
}

// A page that is mailed or opened without a network is the same.
func TestPageNeedsNothingElse(t *testing.T) {
	_, elements, _, page := samplePage(t)
	ids := map[string]bool{}
	for _, e := range elements {
		if id, ok := e.attributes["id"]; ok {
			if ids[id] {
				t.Errorf("two elements with the id %q", id)
			}
			ids[id] = true
		}
	}
	for _, e := range elements {
		switch e.name {
		case "script", "link", "iframe", "object", "embed", "base", "form":
			t.Errorf("the page has a <%s>", e.name)
		}
		for name, value := range e.attributes {
			switch {
			case strings.HasPrefix(name, "on"), name == "srcset", name == "action":
				t.Errorf("<%s> has an attribute %s", e.name, name)
			case name == "src" && !strings.HasPrefix(value, "data:"):
				t.Errorf("<%s> loads %q", e.name, value)
			case name == "href" && (!strings.HasPrefix(value, "#") || !ids[value[1:]]):
				t.Errorf("a link to %q, which is not in the page", value)
			}
		}
	}
	for _, unwanted := range []string{"url(", "@import", "@font-face"} {
		if strings.Contains(page, unwanted) {
			t.Errorf("the page has %q", unwanted)
		}
	}
	for _, want := range []string{`<html lang="en">`, `name="viewport"`, "prefers-color-scheme: dark", "@media print"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

func TestPageOfTheSameResultsIsTheSame(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, sample())
	a, errA := HTML(load(t, dir))
	b, errB := HTML(load(t, dir))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two pages differ (%v, %v)", errA, errB)
	}
}

func TestPageErrors(t *testing.T) {
	for _, tc := range []struct{ name, file, text, want string }{
		{"no figure", "figures/sweep.svg", "", "no such file"},
		{"no SVG", "figures/sweep.svg", "\x89PNG", "sweep.svg: is no SVG"},
		{"unknown size", "figures/sweep.svg", `<svg width="100%" height="3pt"/>`, `size "100%" is not in points`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, sample())
			if tc.text == "" {
				remove(tc.file)(t, dir)
			} else {
				put(t, filepath.Join(dir, tc.file), tc.text)
			}
			_, err := HTML(load(t, dir))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v; want %q", err, tc.want)
			}
		})
	}
}

// Runs of several versions are all named.
func TestCommits(t *testing.T) {
	f := &Folder{Result: sample(), Records: []Record{{Provenance: runs.Provenance{Commit: "aa"}}, {Provenance: runs.Provenance{Commit: "aa", Modified: true}},
		{Provenance: runs.Provenance{Commit: "aa"}}}}
	if got, want := f.commits(), "aa, aa with changes, "+commit; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	f = &Folder{Result: &experiment.Result{}}
	if got := f.commits(); got != "not known" {
		t.Errorf("%s; want that it is not known", got)
	}
}

// The page names the data, a copy for what it is.
func TestPageNamesTheData(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	r.Data = []runs.DataContent{{Name: "cifar10", SHA256: "0123456789abcdef0123", Content: "a JPEG copy"}}
	write(t, dir, r)
	page, err := HTML(load(t, dir))
	if err != nil || !strings.Contains(string(page), "cifar10: a JPEG copy (SHA-256 0123456789abcdef…)") {
		t.Errorf("the page does not name the data (%v)", err)
	}
}
