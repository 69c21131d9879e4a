package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// resizing describes a Resize or Upsample. Its output is a linear map of its input along each axis.
type resizing struct {
	*lowering
	node                       *protos.NodeProto
	mode, coordinates, nearest string
	antialias, excludeOutside  bool
	old                        bool // of opset 10 or before, when nearest was ceil for scales below 1
	cubicA                     float32
	scales                     []float32 // or nil
	sizes                      string    // name of the sizes, or ""
	axes                       []int64
	rank                       int
	region                     []float32 // of tf_crop_and_resize: the start of each axis, then the end; 1 is its length
	ratio                      string    // of keep_aspect_ratio_policy: the scale of all axes, or ""
}

// resize writes each axis of a Resize as a gather (nearest) or a product with a matrix of weights,
// which the importer evaluates once it knows the sizes.
func resize(l *lowering, n *protos.NodeProto) (bool, error) {
	r := resizing{lowering: l, node: n, mode: stringOr(n, "mode", "nearest"),
		coordinates: stringOr(n, "coordinate_transformation_mode", "half_pixel"),
		nearest:     stringOr(n, "nearest_mode", "round_prefer_floor"),
		antialias:   intOr(n, "antialias", 0) != 0, excludeOutside: intOr(n, "exclude_outside", 0) != 0,
		cubicA: floatOr(n, "cubic_coeff_a", -0.75)}
	scales, sizes := input(n, 2), input(n, 3)
	if n.OpType == "Upsample" || l.opset < 11 {
		r.coordinates, r.nearest, r.old = "asymmetric", "floor", true
		scales, sizes = input(n, 1), ""
	}
	refusal := r.unknownMode()
	if refusal == "" {
		refusal = r.target(scales, sizes)
	}
	if refusal == "" {
		refusal = r.crop()
	}
	if refusal == "" {
		refusal = r.keepRatio()
	}
	if refusal != "" {
		return refused(n, "%s", refusal)
	}
	y := n.Input[0]
	for i, axis := range r.axes {
		if !r.crops(i) && (r.scales != nil && r.scales[i] == 1 || r.keeps(axis)) {
			continue
		}
		y = r.axis(y, i, axis)
	}
	if r.sizes != "" && attribute(n, "axes") == nil {
		y = l.op("Reshape", y, r.sizes)
		l.hints[y] = "its sizes change the axis of the examples, or the second one, whose size the file does not tell: " +
			"export it with a dynamic batch axis, or add shapes by onnx.shape_inference.infer_shapes"
	}
	return l.finish(n, y)
}

// unknownMode describes an attribute with a value that is not supported.
func (r *resizing) unknownMode() string {
	if !slices.Contains([]string{"nearest", "linear", "cubic"}, r.mode) {
		return fmt.Sprintf("the attribute mode is %q", r.mode)
	}
	if dtype := r.dtypes[r.node.Input[0]]; r.mode != "nearest" && dtype != 0 && !isFloat(dtype) {
		return fmt.Sprintf("the attribute mode is %q for values of type %s, which it rounds (convert them to floats first)",
			r.mode, protos.TensorProto_DataType(dtype))
	}
	if !slices.Contains([]string{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}, r.nearest) {
		return fmt.Sprintf("the attribute nearest_mode is %q", r.nearest)
	}
	if !slices.Contains([]string{"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
		"half_pixel_symmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"}, r.coordinates) {
		return fmt.Sprintf("the attribute coordinate_transformation_mode is %q", r.coordinates)
	}
	return ""
}

// keeps reports whether an axis keeps its size. Sizes without the attribute axes include the
// examples, and mostly the channels after them: they change the second axis only if the file says
// that it has another size. The Reshape in resize refuses other changes.
func (r *resizing) keeps(axis int64) bool {
	if r.sizes == "" || attribute(r.node, "axes") != nil || axis > 1 {
		return false
	}
	sizes, known := r.constant(r.sizes)
	before, stated := r.statedSize(r.node.Input[0], axis)
	return axis == 0 || !known || !stated || before == sizes[axis]
}

