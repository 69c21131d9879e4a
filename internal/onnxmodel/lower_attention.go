package onnxmodel

import (
	"fmt"
	"math"

	"github.com/gomlx/compute-onnx/support/protos"
)

var _ = register(map[string]rewrite{
	"Attention":       attention,
	"RotaryEmbedding": rotaryEmbedding,
})

// attention is ONNX's own: a position that may attend to no position gives 0.
func attention(l *lowering, n *protos.NodeProto) (bool, error) { return attend(l, n, l.maskedSoftmax) }

// attend is softmax(Q·Kᵀ·scale + mask)·V for each head [batch, heads, positions, size], or of heads
// side by side [batch, positions, heads·size]. masked is the softmax of scores, of a type like that
// of a value, where not all positions are allowed.
func attend(l *lowering, n *protos.NodeProto, masked func(scores, allowed, like string) string) (bool, error) {
	heads, kvHeads := intOr(n, "q_num_heads", 0), intOr(n, "kv_num_heads", 0)
	sideBySide := attribute(n, "q_num_heads") != nil && attribute(n, "kv_num_heads") != nil
	rank, known := l.rank(n.Input[0])
	if known && rank == 4 {
		sideBySide = false
	}
	if refusal := attentionRefusal(n, heads, kvHeads, sideBySide); refusal != "" {
		return refused(n, "%s", refusal)
	}
	q, k, v := n.Input[0], n.Input[1], n.Input[2]
	if sideBySide && !known {
		q = l.checked(q, l.op("Equal", l.op("Size", l.op("Shape", q)), l.integer(3)), "the attributes q_num_heads and "+
			"kv_num_heads are of heads side by side, and its input has another rank than 3, which the file does not tell: "+
			"add shapes by onnx.shape_inference.infer_shapes")
	}
	if sideBySide {
		q, k, v = l.heads(q, heads), l.heads(k, kvHeads), l.heads(v, kvHeads)
	}
	past := l.integers(0)
	if input(n, 4) != "" {
		past = l.op("Gather", l.op("Shape", n.Input[4]), l.integers(2))
		k = l.opWith("Concat", axisAttribute(2), n.Input[4], k)
		v = l.opWith("Concat", axisAttribute(2), n.Input[5], v)
	}
	l.finishOutput(n, 1, k)
	l.finishOutput(n, 2, v)
	qShape := l.dimsOf(q, 4)
	k, v = l.repeatedHeads(k, qShape[1]), l.repeatedHeads(v, qShape[1])
	scale := l.op("Reciprocal", l.op("Sqrt", l.cast(qShape[3], l.floatType(q))))
	if a := attribute(n, "scale"); a != nil && a.F != 0 {
		scale = l.scalar(q, a.F)
	}
	scores := l.op("Mul", l.op("MatMul", q, l.permuted(k, 0, 1, 3, 2)), scale)
	if c := floatOr(n, "softcap", 0); c > 0 {
		scores = l.op("Mul", l.op("Tanh", l.op("Div", scores, l.scalar(q, c))), l.scalar(q, c))
	}
	var allowed string
	allow := func(more string) {
		if allowed != "" {
			more = l.op("And", allowed, more)
		}
		allowed = more
	}
	if mask := input(n, 3); mask != "" {
		if l.attentionMask(mask, q, &scores, allow); allowed == "" {
			return refused(n, "its mask is of a type that the file does not tell")
		}
	}
	l.attentionWindow(n, func() string { return l.along(l.op("Add", l.rangeTo(qShape[2]), past), "", -2) }, k, allow)
	var weights string
	if allowed == "" {
		weights = l.softmax(scores, -1)
	} else {
		weights = masked(scores, allowed, q)
	}
	y := l.op("MatMul", weights, v)
	if sideBySide {
		y = l.reshaped(l.permuted(y, 0, 2, 1, 3), qShape[0], qShape[2], l.integers(-1))
	}
	return l.finish(n, y)
}

