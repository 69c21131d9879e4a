package autodiff

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// registerIndexing registers rules of Gather and ScatterSum for all their forms. Each op is the
// gradient of the other: the gradient of a gather adds to the elements that it reads. GoMLX's rules
// cover only the forms that graph.Gather and graph.ScatterSum build. They cover neither
// GatherSlices of whole axes nor the gradient of GatherSlices, and therefore not the second
// derivative of Interpolate.
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
