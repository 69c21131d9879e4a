package report

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/internal/marked"
)

// Names of the generated sections of README.md and results/README.md.
const (
	claimsSection  = "claims"
	resultsSection = "results"
)

// UpdateReadmes writes the table of experiments into the README, and the list of results and all
// claims into the README of the results folder. It returns the files that it changed.
func UpdateReadmes(folders []*Folder, readme, results string) (changed []string, err error) {
	listed := filepath.Join(results, "README.md")
	for _, s := range []struct{ path, name, text string }{
		{readme, claimsSection, experimentsTable(folders, filepath.Dir(readme), listed)},
		{listed, resultsSection, foldersTable(folders, results)},
		{listed, claimsSection, claimsList(folders, results)},
	} {
		written, err := marked.Update(s.path, s.name, s.text)
		if err != nil {
			return changed, err
		}
		if written && !slices.Contains(changed, s.path) {
			changed = append(changed, s.path)
		}
	}
	return changed, nil
}

// experimentsTable returns the table of experiments as Markdown, with the main finding and the
// counts of the verdicts. Superseded results are left out. Links are relative to the folder base;
// the last one leads to the file all, which has every claim.
func experimentsTable(folders []*Folder, base, all string) string {
	judged := Judge(folders)
	var rows strings.Builder
	for _, j := range judged {
		if j.Superseded || len(j.Claims) == 0 {
			continue
		}
		var t tally
		t.add(j.Decided)
		counts := "– | – | –"
		if t.total > 0 {
			counts = fmt.Sprintf("%d | %d | %d", t.counts[evidence.Holds], t.counts[evidence.DoesNotHold],
				t.counts[evidence.Undecided])
		}
		found := cell(j.found())
		if doubt, _ := j.Doubt(); doubt != "" {
			found += " *" + cell(doubt) + "*"
		}
		fmt.Fprintf(&rows, "| [%s](%s) | %s | %s | %s | %s |\n", cell(j.name()), linkTo(j.Dir, base), found, counts,
			cell(t.provenText()), cell(j.scaleText()))
	}
	if rows.Len() == 0 {
		return "There are no results yet."
	}
	return summary(judged) + "\n\n| experiment | what was found | hold | do not hold | undecided | proven | scale |\n" +
		"|---|---|---|---|---|---|---|\n" + rows.String() +
		fmt.Sprintf("\n[Every claim](%s), with its effect, verdicts and criterion.\n", linkTo(all, base))
}

// name returns the experiment's number and title.
func (f *Folder) name() string { return strings.TrimSpace(f.Number + " " + f.Title) }

// scaleText returns the scale with its caveat.
func (f *Folder) scaleText() string {
	if f.Scale.Caveat() == "" || len(f.Claims) == 0 {
		return string(f.Scale)
	}
	return string(f.Scale) + ": " + f.Scale.Caveat()
}

// provenText returns how many theorems and identities were refuted, or were not.
func (t tally) provenText() string {
	switch refuted := t.counts[Refuted]; {
	case t.proven == 0:
		return ""
	case refuted > 0:
		return fmt.Sprintf("%d of %d refuted", refuted, t.proven)
	}
	return fmt.Sprintf("%d not refuted", t.proven)
}

// found returns a sentence on the first empirical claim that a test decides. If there is none, it
// is on the first one with an effect, or else on the first one.
func (j *Judged) found() string {
	c := j.headline()
	if c == nil {
		return ""
	}
	text := c.Finding()
	if c.Effect == "" {
		text = fmt.Sprintf("%s. %s: %s", c.Text, upper(string(c.Final)), text)
	}
	return upper(text) + "."
}

func (j *Judged) headline() (first *JudgedClaim) {
	rank := func(c *JudgedClaim) int {
		switch {
		case c == nil || c.Proven:
			return 0
		case c.P != nil && (c.Final == evidence.Holds || c.Final == evidence.DoesNotHold):
			return 3
		case c.Effect != "":
			return 2
		}
		return 1
	}
	for _, own := range j.Claims {
		at := slices.IndexFunc(j.Decided, func(c JudgedClaim) bool { return c.ID == own.ID })
		if at >= 0 && rank(&j.Decided[at]) > rank(first) {
			first = &j.Decided[at]
		}
	}
	return first
}

