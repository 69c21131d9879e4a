package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Operators that select values by index are written as GatherND with the indices of all axes. The
// indices along the batch then count its examples, so that every example keeps its place.
var _ = register(map[string]rewrite{
	"GatherElements": func(l *lowering, n *protos.NodeProto) (bool, error) {
		rank, ok := l.firstRank(n.Input[1], n.Input[0], n.Output[0])
		if !ok {
			return false, nil
		}
		axis, err := axisWithin(n, 0, rank)
		if err != nil {
			return false, err
		}
		return l.finish(n, l.elements(n.Input[0], n.Input[1], axis, rank))
	},
	"GatherND": gatherND,
	"ScatterND": func(l *lowering, n *protos.NodeProto) (bool, error) {
		reduction := stringOr(n, "reduction", "none")
		if reduction == "mul" {
			return refused(n, "the attribute reduction is %q", reduction)
		}
		indices := l.allFromStart(n.Input[0], n.Input[1], 0)
		return l.finish(n, l.scattered(reduction, n.Input[0], indices, n.Input[2]))
	},
	"TopK":            topK,
	"ReverseSequence": reverseSequence,
})

// scattered is a ScatterND, of booleans as numbers, because the backends scatter only numbers.
func (l *lowering) scattered(reduction, data, indices, updates string) string {
	if l.dtypes[data] == int32(protos.TensorProto_BOOL) {
		data, updates = l.cast(data, protos.TensorProto_INT32), l.cast(updates, protos.TensorProto_INT32)
		return l.cast(l.scattered(reduction, data, indices, updates), protos.TensorProto_BOOL)
	}
	if reduction == "none" && !l.distinct(indices) {
		return l.overwritten(data, indices, updates)
	}
	return l.scatter(reduction, data, indices, updates)
}

func (l *lowering) scatter(reduction, data, indices, updates string) string {
	return l.opWith("ScatterND", []*protos.AttributeProto{{Name: "reduction", Type: protos.AttributeProto_STRING,
		S: []byte(reduction)}}, data, indices, updates)
}

// overwritten is a ScatterND without a reduction, whose indices may name a place several times. The
// last value then holds, as in runtimes, though ONNX leaves it open. The importer would add them.
func (l *lowering) overwritten(data, indices, updates string) string {
	shape := l.op("Shape", indices)
	depth := l.op("Gather", shape, l.integers(-1))
	count := l.op("Div", l.op("Size", indices), l.op("Gather", shape, l.integer(-1)))
	many := l.op("Slice", shape, l.integers(0), l.integers(-1), l.integers(0))
	numbers := l.op("Reshape", l.op("Range", l.integer(0), count, l.integer(1)), many)
	places := l.op("Slice", l.op("Shape", data), l.integers(0), depth, l.integers(0))
	last := l.scatter("max", l.op("Expand", l.integer(-1), places), indices, numbers)
	// Along the axes that the indices take whole.
	sizes := l.op("Slice", l.op("Shape", data), depth, l.integers(1<<30), l.integers(0))
	ones := l.op("Add", l.op("Mul", sizes, l.integer(0)), l.integer(1))
	holds := l.reshaped(l.op("Equal", l.op("GatherND", last, indices), numbers), many, ones)
	free := l.reshaped(l.op("Less", last, l.integer(0)), places, ones)
	zero := l.zero(data)
	return l.scatter("add", l.op("Where", free, data, zero), indices, l.op("Where", holds, updates, zero))
}

// zero is 0 of the type of a value.
func (l *lowering) zero(like string) string {
	if dtype, ok := l.dtypes[like]; ok && !isFloat(dtype) {
		return l.cast(l.integer(0), protos.TensorProto_DataType(dtype))
	}
	return l.scalar(like, 0)
}

// distinct reports whether indices are constants that name no place twice.
func (l *lowering) distinct(indices string) bool {
	values, known := l.constant(indices)
	t := l.tensor(indices)
	if !known || t == nil || len(t.Dims) == 0 || t.Dims[len(t.Dims)-1] == 0 {
		return false
	}
	seen := make(map[string]bool)
	for place := range slices.Chunk(values, int(t.Dims[len(t.Dims)-1])) {
		seen[fmt.Sprint(place)] = true
	}
	return int64(len(seen)) == int64(len(values))/t.Dims[len(t.Dims)-1]
}

// firstRank is the first rank that is known of some values.
func (l *lowering) firstRank(names ...string) (rank int, ok bool) {
	for _, name := range names {
		if rank, ok = l.rank(name); ok && rank > 0 {
			return rank, true
		}
	}
	return 0, false
}

// axisWithin is the attribute axis, counted from the first of rank axes.
func axisWithin(n *protos.NodeProto, otherwise int64, rank int) (axis int64, err error) {
	given := intOr(n, "axis", otherwise)
	if axis = given; axis < 0 {
		axis += int64(rank)
	}
	if axis < 0 || axis >= int64(rank) {
		_, err = refused(n, "the attribute axis is %d for the rank %d", given, rank)
	}
	return axis, err
}

// elements returns the values of data at indices along one axis, and at the indices' own places
// along the others.
func (l *lowering) elements(data, indices string, axis int64, rank int) string {
	return l.op("GatherND", data, l.places(data, indices, axis, rank))
}

