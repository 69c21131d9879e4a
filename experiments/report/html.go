package report

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/webpage"
)

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.Must(template.New("page.html").Funcs(template.FuncMap{
	"mark": func(v evidence.Verdict) string { return LookOf(v).Mark }, "class": className,
}).Parse(webpage.PictureTemplate)).ParseFS(pageFiles, "page/page.html"))

// HTML renders the folders as one page that needs no other file.
func HTML(folders []*Folder) ([]byte, error) {
	style, err := pageFiles.ReadFile("page/page.css")
	if err != nil {
		return nil, err
	}
	script, err := pageFiles.ReadFile("page/page.js")
	if err != nil {
		return nil, err
	}
	judged := Judge(folders)
	data := page{Style: template.CSS(webpage.Style + string(style) + verdictStyle()), Script: template.JS(script),
		Summary: summary(judged), Policy: webpage.Policy(script)}
	for _, j := range judged {
		v, err := newView(j)
		if err != nil {
			return nil, err
		}
		if j.Superseded {
			data.FirstLooks = append(data.FirstLooks, v)
		} else {
			data.Results = append(data.Results, v)
		}
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// page is the data of the template.
type page struct {
	Style   template.CSS
	Script  template.JS
	Policy  string // The content security policy.
	Summary string
	Results []view
	// FirstLooks are the results that a larger scale supersedes. The page shows them folded.
	FirstLooks []view
}

// All returns the results in their order on the page.
func (p page) All() []view { return slices.Concat(p.Results, p.FirstLooks) }

// Verdicts returns the verdicts that at least one claim has, failures first.
func (p page) Verdicts() (some []evidence.Verdict) {
	for _, verdict := range verdicts {
		if slices.ContainsFunc(p.All(), func(v view) bool { return len(v.with(verdict)) > 0 }) {
			some = append(some, verdict)
		}
	}
	return some
}

// Failed returns the results with claims that do not hold, and only these claims.
func (p page) Failed() (failed []view) {
	for _, v := range p.Results {
		if v.Decided = v.with(Refuted, evidence.DoesNotHold); len(v.Decided) > 0 {
			failed = append(failed, v)
		}
	}
	return failed
}

// view is the data of a result on the page.
type view struct {
	Judged
	First      []webpage.Picture // Always shown.
	Pictures   []webpage.Picture // The others, shown folded.
	Diverged   []experiment.RunSummary
	Settings   []setting // of the configuration
	Provenance []setting
}

func (v view) with(wanted ...evidence.Verdict) (claims []JudgedClaim) {
	for _, c := range v.Decided {
		if slices.Contains(wanted, c.Final) {
			claims = append(claims, c)
		}
	}
	return claims
}

// The folder's texts, for the template.
func (v view) Name() string  { return v.name() }
func (v view) Size() string  { return v.scaleText() }
func (v view) Doubt() string { return v.doubtText() }
func (v view) Found() string { return v.found() }

// Discussed returns the discussion of a claim.
func (v view) Discussed(id string) string { return v.Discussion[id] }

// Words returns the command's words, so that a narrow page can break the line between them.
func (v view) Words() []string { return strings.Fields(v.repeatedBy()) }

// Note explains a claim's verdict.
func (v view) Note(c JudgedClaim) string {
	var parts []string
	if c.Proven {
		parts = append(parts, fmt.Sprintf("Proven: the %d runs can only fail to refute it.", len(v.Runs)))
	}
	parts = append(parts, "Holds if: "+c.Criterion+".")
	if p := c.PValues(); p != "" {
		parts = append(parts, "p-value "+p+".")
	}
	if alone := c.Alone(); alone != "" {
		parts = append(parts, "Verdict without correction: "+string(alone)+".")
	}
	if c.Shares != "" {
		parts = append(parts, "Another claim has the same statistic; the two count once.")
	}
	if rank := c.RankText(); rank != "" && !strings.Contains(c.Evidence, "rank correlation") {
		parts = append(parts, "Rank correlation "+rank+".")
	}
	return strings.Join(parts, " ")
}

type setting struct{ Key, Value string }

func newView(j Judged) (v view, err error) {
	v = view{Judged: j, Provenance: j.provenance()}
	for i, base := range j.figureBases() {
		p, err := j.picture(base)
		if err != nil {
			return v, err
		}
		if i == 0 {
			v.First = append(v.First, p)
		} else {
			v.Pictures = append(v.Pictures, p)
		}
	}
	for _, run := range j.Runs {
		if run.Status == runs.Diverged {
			v.Diverged = append(v.Diverged, run)
		}
	}
	if v.Settings, err = settings(j.Config, ""); err != nil {
		return v, fmt.Errorf("%s: configuration: %w", j.Dir, err)
	}
	return v, nil
}

func (f *Folder) picture(base string) (webpage.Picture, error) {
	file := filepath.Join(f.Dir, filepath.FromSlash(base)+".svg")
	data, err := readFile(f.Dir, base+".svg")
	if err != nil {
		return webpage.Picture{}, err
	}
	alt := f.InWords[path.Base(base)]
	if alt == "" {
		alt = f.Title + ": " + strings.ReplaceAll(path.Base(base), "-", " ")
	}
	p, err := webpage.NewPicture(data, alt)
	if err != nil {
		return p, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// settings returns the keys and values of a configuration in their order. Keys of inner objects are
// written "outer.inner", as in gcml run --set.
func settings(config json.RawMessage, prefix string) (all []setting, err error) {
	d := json.NewDecoder(bytes.NewReader(config))
	if _, err := d.Token(); err != nil { // the opening brace
		return nil, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := prefix + fmt.Sprint(name)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if bytes.HasPrefix(value, []byte("{")) {
			inner, err := settings(value, key+".")
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
			continue
		}
		var short bytes.Buffer
		if err := json.Compact(&short, value); err != nil {
			return nil, err
		}
		all = append(all, setting{key, strings.ReplaceAll(short.String(), ",", ", ")})
	}
	return all, nil
}

// provenance returns the versions, device, data and times of the result.
func (f *Folder) provenance() []setting {
	p := f.Result.Provenance
	all := []setting{{"version", p.Version}, {"commit", f.commits()}, {"Go", p.Go}, {"platform", p.Platform},
		{"criteria", f.criteria()}, {"backend", f.Backend}, {"device", f.devices()}, {"data", f.data()},
		{"seeds", f.seeds()}, {"finished", minute(p.Finished)}, {"runs", f.runs()}}
	return slices.DeleteFunc(all, func(s setting) bool { return s.Value == "" })
}

// commits returns the commits of the runs, and that of the result if it is another.
func (f *Folder) commits() string {
	all := f.each(func(p runs.Provenance) string {
		if p.Modified {
			return p.Commit + " with changes"
		}
		return p.Commit
	})
	if all == "" {
		return "unknown"
	}
	return all
}

// devices returns the devices of the runs.
func (f *Folder) devices() string {
	return f.each(func(p runs.Provenance) string { return p.Device })
}

// data returns the content of the runs' data sets.
func (f *Folder) data() string {
	var all []string
	for _, d := range f.Data {
		all = append(all, d.String())
	}
	return strings.Join(all, ", ")
}

// each joins the values of the runs' provenances and of the result's, each once.
func (f *Folder) each(says func(runs.Provenance) string) string {
	var all []string
	for _, r := range f.Records {
		all = append(all, says(r.Provenance))
	}
	all = append(all, says(f.Result.Provenance))
	seen := map[string]bool{"": true}
	return strings.Join(slices.DeleteFunc(all, func(text string) bool {
		before := seen[text]
		seen[text] = true
		return before
	}), ", ")
}

// runs returns the number of runs and the sum of their times.
func (f *Folder) runs() string {
	var seconds float64
	for _, r := range f.Runs {
		seconds += r.Seconds
	}
	took := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%d, %s in all", len(f.Runs), took)
}

func (f *Folder) seeds() string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(f.Seeds)), ", "), "[]")
}
