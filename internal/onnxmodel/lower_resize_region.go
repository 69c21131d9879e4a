package onnxmodel

import (
	"fmt"
	"math"

	"github.com/gomlx/compute-onnx/support/protos"
)

// crop reads the region of tf_crop_and_resize. It returns a description of what is not supported.
func (r *resizing) crop() string {
	if r.coordinates != "tf_crop_and_resize" {
		return ""
	}
	region, ok := r.floats(input(r.node, 1))
	if !ok {
		return "the attribute coordinate_transformation_mode is tf_crop_and_resize, and its roi is not constant"
	}
	if len(region) != 2*len(r.axes) {
		return fmt.Sprintf("its roi has %d values for %d axes", len(region), len(r.axes))
	}
	if r.antialias {
		return "the attribute coordinate_transformation_mode is tf_crop_and_resize, and antialias is 1"
	}
	r.region = region
	return ""
}

// crops reports whether an axis is cut to a part of it, or beyond its ends.
func (r *resizing) crops(i int) bool {
	return r.region != nil && (r.region[i] != 0 || r.region[len(r.axes)+i] != 1)
}

// coordinateInRegion returns the coordinates of the output's values along the input's axis: evenly
// from the start to the end of the region, or its middle for a single value.
func (r *resizing) coordinateInRegion(i int, places, count, last string) string {
	start, end := float64(r.region[i]), float64(r.region[len(r.axes)+i])
	one := r.double(1)
	step := r.op("Div", r.op("Mul", r.double(end-start), last), r.op("Max", r.op("Sub", count, one), one))
	first := r.op("Mul", r.double(start), last)
	middle := r.op("Mul", r.double((start+end)/2), last)
	return r.op("Where", r.op("Greater", count, one), r.op("Add", first, r.op("Mul", places, step)),
		r.op("Add", middle, places))
}

// extrapolated puts extrapolation_value where the coordinates lie beyond the ends of the axis.
func (r *resizing) extrapolated(y string, i int, axis int64, at, last string) string {
	start, end := float64(r.region[i]), float64(r.region[len(r.axes)+i])
	if !fewBits(start) || !fewBits(end) {
		// Where a coordinate is an end of the axis, rounding decides between the value there and
		// extrapolation_value.
		apart := r.op("Abs", r.op("Sub", at, last))
		if start != 0 {
			apart = r.op("Min", apart, r.op("Abs", at))
		}
		apart = r.opWith("ReduceMin", reduceAttributes(0), apart)
		y = r.checked(y, r.op("Greater", apart, r.double(1e-4)), "the attribute coordinate_transformation_mode is "+
			"tf_crop_and_resize, and its roi takes a value at an end of an axis, where the rounding of a runtime "+
			"decides whether it is extrapolation_value")
	}
	shape := make([]int64, r.rank)
	for d := range shape {
		shape[d] = 1
	}
	shape[axis] = -1
	inside := r.op("And", r.op("GreaterOrEqual", at, r.double(0)), r.op("LessOrEqual", at, last))
	dtype, ok := r.dtypes[r.node.Input[0]]
	if !ok {
		dtype = r.float
	}
	value := r.cast(r.double(float64(floatOr(r.node, "extrapolation_value", 0))), protos.TensorProto_DataType(dtype))
	return r.op("Where", r.op("Reshape", inside, r.integers(shape...)), y, value)
}

// fewBits reports whether products of x with sizes are exact in float32.
func fewBits(x float64) bool { return x*64 == math.Trunc(x*64) }

// keepRatio computes the scale of all axes that keep_aspect_ratio_policy asks for: the smallest or
// the largest of those that the sizes ask for. It returns a description of what is not supported.
func (r *resizing) keepRatio() string {
	policy := stringOr(r.node, "keep_aspect_ratio_policy", "stretch")
	if policy == "stretch" || r.sizes == "" {
		return ""
	}
	extremes := map[string]string{"not_larger": "Min", "not_smaller": "Max"}
	extreme, known := extremes[policy]
	if !known {
		return fmt.Sprintf("the attribute keep_aspect_ratio_policy is %q", policy)
	}
	if attribute(r.node, "axes") == nil {
		return fmt.Sprintf("the attribute keep_aspect_ratio_policy is %q, and axes is left out, so that the axis of the "+
			"examples would be scaled, too", policy)
	}
	if r.coordinates == "align_corners" || r.coordinates == "tf_crop_and_resize" {
		return fmt.Sprintf("the attribute keep_aspect_ratio_policy is %q with the coordinate_transformation_mode %s",
			policy, r.coordinates)
	}
	for i, axis := range r.axes {
		before := r.cast(r.op("Gather", r.op("Shape", r.node.Input[0]), r.integer(axis)), protos.TensorProto_DOUBLE)
		after := r.cast(r.op("Gather", r.sizes, r.integer(int64(i))), protos.TensorProto_DOUBLE)
		ratio := r.op("Div", after, before)
		if r.ratio != "" {
			ratio = r.op(extreme, r.ratio, ratio)
		}
		r.ratio = ratio
	}
	return ""
}

// rounded is the size of an axis by the common scale, halves rounded up; the scale's own rounding
// must not bring a half below.
func (r *resizing) rounded(in string) string {
	return r.op("Floor", r.op("Add", r.op("Mul", r.ratio, in), r.double(0.5+1e-9)))
}
