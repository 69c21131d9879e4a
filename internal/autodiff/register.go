package autodiff

import (
	"sync"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/convolution"
)

// Register puts the gradient rules of this package into GoMLX's registry, for the whole process.
// They are for ops whose own rule is missing, wrong, slow, or has no second derivative. Calls after
// the first do nothing. The package comment of gcml lists the ops.
//
// The ops, and the faults of their rules in GoMLX v0.28.16:
//
//	ConvGeneral            panics for some strides; slow on CPUs; second derivative slow
//	ReduceMax, ReduceMin   wrong if XLA rounds a recomputed operand differently; counts ties in full
//	ScatterMax, ScatterMin as ReduceMax
//	Max, Min               slow on XLA, above all ReLU with several cotangents
//	ReduceWindow           no second derivative of max and min pooling
//	Rsqrt, Expm1, Clamp    no derivative
//	ConvertDType           passes the gradient through integers and booleans, rounded
//	BatchNormForTraining   no second derivative (XLA only; the Go backend lacks the op)
//	BatchNormForInference  no derivative (XLA only)
//	Pad                    panics for negative paddings
//	FusedDense             no second derivative (dense layers on the Go backend)
//	FusedActivation        no second derivative; wrong for SwiGLU and approximate GELU (Go backend)
//	Gather, ScatterSum     no derivative of some forms, such as GatherSlices differentiated twice
//	Identity               no derivative unless it is an IdentityWithCustomGradient
//	ReduceProduct, Rem     no derivative
func Register() { registerOnce.Do(register) }

var registerOnce sync.Once

// replaced holds the rules that Register replaced, nil for ops without one.
var replaced = map[NodeType]VJP{}

// StockRule returns GoMLX's own rule of an op whose rule Register replaced; nil if GoMLX has none,
// or if Register did not replace it.
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
	registerProducts()
}

// registerOne replaces the rule of an op with one output. The rule takes the node and the gradient
// v of its output, and returns the gradients of the inputs, nil for inputs without a gradient.
func registerOne(nodeType NodeType, rule func(node, v *Node) []*Node) {
	replace(nodeType, func(node *Node, vjps []*Node, _ shapes.Shape) []*Node { return rule(node, vjps[0]) })
}

// replace registers a rule. It remembers and returns the rule that it replaces, nil if there is
// none. All rules of this package go through replace.
func replace(nodeType NodeType, rule VJP) (stock VJP) {
	stock = VJPRegistration[nodeType]
	replaced[nodeType] = stock
	VJPRegistration[nodeType] = rule
	return stock
}
