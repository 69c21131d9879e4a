package ranking

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// flat returns the leaves of a JSON object by their paths, such as "penalties.gc", each as JSON.
func flat(object json.RawMessage) (map[string]string, error) {
	leaves := make(map[string]string)
	var add func(path string, value json.RawMessage) error
	add = func(path string, value json.RawMessage) error {
		if !strings.HasPrefix(strings.TrimSpace(string(value)), "{") {
			leaves[path] = string(value)
			return nil
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(value, &members); err != nil {
			return err
		}
		for name, member := range members {
			if err := add(strings.TrimPrefix(path+"."+name, "."), member); err != nil {
				return err
			}
		}
		return nil
	}
	return leaves, add("", object)
}

// axis is a setting that varies, with the groups of runs that differ in it alone: runs of one seed
// that are equal in all other settings. A setting that a run lacks is one of the values.
type axis struct {
	name   string // the path in the task
	groups []group
}

// group has the positions of its runs, two or more.
type group struct {
	seed int64
	runs []int
}

// axesOf returns the settings in which two runs of one seed differ alone, in the order of their
// names.
func axesOf(all []*Measured) (axes []axis) {
	names := make(map[string]bool)
	for _, m := range all {
		for name := range m.Setting {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		members := make(map[string][]int)
		for i, m := range all {
			key := m.key(name)
			members[key] = append(members[key], i)
		}
		a := axis{name: name}
		for _, key := range slices.Sorted(maps.Keys(members)) {
			if runs := members[key]; len(runs) > 1 {
				a.groups = append(a.groups, group{all[runs[0]].Seed, runs})
			}
		}
		if len(a.groups) > 0 {
			axes = append(axes, a)
		}
	}
	return axes
}

// key identifies a run's seed and settings but the one with the name.
func (m *Measured) key(except string) string {
	rest := maps.Clone(m.Setting)
	delete(rest, except)
	raw, err := json.Marshal(rest) // Sorts the names.
	if err != nil {
		panic(err) // Strings have a JSON form.
	}
	return fmt.Sprintf("%d %s", m.Seed, raw)
}

// display writes the path of a setting for people.
func display(name string) string {
	if penalty, ok := strings.CutPrefix(name, "penalties."); ok {
		if penalty == "gc" || penalty == "l2" {
			penalty = strings.ToUpper(penalty)
		}
		return penalty + " penalty"
	}
	_, last, found := strings.Cut(name, ".")
	if !found {
		last = name
	}
	return strings.ReplaceAll(last, "_", " ")
}
