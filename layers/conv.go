package layers

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/regularizer"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/convolution"
)

// ConvBuilder configures a convolution layer. Create it with Conv and finish with Done.
type ConvBuilder struct {
	scope          *model.Scope
	x              *Node
	channels       int
	kernel, stride []int
	paddings       [][2]int
	same, bias     bool
	initialization Initialization
}

// Conv prepares a convolution of images x, shaped [batch, height, width, channels] (or with 1 or 3
// spatial axes). The channels and the kernel's size must be set; the defaults are stride 1, no
// padding, a bias, and InitHeNormal.
//
// On XLA this is GoMLX's convolution, which this toolkit's commands run with oneDNN on a CPU. On
// the Go backend it is lowered to a matrix product, tens of times faster than GoMLX's convolution
// there. Speed is the only reason to prefer it to GoMLX's layer: this module registers the same
// derivatives of every order for both.
func Conv(scope *model.Scope, x *Node) *ConvBuilder {
	if x.Rank() < 3 {
		Panicf("layers.Conv: x must be shaped [batch, spatial..., channels], got %s", x.Shape())
	}
	ones := make([]int, x.Rank()-2)
	for i := range ones {
		ones[i] = 1
	}
	return &ConvBuilder{scope: scope, x: x, stride: ones, bias: true, initialization: InitHeNormal}
}

// Channels sets the number of output channels. It must be set.
func (b *ConvBuilder) Channels(channels int) *ConvBuilder {
	b.channels = channels
	return b
}

// KernelSize sets the kernel's size: one number for all spatial axes, or one for each. It must be
// set.
func (b *ConvBuilder) KernelSize(size ...int) *ConvBuilder {
	b.kernel = b.perAxis("KernelSize", size)
	return b
}

// Strides sets the step of the kernel: one number for all spatial axes, or one for each. The
// default is 1.
func (b *ConvBuilder) Strides(stride ...int) *ConvBuilder {
	b.stride = b.perAxis("Strides", stride)
	return b
}

// PadSame pads each spatial axis by (kernel-1)/2 before and kernel/2 after, so that with stride s
// the output has ceil(size/s) elements. GoMLX uses the same rule; for odd kernels it equals
// PyTorch's padding=kernel//2.
func (b *ConvBuilder) PadSame() *ConvBuilder {
	b.same, b.paddings = true, nil
	return b
}

// NoPadding applies the kernel only where it lies fully inside the image. This is the default.
func (b *ConvBuilder) NoPadding() *ConvBuilder {
	b.same, b.paddings = false, nil
	return b
}

// PaddingPerAxis sets the numbers of zeros before and after the image, for each spatial axis.
func (b *ConvBuilder) PaddingPerAxis(paddings ...[2]int) *ConvBuilder {
	if len(paddings) != b.x.Rank()-2 {
		Panicf("layers.Conv: PaddingPerAxis got %d pairs for the %d spatial axes of x %s",
			len(paddings), b.x.Rank()-2, b.x.Shape())
	}
	b.same, b.paddings = false, paddings
	return b
}

// UseBias sets whether each output channel has a bias. The default is true.
func (b *ConvBuilder) UseBias(bias bool) *ConvBuilder {
	b.bias = bias
	return b
}

// Initializer sets the distribution of the initial kernel. The default is InitHeNormal.
func (b *ConvBuilder) Initializer(initialization Initialization) *ConvBuilder {
	b.initialization = initialization
	return b
}

// Done builds the layer and returns its output, shaped [batch, spatial..., channels]. The variables
// are "conv/weights", shaped [kernel..., channels in, channels out], and "conv/biases", as in
// GoMLX's layer. GoMLX's regularizer hyperparameters apply to the weights. It panics if the
// channels or the kernel's size are not set, or if the kernel is larger than the padded image.
func (b *ConvBuilder) Done() *Node {
	x, g := b.x, b.x.Graph()
	paddings := b.resolvePaddings()
	scope := b.scope.In("conv")
	in := x.Shape().Dim(-1)
	kernelShape := shapes.Make(x.DType(), append(append([]int{}, b.kernel...), in, b.channels)...)
	weights := scope.WithInitializer(b.initialization.Initializer(scope)).VariableWithShape("weights", kernelShape)
	if got := weights.Shape(); !got.Equal(kernelShape) {
		Panicf("layers.Conv: the stored weights are %s, but x %s needs %s", got, x.Shape(), kernelShape)
	}
	if regularize := regularizer.FromScope(scope); regularize != nil {
		regularize(g, weights)
	}
	y := convolution.Of(x, weights.NodeValue(g), b.stride, paddings)
	if !b.bias {
		return y
	}
	biasShape := shapes.Make(x.DType(), b.channels)
	bias := scope.WithInitializer(initializer.Zero).VariableWithShape("biases", biasShape).NodeValue(g)
	return Add(y, ExpandLeftToRank(bias, y.Rank()))
}

// resolvePaddings checks the configuration and returns the padding of each spatial axis.
func (b *ConvBuilder) resolvePaddings() [][2]int {
	if b.channels < 1 {
		Panicf("layers.Conv: the number of channels is %d: set it with Channels(n), n >= 1", b.channels)
	}
	if b.kernel == nil {
		Panicf("layers.Conv: the kernel's size is not set: set it with KernelSize(n)")
	}
	paddings := b.paddings
	if paddings == nil {
		paddings = make([][2]int, len(b.kernel))
	}
	for i, size := range b.kernel {
		if b.same {
			paddings[i] = [2]int{(size - 1) / 2, size / 2}
		}
		if padded := b.x.Shape().Dim(i+1) + paddings[i][0] + paddings[i][1]; size > padded {
			Panicf("layers.Conv: a kernel of size %v is larger than the image: axis %d of x %s has %d elements with padding %v",
				b.kernel, i+1, b.x.Shape(), padded, paddings[i])
		}
	}
	return paddings
}

// perAxis returns one value per spatial axis, all of them at least 1.
func (b *ConvBuilder) perAxis(option string, values []int) []int {
	axes := b.x.Rank() - 2
	if len(values) != 1 && len(values) != axes {
		Panicf("layers.Conv: %s got %d values for the %d spatial axes of x %s", option, len(values), axes, b.x.Shape())
	}
	perAxis := make([]int, axes)
	for i := range perAxis {
		perAxis[i] = values[i%len(values)]
		if perAxis[i] < 1 {
			Panicf("layers.Conv: %s(%d): must be at least 1", option, perAxis[i])
		}
	}
	return perAxis
}
