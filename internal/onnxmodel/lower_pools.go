package onnxmodel

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Pools. The importer supports explicit pads, but no dilations and no ceil_mode. Other forms become
// a Pad before the operator, or sums and maxima of strided slices.
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
	if refusal == "" {
		refusal = w.ambiguous()
	}
	if refusal != "" {
		return refused(n, "%s", refusal)
	}
	includePads := intOr(n, "count_include_pad", 0) != 0 && n.OpType == "AveragePool"
	pads := !all(slices.Concat(w.before, w.after), 0)
	switch {
	case n.OpType == "LpPool":
		return lpPool(l, n, w)
	case w.same() || w.ceil || w.dilated() || includePads && pads:
		p := w.allPads()
		if n.OpType == "MaxPool" {
			return l.finish(n, w.max(w.padded(w.x, l.lowest(w.x), p.before, p.whole)))
		}
		x := w.padded(w.x, l.scalar(w.x, 0), p.before, p.whole)
		return l.finish(n, l.op("Div", w.mean(x), w.mean(w.counted(p, includePads))))
	}
	remove(n, "auto_pad", "dilations", "ceil_mode", "count_include_pad", "storage_order", "strides", "pads")
	n.Attribute = append(n.Attribute, intsAttribute("strides", w.stride...),
		intsAttribute("pads", slices.Concat(w.before, w.after)...))
	return false, nil
}

// dilated reports whether the places of a window are apart.
func (w *windows) dilated() bool { return !all(w.dilation, 1) }

// ambiguous names what ONNX's definition and its runtimes read differently, or what is too large.
func (w *windows) ambiguous() string {
	const differ = ", where ONNX's definition and its runtimes differ (export it with pads)"
	switch {
	case w.dilated() && w.same():
		return "the attribute auto_pad is " + w.auto + " with dilations" + differ
	case w.ceil && w.auto == "VALID" && !all(w.stride, 1):
		return "the attribute ceil_mode is 1 with auto_pad VALID" + differ
	case w.dilated() && slices.Max(w.kernel) > mostSlices:
		return fmt.Sprintf("its dilated kernel has %d places along an axis", slices.Max(w.kernel))
	}
	return ""
}

// windowPads are values: the pads along each spatial axis. whole has those after it, with what
// fills the last window, and extra is that part alone.
type windowPads struct{ before, after, whole, extra []string }

func (w *windows) allPads() (p windowPads) {
	for i := range w.kernel {
		before, after, extra := w.pads(i)
		p.before, p.after, p.extra = append(p.before, before), append(p.after, after), append(p.extra, extra)
		p.whole = append(p.whole, w.op("Add", after, extra))
	}
	return p
}

// reduced applies a pool of the importer, without pads.
func (w *windows) reduced(op, x string) string {
	return w.opWith(op, []*protos.AttributeProto{intsAttribute("kernel_shape", w.kernel...),
		intsAttribute("strides", w.stride...)}, x)
}

// max is the largest value of each window, without pads.
func (w *windows) max(x string) string {
	if w.dilated() {
		return w.over("Max", x)
	}
	return w.reduced("MaxPool", x)
}

// mean is the mean of each window, without pads. If they are dilated it is the sum, so that only
// the ratio of two of them says something.
func (w *windows) mean(x string) string {
	if w.dilated() {
		return w.over("Add", x)
	}
	return w.reduced("AveragePool", x)
}

// counted has 1 where a mean counts a value and 0 elsewhere. No mean counts the padding that only
// fills the last window.
func (w *windows) counted(p windowPads, includePads bool) string {
	sizes := []string{w.integers(1, 1)}
	for i := range w.kernel {
		sizes = append(sizes, w.size(w.x, i))
	}
	zero, one := w.scalar(w.x, 0), w.scalar(w.x, 1)
	counted := w.op("Expand", one, w.opWith("Concat", axisAttribute(0), sizes...))
	if !includePads {
		return w.padded(counted, zero, p.before, p.whole)
	}
	counted = w.padded(counted, one, p.before, p.after)
	return w.padded(counted, zero, slices.Repeat([]string{w.integers(0)}, len(p.before)), p.extra)
}

// lpPool is the p-th root of the sum of each window's p-th powers.
func lpPool(l *lowering, n *protos.NodeProto, w *windows) (bool, error) {
	order := lpOrder(n)
	if order < 1 {
		return refused(n, "the attribute p is %g", order)
	}
	p := w.allPads()
	if w.ceil {
		for _, extra := range p.extra {
			w.x = l.checked(w.x, l.op("Equal", extra, l.integer(0)), "the attribute ceil_mode is 1, and its last window "+
				"reaches beyond its pads, where ONNX's evaluator and its runtimes differ: export it with pads")
		}
	}
	sum := w.mean(w.padded(l.power(w.x, order), l.scalar(w.x, 0), p.before, p.whole))
	if !w.dilated() {
		count := int64(1)
		for _, k := range w.kernel {
			count *= k
		}
		sum = l.op("Mul", sum, l.scalar(w.x, float32(count)))
	}
	return l.finish(n, l.root(sum, order))
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
