package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/fnn"
	"github.com/gomlx/gomlx/ml/model"
	. "github.com/gomlx/gomlx/support/exceptions"
)

// MLPBuilder configures a multi-layer perceptron. Create it with MLP and finish with Done.
type MLPBuilder struct {
	scope          *model.Scope
	x              *Node
	layers, width  int
	outputs        int
	activation     activation.Type
	initialization Initialization
	bias           bool
}

// MLP prepares the fully connected network of the paper's experiments on x, shaped [batch, ...]:
// all axes but the first are flattened. It is GoMLX's fnn network with the paper's initializations,
// so that fnn's hyperparameters (dropout, normalization, residual connections) work here too.
//
// The defaults follow the paper: ReLU, biases that start at 0, weights from a truncated normal
// distribution of variance 1/fan_in. Without Hidden, the network has no hidden layers.
func MLP(scope *model.Scope, x *Node) *MLPBuilder {
	return &MLPBuilder{scope: scope, x: x, activation: activation.TypeRelu, initialization: InitStandard, bias: true}
}

// Hidden sets the number of hidden layers and the units of each.
func (b *MLPBuilder) Hidden(layers, width int) *MLPBuilder {
	b.layers, b.width = layers, width
	return b
}

// Outputs sets the number of outputs. It must be set.
func (b *MLPBuilder) Outputs(outputs int) *MLPBuilder {
	b.outputs = outputs
	return b
}

// Activation sets the activation after every hidden layer; the default is activation.TypeRelu.
func (b *MLPBuilder) Activation(act activation.Type) *MLPBuilder {
	b.activation = act
	return b
}

// Initializer sets the distribution of the initial weights; the default is InitStandard.
func (b *MLPBuilder) Initializer(initialization Initialization) *MLPBuilder {
	b.initialization = initialization
	return b
}

// UseBias sets whether the layers have biases; the default is true.
func (b *MLPBuilder) UseBias(bias bool) *MLPBuilder {
	b.bias = bias
	return b
}

// Done builds the network and returns its outputs (logits), shaped [batch, outputs]. The variables
// are "fnn_hidden_layer_<i>/weights" and "/biases", and "fnn_output_layer/...". It panics if the
// number of outputs is not set, or if x has only the batch axis.
func (b *MLPBuilder) Done() *Node {
	if b.x.Rank() < 2 {
		Panicf("layers.MLP: x must be shaped [batch, ...], got %s", b.x.Shape())
	}
	if b.outputs < 1 {
		Panicf("layers.MLP: the number of outputs is %d: set it with Outputs(n), n >= 1", b.outputs)
	}
	if b.layers < 0 || b.layers > 0 && b.width < 1 {
		Panicf("layers.MLP: Hidden(%d, %d): need 0 or more layers, of 1 or more units", b.layers, b.width)
	}
	x := flatten(b.x)
	scope := b.scope.WithInitializer(b.initialization.Initializer(b.scope))
	return fnn.New(scope, x, b.outputs).
		NumHiddenLayers(b.layers, b.width).
		Activation(b.activation).
		UseBias(b.bias).
		Done()
}

// flatten reshapes [batch, ...] to [batch, features].
func flatten(x *Node) *Node {
	if x.Rank() == 2 {
		return x
	}
	return Reshape(x, x.Shape().Dim(0), -1)
}