// upper returns the text with its first letter in upper case.
func upper(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// doubtText returns both parts of doubt.
func (f *Folder) doubtText() string {
	short, why := f.Doubt()
	return strings.TrimSpace(short + " " + why)
}

// claimsList lists every claim as Markdown, by experiment, with its discussion. Links are relative
// to the folder base.
func claimsList(folders []*Folder, base string) string {
	judged := Judge(folders)
	var b strings.Builder
	b.WriteString(summary(judged) + "\n")
	for _, j := range judged {
		if len(j.Decided) > 0 {
			j.writeClaims(&b, base)
		}
	}
	return b.String()
}

func (j *Judged) writeClaims(b *strings.Builder, base string) {
	fmt.Fprintf(b, "\n### [%s](%s)\n\n", cell(j.name()), linkTo(j.Dir, base))
	about := []string{upper(strings.Replace(j.scaleText(), string(j.Scale), string(j.Scale)+" scale", 1)) + "."}
	if j.Superseded {
		about = append(about, "A larger scale decides these claims, so they are corrected apart from the others.")
	}
	if doubt := j.doubtText(); doubt != "" {
		about = append(about, doubt)
	} else {
		about = append(about, "Criteria fixed by "+j.criteria()+", before the first run began.")
	}
	b.WriteString(cell(strings.Join(about, " ")) + "\n")
	var empirical, proven, discussed strings.Builder
	for _, c := range j.Decided {
		if c.Proven {
			fmt.Fprintf(&proven, "- **%s** in %d runs: %s (%s; holds if: %s)\n", c.Final, len(j.Runs), cell(c.Text),
				cell(c.Finding()), cell(c.Criterion))
		} else {
			empirical.WriteString(c.row(j.older()))
		}
		if text := j.Discussion[c.ID]; text != "" {
			fmt.Fprintf(&discussed, "- %s (%s): %s\n", cell(c.Text), c.Final, text)
		}
	}
	if empirical.Len() > 0 {
		b.WriteString("\n| verdict | claim | effect | where compared, without correction | rank correlation " +
			"| without correction | p-value | holds if |\n" +
			"|---|---|---|---|---|---|---|---|\n" + empirical.String())
	}
	if proven.Len() > 0 {
		b.WriteString("\nProven:\n\n" + proven.String())
	}
	if discussed.Len() > 0 {
		b.WriteString("\nDiscussion:\n\n" + discussed.String())
	}
}

// row returns a claim's line of the table.
func (c JudgedClaim) row(older bool) string {
	var matched []string
	for _, m := range c.Matched {
		matched = append(matched, cell(fmt.Sprintf("%s %s: %s", LookOf(m.Verdict).Mark, m.Matching, m.Verdict)))
	}
	alone, p := string(c.Verdict), c.PValues()
	switch {
	case c.Final == NoVerdict:
		alone, matched = "", nil
	case older:
		p = "unknown"
	case p == "":
		p = "no test"
	}
	return fmt.Sprintf("| %s **%s** | %s | %s | %s | %s | %s | %s | %s |\n", LookOf(c.Final).Mark, cell(string(c.Final)),
		cell(c.Text), cell(c.Summary()), strings.Join(matched, "<br>"), c.RankText(), cell(alone), p, cell(c.Criterion))
}

// foldersTable returns the table of the folders as Markdown, for a README in the folder base.
func foldersTable(folders []*Folder, base string) string {
	var b strings.Builder
	b.WriteString("| folder | command | backend | seeds | date |\n|---|---|---|---|---|\n")
	for _, f := range folders {
		command := f.repeatedBy()
		if command != "" {
			command = "`" + strings.ReplaceAll(command, "|", `\|`) + "`"
		}
		fmt.Fprintf(&b, "| [%s](%s) | %s | %s | %s | %s |\n", f.ID(), linkTo(f.Dir, base), command,
			cell(f.Backend), f.seeds(), f.Provenance.Finished.UTC().Format("2006-01-02"))
	}
	return b.String()
}

// repeatedBy returns the command that repeats the result on its backend. The pure-Go backend has to
// be asked for, because gcml takes XLA where there is one.
func (f *Folder) repeatedBy() string {
	const variable = "GOMLX_BACKEND="
	if f.Command == "" || f.Backend != "go" || strings.Contains(f.Command, variable) {
		return f.Command
	}
	return variable + f.Backend + " " + f.Command
}

// linkTo returns the path of a folder relative to another.
func linkTo(dir, base string) string {
	if relative, err := filepath.Rel(base, dir); err == nil {
		dir = relative
	}
	return filepath.ToSlash(dir)
}

// cell escapes a text so that Markdown shows it unchanged, in tables too.
var cellEscapes = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "<", "&lt;", "`", "\\`", "\n", " ")

func cell(text string) string { return cellEscapes.Replace(text) }
