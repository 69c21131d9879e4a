package ranking

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// figure shows the test error against each measure, a point for each setting.
func figure(r *Result, all []*Measured) plots.Figure {
	f := plots.Figure{Title: "Test error against complexity measures", Columns: 4,
		Caption: fmt.Sprintf("A point for each setting of %s: the mean over %d seeds, at the last step but for GC at equal "+
			"training loss, which is shown with the error there. Logarithmic axes where a measure is positive.",
			r.Experiment, len(r.Seeds))}
	settings := make(map[string][]*Measured)
	for _, m := range all {
		settings[m.settingKey()] = append(settings[m.settingKey()], m)
	}
	by := categoryOf(all)
	for _, measure := range Measures() {
		p := plots.Panel{XLabel: measure.Name, YLabel: "test error", LogX: !measure.Signed, LogY: true}
		series := make(map[string]*plots.Series)
		some := false
		for _, key := range slices.Sorted(maps.Keys(settings)) {
			runs := settings[key]
			name := category(runs[0], by)
			if series[name] == nil {
				series[name] = &plots.Series{Name: name, NoLine: true}
			}
			var x, y []float64
			for _, m := range runs {
				x, y = append(x, m.value(measure.ID)), append(y, m.value(TestError+measure.At))
			}
			meanX, _ := stats.MeanStd(x)
			meanY, _ := stats.MeanStd(y)
			series[name].X, series[name].Y = append(series[name].X, meanX), append(series[name].Y, meanY)
			some = some || stats.Finite(meanX)
		}
		for _, name := range slices.Sorted(maps.Keys(series)) {
			p.Series = append(p.Series, *series[name])
		}
		if some {
			f.Panels = append(f.Panels, p)
		}
	}
	return f
}

// settingKey identifies a run's settings, without its seed.
func (m *Measured) settingKey() string {
	_, key, _ := strings.Cut(m.key(""), " ")
	return key
}

// categoryOf returns the setting that figures colour by: the first whose values are words of which
// there are several, such as the optimizer; "" if there is none.
func categoryOf(all []*Measured) string {
	values := make(map[string]map[string]bool)
	for _, m := range all {
		for name, value := range m.Setting {
			if strings.HasPrefix(value, `"`) {
				if values[name] == nil {
					values[name] = make(map[string]bool)
				}
				values[name][value] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		missing := slices.ContainsFunc(all, func(m *Measured) bool { return m.Setting[name] == "" })
		if len(values[name]) > 1 || missing {
			return name
		}
	}
	return ""
}

// defaultNames are the names of the values that tasks leave out because they are the default.
var defaultNames = map[string]string{"optimizer": training.PlainDescent}

// category returns the name of a run's value of a setting.
func category(m *Measured, by string) string {
	if by == "" {
		return "runs"
	}
	if value := strings.Trim(m.Setting[by], `"`); value != "" {
		return value
	}
	return cmp.Or(defaultNames[by], "default "+display(by))
}
