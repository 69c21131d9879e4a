package vjp

import (
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// followDot is the rule of a generalized product, whose axes are the batch axes, then the own axes
// of lhs, then the own axes of rhs. The product mixes examples if it sums over the batch, or if
// both operands have the batch on an own axis, as in X·Xᵀ.
func followDot(n *Node, in []*layout, batch int) flow {
	lhs, rhs := dotSides(n)
	wide := make([]*layout, 2)
	for i, side := range []dotSide{lhs, rhs} {
		l := in[i]
		if l == nil {
			continue
		}
		if slices.ContainsFunc(side.contracting, l.carries) {
			return mixes
		}
		first := len(lhs.batch)
		if i == 1 {
			first += len(lhs.own)
		}
		moved := plain(dimsOf(n))
		moved.first = l.first
		for to, axis := range side.batch {
			moved.axes[to] = l.axes[axis]
		}
		for k, axis := range side.own {
			moved.axes[first+k] = l.axes[axis]
		}
		wide[i] = &moved
	}
	return combined(wide, batch)
}

// followConvolution keeps the batch on the images' batch axis, or on the groups of channels. The
// kernel may have the batch on its groups too: a kernel for every example.
func followConvolution(n *Node, in []*layout, batch int) flow {
	c, _ := gomlxcompat.ConvOf(n)
	if c.BatchGroupCount > 1 {
		if in[0] != nil && in[0].carries(c.Axes.InputChannels) || in[1] != nil && in[1].carries(c.Axes.KernelInputChannels) {
			return mixes // It is the gradient of a kernel, which sums over the examples.
		}
		return unknown("it groups the batch")
	}
	wide := make([]*layout, 2)
	outputs := dimsOf(n)[c.Axes.OutputChannels]
	if l := in[0]; l != nil {
		if slices.ContainsFunc(c.Axes.InputSpatial, l.carries) {
			return unknown("it has the batch on a spatial axis")
		}
		groups, ok := groupsOf(l.axes[c.Axes.InputChannels], c.ChannelGroupCount)
		if !ok {
			return mixes
		}
		moved := plain(dimsOf(n))
		moved.first = l.first
		moved.axes[c.Axes.OutputBatch] = l.axes[c.Axes.InputBatch]
		moved.axes[c.Axes.OutputChannels] = append(groups, factor{outputs / c.ChannelGroupCount, 0})
		wide[0] = &moved
	}
	if l := in[1]; l != nil {
		if l.carries(c.Axes.KernelInputChannels) || slices.ContainsFunc(c.Axes.KernelSpatial, l.carries) {
			return mixes
		}
		moved := plain(dimsOf(n))
		moved.first = l.first
		moved.axes[c.Axes.OutputChannels] = l.axes[c.Axes.KernelOutputChannels]
		wide[1] = &moved
	}
	return combined(wide, batch)
}

// groupsOf returns the factors that number the groups of an axis. It returns false if the example
// changes within a group.
func groupsOf(factors []factor, groups int) ([]factor, bool) {
	var rest, batchFactor []factor // batchFactor is nil unless the batch's factor has size 1.
	before := 1
	for _, f := range factors {
		if f.size == 1 {
			batchFactor, before = []factor{f}, sizeOf(rest)
			continue
		}
		rest = append(rest, f)
	}
	axes, ok := divided(rest, []int{groups, sizeOf(rest) / groups})
	if !ok || anyOfBatch(axes[1]) || before > groups || groups%before != 0 {
		return nil, false
	}
	if batchFactor != nil {
		return slices.Concat([]factor{{before, 0}}, batchFactor, []factor{{groups / before, 0}}), true
	}
	return axes[0], true
}

// followDense is the rule of activation(x·weights + bias), see gomlxcompat.FusedDenseAttributes.
func followDense(n *Node, in []*layout, batch int) flow {
	d, _ := gomlxcompat.FusedDenseOf(n)
	if !sizesMatch(n, d) {
		return unknown("its activation is gated: apply it after the layer")
	}
	wide := make([]*layout, len(in))
	leading := n.Inputs()[0].Rank() - 1
	contracted, own := 0, 1 // own is the first output axis of the weights.
	if d.WeightLayout == compute.DenseLayoutOutputsInput {
		contracted, own = n.Inputs()[1].Rank()-1, 0
	}
	for i, l := range in {
		if l == nil {
			continue
		}
		moved := plain(dimsOf(n))
		moved.first = l.first
		switch i {
		case 0:
			if l.carries(leading) {
				return mixes
			}
			copy(moved.axes, l.axes[:leading])
		case 1:
			if l.carries(contracted) {
				return mixes
			}
			copy(moved.axes[leading:], l.axes[own:])
		default:
			copy(moved.axes[leading:], l.axes)
		}
		wide[i] = &moved
	}
	return combined(wide, batch)
}

// sizesMatch reports whether a dense layer has as many outputs as its weights.
func sizesMatch(n *Node, d gomlxcompat.FusedDenseAttributes) bool {
	x, w := dimsOf(n.Inputs()[0]), dimsOf(n.Inputs()[1])
	outputs := w[1:]
	if d.WeightLayout == compute.DenseLayoutOutputsInput {
		outputs = w[:len(w)-1]
	}
	return slices.Equal(dimsOf(n), slices.Concat(x[:len(x)-1], outputs))
}

// followProjection is the rule of a product over the last axis of the first input. The other inputs
// must not depend on the network's inputs.
func followProjection(n *Node, in []*layout, batch int) flow {
	last := n.Rank() - 1
	switch {
	case in[0] == nil || slices.ContainsFunc(in[1:], func(l *layout) bool { return l != nil }):
		return unknown("its weights depend on the inputs")
	case in[0].carries(last):
		return mixes
	}
	return one(in[0].with(last, []factor{{dimsOf(n)[last], 0}}, 0).normal(batch))
}

// followAttention is the rule of a fused attention: it keeps the batch on its own axis.
func followAttention(n *Node, in []*layout, batch int) flow {
	order, _ := gomlxcompat.FusedAttentionOf(n)
	if n.NumOutputs() == 1 {
		return unknown("GoMLX cannot copy it: build the attention from Dot and Softmax")
	}
	wide := make([]*layout, len(in))
	for i, l := range in {
		if l == nil {
			continue
		}
		if l.carries(order.SeqAxis()) || l.carries(3) {
			return mixes
		}
		if l.carries(order.HeadsAxis()) {
			return unknown("it has the batch on the axis of the heads")
		}
		moved := plain(dimsOf(n.Inputs()[0]))
		moved.first, moved.axes[0] = l.first, l.axes[0]
		wide[i] = &moved
	}
	f := combined(wide, batch)
	for len(f.outputs) > 0 && len(f.outputs) < n.NumOutputs() {
		f.outputs = append(f.outputs, nil) // Outputs that only its gradient uses.
	}
	return f
}

// followBatchNorm is the rule of a normalization by given statistics: an elementwise function of x
// and of one value per feature.
func followBatchNorm(n *Node, in []*layout, batch int) flow {
	p, _ := gomlxcompat.BatchNormOf(n)
	wide := make([]*layout, len(in))
	for i, l := range in {
		if l == nil {
			continue
		}
		moved := *l
		if i > 0 {
			moved = plain(dimsOf(n.Inputs()[0]))
			moved.first, moved.axes[p.FeatureAxis] = l.first, l.axes[0]
		}
		wide[i] = &moved
	}
	return combined(wide, batch)
}

// followBatchNormInTraining holds the statistics constant if they are over several examples. If the
// feature axis contains the batch, every example has its own statistics, which stay variable.
func followBatchNormInTraining(n *Node, in []*layout, batch int) flow {
	if in[0] == nil {
		return unknown("its scale or offset depends on the inputs, but the values that it normalizes do not")
	}
	f := followBatchNorm(n, in, batch)
	if !f.isClean() {
		return f
	}
	statistics := []layout(nil)
	if !normalizesOverBatch(n, *in[0]) {
		p, _ := gomlxcompat.BatchNormOf(n)
		statistics = []layout{{first: in[0].first, axes: [][]factor{in[0].axes[p.FeatureAxis]}}}
	}
	f.holdsStatistics = statistics == nil
	f.outputs = append(f.outputs, statistics, statistics)
	return f
}

// normalizesOverBatch reports whether a batch norm op computes its statistics over several
// examples.
func normalizesOverBatch(n *Node, l layout) bool {
	p, _ := gomlxcompat.BatchNormOf(n)
	for axis := range l.axes {
		if axis != p.FeatureAxis && l.carries(axis) {
			return true
		}
	}
	return false
}
