package programs

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
)

// image returns x if it has 1 to 3 spatial axes and a channel axis, else nil.
func image(x *Node) *Node {
	if x.Rank() < 3 || x.Rank() > 5 {
		return nil
	}
	return x
}

// fitsWindow reports whether every spatial axis of x has at least n elements.
func fitsWindow(x *Node, n int) bool {
	for axis := 1; axis < x.Rank()-1; axis++ {
		if dim(x, axis) < n {
			return false
		}
	}
	return true
}

// pool builds a pooling with window p[0] and stride p[1], and with padding to the same size if p[2]
// is 1.
func pool(start func(x *Node) *PoolBuilder) func(b *Builder, x *Node, p []int) *Node {
	return func(_ *Builder, x *Node, p []int) *Node {
		if image(x) == nil || p[2] == 0 && !fitsWindow(x, p[0]) {
			return nil
		}
		pool := start(x).Window(p[0]).Strides(p[1])
		if p[2] == 1 {
			pool = pool.PadSame()
		}
		return pool.Done()
	}
}

var poolParams = []Range{{2, 3}, {1, 2}, flag}

// imageOps work on [batch, spatial..., channels].
var imageOps = []*Kind{
	// Channels, kernel size, stride, dilation, padded to the same size.
	{Name: "conv", Params: []Range{{1, 3}, {1, 3}, {1, 2}, {1, 2}, flag}, Build: func(b *Builder, x *Node, p []int) *Node {
		if image(x) == nil || p[4] == 0 && !fitsWindow(x, (p[1]-1)*p[3]+1) || p[2] > 1 && p[3] > 1 {
			return nil
		}
		conv := layers.Convolution(b.Scope, x).Channels(p[0]).KernelSize(p[1]).Strides(p[2]).Dilations(p[3])
		if p[4] == 1 {
			conv = conv.PadSame()
		} else {
			conv = conv.NoPadding()
		}
		return conv.Done()
	}},
	// Output channels of each group, kernel size, groups.
	{Name: "conv_groups", Params: []Range{{1, 2}, {1, 3}, {2, 3}}, Build: func(b *Builder, x *Node, p []int) *Node {
		if image(x) == nil || dim(x, -1)%p[2] != 0 {
			return nil
		}
		dims := append(slices.Repeat([]int{p[1]}, x.Rank()-2), dim(x, -1)/p[2], p[0]*p[2])
		return Convolve(x, b.variable(x, "w", dims...)).ChannelGroupCount(p[2]).PadSame().Done()
	}},
	// Kernel size, input dilation: a transposed convolution.
	{Name: "conv_transposed", Params: []Range{{1, 3}, {2, 2}}, Build: func(b *Builder, x *Node, p []int) *Node {
		if image(x) == nil {
			return nil
		}
		kernel, dilations, padding := []int{}, []int{}, [][2]int{}
		for range x.Rank() - 2 {
			kernel, dilations = append(kernel, p[0]), append(dilations, p[1])
			padding = append(padding, [2]int{p[0] - 1, p[0] - 1})
		}
		w := b.variable(x, "w", append(kernel, dim(x, -1), 2)...)
		return Convolve(x, w).InputDilationPerAxis(dilations...).PaddingPerDim(padding).Done()
	}},
	// Patches of size p[0] as tokens, as in a vision transformer's first layer.
	{Name: "patches", Params: []Range{{1, 2}, {1, 3}}, Build: func(b *Builder, x *Node, p []int) *Node {
		if image(x) == nil || !fitsWindow(x, p[0]) {
			return nil
		}
		y := layers.Convolution(b.Scope, x).Channels(p[1]).KernelSize(p[0]).Strides(p[0]).NoPadding().Done()
		return Reshape(y, batchOf(x), -1, p[1])
	}},
	{Name: "max_pool", Params: poolParams, Kinks: true, Build: pool(MaxPool)},
	{Name: "min_pool", Params: poolParams, Kinks: true, Build: pool(MinPool)},
	{Name: "mean_pool", Params: poolParams, Build: pool(MeanPool)},
	{Name: "sum_pool", Params: poolParams, Build: pool(SumPool)},
	{Name: "concat_pool", Params: []Range{{2, 2}, {2, 2}, {0, 0}}, Build: pool(ConcatPool)},
	{Name: "interpolate", Params: []Range{{2, 5}}, Build: func(_ *Builder, x *Node, p []int) *Node {
		return resized(x, p[0], true)
	}},
	{Name: "interpolate_nearest", Params: []Range{{2, 5}}, Build: func(_ *Builder, x *Node, p []int) *Node {
		return resized(x, p[0], false)
	}},
}

// resized interpolates the first spatial axis to n values.
func resized(x *Node, n int, bilinear bool) *Node {
	if image(x) == nil {
		return nil
	}
	sizes := make([]int, x.Rank())
	for i := range sizes {
		sizes[i] = -1 // Kept.
	}
	sizes[1] = n
	if bilinear {
		return Interpolate(x, sizes...).Bilinear().Done()
	}
	return Interpolate(x, sizes...).Nearest().Done()
}
