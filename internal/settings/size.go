package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/internal/machine"
)

// largestCounts limit the keys whose cost the check of memory misses: larger values would build
// graphs, runs or lists for hours before anything is computed. They are far above what any
// experiment uses.
var largestCounts = map[string]int64{
	"hidden_layers": 1e4, "depths": 1e4, "functions": 1e5, "measurements": 1e6, "steps": 1e12, "sweep_time": 1e9,
}

// CheckSize returns an error for a negative size, for a count above its limit, and for a
// configuration that does not fit into this machine's memory. It counts only the weights and one
// layer's values for all examples, in double precision. Every run needs at least these, so that
// CheckSize never refuses a configuration that could run.
func CheckSize(cfg any) error {
	groups := make(map[string]map[string]float64) // by the prefix of the keys
	for _, s := range settings(reflect.ValueOf(cfg).Elem(), "") {
		numbers := wholeNumbers(s.value)
		if len(numbers) == 0 {
			continue
		}
		if least := slices.Min(numbers); least < 0 {
			return fmt.Errorf("invalid configuration: %s is %d, want 0 or more", s.key, least)
		}
		value := slices.Max(numbers)
		prefix, name := "", s.key
		if dot := strings.LastIndexByte(s.key, '.'); dot >= 0 {
			prefix, name = s.key[:dot+1], s.key[dot+1:]
		}
		if limit, ok := largestCounts[name]; ok && value > limit {
			return fmt.Errorf("invalid configuration: %s is %d, want at most %d", s.key, value, limit)
		}
		if groups[prefix] == nil {
			groups[prefix] = make(map[string]float64)
		}
		groups[prefix][name] = float64(value)
	}
	memory, ok := machine.Memory()
	if !ok {
		return nil
	}
	for prefix, group := range groups {
		if bytes := leastBytes(group); bytes > float64(memory) {
			return fmt.Errorf("%sneeds at least %s of memory, and this machine has %s: "+
				"choose a smaller width, or fewer points, inputs or outputs",
				strings.Replace(prefix, ".", ": ", 1), machine.Bytes(bytes), machine.Bytes(float64(memory)))
		}
	}
	return nil
}

// leastBytes returns the memory, in bytes, of the weights and of the inputs or outputs of all
// examples.
func leastBytes(group map[string]float64) float64 {
	width := max(group["width"], group["widths"], 1)
	inputs, outputs := max(group["inputs"], 1), max(group["outputs"], 1)
	layers := max(group["hidden_layers"], group["depths"], 1)
	examples := max(group["points"], group["cells"], group["train"], group["test"], 1)
	weights := inputs*width + (layers-1)*width*width + width*outputs
	return 8 * (weights + examples*max(inputs, outputs))
}

// wholeNumbers returns the value, or the elements of a list, if they are whole numbers.
func wholeNumbers(v reflect.Value) (numbers []int64) {
	switch {
	case v.CanInt():
		return []int64{v.Int()}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Int:
		for i := range v.Len() {
			numbers = append(numbers, v.Index(i).Int())
		}
	}
	return numbers
}
