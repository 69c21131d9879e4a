package experiments

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"example.com/geometric-complexity/internal/shell"
)

// repeatedBy gives the scale that a configuration with its seeds is nearest to,
// and the command that repeats its result: the experiment at that scale, with
// what differs from it. Of scales that are equally near, as where an experiment
// knows only one, laptop comes first.
func repeatedBy(e Experiment, cfg any, seeds []int64) (nearest Scale, command string, err error) {
	var fewest []string
	for _, scale := range []Scale{Laptop, Paper, Smoke} {
		flags, err := difference(e.DefaultConfig(scale), cfg)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", e.Info().Name, err)
		}
		if !slices.Equal(seeds, e.DefaultSeeds(scale)) {
			flags = append([]string{"--seeds", strings.ReplaceAll(joinInts(seeds), " ", "")}, flags...)
		}
		if nearest == "" || len(flags) < len(fewest) {
			nearest, fewest = scale, flags
		}
	}
	words := []string{"gcml", e.Info().Name}
	if e.Info().Number != "" {
		words = []string{"gcml", "run", e.Info().Name, "--scale", string(nearest)}
	}
	return nearest, shell.Join(append(words, fewest...)...), nil
}

// difference is the flags that make one configuration of the other. Both are
// pointers to the same type of struct.
func difference(from, to any) (flags []string, err error) {
	was, is := settings(reflect.ValueOf(from).Elem(), ""), settings(reflect.ValueOf(to).Elem(), "")
	for i := range is {
		before, err := json.Marshal(was[i].value.Interface())
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", was[i].key, err)
		}
		after, err := json.Marshal(is[i].value.Interface())
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", is[i].key, err)
		}
		if !bytes.Equal(before, after) {
			flags = append(flags, "--set", is[i].key+"="+assigned(is[i].value, after))
		}
	}
	return flags, nil
}

// assigned is a value as Set reads it, a list without its brackets.
func assigned(v reflect.Value, text []byte) string {
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Slice:
		return string(bytes.TrimSuffix(bytes.TrimPrefix(text, []byte("[")), []byte("]")))
	}
	return string(text)
}

// inWords says of each figure, by its name, what it shows.
func inWords(figures []NamedFigure) map[string]string {
	words := make(map[string]string, len(figures))
	for _, f := range figures {
		words[f.Name] = f.Figure.InWords()
	}
	return words
}
