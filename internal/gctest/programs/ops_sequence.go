package programs

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/layers/attention/pos"
	"github.com/gomlx/gomlx/ml/layers/lstm"
)

// tokens builds an op on [batch, tokens, features].
func tokens(build func(b *Builder, x *Node, p []int) *Node) func(b *Builder, x *Node, p []int) *Node {
	return func(b *Builder, x *Node, p []int) *Node {
		if x.Rank() != 3 {
			return nil
		}
		return build(b, x, p)
	}
}

// attend builds self-attention with p[0] heads of p[1] features.
func attend(configure func(a *attention.MultiHeadAttentionBuilder, x *Node) *attention.MultiHeadAttentionBuilder,
) func(b *Builder, x *Node, p []int) *Node {
	return tokens(func(b *Builder, x *Node, p []int) *Node {
		return configure(attention.SelfAttention(b.Scope, x, p[0], p[1]), x).Done()
	})
}

var headRange = []Range{{1, 2}, {1, 3}}

// recurrent builds an LSTM with p[0] units.
func recurrent(build func(b *Builder, x *Node, l *lstm.LSTM) *Node) func(b *Builder, x *Node, p []int) *Node {
	return tokens(func(b *Builder, x *Node, p []int) *Node { return build(b, x, lstm.New(b.Scope, x, p[0])) })
}

