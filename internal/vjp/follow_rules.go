package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// rules has a rule for every type of node of GoMLX.
var rules = map[NodeType]rule{
	// These nodes have no inputs, or no derivative with respect to them.
	NodeTypeInvalid: neverReached, NodeTypeConstant: neverReached, NodeTypeParameter: neverReached,
	NodeTypeIota: neverReached, NodeTypeDynamicIota: neverReached, NodeTypeRNGBitGenerator: neverReached,
	NodeTypeSplitNode: neverReached, // Method follow handles it: it has the layout of an output of its input.

	NodeTypeAbs: elementByElement, NodeTypeAdd: elementByElement, NodeTypeAtan2: elementByElement,
	NodeTypeBitCount: elementByElement, NodeTypeBitwiseAnd: elementByElement, NodeTypeBitwiseNot: elementByElement,
	NodeTypeBitwiseOr: elementByElement, NodeTypeBitwiseXor: elementByElement, NodeTypeCeil: elementByElement,
	NodeTypeClamp: followClamp, NodeTypeClz: elementByElement, NodeTypeComplex: elementByElement,
	NodeTypeConj: elementByElement, NodeTypeConvertDType: elementByElement, NodeTypeCos: elementByElement,
	NodeTypeDiv: elementByElement, NodeTypeEqual: elementByElement, NodeTypeEqualTotalOrder: elementByElement,
	NodeTypeErf: elementByElement, NodeTypeExp: elementByElement, NodeTypeExpm1: elementByElement,
	NodeTypeFloor: elementByElement, NodeTypeGreaterOrEqual: elementByElement,
	NodeTypeGreaterOrEqualTotalOrder: elementByElement, NodeTypeGreaterThan: elementByElement,
	NodeTypeGreaterThanTotalOrder: elementByElement, NodeTypeIdentity: elementByElement,
	NodeTypeImag: elementByElement, NodeTypeIsFinite: elementByElement, NodeTypeIsNaN: elementByElement,
	NodeTypeLessOrEqual: elementByElement, NodeTypeLessOrEqualTotalOrder: elementByElement,
	NodeTypeLessThan: elementByElement, NodeTypeLessThanTotalOrder: elementByElement, NodeTypeLog: elementByElement,
	NodeTypeLog1p: elementByElement, NodeTypeLogicalAnd: elementByElement, NodeTypeLogicalNot: elementByElement,
	NodeTypeLogicalOr: elementByElement, NodeTypeLogicalXor: elementByElement, NodeTypeLogistic: elementByElement,
	NodeTypeMax: elementByElement, NodeTypeMin: elementByElement, NodeTypeMul: elementByElement,
	NodeTypeNeg: elementByElement, NodeTypeNotEqual: elementByElement, NodeTypeNotEqualTotalOrder: elementByElement,
	NodeTypePow: elementByElement, NodeTypeReal: elementByElement, NodeTypeRem: elementByElement,
	NodeTypeRound: elementByElement, NodeTypeRsqrt: elementByElement, NodeTypeShiftLeft: elementByElement,
	NodeTypeShiftRightArithmetic: elementByElement, NodeTypeShiftRightLogical: elementByElement,
	NodeTypeSign: elementByElement, NodeTypeSin: elementByElement, NodeTypeSqrt: elementByElement,
	NodeTypeSub: elementByElement, NodeTypeTanh: elementByElement, NodeTypeWhere: elementByElement,
	NodeTypeFusedActivationVJP: elementByElement,
	NodeTypeFusedActivation:    followActivation,

	NodeTypeOptimizationBarrier: followBarrier,
	NodeTypeSchedulingBarrier:   followSchedulingBarrier,

	NodeTypeReshape:        followReshape,
	NodeTypeTranspose:      followTranspose,
	NodeTypeBroadcastInDim: followBroadcast,
	NodeTypeSlice:          followSlice,
	NodeTypeReverse:        followReverse,
	NodeTypePad:            followPad,
	NodeTypeConcatenate:    followConcatenate,

	NodeTypeReduceMax: followReduce, NodeTypeReduceMin: followReduce, NodeTypeReduceProduct: followReduce,
	NodeTypeReduceSum:        followReduce,
	NodeTypeReduceBitwiseAnd: neverReached, NodeTypeReduceBitwiseOr: neverReached,
	NodeTypeReduceBitwiseXor: neverReached, NodeTypeReduceLogicalAnd: neverReached,
	NodeTypeReduceLogicalOr: neverReached, NodeTypeReduceLogicalXor: neverReached,
	NodeTypeArgMinMax: neverReached,

	NodeTypeCumSum:         alongAxis,
	NodeTypeSort:           alongAxis,
	NodeTypeFusedSoftmax:   alongAxis,
	NodeTypeFusedLayerNorm: followLayerNorm,
	NodeTypeReduceWindow:   followWindow,

	NodeTypeDotGeneral:                     followDot,
	NodeTypeConvGeneral:                    followConvolution,
	NodeTypeFusedDense:                     followDense,
	NodeTypeFusedQuantizedDense:            followProjection,
	NodeTypeFusedAttentionQKVProjection:    cannot("call attention.QKVProjection, which gives it a gradient"),
	NodeTypeFusedScaledDotProductAttention: followAttention,
	NodeTypeBatchNormForInference:          followBatchNorm,
	NodeTypeBatchNormForTraining:           followBatchNormInTraining,

	NodeTypeGather:             followGather,
	NodeTypeScatterMax:         followScatter,
	NodeTypeScatterMin:         followScatter,
	NodeTypeScatterSum:         followScatter,
	NodeTypeDynamicSlice:       followDynamicSlice,
	NodeTypeDynamicUpdateSlice: followDynamicUpdateSlice,

	NodeTypeFFT:                               cannot(complexNumbers),
	NodeTypeBitcast:                           cannot("its result is not a smooth function of its input"),
	NodeTypeAllReduce:                         cannot("it sums over devices, which hold other examples"),
	NodeTypeSelectAndScatterMax:               cannot("it is the gradient of a pooling"),
	NodeTypeSelectAndScatterMin:               cannot("it is the gradient of a pooling"),
	NodeTypeBatchNormGradient:                 cannot("it is the gradient of a batch normalization"),
	NodeTypeFusedDenseVJP:                     cannot("it is the gradient of a dense layer"),
	NodeTypeQuantizedEmbeddingLookup:          cannot("its table has an integer dtype"),
	NodeTypeFusedScaledDotProductAttentionVJP: cannot("it is the gradient of an attention"),
	NodeTypeDynamicBroadcastInDim:             cannot(dynamicShapes),
	NodeTypeDynamicDimensionSize:              cannot(dynamicShapes),
	NodeTypeDynamicPad:                        cannot(dynamicShapes),
	NodeTypeDynamicReshape:                    cannot(dynamicShapes),
	NodeTypeDynamicShape:                      cannot(dynamicShapes),
	NodeTypeCall:                              cannot(functions),
	NodeTypeIf:                                cannot(functions),
	NodeTypeWhile:                             cannot(functions),
}

