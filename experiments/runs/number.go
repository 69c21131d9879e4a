package runs

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Number is a float64 that can always be written as JSON: NaN and the infinities, which JSON lacks,
// are written as null and read as NaN.
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(f)
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", data)
	}
	*n = Number(f)
	return nil
}

// Numbers converts float64 values to Numbers.
func Numbers(values []float64) []Number {
	out := make([]Number, len(values))
	for i, v := range values {
		out[i] = Number(v)
	}
	return out
}

// Floats converts Numbers to float64 values.
func Floats(values []Number) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// ShortNumber returns the float64 with the fewest digits that rounds to the float32: arrays of such
// numbers take half the space in a file.
func ShortNumber(v float32) Number {
	short, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		return Number(v)
	}
	return Number(short)
}
