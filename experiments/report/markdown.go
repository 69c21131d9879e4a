package report

import (
	"fmt"
	"path/filepath"
	"strings"

	"example.com/geometric-complexity/experiments/evidence"
	"example.com/geometric-complexity/experiments/experiment"
	"example.com/geometric-complexity/internal/marked"
)

// The names of the generated sections, of README.md and of results/README.md.
const (
	ClaimsSection  = "claims"
	ResultsSection = "results"
)

// UpdateReadmes writes the claims into the README and the list of results into
// the results folder's README, and returns those of the two that it changed.
func UpdateReadmes(folders []*Folder, readme, results string) (changed []string, err error) {
	listed := filepath.Join(results, "README.md")
	for _, s := range []struct{ path, name, text string }{
		{readme, ClaimsSection, Claims(folders, filepath.Dir(readme))},
		{listed, ResultsSection, List(folders, results)},
	} {
		written, err := marked.Update(s.path, s.name, s.text)
		if err != nil {
			return changed, err
		}
		if written {
			changed = append(changed, s.path)
		}
	}
	return changed, nil
}

// Claims is the table of claims as Markdown, with what was written about those
// that do not hold below it. Links are relative to the folder base.
func Claims(folders []*Folder, base string) string {
	var rows, discussed strings.Builder
	for _, f := range folders {
		link := fmt.Sprintf("[%s](%s)", f.label(), linkTo(f.Dir, base))
		for _, c := range f.Claims {
			verdict := string(c.Verdict)
			if c.Verdict != evidence.Undecided {
				verdict = "**" + verdict + "**"
			}
			fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", link, cell(c.Text), verdict, cell(c.Summary()))
			if text := f.Discussion[c.ID]; text != "" {
				fmt.Fprintf(&discussed, "- %s %s (%s): %s\n", link, cell(c.Text), c.Verdict, text)
			}
		}
	}
	if rows.Len() == 0 {
		return "No experiment's results are here yet."
	}
	text := summary(folders) + "\n\n| no. | claim | verdict | evidence |\n|---|---|---|---|\n" + rows.String()
	if discussed.Len() > 0 {
		text += "\n" + discussed.String()
	}
	return text
}

// label is the experiment's number, with the scale if it is not the usual one.
func (f *Folder) label() string {
	label := f.Number
	if label == "" {
		label = f.Name
	}
	if f.Scale != experiment.Laptop && f.Scale != "" {
		label += ", " + string(f.Scale) + " scale"
	}
	return cell(label)
}

// List is the table of the folders as Markdown, for a README in the folder base.
func List(folders []*Folder, base string) string {
	var b strings.Builder
	b.WriteString("| folder | command | backend | seeds | date |\n|---|---|---|---|---|\n")
	for _, f := range folders {
		command := ""
		if f.Command != "" {
			command = "`" + strings.ReplaceAll(f.Command, "|", `\|`) + "`"
		}
		fmt.Fprintf(&b, "| [%s](%s) | %s | %s | %s | %s |\n", f.ID(), linkTo(f.Dir, base), command, cell(f.Backend), f.seeds(),
			f.Provenance.Finished.UTC().Format("2006-01-02"))
	}
	return b.String()
}

// linkTo is the path of a folder from another.
func linkTo(dir, base string) string {
	if relative, err := filepath.Rel(base, dir); err == nil {
		dir = relative
	}
	return filepath.ToSlash(dir)
}

// cell is text that Markdown shows as it is, in a table too.
var cellEscapes = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "<", "&lt;", "`", "\\`", "\n", " ")

func cell(text string) string { return cellEscapes.Replace(text) }
