package onnxmodel

import (
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Pools and convolutions. The importer supports explicit pads, but no dilations of pools and no
// ceil_mode. Other forms become a Pad before the operator, or sums and maxima of strided slices.
var _ = register(map[string]rewrite{
	"MaxPool":     pool,
	"AveragePool": pool,
	"LpPool":      pool,
	"GlobalLpPool": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x, p := n.Input[0], lpOrder(n)
		if p < 1 {
			return refused(n, "the attribute p is %g", p)
		}
		return l.finish(n, l.root(l.op("ReduceSum", l.power(x, p), l.axesFrom(x, 2)), p))
	},
	"Conv":          convolution,
	"ConvTranspose": convTranspose,
})

// windows describes windows that slide over the spatial axes of a value [batch, channels, spatial
// ...].
type windows struct {
	*lowering
	x                        string
	kernel, stride, dilation []int64
	before, after            []int64 // pads
	auto                     string
	ceil                     bool
}

// newWindows reads the attributes. The string names what is not supported.
func newWindows(l *lowering, n *protos.NodeProto, kernel []int64) (*windows, string) {
	w := &windows{lowering: l, x: n.Input[0], kernel: kernel, auto: stringOr(n, "auto_pad", "NOTSET"),
		ceil: intOr(n, "ceil_mode", 0) != 0}
	axes := len(kernel)
	ones := slices.Repeat([]int64{1}, axes)
	w.stride, w.dilation = intsOr(n, "strides", ones), intsOr(n, "dilations", ones)
	pads := intsOr(n, "pads", make([]int64, 2*axes))
	switch {
	case axes == 0:
		return nil, "it has no attribute kernel_shape"
	case len(w.stride) != axes || len(w.dilation) != axes || len(pads) != 2*axes:
		return nil, "its strides, dilations or pads are not as many as its kernel has axes"
	case slices.Min(slices.Concat(kernel, w.stride, w.dilation)) < 1 ||
		slices.Max(slices.Concat(kernel, w.stride, w.dilation, pads)) > 1<<20:
		return nil, "a size of its kernel, a stride or a dilation is below 1 or too large"
	case slices.Min(pads) < 0:
		return nil, "a pad is below 0"
	case !slices.Contains([]string{"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}, w.auto):
		return nil, "the attribute auto_pad is " + w.auto
	}
	if w.auto != "NOTSET" {
		pads = make([]int64, 2*axes)
	}
	w.before, w.after = pads[:axes], pads[axes:]
	return w, ""
}

func intsOr(n *protos.NodeProto, name string, otherwise []int64) []int64 {
	if a := attribute(n, name); a != nil {
		return a.Ints
	}
	return otherwise
}

// same reports whether the pads follow from the size of the input.
func (w *windows) same() bool { return w.auto == "SAME_UPPER" || w.auto == "SAME_LOWER" }

// span is the number of values from the first to the last of a window.
func (w *windows) span(i int) int64 { return (w.kernel[i]-1)*w.dilation[i] + 1 }

// size is the size of the input along a spatial axis.
func (w *windows) size(x string, i int) string {
	return w.op("Gather", w.op("Shape", x), w.integers(int64(i+2)))
}

// ceilDiv is a / b, rounded up, for non-negative numbers.
func (w *windows) ceilDiv(a string, b int64) string {
	return w.op("Div", w.op("Add", a, w.integer(b-1)), w.integer(b))
}

// pads returns the padding along a spatial axis, and the further padding at the end, so that
// ceil_mode's last window is whole.
func (w *windows) pads(i int) (before, after, extra string) {
	none := w.integers(0)
	size := w.size(w.x, i)
	if w.same() {
		count := w.ceilDiv(size, w.stride[i])
		total := w.op("Sub",
			w.op("Add", w.op("Mul", w.op("Sub", count, w.integer(1)), w.integer(w.stride[i])), w.integer(w.span(i))), size)
		total = w.op("Max", total, none)
		half := w.op("Div", total, w.integer(2))
		if w.auto == "SAME_UPPER" {
			return half, w.op("Sub", total, half), none
		}
		return w.op("Sub", total, half), half, none
	}
	before, after = w.integers(w.before[i]), w.integers(w.after[i])
	if !w.ceil {
		return before, after, none
	}
	stride := w.integer(w.stride[i])
	padded := w.op("Add", size, w.integer(w.before[i]+w.after[i]))
	last := w.op("Mul", w.ceilDiv(w.op("Max", w.op("Sub", padded, w.integer(w.span(i))), none), w.stride[i]), stride)
	// A last window that begins in the pad at the end is left out.
	beyond := w.cast(w.op("GreaterOrEqual", last, w.op("Add", size, before)), protos.TensorProto_INT64)
	last = w.op("Sub", last, w.op("Mul", beyond, stride))
	return before, after, w.op("Max", w.op("Sub", w.op("Add", last, w.integer(w.span(i))), padded), none)
}

// padded is x, padded along its spatial axes by a value: the pads, and further padding at the end.
func (w *windows) padded(x, value string, before, after []string) string {
	zeros := w.integers(0, 0)
	pads := slices.Concat([]string{zeros}, before, []string{zeros}, after)
	return w.op("Pad", x, w.opWith("Concat", axisAttribute(0), pads...), value)
}

// over combines the values in each dilated window: axis by axis, it combines slices that begin at
// each place of the window.
func (w *windows) over(op, x string) string {
	for i := range w.kernel {
		size := w.size(x, i)
		count := w.op("Add", w.op("Div", w.op("Sub", size, w.integer(w.span(i))), w.integer(w.stride[i])), w.integer(1))
		reach := w.op("Add", w.op("Mul", w.op("Sub", count, w.integer(1)), w.integer(w.stride[i])), w.integer(1))
		var total string
		for k := range w.kernel[i] {
			start := k * w.dilation[i]
			part := w.op("Slice", x, w.integers(start), w.op("Add", reach, w.integer(start)), w.integers(int64(i+2)),
				w.integers(w.stride[i]))
			if total == "" {
				total = part
			} else {
				total = w.op(op, total, part)
			}
		}
		x = total
	}
	return x
}

// mostSlices limits the places of a dilated window: each becomes a slice.
const mostSlices = 128

// pool leaves supported forms to the importer, with the strides written out: ONNX's default is 1,
// the importer's is the size of the window.
func pool(l *lowering, n *protos.NodeProto) (bool, error) {
	if n.OpType == "MaxPool" && used(n, 1) {
		return refused(n, "it has the output Indices")
	}
	w, refusal := newWindows(l, n, intsOr(n, "kernel_shape", nil))
	if refusal != "" {
		return refused(n, "%s", refusal)
	}
	dilated := !all(w.dilation, 1)
	if dilated && w.same() {
		return refused(n, "the attribute auto_pad is %s with dilations, where ONNX's definition and its runtimes differ "+
			"(export it with pads)", w.auto)
	}
	if w.ceil && w.auto == "VALID" && !all(w.stride, 1) {
		return refused(n, "the attribute ceil_mode is 1 with auto_pad VALID, where ONNX's definition and its runtimes differ "+
			"(export it with pads)")
	}
	if dilated && slices.Max(w.kernel) > mostSlices {
		return refused(n, "its dilated kernel has %d places along an axis", slices.Max(w.kernel))
	}
	includePads := intOr(n, "count_include_pad", 0) != 0 && n.OpType == "AveragePool"
	pads := !all(slices.Concat(w.before, w.after), 0)
	if !w.same() && !w.ceil && !dilated && !(includePads && pads) && n.OpType != "LpPool" {
		remove(n, "auto_pad", "dilations", "ceil_mode", "count_include_pad", "storage_order", "strides", "pads")
		n.Attribute = append(n.Attribute, intsAttribute("strides", w.stride...),
			intsAttribute("pads", slices.Concat(w.before, w.after)...))
		return false, nil
	}
	var before, after, whole []string
	for i := range w.kernel {
		b, a, extra := w.pads(i)
		before, after, whole = append(before, b), append(after, a), append(whole, l.op("Add", a, extra))
		if n.OpType == "LpPool" && w.ceil {
			w.x = l.checked(w.x, l.op("Equal", extra, l.integer(0)), "the attribute ceil_mode is 1, and its last window "+
				"reaches beyond its pads, where ONNX's evaluator and its runtimes differ: export it with pads")
		}
	}
	attributes := []*protos.AttributeProto{intsAttribute("kernel_shape", w.kernel...),
		intsAttribute("strides", w.stride...)}
	// The means of windows without pads, or their sums: both are divided by the same number.
	mean := func(x string) string {
		if dilated {
			return w.over("Add", x)
		}
		return l.opWith("AveragePool", attributes, x)
	}
	switch n.OpType {
	case "MaxPool":
		x := w.padded(w.x, l.lowest(w.x), before, whole)
		if dilated {
			return l.finish(n, w.over("Max", x))
		}
		return l.finish(n, l.opWith("MaxPool", attributes, x))
	case "LpPool":
		p := lpOrder(n)
		if p < 1 {
			return refused(n, "the attribute p is %g", p)
		}
		sum := mean(w.padded(l.power(w.x, p), l.scalar(w.x, 0), before, whole))
		if !dilated {
			count := int64(1)
			for _, k := range w.kernel {
				count *= k
			}
			sum = l.op("Mul", sum, l.scalar(w.x, float32(count)))
		}
		return l.finish(n, l.root(sum, p))
	}
	// A mean leaves out the padding that only fills the last window.
	sizes := []string{l.integers(1, 1)}
	for i := range w.kernel {
		sizes = append(sizes, w.size(w.x, i))
	}
	counted := l.op("Expand", l.scalar(w.x, 1), l.opWith("Concat", axisAttribute(0), sizes...))
	if includePads {
		counted = w.padded(counted, l.scalar(w.x, 1), before, after)
		counted = w.padded(counted, l.scalar(w.x, 0), repeated(l.integers(0), len(before)), differences(l, whole, after))
	} else {
		counted = w.padded(counted, l.scalar(w.x, 0), before, whole)
	}
	x := w.padded(w.x, l.scalar(w.x, 0), before, whole)
	return l.finish(n, l.op("Div", mean(x), mean(counted)))
}

func repeated(name string, count int) []string { return slices.Repeat([]string{name}, count) }

func differences(l *lowering, a, b []string) []string {
	var d []string
	for i := range a {
		d = append(d, l.op("Sub", a[i], b[i]))
	}
	return d
}

// lowest is the smallest finite scalar of the type. It is finite because 0 times infinity is NaN.
func (l *lowering) lowest(x string) string {
	switch protos.TensorProto_DataType(l.dtypes[x]) {
	case protos.TensorProto_FLOAT16:
		return l.scalar(x, -65504)
	case protos.TensorProto_BFLOAT16:
		return l.scalar(x, -math.MaxFloat32*(1-1.0/256))
	case protos.TensorProto_UINT8:
		return l.cast(l.integer(0), protos.TensorProto_UINT8)
	case protos.TensorProto_INT8:
		return l.cast(l.integer(math.MinInt8), protos.TensorProto_INT8)
	}
	return l.scalar(x, -math.MaxFloat32)
}

// lpOrder is the attribute p, a float in opset 1.
func lpOrder(n *protos.NodeProto) float64 {
	a := attribute(n, "p")
	switch {
	case a == nil:
		return 2
	case a.Type == protos.AttributeProto_FLOAT || a.I == 0:
		return float64(a.F)
	}
	return float64(a.I)
}

func (l *lowering) power(x string, p float64) string {
	switch p {
	case 1:
		return l.op("Abs", x)
	case 2:
		return l.op("Mul", x, x)
	}
	return l.op("Pow", l.op("Abs", x), l.scalar(x, float32(p)))
}

func (l *lowering) root(x string, p float64) string {
	switch p {
	case 1:
		return x
	case 2:
		return l.sqrtOrZero(x)
	}
	return l.orZero(x, func(x string) string { return l.op("Pow", x, l.scalar(x, float32(1/p))) })
}

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
