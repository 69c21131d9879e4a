package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"example.com/geometric-complexity/internal/machine"
)

// largestCounts are the most that keys may count for which the memory is no measure: graphs, runs
// and lists would grow without end before anything is computed. No experiment comes near them.
var largestCounts = map[string]int64{
	"hidden_layers": 1e4, "depths": 1e4, "functions": 1e5, "measurements": 1e6, "steps": 1e12, "sweep_time": 1e9,
}

// CheckSize refuses negative sizes, and a configuration that this machine cannot hold, before
// anything is made of it. What it counts are the weights and one layer's values of all examples, in
// double precision: the least that is needed, so that nothing is refused that could run.
func CheckSize(cfg any) error {
	groups := make(map[string]map[string]float64) // by the prefix of the keys
	for _, s := range settings(reflect.ValueOf(cfg).Elem(), "") {
		numbers := wholeNumbers(s.value)
		if len(numbers) == 0 {
			continue
		}
		if least := slices.Min(numbers); least < 0 {
			return fmt.Errorf("%s: %d is below 0", s.key, least)
		}
		value := slices.Max(numbers)
		prefix, name := "", s.key
		if dot := strings.LastIndexByte(s.key, '.'); dot >= 0 {
			prefix, name = s.key[:dot+1], s.key[dot+1:]
		}
		if limit, ok := largestCounts[name]; ok && value > limit {
			return fmt.Errorf("%s: %d is more than %d, the most that is supported", s.key, value, limit)
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
			return fmt.Errorf("%sneeds %s at least, and this machine has %s: "+
				"choose a smaller width, or fewer points, inputs or outputs",
				strings.Replace(prefix, ".", ": ", 1), machine.Bytes(bytes), machine.Bytes(float64(memory)))
		}
	}
	return nil
}

// leastBytes is the memory of the weights, and of the layer with the most values of all examples.
func leastBytes(group map[string]float64) float64 {
	width := max(group["width"], group["widths"], 1)
	inputs, outputs := max(group["inputs"], 1), max(group["outputs"], 1)
	layers := max(group["hidden_layers"], group["depths"], 1)
	examples := max(group["points"], group["cells"], group["train"], group["test"], 1)
	weights := inputs*width + (layers-1)*width*width + width*outputs
	return 8 * (weights + examples*max(inputs, outputs))
}

// wholeNumbers are the value itself or those of a list, if they are whole numbers.
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