// sequenceOps work on [batch, tokens, features].
var sequenceOps = []*Kind{
	{Name: "attention", Params: headRange, Build: attend(
		func(a *attention.MultiHeadAttentionBuilder, _ *Node) *attention.MultiHeadAttentionBuilder { return a })},
	{Name: "attention_unfused", Params: headRange, Build: attend(
		func(a *attention.MultiHeadAttentionBuilder, _ *Node) *attention.MultiHeadAttentionBuilder {
			return a.WithFusion(false)
		})},
	{Name: "attention_qkv", Params: headRange, Build: attend(
		func(a *attention.MultiHeadAttentionBuilder, _ *Node) *attention.MultiHeadAttentionBuilder {
			return a.UseQKVProjection()
		})},
	{Name: "attention_causal", Params: headRange, Build: attend(
		func(a *attention.MultiHeadAttentionBuilder, _ *Node) *attention.MultiHeadAttentionBuilder {
			return a.WithCausalMask(true)
		})},
	{Name: "attention_rope", Params: []Range{{1, 2}, {2, 2}}, Build: attend(
		func(a *attention.MultiHeadAttentionBuilder, x *Node) *attention.MultiHeadAttentionBuilder {
			return a.WithPositionalEncoder(pos.NewRoPE(100)).WithPosition(Scalar(x.Graph(), 3, 0)).UseProjectionBias(false)
		})},
	{Name: "attention_grouped", Params: []Range{{2, 2}, {1, 2}}, Build: attend(
		func(a *attention.MultiHeadAttentionBuilder, _ *Node) *attention.MultiHeadAttentionBuilder {
			return a.WithNumKVHeads(1).WithScoreSoftCap(3)
		})},
	// The projection and the attention without the rest of the layer.
	{Name: "qkv_core", Build: tokens(func(b *Builder, x *Node, _ []int) *Node {
		d := dim(x, -1)
		q, k, v := attention.QKVProjection(x, b.variable(x, "w", d, 3*d), nil, nil, nil, d, d)
		heads := func(x *Node) *Node { return InsertAxes(x, 2) } // [batch, tokens, heads, features].
		y, _ := attention.Core(heads(q), heads(k), heads(v), attention.LayoutBSHD, attention.CoreOptions{})
		return Add(x, Squeeze(y, 2))
	})},
	// One of three outputs, added to a residual branch.
	{Name: "qkv_first", Build: func(b *Builder, x *Node, _ []int) *Node {
		d := dim(x, -1)
		q, _, _ := attention.QKVProjection(x, b.variable(x, "w", d, 3*d), nil, nil, nil, d, d)
		return Add(x, q)
	}},
	{Name: "qkv_product", Build: func(b *Builder, x *Node, _ []int) *Node {
		d := dim(x, -1)
		bias := b.variable(x, "b", d)
		q, k, v := attention.QKVProjection(x, b.variable(x, "w", d, 3*d), bias, nil, bias, d, d)
		return Add(Mul(q, Sin(v)), k)
	}},
	{Name: "learned_positions", Build: tokens(func(b *Builder, x *Node, _ []int) *Node {
		encoder := pos.NewLearned(b.Scope, 16, dim(x, -1))
		return encoder.PreEncode(x, pos.SequentialPositions(x.Graph(), Scalar(x.Graph(), 3, 0), dim(x, 1)), 1)
	})},
	{Name: "rope", Build: tokens(func(_ *Builder, x *Node, _ []int) *Node {
		if dim(x, -1)%2 != 0 {
			return nil
		}
		positions := pos.SequentialPositions(x.Graph(), Scalar(x.Graph(), 3, 0), dim(x, 1))
		q, _ := pos.NewRoPE(100).EncodeQK(InsertAxes(x, 2), InsertAxes(x, 2), positions, 1)
		return Squeeze(q, 2)
	})},
	{Name: "lstm", Params: []Range{{1, 3}}, Build: recurrent(func(_ *Builder, x *Node, l *lstm.LSTM) *Node {
		all, _, _ := l.Done() // [tokens, directions, batch, units].
		return Reshape(TransposeAllAxes(all, 2, 0, 1, 3), batchOf(x), dim(x, 1), -1)
	})},
	{Name: "lstm_last", Params: []Range{{1, 3}}, Build: recurrent(func(_ *Builder, x *Node, l *lstm.LSTM) *Node {
		_, hidden, cell := l.UsePeephole(true).Done() // [directions, batch, units].
		return Reshape(Transpose(Add(hidden, cell), 0, 1), batchOf(x), -1)
	})},
	{Name: "lstm_both_ways", Params: []Range{{1, 2}}, Build: recurrent(func(_ *Builder, x *Node, l *lstm.LSTM) *Node {
		_, hidden, _ := l.Direction(lstm.DirBidirectional).Done()
		return Reshape(Transpose(hidden, 0, 1), batchOf(x), -1)
	})},
	{Name: "lstm_ragged", Params: []Range{{1, 2}}, Build: recurrent(func(_ *Builder, x *Node, l *lstm.LSTM) *Node {
		lengths := make([]int32, batchOf(x))
		for i := range lengths {
			lengths[i] = int32(1 + i%dim(x, 1))
		}
		_, hidden, _ := l.Ragged(Const(x.Graph(), lengths)).Done()
		return Reshape(Transpose(hidden, 0, 1), batchOf(x), -1)
	})},
	// Built from plain ops, because GoMLX has no GRU.
	{Name: "gru", Params: []Range{{1, 2}}, Build: tokens(func(b *Builder, x *Node, p []int) *Node {
		units, g := p[0], x.Graph()
		w, u := b.variable(x, "w", dim(x, -1), 3*units), b.variable(x, "u", units, 3*units)
		hidden := Zeros(g, shapes.Make(x.DType(), batchOf(x), units))
		part := func(y *Node, i int) *Node { return SliceAxis(y, 1, AxisRange(i*units, (i+1)*units)) }
		for t := range dim(x, 1) {
			fromX := Dot(Squeeze(SliceAxis(x, 1, AxisElem(t)), 1), w).Product()
			fromHidden := Dot(hidden, u).Product()
			reset := Sigmoid(Add(part(fromX, 0), part(fromHidden, 0)))
			update := Sigmoid(Add(part(fromX, 1), part(fromHidden, 1)))
			candidate := Tanh(Add(part(fromX, 2), Mul(reset, part(fromHidden, 2))))
			hidden = Add(Mul(update, hidden), Mul(OneMinus(update), candidate))
		}
		return hidden
	})},
}
