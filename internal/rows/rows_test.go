package rows

import (
	"reflect"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

func TestRows(t *testing.T) {
	x := tensors.FromValue([][]int16{{1, 2}, {3, 4}, {5, 6}, {7, 8}})
	got, err := Slice(x, 1, 3)
	if err != nil || !reflect.DeepEqual(got.Value(), [][]int16{{3, 4}, {5, 6}}) {
		t.Errorf("slice %v, error %v", got, err)
	}
	got, err = Take(x, []int{3, 0, 3})
	if err != nil || !reflect.DeepEqual(got.Value(), [][]int16{{7, 8}, {1, 2}, {7, 8}}) {
		t.Errorf("taken %v, error %v", got, err)
	}
	flags, err := Take(tensors.FromValue([]bool{true, false, true}), []int{1, 2})
	if err != nil || !reflect.DeepEqual(flags.Value(), []bool{false, true}) {
		t.Errorf("taken %v, error %v", flags, err)
	}
}

func TestRowsThatAreNotThere(t *testing.T) {
	x := tensors.FromValue([]float32{1, 2})
	for _, indices := range [][]int{{2}, {-1}, {0, 5}} {
		if _, err := Take(x, indices); err == nil {
			t.Errorf("rows %v: no error", indices)
		}
	}
	if _, err := Slice(x, 1, 1); err == nil {
		t.Error("an empty slice: no error")
	}
	if _, err := Take(tensors.FromScalar(float32(1)), []int{0}); err == nil {
		t.Error("a scalar: no error")
	}
}
