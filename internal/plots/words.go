package plots

import (
	"fmt"
	"slices"
	"strings"
)

// InWords describes the figure for readers who cannot see it: its panels with their axes, its
// series, and the caption.
func (f Figure) InWords() string {
	var panels []string
	for _, p := range f.Panels {
		panels = append(panels, p.inWords())
	}
	var named []string
	for _, name := range f.names() {
		if name != "" {
			named = append(named, name)
		}
	}
	var parts []string
	for _, part := range []string{f.Title, strings.Join(panels, "; "), list("Shown: ", named), f.Caption} {
		if part = strings.TrimRight(strings.Join(strings.Fields(part), " "), "."); part != "" {
			parts = append(parts, part+".")
		}
	}
	return strings.Join(parts, " ")
}

// inWords returns "title: y label against x label", and marks logarithmic axes.
func (p Panel) inWords() string {
	text := fmt.Sprintf("%s against %s", axis(p.YLabel, p.LogY), axis(p.XLabel, p.LogX))
	if p.Title != "" {
		text = p.Title + ": " + text
	}
	return text
}

func axis(label string, log bool) string {
	if log {
		return label + " (logarithmic)"
	}
	return label
}

// list joins the names after a lead; from a long list it takes the first names and the last.
func list(lead string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	const most = 8
	if len(names) > most {
		names = slices.Concat(names[:most-2], []string{"and so on to " + names[len(names)-1]})
	}
	return lead + strings.Join(names, ", ")
}
