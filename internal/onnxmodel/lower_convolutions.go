package onnxmodel

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Convolutions. The importer supports explicit pads.
var _ = register(map[string]rewrite{
	"Conv":          convolution,
	"ConvTranspose": convTranspose,
})

// kernelOf is the attribute kernel_shape, or the spatial axes of weights [.., .., spatial ...].
func (l *lowering) kernelOf(n *protos.NodeProto) []int64 {
	if k := intsOr(n, "kernel_shape", nil); len(k) > 0 {
		return k
	}
	if dims := l.dims(n.Input[1]); len(dims) > 2 {
		return dims[2:]
	}
	return nil
}

// dims is the shape of a weight or of a Constant, or nil.
func (l *lowering) dims(name string) []int64 {
	if t := l.tensor(name); t != nil {
		return t.Dims
	}
	return nil
}

// convolution pads by the size of the input if auto_pad asks for it. It inserts the zeros of a
// dilation into the kernel if there are strides too, because the importer does not support both
// together.
func convolution(l *lowering, n *protos.NodeProto) (bool, error) {
	auto := stringOr(n, "auto_pad", "NOTSET")
	dilated := !all(intsOr(n, "dilations", nil), 1) && !all(intsOr(n, "strides", nil), 1)
	if auto == "NOTSET" && !dilated {
		remove(n, "auto_pad")
		return false, nil
	}
	w, refusal := newWindows(l, n, l.kernelOf(n))
	if refusal != "" {
		return refused(n, "the attribute auto_pad is %s and %s", auto, refusal)
	}
	if dilated {
		wide := make([]int64, len(w.kernel))
		for i := range w.kernel {
			n.Input[1] = l.spread(n.Input[1], int64(i+2), w.dilation[i])
			wide[i] = w.span(i)
		}
		remove(n, "dilations", "kernel_shape")
		n.Attribute = append(n.Attribute, intsAttribute("kernel_shape", wide...))
	}
	remove(n, "auto_pad")
	if auto == "NOTSET" {
		return false, nil
	}
	remove(n, "pads")
	if w.same() {
		var before, after []string
		for i := range w.kernel {
			b, a, _ := w.pads(i)
			before, after = append(before, b), append(after, a)
		}
		n.Input[0] = w.padded(w.x, l.scalar(w.x, 0), before, after)
	}
	return false, nil
}

// convTranspose inserts zeros between the values, convolves the result with the reversed kernel,
// and crops the pads.
func convTranspose(l *lowering, n *protos.NodeProto) (bool, error) {
	dims := l.dims(n.Input[1])
	group := intOr(n, "group", 1)
	if len(dims) < 3 || group < 1 || dims[0]%group != 0 {
		return refused(n, "its weights are not constant, or do not divide into groups")
	}
	w, refusal := newWindows(l, n, dims[2:])
	if refusal != "" {
		return refused(n, "%s", refusal)
	}
	spatial := len(w.kernel)
	more := intsOr(n, "output_padding", make([]int64, spatial))
	shape := intsOr(n, "output_shape", nil)
	if len(shape) == spatial+2 {
		shape = shape[2:]
	}
	if len(more) != spatial || shape != nil && len(shape) != spatial || slices.Min(more) < 0 {
		return refused(n, "its output_padding or output_shape is not as long as its kernel has axes")
	}
	x := w.x
	var pads, ends []int64
	for i := range spatial {
		x = l.spread(x, int64(i+2), w.stride[i])
		pads, ends = append(pads, w.span(i)-1), append(ends, w.span(i)-1+more[i])
	}
	kernel := l.swapped(n.Input[1], dims, group)
	y := l.opWith("Conv",
		[]*protos.AttributeProto{intsAttribute("kernel_shape", w.kernel...), intsAttribute("dilations", w.dilation...),
			intsAttribute("pads", append(pads, ends...)...), intAttribute("group", group)}, x, kernel)
	for i := range spatial {
		size := w.size(y, i)
		first, last := l.integers(w.before[i]), l.integers(w.after[i])
		if shape != nil || w.same() {
			want := l.op("Mul", w.size(w.x, i), l.integer(w.stride[i]))
			if shape != nil {
				want = l.integers(shape[i])
			}
			// Outputs beyond the last value are 0.
			grow := l.op("Max", l.op("Sub", want, size), l.integers(0))
			none := l.integers(make([]int64, spatial+4+i)...)
			pads := []string{none, grow}
			if rest := spatial - 1 - i; rest > 0 {
				pads = append(pads, l.integers(make([]int64, rest)...))
			}
			y = l.op("Pad", y, l.opWith("Concat", axisAttribute(0), pads...), l.scalar(y, 0))
			size = l.op("Max", size, want)
			total := l.op("Sub", size, want)
			half := l.op("Div", total, l.integer(2))
			first, last = l.op("Sub", total, half), half
			if w.auto == "SAME_UPPER" {
				first, last = last, first
			}
		}
		y = l.op("Slice", y, first, l.op("Sub", size, last), l.integers(int64(i+2)))
	}
	if bias := input(n, 2); bias != "" {
		y = l.op("Add", y, l.op("Reshape", bias, l.integers(append([]int64{-1}, slices.Repeat([]int64{1}, spatial)...)...)))
	}
	return l.finish(n, y)
}

// spread inserts stride-1 zeros between the values along an axis.
func (l *lowering) spread(x string, axis, stride int64) string {
	if stride == 1 {
		return x
	}
	shape := l.op("Shape", x)
	size := l.op("Gather", shape, l.integers(axis))
	y := l.op("Unsqueeze", x, l.integers(axis+1))
	rank := l.op("Size", l.op("Shape", y))
	// The pads of all axes but the new one are 0.
	here := l.cast(l.op("Equal", l.op("Range", l.integer(0), rank, l.integer(1)), l.integer(axis+1)),
		protos.TensorProto_INT64)
	none := l.op("Mul", here, l.integer(0))
	y = l.op("Pad", y, l.opWith("Concat", axisAttribute(0), none, l.op("Mul", here, l.integer(stride-1))), l.scalar(x, 0))
	long := l.op("Mul", size, l.integer(stride))
	whole := l.cast(l.op("Equal", l.op("Range", l.integer(0), l.op("Size", shape), l.integer(1)), l.integer(axis)),
		protos.TensorProto_INT64)
	factor := l.op("Add", l.op("Mul", whole, l.integer(stride-1)), l.integer(1))
	y = l.op("Reshape", y, l.op("Mul", shape, factor))
	return l.op("Slice", y, l.integers(0), l.op("Sub", long, l.integer(stride-1)), l.integers(axis))
}

// swapped turns weights [in, out/group, spatial ...] into those of a convolution, [out, in/group,
// spatial ...], reversed along the spatial axes.
func (l *lowering) swapped(weights string, dims []int64, group int64) string {
	spatial := dims[2:]
	perm := []int64{0, 2, 1}
	for i := range spatial {
		perm = append(perm, int64(i+3))
	}
	parts := slices.Concat([]int64{group, dims[0] / group, dims[1]}, spatial)
	k := l.opWith("Transpose", []*protos.AttributeProto{intsAttribute("perm", perm...)},
		l.op("Reshape", weights, l.integers(parts...)))
	k = l.op("Reshape", k, l.integers(slices.Concat([]int64{group * dims[1], dims[0] / group}, spatial)...))
	for i, size := range spatial {
		var order []int64
		for at := size - 1; at >= 0; at-- {
			order = append(order, at)
		}
		if size > 1 {
			k = l.opWith("Gather", axisAttribute(int64(i+2)), k, l.integers(order...))
		}
	}
	return k
}
