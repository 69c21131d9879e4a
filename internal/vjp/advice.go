package vjp

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// TypeName returns the name of a type of node, including the types without a name in GoMLX.
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

// adviceFor says in a few words what a user can do if a measurement needs the derivative of an op
// that GoMLX cannot differentiate.
func adviceFor(t NodeType) string {
	if words, ok := advice[t]; ok {
		return words
	}
	return "use the forward-noise estimator, which needs no derivative of it with respect to the input, or " +
		Replacement(t)
}

// Replacement says in a few words what a user can use instead of an op without a derivative.
func Replacement(t NodeType) string {
	if words, ok := advice[t]; ok {
		return words
	}
	return "build the layer from other ops"
}

// advice lists the ops without a gradient that models use. MaxPool and the dense and batch
// normalization layers are missing because package autodiff has rules for their ops. A test checks
// every entry.
var advice = map[NodeType]string{
	NodeTypeRound: constantAlmostEverywhere,
	NodeTypeFloor: constantAlmostEverywhere,
	NodeTypeCeil:  constantAlmostEverywhere,
	// On CUDA only. GoMLX differentiates the Go backend's fused attention through its alternate
	// ops.
	NodeTypeFusedScaledDotProductAttentionVJP: "give WithFusion(false) to the attention layer",
}

const constantAlmostEverywhere = "it is constant almost everywhere: put StopGradient around it"

// NotDifferentiable returns the nodes without a gradient in GoMLX that lie between value and any of
// the wanted nodes. They would make a Gradient of value fail.
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
