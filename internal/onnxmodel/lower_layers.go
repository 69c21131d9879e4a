package onnxmodel

import (
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

var _ = register(map[string]rewrite{
	"BatchNormalization": batchNormalization,
	"Pad":                pad,
	"Resize":             resize,
	"Upsample":           resize,
	"Slice":              slice,
	"If":                 constantIf,
	"ArgMax":             lastIndex,
	"ArgMin":             lastIndex,
	"Sum":                func(l *lowering, n *protos.NodeProto) (bool, error) { return l.finish(n, l.sum(n.Input)) },
	"Mean": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.finish(n, l.op("Div", l.sum(n.Input), l.scalar(n.Input[0], float32(len(n.Input)))))
	},
})

func (l *lowering) sum(values []string) string {
	total := values[0]
	for _, v := range values[1:] {
		total = l.op("Add", total, v)
	}
	return total
}

func batchNormalization(l *lowering, n *protos.NodeProto) (bool, error) {
	statistics := slices.ContainsFunc(n.Output[1:], func(out string) bool { return out != "" })
	switch {
	case intOr(n, "training_mode", 0) != 0:
		return refused(n, "the attribute training_mode is 1")
	case statistics:
		return refused(n, "it has the outputs of training (%d outputs)", len(n.Output))
	case l.opset < 7 && intOr(n, "is_test", 0) == 0:
		return refused(n, "the attribute is_test is 0, training, before opset 7")
	case intOr(n, "spatial", 1) == 0:
		return refused(n, "the attribute spatial is 0")
	}
	remove(n, "momentum", "training_mode", "is_test", "spatial", "consumed_inputs")
	return false, nil
}

// pad turns attributes into inputs (before opset 11), pads of some axes into pads of all, and modes
// other than constant into gathers.
func pad(l *lowering, n *protos.NodeProto) (bool, error) {
	x := n.Input[0]
	mode := stringOr(n, "mode", "constant")
	if !slices.Contains([]string{"constant", "reflect", "edge", "wrap"}, mode) {
		return refused(n, "the attribute mode is %q", mode)
	}
	if l.opset < 11 {
		pads := attribute(n, "pads")
		if pads == nil {
			return refused(n, "it has no attribute pads, of opset %d", l.opset)
		}
		n.Input = []string{x, l.integers(pads.Ints...), l.scalar(x, floatOr(n, "value", 0))}
		remove(n, "pads", "value")
	}
	if len(n.Input) < 2 {
		return lacking(n, 2)
	}
	pads, known := l.constant(n.Input[1])
	if mode != "constant" && (known || mode != "reflect") {
		return l.padAround(n, mode, pads, known)
	}
	if axes := input(n, 3); axes != "" {
		if err := allAxes(l, n); err != nil {
			return false, err
		}
	}
	if len(n.Input) > 2 && n.Input[2] == "" {
		n.Input = n.Input[:2]
	}
	if mode == "reflect" {
		l.cropFirst(n)
	} else if len(n.Input) > 2 {
		n.Input[2] = l.withoutAxes(n.Input[2])
	}
	return false, nil
}

// withoutAxes is a number that may have axes of size 1, as some exporters write it, without them:
// XLA does not pad with it otherwise.
func (l *lowering) withoutAxes(x string) string {
	if rank, ok := l.rank(x); ok && rank == 0 || l.dtypes[x] == int32(protos.TensorProto_BOOL) {
		return x
	}
	return l.opWith("ReduceSum", []*protos.AttributeProto{intAttribute("keepdims", 0)}, x)
}

// cropFirst cuts what computed pads below 0 take away, which the importer ignores when it reflects.
func (l *lowering) cropFirst(n *protos.NodeProto) {
	shape := l.op("Shape", n.Input[0])
	rank, zero, axis := l.op("Shape", shape), l.integer(0), l.integers(0)
	cut := func(from, to string) string { // The negative pads of a side, with their sign changed.
		return l.op("Neg", l.op("Min", l.op("Slice", n.Input[1], from, to, axis), zero))
	}
	first := cut(l.integers(0), rank)
	end := l.op("Sub", shape, cut(rank, l.integers(math.MaxInt32)))
	n.Input = []string{l.op("Slice", n.Input[0], first, end), l.op("Max", n.Input[1], zero)}
}

