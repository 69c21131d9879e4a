package onnxmodel

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

var _ = register(map[string]rewrite{"Col2Im": col2im})

// mostInFold bounds the matrix of zeros and ones along an axis of an image.
const mostInFold = 1 << 22

// col2im adds blocks [batch, channels·block, blocks] up where they lie in an image [batch,
// channels, spatial ...]. Along each axis it is a product with a matrix of zeros and ones.
func col2im(l *lowering, n *protos.NodeProto) (bool, error) {
	image, known := l.constant(input(n, 1))
	block, constant := l.constant(input(n, 2))
	axes := len(image)
	if !known || !constant || axes == 0 || len(block) != axes {
		return refused(n, "its image_shape or block_shape is not constant, or they differ in length")
	}
	w, refusal := newWindows(l, n, block)
	if refusal != "" {
		return refused(n, "%s", refusal)
	}
	total, counts := int64(1), make([]int64, axes) // of blocks along each axis
	for i := range axes {
		counts[i] = (image[i]+w.before[i]+w.after[i]-w.span(i))/w.stride[i] + 1
		if image[i] < 1 || image[i]+w.before[i]+w.after[i] < w.span(i) || block[i]*counts[i]*image[i] > mostInFold {
			return refused(n, "its image_shape is %v with block_shape %v", image, block)
		}
		total *= counts[i]
	}
	// Channels that follow from the size would hide another number of blocks.
	dims := l.op("Shape", n.Input[0])
	x := l.checked(n.Input[0], l.op("And", l.op("Equal", l.op("Size", dims), l.integer(3)),
		l.op("Equal", l.op("Gather", dims, l.integer(-1)), l.integer(total))),
		"its input has another number of blocks than image_shape and the attributes give, or is not of rank 3")
	// [batch, channels, block ..., blocks ...]; each turn takes the first axis of both.
	x = l.op("Reshape", x, l.integers(slices.Concat([]int64{0, -1}, block, counts)...))
	for i := range axes {
		left := int64(axes - i)
		perm := []int64{0, 1}
		for axis := int64(2); axis < int64(axes)+left+2; axis++ {
			if axis != 2 && axis != left+2 {
				perm = append(perm, axis)
			}
		}
		x = l.permuted(x, append(perm, 2, left+2)...)
		shape := slices.Concat([]int64{0, -1}, block[i+1:], counts[i+1:], image[:i], []int64{block[i] * counts[i]})
		x = l.op("MatMul", l.op("Reshape", x, l.integers(shape...)), w.places(i, counts[i], image[i]))
	}
	return l.finish(n, x)
}

// places is the matrix [block·blocks, image] with a one where a value of a block lies in the image
// along an axis. Values in the padding lie nowhere.
func (w *windows) places(axis int, blocks, image int64) string {
	rows := w.kernel[axis] * blocks
	t := &protos.TensorProto{Name: w.fresh(), DataType: int32(protos.TensorProto_INT8), Dims: []int64{rows, image},
		RawData: make([]byte, rows*image)}
	for k := range w.kernel[axis] {
		for b := range blocks {
			if at := b*w.stride[axis] + k*w.dilation[axis] - w.before[axis]; at >= 0 && at < image {
				t.RawData[(k*blocks+b)*image+at] = 1
			}
		}
	}
	return w.cast(w.weight(t), w.floatType(w.x))
}