// target reads the scales or sizes, and the rank that follows from them. It returns a description
// of what is not supported.
func (r *resizing) target(scales, sizes string) string {
	if a := attribute(r.node, "scales"); a != nil {
		r.scales = a.Floats
	} else if values, ok := r.floats(scales); ok && len(values) > 0 {
		r.scales = values
	} else if sizes == "" {
		return "its scales are not constant"
	}
	count := len(r.scales)
	if r.scales == nil {
		r.sizes = sizes
		if length, ok := r.length(sizes, 64); ok {
			count = length
		} else if rank, ok := r.lowering.rank(r.node.Input[0]); ok {
			count = rank
		} else if rank, ok := r.lowering.rank(r.node.Output[0]); ok {
			count = rank
		} else {
			return "its sizes are not constant, and its input has an unknown rank"
		}
	}
	r.rank = count
	for i := range count {
		r.axes = append(r.axes, int64(i))
	}
	if a := attribute(r.node, "axes"); a != nil {
		rank, ok := r.lowering.rank(r.node.Input[0])
		if !ok {
			return "it has the attribute axes, and an input of unknown rank"
		}
		r.rank, r.axes = rank, nil
		for _, axis := range a.Ints {
			if axis < 0 {
				axis += int64(rank)
			}
			if axis < 0 || axis >= int64(rank) {
				return "it has the attribute axes beyond the rank of its input"
			}
			r.axes = append(r.axes, axis)
		}
		if len(r.scales) > 0 && len(r.scales) != len(r.axes) {
			return "it has another number of axes than of scales"
		}
	}
	for _, s := range r.scales {
		if !(s > 0) {
			return "a scale is not above 0"
		}
	}
	return ""
}

func (l *lowering) double(x float64) string {
	return l.weight(&protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_DOUBLE),
		DoubleData: []float64{x}})
}

func (l *lowering) cast(x string, to protos.TensorProto_DataType) string {
	return l.opWith("Cast", []*protos.AttributeProto{intAttribute("to", int64(to))}, x)
}

// axis resizes along one axis.
func (r *resizing) axis(x string, i int, axis int64) string {
	size := r.op("Gather", r.op("Shape", x), r.integer(axis))
	in := r.cast(size, protos.TensorProto_DOUBLE)
	var count, scale string
	if r.scales != nil {
		// In float32, as ONNX Runtime computes it.
		s := r.weight(&protos.TensorProto{Name: r.fresh(), DataType: int32(protos.TensorProto_FLOAT),
			FloatData: r.scales[i : i+1]})
		length := r.op("Mul", r.cast(size, protos.TensorProto_FLOAT), s)
		count = r.cast(r.op("Floor", length), protos.TensorProto_INT64)
		scale = r.double(float64(r.scales[i]))
		if r.coordinates == "align_corners" || r.coordinates == "tf_crop_and_resize" {
			x = r.checked(x, r.op("Equal", r.op("Floor", length), length), "the attribute coordinate_transformation_mode is "+
				r.coordinates+", and a scale gives no whole size, where ONNX's definition and its runtimes differ: "+
				"export it with sizes in place of scales")
		}
	} else if r.ratio != "" {
		count, scale = r.cast(r.rounded(in), protos.TensorProto_INT64), r.ratio
	} else {
		count = r.cast(r.op("Gather", r.sizes, r.integer(int64(i))), protos.TensorProto_INT64)
		scale = r.op("Div", r.cast(count, protos.TensorProto_DOUBLE), in)
	}
	last := r.op("Sub", in, r.double(1))
	places := r.cast(r.op("Range", r.integer(0), count, r.integer(1)), protos.TensorProto_DOUBLE)
	if r.region != nil {
		at := r.coordinateInRegion(i, places, r.cast(count, protos.TensorProto_DOUBLE), last)
		return r.extrapolated(r.resampled(x, i, axis, at, last, scale), i, axis, at, last)
	}
	at := r.coordinate(places, r.cast(count, protos.TensorProto_DOUBLE), in, scale)
	return r.resampled(x, i, axis, at, last, scale)
}

// resampled takes the values at the coordinates at along an axis.
func (r *resizing) resampled(x string, i int, axis int64, at, last, scale string) string {
	if r.mode == "nearest" {
		if r.old && r.scales[i] < 1 {
			r.nearest = "ceil"
		} else if r.old {
			r.nearest = "floor"
		}
		return r.opWith("Gather", axisAttribute(axis), x, r.cast(r.within(r.round(at), last), protos.TensorProto_INT64))
	}
	rows := r.op("Reshape", at, r.integers(-1, 1))
	columns := r.op("Reshape", r.op("Range", r.double(0), r.op("Add", last, r.double(1)), r.double(1)), r.integers(1, -1))
	weights := r.weights(rows, columns, last, scale)
	dtype, ok := r.dtypes[x]
	if !ok || !isFloat(dtype) {
		dtype = r.float
	}
	weights = r.cast(r.opWith("Transpose", []*protos.AttributeProto{intsAttribute("perm", 1, 0)}, weights),
		protos.TensorProto_DataType(dtype))
	end := int64(r.rank - 1)
	return r.exchanged(r.op("MatMul", r.exchanged(x, r.rank, axis, end), weights), r.rank, axis, end)
}