// padAround pads by gathers, axis by axis.
func (l *lowering) padAround(n *protos.NodeProto, mode string, pads []int64, known bool) (bool, error) {
	if !known || len(pads)%2 != 0 {
		return refused(n, "the attribute mode is %q, with pads that are not constant", mode)
	}
	axes, ok := l.constant(input(n, 3))
	if input(n, 3) == "" {
		ok = true
		for i := range len(pads) / 2 {
			axes = append(axes, int64(i))
		}
	}
	if !ok || len(axes) != len(pads)/2 {
		return refused(n, "its axes are not constant, or not as many as its pads")
	}
	y := n.Input[0]
	for i, axis := range axes {
		before, after := pads[i], pads[i+len(axes)]
		if max(before, after) > 1<<30 || min(before, after) < -1<<30 {
			return refused(n, "a pad is too large")
		}
		if before < 0 || after < 0 { // What is cut off first is not there to be repeated.
			end := int64(math.MaxInt32)
			if after < 0 {
				end = after
			}
			y = l.op("Slice", y, l.integers(max(0, -before)), l.integers(end), l.integers(axis))
			before, after = max(0, before), max(0, after)
		}
		if before != 0 || after != 0 {
			y = l.around(y, mode, axis, before, after)
		}
	}
	return l.finish(n, y)
}

// allAxes extends the pads of some axes to all axes, with 0 for the others. The importer evaluates
// it once it knows the rank.
func allAxes(l *lowering, n *protos.NodeProto) error {
	axes, ok := l.constant(n.Input[3])
	if !ok || len(axes) == 0 {
		_, err := refused(n, "its axes are not constant")
		return err
	}
	rank := l.op("Size", l.op("Shape", n.Input[0]))
	all := l.op("Range", l.integer(0), rank, l.integer(1))
	side := func(first int) string {
		var total string
		for i, axis := range axes {
			at := l.integer(axis)
			if axis < 0 {
				at = l.op("Add", rank, at)
			}
			here := l.opWith("Cast", []*protos.AttributeProto{intAttribute("to", int64(protos.TensorProto_INT64))},
				l.op("Equal", all, at))
			pads := l.op("Mul", here, l.op("Gather", n.Input[1], l.integer(int64(first+i))))
			if total == "" {
				total = pads
			} else {
				total = l.op("Add", total, pads)
			}
		}
		return total
	}
	n.Input = []string{n.Input[0], l.opWith("Concat", axisAttribute(0), side(0), side(len(axes))), n.Input[2]}
	return nil
}

// slice turns attributes into inputs (before opset 10), and negative steps into gathers.
func slice(l *lowering, n *protos.NodeProto) (bool, error) {
	if l.opset < 10 {
		starts, ends, axes := attribute(n, "starts"), attribute(n, "ends"), attribute(n, "axes")
		if starts == nil || ends == nil {
			return refused(n, "it has no attributes starts and ends, of opset %d", l.opset)
		}
		n.Input = []string{n.Input[0], l.integers(starts.Ints...), l.integers(ends.Ints...)}
		if axes != nil {
			n.Input = append(n.Input, l.integers(axes.Ints...))
		}
		n.Attribute = nil
	}
	if len(n.Input) < 3 {
		return lacking(n, 3)
	}
	starts, okStarts := l.constant(n.Input[1])
	axes, okAxes := l.constant(input(n, 3))
	if input(n, 3) == "" && okStarts {
		okAxes = true
		for i := range starts {
			axes = append(axes, int64(i))
		}
		steps := input(n, 4)
		n.Input = []string{n.Input[0], n.Input[1], n.Input[2], l.integers(axes...)}
		if steps != "" {
			n.Input = append(n.Input, steps)
		}
	}
	if input(n, 4) == "" {
		n.Input = n.Input[:min(4, len(n.Input))]
		return false, nil
	}
	if n.Input[3] == "" { // The first axes, as many as there are computed starts.
		n.Input[3] = l.rangeTo(l.op("Shape", n.Input[1]))
	}
	steps, okSteps := l.constant(n.Input[4])
	if !okSteps {
		return refused(n, "its steps are not constant")
	}
	if !slices.ContainsFunc(steps, func(s int64) bool { return s < 0 }) {
		return false, nil
	}
	ends, okEnds := l.constant(n.Input[2])
	if !okStarts || !okEnds || !okAxes || len(ends) != len(starts) || len(axes) != len(starts) ||
		len(steps) != len(starts) {
		return refused(n, "a negative step with starts, ends or axes that are not constant")
	}
	y := n.Input[0]
	for i, axis := range axes {
		if steps[i] >= 0 {
			y = l.op("Slice", y, l.integers(starts[i]), l.integers(ends[i]), l.integers(axis), l.integers(steps[i]))
			continue
		}
		y = l.backwards(y, starts[i], ends[i], axis, steps[i])
	}
	return l.finish(n, y)
}