// attentionRefusal names what is not supported.
func attentionRefusal(n *protos.NodeProto, heads, kvHeads int64, sideBySide bool) string {
	switch {
	case used(n, 3):
		return "it has the output qk_matmul_output"
	case input(n, 6) != "":
		return "it has the input nonpad_kv_seqlen"
	case (input(n, 4) == "") != (input(n, 5) == ""):
		return "it has a past of only its keys or values"
	case sideBySide && (heads < 1 || kvHeads < 1 || heads%kvHeads != 0):
		return fmt.Sprintf("the attributes q_num_heads and kv_num_heads are %d and %d", heads, kvHeads)
	}
	return ""
}

// attentionMask adds a mask to the scores, which are of the type of q, and allows the positions
// that it leaves. It does nothing if the mask's type is unknown.
func (l *lowering) attentionMask(mask, q string, scores *string, allow func(positions string)) {
	switch dtype, known := l.dtypes[mask]; {
	case known && dtype == int32(protos.TensorProto_BOOL):
		allow(mask)
	case isFloat(dtype):
		// -Inf forbids a position. Added to the scores, it would make NaN gradients.
		least := float32(-math.MaxFloat32 / 2)
		if dtype == int32(protos.TensorProto_FLOAT16) {
			least = -65504
		}
		open := l.op("Greater", mask, l.scalar(mask, least))
		*scores = l.op("Add", *scores, l.cast(l.op("Where", open, mask, l.scalar(mask, 0)), l.floatType(q)))
		allow(open)
	}
}

// attentionWindow returns the mask of the positions that the attributes let each position attend
// to. rows has the numbers of the positions, one in each row; k are the keys.
func (l *lowering) attentionWindow(n *protos.NodeProto, rows func() string, k string, allow func(more string)) {
	// The number of positions before and after its own that a position may attend to; -1: all.
	before, after := intOr(n, "left_window_size", -1), intOr(n, "right_window_size", -1)
	if intOr(n, "is_causal", 0) != 0 {
		after = 0
	}
	columns := func() string { return l.rangeTo(l.op("Gather", l.op("Shape", k), l.integers(2))) }
	if after >= 0 {
		allow(l.op("GreaterOrEqual", l.op("Add", rows(), l.integer(after)), columns()))
	}
	if before >= 0 {
		allow(l.op("LessOrEqual", l.op("Sub", rows(), l.integer(before)), columns()))
	}
}

// rangeTo is 0, 1, ... below a count of shape [1].
func (l *lowering) rangeTo(count string) string {
	one := l.opWith("ReduceSum", []*protos.AttributeProto{intAttribute("keepdims", 0)}, count)
	return l.op("Range", l.integer(0), one, l.integer(1))
}

func (l *lowering) floatType(x string) protos.TensorProto_DataType {
	if dtype := l.dtypes[x]; isFloat(dtype) {
		return protos.TensorProto_DataType(dtype)
	}
	return protos.TensorProto_DataType(l.float)
}

// heads separates heads that lie side by side: [batch, positions, heads·size] becomes [batch,
// heads, positions, size].
func (l *lowering) heads(x string, count int64) string {
	dims := l.dimsOf(x, 2)
	return l.permuted(l.reshaped(x, dims[0], dims[1], l.integers(count), l.integers(-1)), 0, 2, 1, 3)
}

// repeatedHeads repeats each head of keys or values for the heads of queries that share it.
func (l *lowering) repeatedHeads(x, heads string) string {
	dims := l.dimsOf(x, 4)
	share := l.op("Div", heads, dims[1])
	shape := []string{dims[0], dims[1], share, dims[2], dims[3]}
	wide := l.op("Expand", l.op("Unsqueeze", x, l.integers(2)), l.opWith("Concat", axisAttribute(0), shape...))
	return l.reshaped(wide, dims[0], heads, dims[2], dims[3])
}