const (
	complexNumbers = "it has complex numbers: compute with real and imaginary parts"
	dynamicShapes  = "it has dynamic dimensions: use fixed ones"
	functions      = "it calls functions of the graph: use plain ops instead"
)

// cannot returns the rule of a type of node through which no example can be followed.
func cannot(why string) rule {
	return func(*Node, []*layout, int) flow { return unknown(why) }
}

func neverReached(*Node, []*layout, int) flow { return unknown("it has no derivative") }

func dimsOf(n *Node) []int { return n.Shape().Dimensions }

// elementByElement is the rule of operands that are broadcast to the shape of the result.
func elementByElement(n *Node, in []*layout, batch int) flow {
	wide := make([]*layout, len(in))
	for i, l := range in {
		if l == nil {
			continue
		}
		from := dimsOf(n.Inputs()[i])
		if len(from) != 0 && len(from) != n.Rank() {
			return unknown("its operands have different numbers of axes")
		}
		for axis, dim := range from {
			if dim != 1 && dim != dimsOf(n)[axis] {
				return unknown("its operands have different dimensions")
			}
		}
		spread := l.spread(from, dimsOf(n))
		wide[i] = &spread
	}
	return combined(wide, batch)
}

// followClamp rejects limits that depend on the inputs, because the gradient of Clamp ignores its
// limits.
func followClamp(n *Node, in []*layout, batch int) flow {
	if in[0] != nil || in[2] != nil {
		return unknown("its limits depend on the inputs: use Min and Max")
	}
	return elementByElement(n, in, batch)
}

// followActivation is the rule of activations, including gated ones, which halve the last axis.
func followActivation(n *Node, in []*layout, batch int) flow {
	if sameDims(n.Inputs()[0], n) {
		return elementByElement(n, in, batch)
	}
	last := n.Rank() - 1
	if in[0].carries(last) {
		return unknown("it is a gated activation, which halves the axis of the batch")
	}
	return one(in[0].with(last, []factor{{dimsOf(n)[last], 0}}, 0).normal(batch))
}

