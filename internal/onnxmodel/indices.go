package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// CheckIndices refuses values of an input that select beyond a table of weights, such as tokens of
// another vocabulary: backends take the nearest row instead.
func (m *Model) CheckIndices(input int, values *tensors.Tensor) error {
	rows := m.rowsSelectedBy(m.inputs[input])
	if rows == 0 || !values.DType().IsInt() {
		return nil
	}
	var beyond error
	err := values.ConstFlatData(func(flat any) {
		for _, v := range numbers[float64](flat) {
			if v < -float64(rows) || v >= float64(rows) {
				beyond = fmt.Errorf("the value %.0f for input %s selects beyond the %d rows of the network's table",
					v, m.inputs[input], rows)
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return beyond
}

// rowsSelectedBy is the size of the smallest table of weights from which an input selects as it is,
// or 0 if there is none.
func (m *Model) rowsSelectedBy(input string) (rows int64) {
	s := newScope(m.graph, nil)
	// These change the type or the shape of the values alone.
	asTheyAre := []string{"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose"}
	l := newLowering(m.graph, m.lowered)
	for _, n := range ancestors(m.graph, m.output) {
		if n.OpType != "Gather" || !isOwn(n) {
			continue
		}
		indices := n.Input[1]
		for {
			from, _ := s.find(indices)
			if from == nil || !slices.Contains(asTheyAre, from.OpType) {
				break
			}
			indices = from.Input[0]
		}
		size, known := at(l.dims(n.Input[0]), intOr(n, "axis", 0))
		if indices == input && known && (rows == 0 || size < rows) {
			rows = size
		}
	}
	return rows
}