// maskedSoftmax is the softmax over the last axis of what is allowed, and 0 where nothing is.
func (l *lowering) maskedSoftmax(scores, allowed, like string) string {
	masked := l.closed(scores, allowed, like)
	e := l.op("Exp", l.op("Sub", masked, l.opWith("ReduceMax", reduceAttributes(-1), masked)))
	e = l.op("Where", allowed, e, l.scalar(like, 0))
	sum := l.opWith("ReduceSum", reduceAttributes(-1), e)
	return l.op("Div", e, l.op("Where", l.op("Equal", sum, l.scalar(like, 0)), l.scalar(like, 1), sum))
}

// equalIfClosed is the softmax over the last axis of what is allowed, and equal where nothing is,
// as in ONNX Runtime, which sets all scores to the least number there.
func (l *lowering) equalIfClosed(scores, allowed, like string) string {
	return l.softmax(l.closed(scores, allowed, like), -1)
}

// closed is scores with a number far below others where they are not allowed.
func (l *lowering) closed(scores, allowed, like string) string {
	lowest := float32(-1e30)
	if l.floatType(like) == protos.TensorProto_FLOAT16 {
		lowest = -6e4
	}
	return l.op("Where", allowed, scores, l.scalar(like, lowest))
}

// rotaryEmbedding rotates pairs of values by angles: x [batch, heads, positions, size], or with
// heads side by side, and the cosines and sines of each position.
func rotaryEmbedding(l *lowering, n *protos.NodeProto) (bool, error) {
	if len(n.Input) < 3 {
		return lacking(n, 3)
	}
	x, cos, sin := n.Input[0], n.Input[1], n.Input[2]
	heads := intOr(n, "num_heads", 0)
	rank, known := l.rank(x)
	if !known {
		return refused(n, "its input is of a rank that the file does not tell")
	}
	switch {
	case rank == 3 && heads < 1:
		return refused(n, "the attribute num_heads is %d for an input of rank 3", heads)
	case rank == 3:
		x = l.heads(x, heads)
	case rank != 4:
		return refused(n, "its input is of rank %d", rank)
	}
	if at := input(n, 3); at != "" {
		cos, sin = l.op("Gather", cos, at), l.op("Gather", sin, at)
	}
	cos, sin = l.op("Unsqueeze", cos, l.integers(1)), l.op("Unsqueeze", sin, l.integers(1))
	dims := l.dimsOf(x, 4)
	turned := dims[3]
	if part := intOr(n, "rotary_embedding_dim", 0); part > 0 {
		turned = l.integers(part)
	}
	half := l.op("Div", turned, l.integer(2))
	last, zero := l.integers(3), l.integers(0)
	a, b := l.op("Slice", x, zero, half, last), l.op("Slice", x, half, turned, last)
	interleaved := intOr(n, "interleaved", 0) != 0
	if interleaved {
		two := l.integers(2)
		a, b = l.op("Slice", x, zero, turned, last, two), l.op("Slice", x, l.integers(1), turned, last, two)
	}
	real := l.op("Sub", l.op("Mul", cos, a), l.op("Mul", sin, b))
	imaginary := l.op("Add", l.op("Mul", sin, a), l.op("Mul", cos, b))
	var y string
	if interleaved {
		minus := l.integers(-1)
		y = l.opWith("Concat", axisAttribute(-1), l.op("Unsqueeze", real, minus), l.op("Unsqueeze", imaginary, minus))
		y = l.reshaped(y, dims[0], dims[1], dims[2], turned)
	} else {
		y = l.opWith("Concat", axisAttribute(-1), real, imaginary)
	}
	if intOr(n, "rotary_embedding_dim", 0) > 0 {
		y = l.opWith("Concat", axisAttribute(-1), y, l.op("Slice", x, turned, l.integers(math.MaxInt32), last))
	}
	if rank == 3 {
		y = l.reshaped(l.permuted(y, 0, 2, 1, 3), dims[0], dims[2], l.integers(-1))
	}
	return l.finish(n, y)
}