func followBarrier(n *Node, in []*layout, _ int) flow {
	f := flow{outputs: make([][]layout, len(in))}
	for i, l := range in {
		if l != nil {
			f.outputs[i] = []layout{*l}
		}
	}
	return f
}

// followSchedulingBarrier passes on the first operand, which waits for the others.
func followSchedulingBarrier(_ *Node, in []*layout, _ int) flow {
	if in[0] == nil {
		return flow{outputs: make([][]layout, 1)}
	}
	return one(*in[0])
}

func followReshape(n *Node, in []*layout, batch int) flow {
	places := in[0].reshaped(dimsOf(n), batch)
	if len(places) == 0 {
		return unknown("it splits the batch within an example")
	}
	return one(places...)
}

func followTranspose(n *Node, in []*layout, _ int) flow {
	permutation, _ := gomlxcompat.TransposeOf(n)
	moved := layout{first: in[0].first}
	for _, axis := range permutation {
		moved.axes = append(moved.axes, in[0].axes[axis])
	}
	return one(moved)
}

func followBroadcast(n *Node, in []*layout, batch int) flow {
	axes, _ := gomlxcompat.BroadcastInDimOf(n)
	wide := plain(dimsOf(n))
	wide.first = in[0].first
	for axis, to := range axes {
		wide.axes[to] = repeated(in[0].axes[axis], dimsOf(n.Inputs()[0])[axis], dimsOf(n)[to])
	}
	return one(wide.normal(batch))
}

func followSlice(n *Node, in []*layout, batch int) flow {
	s, _ := gomlxcompat.SliceOf(n)
	l := *in[0]
	for axis, start := range s.Starts {
		kept, moved, ok := sliced(l.axes[axis], start, s.Strides[axis], dimsOf(n)[axis])
		if !ok {
			return unknown("it is a slice that cuts through an axis with the batch and another axis")
		}
		l = l.with(axis, kept, moved)
	}
	return one(l.normal(batch))
}

func followReverse(n *Node, in []*layout, batch int) flow {
	axes, _ := gomlxcompat.ReverseOf(n)
	l := *in[0]
	for _, axis := range axes {
		turned, moved := reversed(l.axes[axis])
		l = l.with(axis, turned, moved)
	}
	return one(l.normal(batch))
}

// followPad treats padding along the batch as examples outside the batch.
func followPad(n *Node, in []*layout, batch int) flow {
	if in[1] != nil {
		return unknown("its fill value depends on the inputs")
	}
	padding, _ := gomlxcompat.PadOf(n)
	l := *in[0]
	for axis, p := range padding {
		factors := []factor{{dimsOf(n)[axis], 0}}
		moved := 0
		if l.carries(axis) {
			switch {
			case p.Start == 0 && p.End == 0 && p.Interior == 0:
				factors = l.axes[axis]
			case len(l.axes[axis]) == 1 && p.Interior == 0:
				factors[0].stride = l.axes[axis][0].stride
				moved = -p.Start * factors[0].stride
			default:
				return unknown("it pads an axis that contains the batch and another axis")
			}
		}
		l = l.with(axis, factors, moved)
	}
	return one(l.normal(batch))
}

// followConcatenate follows concatenations, also along the batch: of parts of the batch in order,
// or of the same part several times.
func followConcatenate(n *Node, in []*layout, batch int) flow {
	axis, _ := gomlxcompat.ConcatenateOf(n)
	along := slices.ContainsFunc(in, func(l *layout) bool { return l != nil && l.carries(axis) })
	wide := make([]*layout, len(in))
	for i, l := range in {
		if l != nil {
			moved := l.with(axis, []factor{{dimsOf(n)[axis], 0}}, 0)
			wide[i] = &moved
		}
	}
	f := combined(wide, batch)
	if !along && f.isClean() {
		return f
	}
	parts := partsOf(n, in, axis)
	if parts == nil && along {
		return unknown("it concatenates along an axis that contains the batch and another axis")
	}
	if row, ok := inOrder(n, in, parts, axis, batch); ok {
		return one(row)
	}
	if !along {
		return f
	}
	if slices.ContainsFunc(parts, func(p part) bool { return p.first == p.at }) {
		return unknown("it concatenates examples at their own position with examples at other positions")
	}
	return mixes
}

