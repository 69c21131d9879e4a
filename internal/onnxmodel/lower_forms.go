package onnxmodel

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// Forms of shapes and constants that the importer ignores or does not support.
var _ = register(map[string]rewrite{
	"Constant":        constantForms,
	"ConstantOfShape": constantOfShape,
	"CumSum":          cumSum,
	"Shape":           shapeForms,
	"Split":           split,
	"Reshape":         reshape,
	"Pow":             pow,
	"IsInf":           isInf,
	"EyeLike":         eyeLike,
	"ReduceMax":       ofBooleans,
	"ReduceMin":       ofBooleans,
	"ReduceL1":        reduction,
	"ReduceL2":        reduction,
	"ReduceSumSquare": reduction,
})

// ofBooleans reduces booleans as numbers, because the backends reduce only numbers.
func ofBooleans(l *lowering, n *protos.NodeProto) (bool, error) {
	if l.dtypes[n.Input[0]] != int32(protos.TensorProto_BOOL) {
		return false, nil
	}
	y := l.reduced(n.OpType, n, l.cast(n.Input[0], protos.TensorProto_INT32))
	return l.finish(n, l.cast(y, protos.TensorProto_BOOL))
}

// lacking refuses a node with fewer inputs than its current form needs.
func lacking(n *protos.NodeProto, least int) (bool, error) {
	if len(n.Input) < least || slices.Contains(n.Input[:least], "") {
		return false, fmt.Errorf("operator %s lacks inputs: it has %d, and needs %d", nodeName(n), countNamed(n.Input), least)
	}
	return false, nil
}

// constantForms writes every form of a Constant as a tensor.
func constantForms(l *lowering, n *protos.NodeProto) (bool, error) {
	if len(n.Attribute) != 1 {
		return refused(n, "it has %d attributes", len(n.Attribute))
	}
	a := n.Attribute[0]
	t := &protos.TensorProto{Name: n.Output[0], DataType: int32(protos.TensorProto_FLOAT)}
	switch a.Name {
	case "value":
		if !withoutElements(a.T) {
			return false, nil
		}
		l.zeros(n.Output[0], a.T.DataType, a.T.Dims)
		return true, nil
	case "sparse_value":
		return sparseConstant(l, n, a.SparseTensor)
	case "value_float":
		t.FloatData = []float32{a.F}
	case "value_floats":
		t.FloatData, t.Dims = a.Floats, []int64{int64(len(a.Floats))}
	case "value_int":
		t.DataType, t.Int64Data = int32(protos.TensorProto_INT64), []int64{a.I}
	case "value_ints":
		t.DataType, t.Int64Data, t.Dims = int32(protos.TensorProto_INT64), a.Ints, []int64{int64(len(a.Ints))}
	}
	n.Attribute = []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: t}}
	return false, nil
}

// constantOfShape writes its value without axes: the importer does not give it fewer than the one
// that ONNX's form has, as a shape without sizes needs.
func constantOfShape(_ *lowering, n *protos.NodeProto) (bool, error) {
	if value := attribute(n, "value").GetT(); value != nil && all(value.Dims, 1) {
		value.Dims = nil
	}
	return false, nil
}

// cumSum writes a constant axis as a number: some files have it as a list of one.
func cumSum(l *lowering, n *protos.NodeProto) (bool, error) {
	if axis, ok := l.constant(input(n, 1)); ok && len(axis) == 1 {
		n.Input[1] = l.integer(axis[0])
	}
	return lacking(n, 2)
}

