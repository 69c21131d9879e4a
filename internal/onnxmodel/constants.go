package onnxmodel

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// constant is the value of a weight, a Constant node or a few operators of these, of integers.
func (l *lowering) constant(name string) ([]int64, bool) { return l.fold(name, 16) }

// fold computes operators that PyTorch's exporter applies to constants, such as Unsqueeze and
// Concat, going back a number of nodes.
func (l *lowering) fold(name string, depth int) ([]int64, bool) {
	if values, ok := l.folded[name]; ok {
		return values, true
	}
	if t := l.tensor(name); t != nil {
		return integersOf(t)
	}
	n := l.makers[name]
	if n == nil && l.outer != nil {
		return l.outer.fold(name, depth)
	}
	if n == nil || depth == 0 || len(n.Input) == 0 {
		return nil, false
	}
	if size, ok := l.foldSize(n, depth); ok {
		return []int64{size}, true
	}
	if n.OpType == "Size" {
		return l.foldRank(n, depth)
	}
	if moving := l.madeBy(name); isOwn(moving) &&
		slices.Contains([]string{"Slice", "Transpose", "ConstantOfShape"}, moving.OpType) {
		g, ok := l.foldGrid(name, depth)
		return g.values, ok
	}
	var all [][]int64
	for _, in := range n.Input {
		values, ok := l.fold(in, depth-1)
		if !ok {
			return nil, false
		}
		all = append(all, values)
	}
	combine := func(f func(a, b int64) int64) ([]int64, bool) {
		if len(all) != 2 || len(all[0]) != len(all[1]) {
			return nil, false
		}
		// A row and a column would give a table.
		if len(all[0]) > 1 && (l.hasRows(n.Input[0]) || l.hasRows(n.Input[1])) {
			return nil, false
		}
		values := make([]int64, len(all[0]))
		for i := range values {
			values[i] = f(all[0][i], all[1][i])
		}
		return values, true
	}
	switch n.OpType {
	case "Identity", "Unsqueeze", "Squeeze", "Reshape":
		return all[0], true
	case "Cast":
		to := protos.TensorProto_DataType(intOr(n, "to", 0))
		return all[0], to == protos.TensorProto_INT64 || to == protos.TensorProto_INT32 ||
			(to == protos.TensorProto_FLOAT || to == protos.TensorProto_DOUBLE) && areSmall(all[0])
	case "Concat":
		return slices.Concat(all...), intOr(n, "axis", 0) == 0
	case "Neg":
		values := slices.Clone(all[0])
		for i := range values {
			values[i] = -values[i]
		}
		return values, true
	case "Add":
		return combine(func(a, b int64) int64 { return a + b })
	case "Sub":
		return combine(func(a, b int64) int64 { return a - b })
	case "Mul":
		return combine(func(a, b int64) int64 { return a * b })
	case "Min":
		return combine(func(a, b int64) int64 { return min(a, b) })
	case "Max":
		return combine(func(a, b int64) int64 { return max(a, b) })
	}
	return nil, false
}

// foldRank returns the rank that the Size of a shape is.
func (l *lowering) foldRank(n *protos.NodeProto, depth int) ([]int64, bool) {
	shape := l.makers[n.Input[0]]
	if shape == nil || shape.OpType != "Shape" || !isOwn(n) || !isOwn(shape) {
		return nil, false
	}
	rank, ok := l.inferredRank(shape.Input[0], depth-1)
	return []int64{int64(rank)}, ok
}

// hasRows reports whether a value is known to have more than one axis.
func (l *lowering) hasRows(name string) bool {
	rank, known := l.rank(name)
	return known && rank > 1
}

// foldSize returns the size that a Gather selects from a shape that the file states.
func (l *lowering) foldSize(n *protos.NodeProto, depth int) (int64, bool) {
	if n.OpType != "Gather" || intOr(n, "axis", 0) != 0 {
		return 0, false
	}
	shape := l.makers[n.Input[0]]
	for ; shape != nil && shape.OpType == "Cast" && depth > 0; depth-- {
		shape = l.makers[shape.Input[0]]
	}
	index, ok := l.fold(n.Input[1], depth-1)
	if shape == nil || shape.OpType != "Shape" || !ok || len(index) != 1 {
		return 0, false
	}
	return l.sizeOf(shape.Input[0], index[0], depth)
}