// part is an operand of a concatenation along the batch.
type part struct {
	operand, at, size int // The operand's number, and the index where it begins.
	first, stride     int // The examples in it; the stride is 0 for a single example.
}

// partsOf returns the operands that depend on the inputs. It returns nil if the axis of an operand
// contains the batch and another axis.
func partsOf(n *Node, in []*layout, axis int) []part {
	var parts []part
	at := 0
	for i, l := range in {
		size := dimsOf(n.Inputs()[i])[axis]
		if l != nil {
			p := part{operand: i, at: at, size: size, first: l.first}
			factors := l.axes[axis]
			switch {
			case len(factors) == 1 && factors[0].size == size:
				p.stride = factors[0].stride
			case len(factors) > 0 || size > 1:
				return nil
			}
			parts = append(parts, p)
		}
		at += size
	}
	return parts
}

// inOrder returns the layout of a concatenation of equal parts, or of parts whose examples continue
// with one stride. Operands that do not depend on the inputs may stand between them.
func inOrder(n *Node, in []*layout, parts []part, axis, batch int) (layout, bool) {
	if len(parts) == 0 {
		return layout{}, false
	}
	first := in[parts[0].operand]
	if len(parts) == len(in) && !slices.ContainsFunc(in, func(l *layout) bool { return !l.equal(*first) }) {
		return first.with(axis, append([]factor{{len(in), 0}}, first.axes[axis]...), 0).normal(batch), true
	}
	stride := parts[0].stride
	if last := parts[len(parts)-1]; stride == 0 && last.at > parts[0].at {
		stride = (last.first - parts[0].first) / (last.at - parts[0].at)
	}
	if stride == 0 {
		return layout{}, false
	}
	row := first.with(axis, []factor{{dimsOf(n)[axis], stride}}, -parts[0].at*stride).normal(batch)
	for _, p := range parts {
		moved := in[p.operand].with(axis, row.axes[axis], row.first-p.first).normal(batch)
		if p.stride != 0 && p.stride != stride || p.first != row.first+p.at*stride || !moved.equal(row) {
			return layout{}, false
		}
	}
	return row, true
}

func followReduce(n *Node, in []*layout, batch int) flow {
	axes, _ := gomlxcompat.ReduceOf(n)
	kept := layout{first: in[0].first}
	for axis, factors := range in[0].axes {
		switch {
		case !slices.Contains(axes, axis):
			kept.axes = append(kept.axes, factors)
		case anyOfBatch(factors):
			return mixes
		}
	}
	return one(kept)
}

// alongAxis is the rule of a node that has the shape of its inputs and mixes the values along one
// axis.
func alongAxis(n *Node, in []*layout, batch int) flow {
	axis, _ := gomlxcompat.AxisOf(n)
	if slices.ContainsFunc(in, func(l *layout) bool { return l != nil && l.carries(axis) }) {
		return mixes
	}
	f := combined(in, batch)
	for len(f.outputs) > 0 && len(f.outputs) < n.NumOutputs() {
		f.outputs = append(f.outputs, f.outputs[0])
	}
	return f
}

func followLayerNorm(n *Node, in []*layout, _ int) flow {
	axes, _ := gomlxcompat.FusedLayerNormOf(n)
	if slices.ContainsFunc(in[1:], func(l *layout) bool { return l != nil }) {
		return unknown("its scale or offset depends on the inputs")
	}
	if slices.ContainsFunc(axes, in[0].carries) {
		return mixes
	}
	return one(*in[0])
}

// followWindow keeps the batch on axes with a window of size 1.
func followWindow(n *Node, in []*layout, batch int) flow {
	w, _ := gomlxcompat.ReduceWindowOf(n)
	l := *in[0]
	for axis, size := range w.Window {
		switch {
		case treatsAlone(w, axis):
		case !l.carries(axis):
			l = l.with(axis, []factor{{dimsOf(n)[axis], 0}}, 0)
		case len(l.axes[axis]) == 1 && size > 1:
			return mixes
		default:
			return unknown("it pools along an axis that contains the batch and another axis")
		}
	}
	return one(l.normal(batch))
}

// treatsAlone reports whether a pooling treats every index along an axis separately.
func treatsAlone(w gomlxcompat.ReduceWindowAttributes, axis int) bool {
	return w.Window[axis] == 1 && w.Strides[axis] == 1 && w.Paddings[axis] == [2]int{} && w.InputDilations[axis] == 1
}
