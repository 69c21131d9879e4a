package autodiff

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// registerIndexing gives Gather and ScatterSum the rules that hold for all their forms. Each is the
// other's: what a gather reads is where its gradient is added. GoMLX's rules are for the forms that
// Gather and ScatterSum themselves make: the gradient of GatherSlices, and so of Interpolate, has
// none, and neither has GatherSlices of whole axes.
func registerIndexing() {
	registerOne(NodeTypeGather, gatherVJP)
	registerOne(NodeTypeScatterSum, scatterSumVJP)
}

func gatherVJP(node, v *Node) []*Node {
	p, _ := gomlxcompat.GatherOf(node)
	operand, indices := node.Inputs()[0], node.Inputs()[1]
	added := BackendScatterSum(Zeros(node.Graph(), operand.Shape()), indices, v, p.IndexVector,
		p.OffsetAxes, p.CollapsedAxes, p.IndexedAxes, false, false)
	return []*Node{added, nil}
}

func scatterSumVJP(node, v *Node) []*Node {
	p, _ := gomlxcompat.ScatterOf(node)
	operand, indices, updates := node.Inputs()[0], node.Inputs()[1], node.Inputs()[2]
	sizes := slices.Repeat([]int{1}, operand.Rank())
	window := 0
	for axis := range sizes {
		if !slices.Contains(p.InsertedAxes, axis) {
			sizes[axis] = updates.Shape().Dim(p.WindowAxes[window])
			window++
		}
	}
	read := BackendGather(v, indices, p.IndexVector, p.WindowAxes, p.InsertedAxes, p.IndexedAxes, sizes, false)
	return []*Node{v, nil, read}
}