// sparseConstant scatters the values of a sparse Constant among zeros. Its indices are of rank 1,
// counted through the whole tensor, or of rank 2, with a position in each row.
func sparseConstant(l *lowering, n *protos.NodeProto, sparse *protos.SparseTensorProto) (bool, error) {
	values, indices, dims := sparse.GetValues(), sparse.GetIndices(), sparse.GetDims()
	size, limits := int64(1), dims
	for _, d := range dims {
		if d < 1 || size > math.MaxInt32/d {
			return refused(n, "its sparse value has the dimensions %v", dims)
		}
		size *= d
	}
	shape := dims
	if len(indices.GetDims()) == 1 {
		shape, limits = []int64{size}, []int64{size}
	}
	positions, ok := integersOf(indices)
	count := int64(len(positions)) / max(1, int64(len(limits)))
	width := elementBytes[protos.TensorProto_DataType(values.GetDataType())]
	if !ok || width == 0 || len(dims) == 0 || !slices.Equal(values.GetDims(), []int64{count}) ||
		count*int64(len(limits)) != int64(len(positions)) {
		return refused(n, "its sparse value has indices of the dimensions %v for values of %v", indices.GetDims(),
			values.GetDims())
	}
	for i, p := range positions {
		if p < 0 || p >= limits[i%len(limits)] {
			return refused(n, "its sparse value has the index %d beyond the dimensions %v", p, dims)
		}
	}
	update := proto.CloneOf(values)
	update.Name = l.fresh()
	at := &protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_INT64),
		Dims: []int64{count, int64(len(limits))}, Int64Data: positions}
	zeros := l.fresh()
	l.zeros(zeros, values.DataType, shape)
	dense := l.op("ScatterND", zeros, l.weight(at), l.weight(update))
	return l.finish(n, l.op("Reshape", dense, l.integers(dims...)))
}

// shapeForms selects a part of a shape by a Slice, because its bounds may lie beyond the rank.
func shapeForms(l *lowering, n *protos.NodeProto) (bool, error) {
	if attribute(n, "start") == nil && attribute(n, "end") == nil {
		return false, nil
	}
	start, end := intOr(n, "start", 0), intOr(n, "end", math.MaxInt32)
	shape := l.op("Shape", n.Input[0])
	return l.finish(n, l.op("Slice", shape, l.integers(start), l.integers(end), l.integers(0)))
}

// split turns the sizes of the parts, an attribute before opset 13, into an input. Equal parts are
// left to the importer, unless the last one may be smaller.
func split(l *lowering, n *protos.NodeProto) (bool, error) {
	sizes := attribute(n, "split")
	remove(n, "split")
	if sizes != nil && input(n, 1) == "" {
		n.Input = []string{n.Input[0], l.integers(sizes.Ints...)}
	}
	count := intOr(n, "num_outputs", int64(len(n.Output)))
	if attribute(n, "num_outputs") == nil || input(n, 1) != "" {
		remove(n, "num_outputs")
		return false, nil
	}
	if count != int64(len(n.Output)) {
		return refused(n, "the attribute num_outputs is %d for %d outputs", count, len(n.Output))
	}
	remove(n, "num_outputs")
	size := l.op("Gather", l.op("Shape", n.Input[0]), l.integers(intOr(n, "axis", 0)))
	part := l.op("Div", l.op("Add", size, l.integer(count-1)), l.integer(count))
	last := l.op("Sub", size, l.op("Mul", part, l.integer(count-1)))
	n.Input = []string{n.Input[0],
		l.opWith("Concat", axisAttribute(0), append(slices.Repeat([]string{part}, int(count-1)), last)...)}
	return false, nil
}

// reshape turns the shape, an attribute before opset 5, into an input.
func reshape(l *lowering, n *protos.NodeProto) (bool, error) {
	if shape := attribute(n, "shape"); shape != nil {
		n.Input = []string{n.Input[0], l.integers(shape.Ints...)}
		remove(n, "shape")
	}
	if intOr(n, "allowzero", 0) != 0 {
		shape, ok := l.constant(input(n, 1))
		switch {
		case slices.Contains(shape, 0):
			return refused(n, "the attribute allowzero is 1 and its shape has a 0")
		case !ok && input(n, 1) != "":
			// The importer would take the input's size for a computed 0.
			whole := l.opWith("ReduceMin", []*protos.AttributeProto{intAttribute("keepdims", 0)}, l.op("Abs", n.Input[1]))
			n.Input[0] = l.checked(n.Input[0], l.op("Greater", whole, l.integer(0)),
				"the attribute allowzero is 1 and its shape has a 0, which is not supported")
		}
	}
	remove(n, "allowzero")
	return lacking(n, 2)
}