// coordinate returns the coordinates of the output's values along the input's axis.
func (r *resizing) coordinate(o, count, in, scale string) string {
	half := r.double(0.5)
	centers := r.op("Sub", r.op("Div", r.op("Add", o, half), scale), half)
	one := r.double(1)
	switch r.coordinates {
	case "asymmetric":
		return r.op("Div", o, scale)
	case "tf_half_pixel_for_nn":
		return r.op("Div", r.op("Add", o, half), scale)
	case "align_corners":
		// The length that the scale asks for, before it is cut to a whole number; 1 gives the
		// coordinate 0.
		steps := r.op("Max", r.op("Sub", r.op("Mul", scale, in), one), r.double(1e-9))
		return r.op("Div", r.op("Mul", o, r.op("Sub", in, one)), steps)
	case "pytorch_half_pixel":
		return r.op("Where", r.op("Greater", count, one), centers, r.op("Mul", o, r.double(0)))
	case "half_pixel_symmetric":
		adjustment := r.op("Div", count, r.op("Mul", scale, in))
		offset := r.op("Mul", r.op("Mul", half, in), r.op("Sub", one, adjustment))
		return r.op("Add", offset, centers)
	}
	return centers
}

func (r *resizing) round(at string) string {
	half := r.double(0.5)
	switch r.nearest {
	case "floor":
		return r.op("Floor", at)
	case "ceil":
		return r.op("Ceil", at)
	case "round_prefer_ceil":
		return r.op("Floor", r.op("Add", at, half))
	}
	return r.op("Ceil", r.op("Sub", at, half))
}

func (r *resizing) within(at, last string) string {
	return r.op("Max", r.double(0), r.op("Min", at, last))
}

// weights is the matrix [after, before] of a linear or cubic interpolation.
func (r *resizing) weights(rows, columns, last, scale string) string {
	filter := r.triangle
	if r.mode == "cubic" {
		filter = r.cubic
	}
	if r.antialias {
		shrink := r.op("Min", scale, r.double(1))
		if r.excludeOutside {
			return r.normalized(filter(r.op("Mul", r.op("Sub", columns, rows), shrink)))
		}
		// Values beyond the ends, as far as the filter reaches, are those at the ends.
		reach := r.op("Add", r.op("Ceil", r.op("Div", r.double(2), shrink)), r.double(1))
		first, end := r.op("Neg", reach), r.op("Add", r.op("Add", last, r.double(1)), reach)
		wide := r.op("Range", r.cast(first, protos.TensorProto_INT64), r.cast(end, protos.TensorProto_INT64), r.integer(1))
		wide = r.cast(wide, protos.TensorProto_DOUBLE)
		w := r.normalized(filter(r.op("Mul", r.op("Sub", r.op("Reshape", wide, r.integers(1, -1)), rows), shrink)))
		places := r.op("Equal", r.op("Reshape", r.within(wide, last), r.integers(-1, 1)), columns)
		return r.op("MatMul", w, r.cast(places, protos.TensorProto_DOUBLE))
	}
	if r.mode == "linear" {
		return filter(r.op("Sub", columns, r.within(rows, last)))
	}
	if r.excludeOutside {
		return r.normalized(filter(r.op("Sub", columns, rows)))
	}
	// Values beyond the ends are those at the ends.
	var total string
	for tap := -1; tap <= 2; tap++ {
		at := r.op("Add", r.op("Floor", rows), r.double(float64(tap)))
		here := r.cast(r.op("Equal", r.within(at, last), columns), protos.TensorProto_DOUBLE)
		w := r.op("Mul", here, filter(r.op("Sub", at, rows)))
		if total == "" {
			total = w
		} else {
			total = r.op("Add", total, w)
		}
	}
	return total
}

func (r *resizing) normalized(w string) string {
	return r.op("Div", w, r.opWith("ReduceSum", reduceAttributes(1), w))
}

func (r *resizing) triangle(d string) string {
	return r.op("Max", r.double(0), r.op("Sub", r.double(1), r.op("Abs", d)))
}

// cubic is Keys' kernel: ((a+2)|d| - (a+3))|d|² + 1 up to 1, and a(((|d| - 5)|d| + 8)|d| - 4) up to
// 2.
func (r *resizing) cubic(d string) string {
	a, x := float64(r.cubicA), r.op("Abs", d)
	square := r.op("Mul", x, x)
	near := r.op("Add", r.op("Mul", r.op("Sub", r.op("Mul", r.double(a+2), x), r.double(a+3)), square), r.double(1))
	far := r.op("Add", r.op("Mul", r.op("Sub", x, r.double(5)), x), r.double(8))
	far = r.op("Mul", r.double(a), r.op("Sub", r.op("Mul", far, x), r.double(4)))
	beyond := r.op("Where", r.op("Less", x, r.double(2)), far, r.op("Mul", x, r.double(0)))
	return r.op("Where", r.op("Less", x, r.double(1)), near, beyond)
}
