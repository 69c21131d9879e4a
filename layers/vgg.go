package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	. "github.com/gomlx/gomlx/support/exceptions"
)

// VGG13Builder configures a VGG network. Create it with VGG13 and finish with Done.
type VGG13Builder struct {
	scope          *model.Scope
	x              *Node
	outputs, width int
	norm           Norm
	initialization Initialization
}

// VGG13 prepares the plain convolutional network for small images on x, shaped [batch, height,
// width, channels] of 32×32 or more: five stages of two 3×3 convolutions with biases and a max
// pooling, with k, 2k, 4k, 8k and 8k channels, then one dense layer (Simonyan & Zisserman 2015, in
// its usual form for CIFAR-10).
//
// The defaults are k = 64, batch normalization and InitHeNormal. With 32×32 images of 3 channels
// and 10 outputs it then has the usual 9,416,010 parameters.
func VGG13(scope *model.Scope, x *Node) *VGG13Builder {
	return &VGG13Builder{scope: scope, x: x, width: 64, initialization: InitHeNormal}
}

// Outputs sets the number of outputs. It must be set.
func (b *VGG13Builder) Outputs(outputs int) *VGG13Builder {
	b.outputs = outputs
	return b
}

// Width sets the channels k of the first stage. The default is 64.
func (b *VGG13Builder) Width(k int) *VGG13Builder {
	b.width = k
	return b
}

// Norm sets the normalization after every convolution. The default is NormBatch.
func (b *VGG13Builder) Norm(norm Norm) *VGG13Builder {
	b.norm = norm
	return b
}

// Initializer sets the distribution of the initial weights. The default is InitHeNormal.
func (b *VGG13Builder) Initializer(initialization Initialization) *VGG13Builder {
	b.initialization = initialization
	return b
}

// Done builds the network and returns its outputs (logits), shaped [batch, outputs].
func (b *VGG13Builder) Done() *Node {
	checkImages("layers.VGG13", b.x, b.outputs, b.width)
	if b.x.Shape().Dim(1) < 32 || b.x.Shape().Dim(2) < 32 {
		Panicf("layers.VGG13: the five poolings need images of 32×32 or more, got x %s", b.x.Shape())
	}
	x := b.x
	for stage, factor := range []int{1, 2, 4, 8, 8} {
		for i := range 2 {
			scope := b.scope.In("stage_%d_conv_%d", stage, i)
			x = Conv(scope, x).Channels(b.width * factor).KernelSize(3).PadSame().Initializer(b.initialization).Done()
			x = activation.Relu(b.norm.apply(scope, x))
		}
		x = MaxPool(x).Window(2).Done()
	}
	head := b.scope.In("head")
	return layers.Dense(head.WithInitializer(b.initialization.Initializer(head)), flatten(x), true, b.outputs)
}