// pow computes in the type of the exponent if only the base consists of integers. The result has
// the type of the base.
func pow(l *lowering, n *protos.NodeProto) (bool, error) {
	if _, err := withOldBroadcast(l, n); err != nil {
		return false, err
	}
	base, exponent := l.dtypes[n.Input[0]], l.dtypes[n.Input[1]]
	if isFloat(base) && l.hasZero(n.Input[1]) {
		// The derivative at 0 would be 0 times infinity. 1 has the same power.
		one := l.op("Equal", l.cast(n.Input[1], protos.TensorProto_DataType(base)), l.scalar(n.Input[0], 0))
		n.Input[0] = l.op("Where", one, l.scalar(n.Input[0], 1), n.Input[0])
	}
	switch {
	case base == 0 || exponent == 0 || base == exponent:
		if t := l.tensor(n.Input[1]); t != nil && len(t.Dims) > 0 {
			// The importer takes a Constant for a scalar, and fails if it has many values.
			n.Input[1] = l.op("Identity", n.Input[1])
		}
		return false, nil
	case isFloat(base):
		n.Input[1] = l.cast(n.Input[1], protos.TensorProto_DataType(base))
		return false, nil
	}
	y := l.op("Pow", l.cast(n.Input[0], protos.TensorProto_DataType(exponent)), n.Input[1])
	return l.finish(n, l.cast(y, protos.TensorProto_DataType(base)))
}

// hasZero reports whether a constant of numbers has a 0.
func (l *lowering) hasZero(name string) bool {
	t := l.tensor(name)
	if t == nil || len(t.ExternalData) > 0 {
		return false
	}
	floats, _ := floatsOf(t)
	whole, _ := integersOf(t)
	return slices.Contains(floats, 0) || slices.Contains(whole, 0)
}

func isInf(l *lowering, n *protos.NodeProto) (bool, error) {
	x := n.Input[0]
	above := l.op("Equal", x, l.scalar(x, float32(math.Inf(1))))
	below := l.op("Equal", x, l.scalar(x, float32(math.Inf(-1))))
	positive, negative := intOr(n, "detect_positive", 1) != 0, intOr(n, "detect_negative", 1) != 0
	switch {
	case positive && negative:
		return l.finish(n, l.op("Or", above, below))
	case positive:
		return l.finish(n, above)
	case negative:
		return l.finish(n, below)
	}
	return refused(n, "the attributes detect_positive and detect_negative are 0")
}

// eyeLike is 1 where the column is the row plus k, and 0 elsewhere.
func eyeLike(l *lowering, n *protos.NodeProto) (bool, error) {
	dtype := int32(intOr(n, "dtype", int64(l.dtypes[n.Input[0]])))
	if dtype == 0 {
		return refused(n, "its input is of a type that the file does not tell")
	}
	dims := l.dimsOf(n.Input[0], 2)
	rows := l.op("Reshape", l.op("Add", l.rangeTo(dims[0]), l.integer(intOr(n, "k", 0))), l.integers(-1, 1))
	one := l.op("Equal", rows, l.op("Reshape", l.rangeTo(dims[1]), l.integers(1, -1)))
	return l.finish(n, l.cast(one, protos.TensorProto_DataType(dtype)))
}

// reduction refuses noop_with_empty_axes without axes, because versions of ONNX define it
// differently, and rewrites norms.
func reduction(l *lowering, n *protos.NodeProto) (bool, error) {
	if intOr(n, "noop_with_empty_axes", 0) != 0 {
		if axes, ok := l.constant(input(n, 1)); !ok || len(axes) == 0 {
			return refused(n, "the attribute noop_with_empty_axes is 1 and its axes are not known")
		}
	}
	x := n.Input[0]
	switch n.OpType {
	case "ReduceL1":
		return l.finish(n, l.reduced("ReduceSum", n, l.op("Abs", x)))
	case "ReduceSumSquare":
		return l.finish(n, l.reduced("ReduceSum", n, l.op("Mul", x, x)))
	case "ReduceL2":
		if dtype := l.dtypes[x]; isFloat(dtype) || dtype == 0 {
			return l.finish(n, l.sqrtOrZero(l.reduced("ReduceSum", n, l.op("Mul", x, x))))
		}
	}
	return false, nil
}