// places returns full indices into data, along a new last axis: along one axis the given indices,
// along the others their own places. Negative indices count from the end.
func (l *lowering) places(data, indices string, axis int64, rank int) string {
	// Backends do not notice places beyond the other axes.
	others := slices.Repeat([]int64{1}, rank)
	others[axis] = 0
	room := l.op("Mul", l.op("Sub", l.op("Shape", data), l.op("Shape", indices)), l.integers(others...))
	least := l.opWith("ReduceMin", []*protos.AttributeProto{intAttribute("keepdims", 0)}, room)
	indices = l.checked(indices, l.op("GreaterOrEqual", least, l.integer(0)),
		"its indices have more places along an axis than its data, such as those of a batch of another size")
	at := l.fromStart(l.cast(indices, protos.TensorProto_INT64), l.op("Gather", l.op("Shape", data), l.integer(axis)))
	shape := l.op("Shape", indices)
	var parts []string
	for i := range rank {
		part := at
		if int64(i) != axis {
			part = l.op("Expand", l.along(l.rangeTo(l.op("Gather", shape, l.integers(int64(i)))), indices, int64(i-rank)), shape)
		}
		parts = append(parts, l.op("Unsqueeze", part, l.integers(-1)))
	}
	return l.opWith("Concat", axisAttribute(-1), parts...)
}

// fromStart replaces negative indices, which count from the end of an axis of the given size.
func (l *lowering) fromStart(at, size string) string {
	return l.op("Where", l.op("Less", at, l.integer(0)), l.op("Add", at, size), at)
}

// allFromStart does the same for indices of several axes of data, beginning with a first one.
// Neither the importer nor the backends support negative indices.
func (l *lowering) allFromStart(data, indices string, first int64) string {
	known, ok := l.constant(indices)
	if ok && !slices.ContainsFunc(known, func(i int64) bool { return i < 0 }) {
		return indices
	}
	indices = l.cast(indices, protos.TensorProto_INT64)
	depth := l.op("Gather", l.op("Shape", indices), l.integers(-1))
	sizes := l.op("Slice", l.op("Shape", data), l.integers(first), l.op("Add", depth, l.integer(first)), l.integers(0))
	return l.fromStart(indices, sizes)
}

// gatherND writes out the indices of batch_dims axes, and replaces negative indices.
func gatherND(l *lowering, n *protos.NodeProto) (bool, error) {
	count := intOr(n, "batch_dims", 0)
	indices := l.allFromStart(n.Input[0], n.Input[1], count)
	if count == 0 {
		n.Input[1] = indices
		remove(n, "batch_dims")
		return false, nil
	}
	shape := l.op("Shape", indices)
	rank, ok := l.rank(n.Input[1])
	if !ok || count < 0 || count >= int64(rank) {
		return refused(n, "the attribute batch_dims is %d, for indices of a rank that the file does not tell or of that rank",
			count)
	}
	one := l.opWith("Concat", axisAttribute(0), l.op("Slice", shape, l.integers(0), l.integers(-1), l.integers(0)),
		l.integers(1))
	var parts []string
	for i := range count {
		size := l.op("Gather", shape, l.integers(i))
		parts = append(parts, l.op("Expand", l.along(l.rangeTo(size), indices, i-int64(rank)), one))
	}
	return l.finish(n, l.op("GatherND", n.Input[0], l.opWith("Concat", axisAttribute(-1), append(parts, indices)...)))
}

// topK turns the number of values, an attribute before opset 10, into an input, and takes the
// values by their indices: a sort has no derivative.
func topK(l *lowering, n *protos.NodeProto) (bool, error) {
	if k := attribute(n, "k"); k != nil {
		n.Input = []string{n.Input[0], l.integers(k.I)}
		remove(n, "k")
	}
	if _, err := lacking(n, 2); err != nil {
		return false, err
	}
	x := n.Input[0]
	rank, ok := l.rank(x)
	if !ok || !used(n, 0) || !isFloat(l.dtypes[x]) {
		return false, nil
	}
	axis, err := axisWithin(n, -1, rank)
	if err != nil {
		return false, err
	}
	values, indices := l.fresh(), l.fresh()
	l.add(&protos.NodeProto{Name: n.Name, OpType: "TopK", Input: n.Input, Attribute: n.Attribute,
		Output: []string{values, indices}})
	l.finishOutput(n, 1, indices)
	return l.finish(n, l.elements(x, indices, axis, rank))
}

// reverseSequence takes the first values of each example, as many as its length says, in reverse
// order.
func reverseSequence(l *lowering, n *protos.NodeProto) (bool, error) {
	batch, time := intOr(n, "batch_axis", 1), intOr(n, "time_axis", 0)
	if batch+time != 1 || batch*time != 0 {
		return refused(n, "the attributes batch_axis and time_axis are %d and %d", batch, time)
	}
	// [time, batch], in the order of the axes.
	shape := l.op("Shape", n.Input[0])
	rows := l.op("Gather", shape, l.integers(time))
	columns := l.op("Gather", shape, l.integers(batch))
	steps, examples, lengths := []int64{1, -1}, []int64{-1, 1}, []int64{-1, 1}
	if time == 0 {
		steps, examples, lengths = []int64{-1, 1}, []int64{1, -1}, []int64{1, -1}
	}
	t := l.op("Reshape", l.rangeTo(rows), l.integers(steps...))
	length := l.op("Reshape", l.cast(n.Input[1], protos.TensorProto_INT64), l.integers(lengths...))
	at := l.op("Where", l.op("Less", t, length), l.op("Sub", l.op("Sub", length, l.integer(1)), t), t)
	both := l.opWith("Concat", axisAttribute(0), rows, columns)
	example := l.op("Reshape", l.rangeTo(columns), l.integers(examples...))
	if time == 1 {
		both = l.opWith("Concat", axisAttribute(0), columns, rows)
	}
	at, example = l.op("Unsqueeze", l.op("Expand", at, both), l.integers(-1)),
		l.op("Unsqueeze", l.op("Expand", example, both), l.integers(-1))
	parts := []string{at, example}
	if time == 1 {
		parts = []string{example, at}
	}
	return l.finish(n, l.op("GatherND", n.Input[0], l.opWith("Concat", axisAttribute(-1), parts...)))
}
