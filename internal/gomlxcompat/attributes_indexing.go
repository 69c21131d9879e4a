package gomlxcompat

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
)

// GatherAttributes holds the axes of a Gather. Its inputs are the operand and the indices. The axis
// IndexVector of the indices lists positions on the operand's axes IndexedAxes, in that order.
type GatherAttributes struct {
	IndexVector int
	// OffsetAxes are the axes of the result that come from the operand's axes without
	// CollapsedAxes, in their order. The other axes of the result come from the indices.
	OffsetAxes, CollapsedAxes []int
	IndexedAxes               []int
	SliceSizes                []int // One per axis of the operand.
}

// GatherOf returns the parameters of a Gather.
func GatherOf(n *graph.Node) (GatherAttributes, bool) {
	p, ok := parametersOf(n, graph.NodeTypeGather)
	if !ok {
		return GatherAttributes{}, false
	}
	return GatherAttributes{
		IndexVector:   p.int("indexVectorAxis"),
		OffsetAxes:    p.ints("offsetOutputAxes"),
		CollapsedAxes: p.ints("collapsedSliceAxes"),
		IndexedAxes:   p.ints("startIndexMap"),
		SliceSizes:    p.ints("sliceSizes"),
	}, true
}

// ScatterAttributes holds the axes of a scatter. Its inputs are the operand, the indices and the
// updates. The axis IndexVector of the indices lists positions on the operand's axes IndexedAxes,
// in that order.
type ScatterAttributes struct {
	IndexVector int
	// WindowAxes are the axes of the updates that belong to the operand's axes without
	// InsertedAxes, in their order. The other axes of the updates belong to the indices.
	WindowAxes, InsertedAxes []int
	IndexedAxes              []int
}

// ScatterOf returns the parameters of a ScatterSum, ScatterMax or ScatterMin.
func ScatterOf(n *graph.Node) (ScatterAttributes, bool) {
	switch n.Type() {
	case graph.NodeTypeScatterSum, graph.NodeTypeScatterMax, graph.NodeTypeScatterMin:
	default:
		return ScatterAttributes{}, false
	}
	p, _ := parametersOf(n, n.Type())
	return ScatterAttributes{
		IndexVector:  p.int("indexVectorAxis"),
		WindowAxes:   p.ints("updateWindowAxes"),
		InsertedAxes: p.ints("insertedWindowAxes"),
		IndexedAxes:  p.ints("scatterAxesToOperandAxes"),
	}, true
}

// DynamicSliceOf returns the sizes of a DynamicSlice; its inputs are the operand and one start per
// axis.
func DynamicSliceOf(n *graph.Node) (sizes []int, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypeDynamicSlice)
	if !ok {
		return nil, false
	}
	return p.ints("sliceDims"), true
}

// AxisOf returns the axis along which a CumSum, a Sort, a FusedSoftmax or an Iota works.
func AxisOf(n *graph.Node) (axis int, ok bool) {
	name := "axis"
	switch n.Type() {
	case graph.NodeTypeIota:
		name = "iotaAxis"
	case graph.NodeTypeCumSum, graph.NodeTypeSort, graph.NodeTypeFusedSoftmax:
	default:
		return 0, false
	}
	p, _ := parametersOf(n, n.Type())
	return p.int(name), true
}

// FusedLayerNormOf returns the axes over which a FusedLayerNorm normalizes; its inputs are x and,
// if present, gamma and beta.
func FusedLayerNormOf(n *graph.Node) (axes []int, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypeFusedLayerNorm)
	if !ok {
		return nil, false
	}
	return p.ints("axes"), true
}

// FusedAttentionOf returns the order of the axes of a FusedScaledDotProductAttention, whose inputs
// are the queries, keys and values.
func FusedAttentionOf(n *graph.Node) (layout compute.AttentionAxesLayout, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypeFusedScaledDotProductAttention)
	if !ok {
		return 0, false
	}
	return compute.AttentionAxesLayout(p.int("axesLayout")), true
}
