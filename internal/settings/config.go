package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// Keys lists the keys of a configuration, given as a pointer to its struct, in the order of its
// fields. The key of a field in a nested struct is "outer.inner"; the fields of an embedded struct
// count as the struct's own, as in JSON.
func Keys(cfg any) []string {
	var keys []string
	for _, s := range settings(reflect.ValueOf(cfg).Elem(), "") {
		keys = append(keys, s.key)
	}
	return keys
}

// setting is a value of a configuration that can be set.
type setting struct {
	key   string
	value reflect.Value
}

func settings(v reflect.Value, prefix string) (all []setting) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := jsonKey(field)
		switch {
		case field.Anonymous && field.Type.Kind() == reflect.Struct:
			all = append(all, settings(v.Field(i), prefix)...)
		case key == "":
		case field.Type.Kind() == reflect.Struct:
			all = append(all, settings(v.Field(i), prefix+key+".")...)
		default:
			all = append(all, setting{prefix + key, v.Field(i)})
		}
	}
	return all
}

func jsonKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if key == "-" || !f.IsExported() {
		return ""
	}
	return key
}

// Set changes one key of a configuration, given as a pointer to its struct, by an assignment such
// as "steps=500" or "coefficients=0,0.01,0.1". Brackets around a list and quotes around a string
// are optional. The error for an unknown key names the nearest known key. On an error the
// configuration stays unchanged.
func Set(cfg any, assignment string) error {
	key, value, ok := strings.Cut(assignment, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok {
		return fmt.Errorf("%q is not an assignment: write key=value", assignment)
	}
	for _, s := range settings(reflect.ValueOf(cfg).Elem(), "") {
		if s.key != key {
			continue
		}
		decoded := reflect.New(s.value.Type())
		if err := decodeValue(value, decoded); err != nil {
			return fmt.Errorf("key %q: %q is not %s", key, value, describe(s.value.Type()))
		}
		s.value.Set(decoded.Elem())
		return nil
	}
	return nearest.Unknown("key", key, Keys(cfg))
}

// SetAll changes several keys of a configuration; see Set. It returns an error if a key is set
// twice.
func SetAll(cfg any, assignments []string) error {
	given := make(map[string]string)
	for _, assignment := range assignments {
		if err := Set(cfg, assignment); err != nil {
			return err
		}
		key, _, _ := strings.Cut(assignment, "=")
		key = strings.TrimSpace(key)
		if earlier, ok := given[key]; ok {
			return fmt.Errorf("key %q is set twice, by %q and %q: give one of them", key, earlier, assignment)
		}
		given[key] = assignment
	}
	return nil
}

// decodeValue decodes the value into *target. It adds the quotes or brackets that JSON requires and
// a command line may omit.
func decodeValue(value string, target reflect.Value) error {
	kind := target.Elem().Kind()
	if kind == reflect.String && !strings.HasPrefix(value, `"`) {
		target.Elem().SetString(value)
		return nil
	}
	if kind == reflect.Slice && !strings.HasPrefix(value, "[") {
		value = "[" + value + "]"
	}
	// json.Unmarshal takes null as a value of any type, and leaves the zero value in its place.
	var plain any
	if err := json.Unmarshal([]byte(value), &plain); err != nil {
		return err
	}
	if list, _ := plain.([]any); plain == nil || slices.Contains(list, nil) {
		return errors.New("null is no value")
	}
	return json.Unmarshal([]byte(value), target.Interface())
}

func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		elements := strings.TrimPrefix(describe(t.Elem()), "a ")
		return "a list of " + elements + "s"
	default:
		return "a " + t.Kind().String()
	}
}

// Difference returns the flags that turn configuration from into configuration to. Both are
// pointers to the same type of struct.
func Difference(from, to any) (flags []string, err error) {
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

// Assignments lists a configuration, given as a pointer to its struct, as assignments that Set
// reads, in the order of its fields.
func Assignments(cfg any) ([]string, error) {
	var all []string
	for _, s := range settings(reflect.ValueOf(cfg).Elem(), "") {
		text, err := json.Marshal(s.value.Interface())
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", s.key, err)
		}
		all = append(all, s.key+"="+assigned(s.value, text))
	}
	return all, nil
}

// assigned formats a value for Set, a list without its brackets.
func assigned(v reflect.Value, text []byte) string {
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Slice:
		return string(bytes.TrimSuffix(bytes.TrimPrefix(text, []byte("[")), []byte("]")))
	}
	return string(text)
}
