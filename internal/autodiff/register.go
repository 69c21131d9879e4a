package autodiff

import (
	"sync"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/convolution"
)

// Register puts the gradients of this package into GoMLX's registry, for the whole process: those
// of ops that have none, or one that is wrong, cannot be differentiated again, or is needlessly
// slow. It does so once, however often it is called. The package comment of gcml lists the ops.
//
// They are, with what GoMLX v0.28.16 has instead:
//
//	ConvGeneral            panics for some strides, slow on CPUs, slow and for the Go backend very slow to second order
//	ReduceMax, ReduceMin   wrong on XLA where the operand is computed again with another rounding; count all ties in full
//	ScatterMax, ScatterMin the same
//	ReduceWindow           max and min pooling have no second derivative
//	Rsqrt, Expm1, Clamp    have no first
//	BatchNormForTraining   has no second (XLA only; the Go backend lacks the op)
//	BatchNormForInference  has no first  (XLA only)
//	Pad                    panics for negative paddings
//	FusedDense             has no second (Go backend; GoMLX's dense layers use it there)
//	FusedActivation        has no second, and a wrong first for SwiGLU and the approximate GELU (Go backend)
//	Gather, ScatterSum     have none for some of their forms, as GatherSlices differentiated twice
//	Identity               has none where it is no IdentityWithCustomGradient
func Register() { registerOnce.Do(register) }

var registerOnce sync.Once

// replaced are the rules that Register found, nil for ops that had none.
var replaced = map[NodeType]VJP{}

// StockRule returns the rule that GoMLX itself has for an op that Register gave another one; nil
// for none.
func StockRule(nodeType NodeType) VJP {
	Register()
	return replaced[nodeType]
}

func register() {
	registerOne(NodeTypeConvGeneral, convolution.Gradients)
	registerExtremes()
	registerPooling()
	registerElementwise()
	registerNormalization()
	registerFused()
	registerPad()
	registerIndexing()
}

// registerOne replaces the rule of an op of one output: the new one is given the node and the
// gradient v of its output, and returns the gradient of every input, nil for those that have none.
func registerOne(nodeType NodeType, rule func(node, v *Node) []*Node) {
	replace(nodeType, func(node *Node, vjps []*Node, _ shapes.Shape) []*Node { return rule(node, vjps[0]) })
}

// replace registers a rule and remembers the one that it replaces, which it returns; nil for none.
// All rules of this package are registered here.
func replace(nodeType NodeType, rule VJP) (stock VJP) {
	stock = VJPRegistration[nodeType]
	replaced[nodeType] = stock
	VJPRegistration[nodeType] = rule
	return stock
}