// backwards takes the values from start down to end, without end.
func (l *lowering) backwards(x string, start, end, axis, step int64) string {
	shape := l.op("Shape", x)
	size := l.op("Gather", shape, l.integer(axis)) // A negative axis counts from the end of the shape too.
	last := l.op("Sub", size, l.integer(1))
	bound := func(at, least int64) string {
		if at >= 0 {
			return l.op("Min", l.integer(at), last)
		}
		return l.op("Max", l.op("Add", size, l.integer(max(at, -1<<40))), l.integer(least))
	}
	index := l.op("Range", bound(start, 0), bound(end, -1), l.integer(step))
	return l.opWith("Gather", axisAttribute(axis), x, index)
}

// lastIndex finds the last of equal values, as the first one of the reversed axis.
func lastIndex(l *lowering, n *protos.NodeProto) (bool, error) {
	if intOr(n, "select_last_index", 0) == 0 {
		return false, nil
	}
	x, axis := n.Input[0], intOr(n, "axis", 0)
	fromEnd := l.opWith(n.OpType, withoutAttribute(n, "select_last_index"), l.backwards(x, -1, math.MinInt64, axis, -1))
	last := l.op("Sub", l.op("Gather", l.op("Shape", x), l.integer(axis)), l.integer(1))
	return l.finish(n, l.op("Sub", last, fromEnd))
}

// floats is the value of a constant of float32, or of several that a Concat joins.
func (l *lowering) floats(name string) ([]float32, bool) {
	if n := l.makers[name]; n != nil && n.OpType == "Concat" && isOwn(n) && intOr(n, "axis", 0) == 0 {
		var all []float32
		for _, in := range n.Input {
			if joins := l.makers[in]; joins != nil && joins.OpType == "Concat" {
				return nil, false
			}
			part, ok := l.floats(in)
			if !ok {
				return nil, false
			}
			all = append(all, part...)
		}
		return all, true
	}
	t := l.tensor(name)
	if t == nil || t.DataType != int32(protos.TensorProto_FLOAT) || len(t.ExternalData) > 0 {
		return nil, false
	}
	values := slices.Clone(t.FloatData)
	for raw := t.RawData; len(raw) >= 4; raw = raw[4:] {
		values = append(values, math.Float32frombits(uint32(raw[0])|uint32(raw[1])<<8|uint32(raw[2])<<16|uint32(raw[3])<<24))
	}
	return values, true
}

// tensor is a weight or the value of a Constant, or nil. Exporters give a weight that layers share
// another name by an Identity.
func (l *lowering) tensor(name string) *protos.TensorProto {
	for range 16 {
		n := l.makers[name]
		if n == nil || n.OpType != "Identity" || !isOwn(n) || len(n.Input) != 1 {
			break
		}
		name = n.Input[0]
	}
	if w := l.weights[name]; w != nil {
		return w
	}
	if n := l.makers[name]; n != nil {
		if n.OpType == "Constant" {
			return attribute(n, "value").GetT()
		}
		return nil
	}
	if l.outer != nil {
		return l.outer.tensor(name)
	}
	return nil
}
