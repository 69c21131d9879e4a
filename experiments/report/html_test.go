package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
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
	put(t, filepath.Join(dir, DiscussionFile), "## keeps: does not hold\nIt fell by <1 %. So be it.\n")
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
	wants := []string{"Of 3 empirical claims, after Holm's correction for their number: 1 holds, 1 does not hold, 1 undecided.", "05 GC & <the> regularizer", "laptop: a first look", "In the paper: supplement",
		"gcml run gc-regularizer --scale laptop --seeds 0,1", "It fell by <1 %. So be it.", "rate 1, seed 0, at step 4",
		`dataset"fashion"`, "rates[0, 1]", `resnet.width8resnet.norm""steps7`,
		"At the end", "1.5 ± 0.1", "Mean & deviation.", "versionv1.2.3", commit, "go1.27", "linux/amd64", "xla:cpu",
		"a processor", "0, 1, 2",
		"2030-01-02 03:04 UTC", "2, 1m30s in all", "The demonstration",
		"criteriacommit 0123456789ab of 2029-01-01 00:00 UTC", "p-value 0.001, corrected 0.003."}
	for _, c := range sample().Claims {
		wants = append(wants, c.Text, c.Evidence, "Holds if: "+c.Criterion+".",
			LookOf(c.Verdict).Mark+" "+string(c.Verdict)+" "+c.Text)
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

// TestPageBeginsWithWhatMatters checks that the page begins with a mark for each claim, linked to
// the claim, and with the claims that fail. In each experiment failures come first, and details are
// folded.
func TestPageBeginsWithWhatMatters(t *testing.T) {
	_, elements, _, page := samplePage(t)
	part := func(from, to string) string {
		t.Helper()
		_, after, ok := strings.Cut(page, from)
		inside, _, closed := strings.Cut(after, to)
		if !ok || !closed {
			t.Fatalf("no part from %q to %q", from, to)
		}
		return inside
	}
	strip, at := part("<nav", "</nav>"), -1
	for _, want := range []string{`does-not-hold" href="#05-gc-regularizer.keeps"`,
		`undecided" href="#05-gc-regularizer.helps"`,
		`holds" href="#05-gc-regularizer.lowers"`} {
		i := strings.Index(strip, want)
		if i <= at {
			t.Errorf("no %q in its place in %s", want, strip)
		}
		at = i
	}
	failures := part(`<section id="failures">`, "</section>")
	for text, want := range map[string]bool{"accuracy is *kept*": true, "It fell by": true, "accuracy rises": false,
		"GC falls by": false} {
		if strings.Contains(failures, text) != want {
			t.Errorf("%q among the failures: %t; want %t", text, !want, want)
		}
	}
	var order []string
	for _, e := range elements {
		if verdict := e.attributes["data-verdict"]; verdict != "" {
			order = append(order, verdict)
		}
		if _, open := e.attributes["open"]; open {
			t.Errorf("a <%s> is unfolded", e.name)
		}
	}
	if want := []string{"does not hold", "undecided", "holds"}; !slices.Equal(order, want) {
		t.Errorf("claims in the order %q; want %q", order, want)
	}
}

// TestPageFoldsFirstLooks checks that a result that a larger scale supersedes is folded, and
// neither among the failures nor in the overview.
func TestPageFoldsFirstLooks(t *testing.T) {
	page, err := HTML([]*Folder{folder("01", experiment.Laptop, claim("look", evidence.DoesNotHold, 0.04)),
		folder("01", desk, claim("night", evidence.Holds, 0.04))})
	if err != nil {
		t.Fatal(err)
	}
	before, folded, ok := strings.Cut(string(page), `<details class="more" id="first-looks">`)
	if !ok || strings.Contains(before, "claim look") || !strings.Contains(before, "claim night") ||
		!strings.Contains(folded, "claim look") || strings.Contains(folded, "claim night") {
		t.Errorf("the page is\n%s", page)
	}
}

// TestPageRunsItsOwnScriptOnly checks that the page's own script is the only one, so that no text
// of a result is executed, and nothing is loaded.
func TestPageRunsItsOwnScriptOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	r := sample()
	r.Claims[0].ID = `"><script>alert(1)</script>`
	r.Claims[1].Text = `</script><script>alert(2)</script>`
	r.Claims[2].Verdict = `"onload="alert(3)`
	write(t, dir, r)
	html, err := HTML(load(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	elements, _ := parse(t, html)
	scripts, policy := 0, ""
	for _, e := range elements {
		if e.name == "script" {
			scripts++
			if len(e.attributes) > 0 {
				t.Errorf("the script has attributes %v", e.attributes)
			}
		}
		if e.attributes["http-equiv"] == "Content-Security-Policy" {
			policy = e.attributes["content"]
		}
		for name := range e.attributes {
			if strings.HasPrefix(name, "on") {
				t.Errorf("<%s> has an attribute %s", e.name, name)
			}
		}
	}
	_, script, _ := strings.Cut(string(html), "<script>")
	script, _, _ = strings.Cut(script, "</script>")
	sum := sha256.Sum256([]byte(script))
	want := "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'; "
	if scripts != 1 || !strings.HasPrefix(policy, want) {
		t.Errorf("%d scripts, policy %q; want one that %q lets run", scripts, policy, want)
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

// TestPageNeedsNothingElse checks that the page loads nothing, so that it can be mailed and read
// without a network.
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
		case "link", "iframe", "object", "embed", "base", "form":
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

// TestCommits checks that the commits of all runs are named.
func TestCommits(t *testing.T) {
	f := &Folder{Result: sample(), Records: []Record{{Provenance: runs.Provenance{Commit: "aa"}},
		{Provenance: runs.Provenance{Commit: "aa", Modified: true}},
		{Provenance: runs.Provenance{Commit: "aa"}}}}
	if got, want := f.commits(), "aa, aa with changes, "+commit; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	f = &Folder{Result: &experiment.Result{}}
	if got := f.commits(); got != "unknown" {
		t.Errorf("%s; want unknown", got)
	}
}

// TestPageNamesTheData checks that the page names the data, and says whether it is a copy.
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
