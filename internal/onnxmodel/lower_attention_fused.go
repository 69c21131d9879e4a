package onnxmodel

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Transformers as ONNX Runtime's optimizer writes them. Both kinds of attention become ONNX's own.
var _ = register(map[string]rewrite{
	"com.microsoft.MultiHeadAttention":      multiHeadAttention,
	"com.microsoft.Attention":               projectedAttention,
	"com.microsoft.EmbedLayerNormalization": embedLayerNormalization,
})

// embedLayerNormalization normalizes the sum of the embeddings of tokens, positions and segments.
// Its third output is the sum.
func embedLayerNormalization(l *lowering, n *protos.NodeProto) (bool, error) {
	switch {
	case len(n.Input) < 7:
		return lacking(n, 7)
	case (input(n, 1) == "") != (input(n, 4) == ""):
		return refused(n, "it has segments without their embedding, or the embedding alone")
	}
	if used(n, 1) {
		l.refuseUse(n, 1, "something uses its output mask_index")
	}
	positions := input(n, 8)
	if positions == "" {
		positions = l.rangeTo(l.op("Gather", l.op("Shape", n.Input[0]), l.integers(1)))
	}
	sum := l.op("Add", l.op("Gather", n.Input[2], n.Input[0]), l.op("Gather", n.Input[3], positions))
	if segments := input(n, 1); segments != "" {
		sum = l.op("Add", sum, l.op("Gather", n.Input[4], segments))
	}
	l.finishOutput(n, 2, sum)
	return l.finish(n, l.opWith("LayerNormalization",
		[]*protos.AttributeProto{floatAttribute("epsilon", floatOr(n, "epsilon", 1e-12))}, sum, n.Input[5], n.Input[6]))
}

// multiHeadAttention is attention over heads side by side, after adding a bias to the queries,
// keys and values.
func multiHeadAttention(l *lowering, n *protos.NodeProto) (bool, error) {
	switch {
	case input(n, 1) == "" || input(n, 2) == "":
		return refused(n, "it is without the input key or value")
	case input(n, 4) != "":
		return refused(n, "it has the input key_padding_mask")
	}
	parts := [3]string{n.Input[0], n.Input[1], n.Input[2]}
	for _, part := range parts {
		if rank, ok := l.rank(part); !ok || rank != 3 {
			return refused(n, "its queries, keys or values are not of rank 3, or of a rank that the file does not tell")
		}
	}
	if bias := input(n, 3); bias != "" {
		all := l.op("Gather", l.op("Shape", bias), l.integers(0))
		rest := all
		for _, part := range parts {
			rest = l.op("Sub", rest, l.op("Gather", l.op("Shape", part), l.integers(2)))
		}
		bias = l.checked(bias, l.op("Equal", rest, l.integers(0)), "its bias is not as long as its queries, keys and values together")
		l.addBiases(&parts, bias)
	}
	return l.headsTogether(n, parts, input(n, 5))
}

// projectedAttention is self-attention whose queries, keys and values are products of one value
// with one matrix.
func projectedAttention(l *lowering, n *protos.NodeProto) (bool, error) {
	mask := input(n, 3)
	switch rank, ok := l.rank(n.Input[0]); {
	case !ok || rank != 3:
		return refused(n, "its input is not of rank 3, or of a rank that the file does not tell")
	case mask != "" && input(n, 5) != "":
		return refused(n, "it has the inputs mask_index and attention_bias")
	case input(n, 4) != "":
		return refused(n, "it has the input past")
	}
	width := l.dims(n.Input[1])
	if len(width) != 2 {
		return refused(n, "its weights are not constant, or not of rank 2")
	}
	third := width[1] / 3
	sizes := intsOr(n, "qkv_hidden_sizes", []int64{third, third, third})
	if len(sizes) != 3 || slices.Min(sizes) < 1 || sizes[0]+sizes[1]+sizes[2] != width[1] {
		return refused(n, "its weights of shape %v do not divide into queries, keys and values of the sizes %v", width, sizes)
	}
	all := l.op("MatMul", n.Input[0], n.Input[1])
	if bias := input(n, 2); bias != "" {
		all = l.op("Add", all, bias)
	}
	bias := input(n, 5)
	if mask != "" {
		const other = "its mask_index is not of shape [batch, positions]"
		if rank, ok := l.rank(mask); ok && rank != 2 {
			return refused(n, other)
		}
		mask = l.checked(mask, l.op("Equal", l.op("Size", l.op("Shape", mask)), l.integer(2)), other)
		closed := l.op("Equal", l.op("Unsqueeze", l.cast(mask, protos.TensorProto_INT64), l.integers(1, 2)), l.integer(0))
		bias = l.op("Where", closed, l.scalar(all, floatOr(n, "mask_filter_value", -10000)), l.scalar(all, 0))
	}
	return l.headsTogether(n, l.thirds(all, sizes), bias)
}

// addBiases adds to queries, keys and values the part of the bias that is as long as they are.
func (l *lowering) addBiases(parts *[3]string, bias string) {
	start := l.integers(0)
	for i, part := range parts {
		end := l.op("Add", start, l.op("Gather", l.op("Shape", part), l.integers(2)))
		parts[i] = l.op("Add", part, l.op("Slice", bias, start, end, l.integers(0)))
		start = end
	}
}

// thirds cuts x into three of given sizes along its last axis.
func (l *lowering) thirds(x string, sizes []int64) (parts [3]string) {
	start := int64(0)
	for i, size := range sizes {
		parts[i] = l.op("Slice", x, l.integers(start), l.integers(start+size), l.integers(-1))
		start += size
	}
	return parts
}

// headsTogether finishes a node by ONNX's Attention over num_heads heads side by side.
func (l *lowering) headsTogether(n *protos.NodeProto, parts [3]string, bias string) (bool, error) {
	heads := intOr(n, "num_heads", 0)
	if heads < 1 {
		return refused(n, "the attribute num_heads is %d", heads)
	}
	if used(n, 1) || used(n, 2) || used(n, 3) {
		return refused(n, "it has the keys, the values or the scores as an output")
	}
	whole := &protos.NodeProto{Name: n.Name, OpType: "Attention", Input: append(parts[:], bias), Output: n.Output[:1:1],
		Attribute: []*protos.AttributeProto{intAttribute("q_num_heads", heads), intAttribute("kv_num_heads", heads),
			intAttribute("is_causal", intOr(n, "unidirectional", 0)), floatAttribute("scale", floatOr(n, "scale", 0))}}
	trimInputs(whole)
	return attend(l, whole, l.equalIfClosed)
}
