package autodiff

import (
	"sync"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Register puts the gradients of this package into GoMLX's registry, for the whole process: those of ops
// that have none, or one that cannot be differentiated again, or one that is needlessly slow. It does so
// once, however often it is called.
//
// They are, with what GoMLX v0.28.16 has instead:
//
//	ConvGeneral            panics for some strides, slow on CPUs, slow and for the Go backend very slow to second order
//	ReduceWindow           max and min pooling have no second derivative
//	Rsqrt, Expm1, Clamp    have no first
//	BatchNormForTraining   has no second (XLA only; the Go backend lacks the op)
//	BatchNormForInference  has no first  (XLA only)
//	Pad                    panics for negative paddings
//	FusedDense             has no second (Go backend; GoMLX's dense layers use it there)
//	FusedActivation        has no second (Go backend)
func Register() { registerOnce.Do(register) }

var registerOnce sync.Once

// replaced are the rules that Register found.
var replaced = map[NodeType]VJP{}

// StockRule returns the rule that GoMLX itself has for an op that Register gave another one; nil for none.
func StockRule(nodeType NodeType) VJP {
	Register()
	return replaced[nodeType]
}

func register() {
	registerConvolution()
	registerPooling()
	registerElementwise()
	registerNormalization()
	registerFused()
	registerPad()
}

// registerOne registers a rule for an op of one output: it is given the node and the gradient v of its
// output, and returns the gradient of every input, nil for those that have none.
func registerOne(nodeType NodeType, rule func(node, v *Node) []*Node) {
	replaced[nodeType] = VJPRegistration[nodeType]
	VJPRegistration[nodeType] = func(node *Node, vjps []*Node, _ shapes.Shape) []*Node {
		return rule(node, vjps[0])
	}
}