// areSmall reports whether 32-bit floats represent the values exactly.
func areSmall(values []int64) bool {
	const most = 1 << 24
	return !slices.ContainsFunc(values, func(v int64) bool { return v < -most || v > most })
}

// floatsOf returns the elements of a tensor of floats of 32 or 64 bits.
func floatsOf(t *protos.TensorProto) (floats []float64, ok bool) {
	switch {
	case t.DataType == int32(protos.TensorProto_FLOAT) && t.RawData == nil:
		for _, v := range t.FloatData {
			floats = append(floats, float64(v))
		}
	case t.DataType == int32(protos.TensorProto_DOUBLE) && t.RawData == nil:
		floats = t.DoubleData
	case t.DataType == int32(protos.TensorProto_FLOAT):
		for raw := t.RawData; len(raw) >= 4; raw = raw[4:] {
			floats = append(floats, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		}
	case t.DataType == int32(protos.TensorProto_DOUBLE):
		for raw := t.RawData; len(raw) >= 8; raw = raw[8:] {
			floats = append(floats, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
		}
	default:
		return nil, false
	}
	return floats, true
}

// wholeOf returns the elements of a tensor of floats, if they are small whole numbers.
func wholeOf(t *protos.TensorProto) (values []int64, ok bool) {
	floats, ok := floatsOf(t)
	const most = 1 << 24
	if !ok || len(floats) > 16 { // None that counts steps.
		return nil, false
	}
	for _, v := range floats {
		if v != math.Trunc(v) || math.Abs(v) > most {
			return nil, false
		}
		values = append(values, int64(v))
	}
	return values, true
}

func integersOf(t *protos.TensorProto) ([]int64, bool) {
	var size int
	switch {
	case t == nil || len(t.ExternalData) > 0:
		return nil, false
	case isFloat(t.DataType):
		return wholeOf(t)
	case t.DataType == int32(protos.TensorProto_INT64):
		if t.RawData == nil {
			return t.Int64Data, true
		}
		size = 8
	case t.DataType == int32(protos.TensorProto_INT32):
		if t.RawData == nil {
			var values []int64
			for _, v := range t.Int32Data {
				values = append(values, int64(v))
			}
			return values, true
		}
		size = 4
	default:
		return nil, false
	}
	var values []int64
	for raw := t.RawData; len(raw) >= size; raw = raw[size:] {
		var v uint64
		for i := range size {
			v |= uint64(raw[i]) << (8 * i)
		}
		if size == 4 {
			v = uint64(int64(int32(v)))
		}
		values = append(values, int64(v))
	}
	return values, true
}

// keepKnown makes constants of the small weights of floats that are combined with nothing but
// shapes and weights, as in computed sizes: the importer takes only weights of integers for known.
// It makes constants of small weights of integers, too, so that examples can be followed through
// indices made of them, and of weights without elements, which have a form of their own.
func (l *lowering) keepKnown() {
	known, combined := map[string]bool{"": true}, make(map[string]bool)
	for _, w := range l.graph.Initializer {
		known[w.Name] = true
	}
	for _, n := range l.graph.Node {
		isKnown := n.OpType == "Shape" || n.OpType == "Size" || n.OpType == "Constant"
		if !isKnown && !slices.ContainsFunc(n.Input, func(in string) bool { return !known[in] }) {
			isKnown = len(n.Input) > 0
			for _, in := range n.Input {
				combined[in] = true
			}
		}
		for _, out := range n.Output {
			known[out] = isKnown
		}
	}
	l.graph.Initializer = slices.DeleteFunc(l.graph.Initializer, func(w *protos.TensorProto) bool {
		count, ok := elements(w.Dims)
		if withoutElements(w) {
			l.weight(w)
			return true
		}
		isInteger := w.DataType == int32(protos.TensorProto_INT64) || w.DataType == int32(protos.TensorProto_INT32)
		if !isInteger && !(isFloat(w.DataType) && combined[w.Name]) {
			return false
		}
		if !ok || count > mostInGrid || len(w.ExternalData) > 0 {
			return false
		}
		l.weight(w)
		return true
	})
}
