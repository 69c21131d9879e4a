package vjp

import (
	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// TypeName returns the name of a type of node, also of those that GoMLX gives none.
func TypeName(t NodeType) string {
	switch t {
	case NodeTypeCall:
		return "Call"
	case NodeTypeIf:
		return "If"
	case NodeTypeSort:
		return "Sort"
	case NodeTypeWhile:
		return "While"
	}
	return t.String()
}

// Advice says in a few words what to do about an op that stands between the input and the outputs
// of a measurement, and that GoMLX cannot differentiate.
func Advice(t NodeType) string {
	if words, ok := advice[t]; ok {
		return words
	}
	return "use the forward-noise estimator, which needs no derivative of it with respect to the input, or " +
		Replacement(t)
}

// Replacement says in a few words what to use instead of an op.
func Replacement(t NodeType) string {
	if words, ok := advice[t]; ok {
		return words
	}
	return "build the layer of other ops"
}

// advice has the ops without a gradient that models meet. GoMLX's MaxPool is not among them, nor
// are its dense and batch normalization layers: their ops have rules in package autodiff. A test
// follows every line.
var advice = map[NodeType]string{
	NodeTypeReduceProduct: "write it as Exp(ReduceSum(Log(x))) where x is positive, or as a Mul of slices",
	NodeTypeRound:         constantAlmostEverywhere,
	NodeTypeFloor:         constantAlmostEverywhere,
	NodeTypeCeil:          constantAlmostEverywhere,
	// On CUDA alone. The Go backend's fused attention is differentiated through the ops that stand
	// for it.
	NodeTypeFusedScaledDotProductAttentionVJP: "give WithFusion(false) to the attention layer",
}

const constantAlmostEverywhere = "it is constant almost everywhere: put StopGradient around it"

// NotDifferentiable returns the nodes between value and any of the wanted nodes for which GoMLX has
// no gradient, so that a later Gradient of value would fail.
func NotDifferentiable(value *Node, wanted []*Node) []*Node {
	depends := make(map[*Node]bool)
	for _, w := range wanted {
		depends[w] = true
	}
	seen := make(map[*Node]bool)
	var missing []*Node
	var visit func(n *Node) bool
	visit = func(n *Node) bool {
		if seen[n] {
			return depends[n]
		}
		seen[n] = true
		if n.StopGradient() {
			return false
		}
		for _, in := range edges(n) {
			if visit(in) {
				depends[n] = true
			}
		}
		if depends[n] && n.CustomGradient() == nil && gomlxcompat.AlternateOutputs(n) == nil && len(n.Inputs()) > 0 &&
			n.Type() != NodeTypeSplitNode && passes(n) {
			if _, ok := VJPRegistration[n.Type()]; !ok {
				missing = append(missing, n)
			}
		}
		return depends[n]
	}
	visit(value)
	return missing
}
