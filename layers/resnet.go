package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	. "github.com/gomlx/gomlx/support/exceptions"
)

// ResNet18Builder configures a residual network. Create it with ResNet18 and finish with Done.
type ResNet18Builder struct {
	scope          *model.Scope
	x              *Node
	outputs, width int
	norm           Norm
	bias           *bool
	initialization Initialization
}

// ResNet18 prepares the residual network for small images of the paper's experiments on x, shaped
// [batch, height, width, channels], usually 32×32 or 28×28: a 3×3 convolution, four stages of two
// blocks with k, 2k, 4k and 8k channels, of which the last three halve the image, a global mean and
// a dense layer (He et al. 2016; the stages' widths in terms of k as in Nakkiran et al. 2020). A
// shortcut that changes the shape is a 1×1 convolution.
//
// The defaults are k = 64, batch normalization and InitHeNormal. With 3 input channels and 10
// outputs it then has the 11,173,962 parameters of the usual CIFAR-10 network.
func ResNet18(scope *model.Scope, x *Node) *ResNet18Builder {
	return &ResNet18Builder{scope: scope, x: x, width: 64, initialization: InitHeNormal}
}

// Outputs sets the number of outputs. It must be set.
func (b *ResNet18Builder) Outputs(outputs int) *ResNet18Builder {
	b.outputs = outputs
	return b
}

// Width sets the channels k of the first stage. The default is 64.
func (b *ResNet18Builder) Width(k int) *ResNet18Builder {
	b.width = k
	return b
}

// Norm sets the normalization after every convolution. The default is NormBatch.
func (b *ResNet18Builder) Norm(norm Norm) *ResNet18Builder {
	b.norm = norm
	return b
}

// UseBias sets whether the convolutions have biases. By default they have biases only without
// normalization, because a normalization adds offsets of its own.
func (b *ResNet18Builder) UseBias(bias bool) *ResNet18Builder {
	b.bias = &bias
	return b
}

// Initializer sets the distribution of the initial weights. The default is InitHeNormal.
func (b *ResNet18Builder) Initializer(initialization Initialization) *ResNet18Builder {
	b.initialization = initialization
	return b
}

// Done builds the network and returns its outputs (logits), shaped [batch, outputs].
func (b *ResNet18Builder) Done() *Node {
	outputs, _ := b.DoneWithFeatures()
	return outputs
}

// DoneWithFeatures builds the network and returns its outputs, as Done does, and the features that
// the last layer maps to them: the global means, shaped [batch, 8k].
func (b *ResNet18Builder) DoneWithFeatures() (outputs, features *Node) {
	checkImages("layers.ResNet18", b.x, b.outputs, b.width)
	x := b.convolution(b.scope.In("stem"), b.x, b.width, 3, 1)
	x = activation.Relu(x)
	for stage := range 4 {
		for block := range 2 {
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			x = b.block(b.scope.In("stage_%d_block_%d", stage, block), x, b.width<<stage, stride)
		}
	}
	features = GlobalMeanPool(x)
	head := b.scope.In("head")
	return layers.Dense(head.WithInitializer(b.initialization.Initializer(head)), features, true, b.outputs), features
}

// block builds a basic residual block: two 3×3 convolutions beside a shortcut.
func (b *ResNet18Builder) block(scope *model.Scope, x *Node, channels, stride int) *Node {
	y := activation.Relu(b.convolution(scope.In("first"), x, channels, 3, stride))
	y = b.convolution(scope.In("second"), y, channels, 3, 1)
	if stride != 1 || x.Shape().Dim(-1) != channels {
		x = b.convolution(scope.In("shortcut"), x, channels, 1, stride)
	}
	return computedOnce(activation.Relu(Add(y, x)))
}

// convolution builds a convolution and its normalization.
func (b *ResNet18Builder) convolution(scope *model.Scope, x *Node, channels, kernel, stride int) *Node {
	bias := b.norm == NormNone
	if b.bias != nil {
		bias = *b.bias
	}
	y := Conv(scope, x).Channels(channels).KernelSize(kernel).Strides(stride).PadSame().
		UseBias(bias).Initializer(b.initialization).Done()
	return b.norm.apply(scope, y)
}

// checkImages panics unless x holds images, and the outputs and the width are positive.
func checkImages(network string, x *Node, outputs, width int) {
	if x.Rank() != 4 {
		Panicf("%s: x must be shaped [batch, height, width, channels], got %s", network, x.Shape())
	}
	if outputs < 1 {
		Panicf("%s: the number of outputs is %d: set it with Outputs(n), n >= 1", network, outputs)
	}
	if width < 1 {
		Panicf("%s: Width(%d): must be at least 1", network, width)
	}
}
