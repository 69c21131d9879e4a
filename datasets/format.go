package datasets

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Normalization maps a pixel p of channel c to (p/255 - Mean[c]) / Std[c].
type Normalization struct {
	// Mean and Std per channel, in units of pixels scaled to [0, 1].
	Mean, Std []float64
}

// Standardization returns the normalization under which every channel of these images has mean 0
// and variance 1. Compute it from the training split and use it for all splits. Mean and variance
// are over all N·H·W pixels of a channel, from exact integer sums, the variance with divisor N·H·W.
// A constant channel gets Std 1.
func Standardization(train *Images) (*Normalization, error) {
	if err := train.check(); err != nil {
		return nil, err
	}
	norm := &Normalization{Mean: make([]float64, train.C), Std: make([]float64, train.C)}
	n := float64(train.N * train.H * train.W)
	for c := range train.C {
		var sum, squares uint64 // At most 255²·2³⁰, far from overflow.
		for i := c; i < len(train.Pixels); i += train.C {
			p := uint64(train.Pixels[i])
			sum += p
			squares += p * p
		}
		mean := float64(sum) / n
		norm.Mean[c] = mean / 255
		norm.Std[c] = math.Sqrt(max(0, float64(squares)/n-mean*mean)) / 255
		if norm.Std[c] == 0 {
			norm.Std[c] = 1
		}
	}
	return norm, nil
}

// Format describes the tensors of images. The zero value is float32 [batch, H, W, C] with pixels in
// [0, 1].
type Format struct {
	// DType of the inputs: float32, which is also the meaning of the zero value, or float64.
	DType dtypes.DType
	// Flat selects inputs [batch, H·W·C] instead of [batch, H, W, C].
	Flat bool
	// Normalization of the pixels; nil divides them by 255.
	Normalization *Normalization
}

// dtype returns DType, or float32 for the zero value.
func (f Format) dtype() dtypes.DType {
	if f.DType == dtypes.InvalidDType {
		return dtypes.Float32
	}
	return f.DType
}

func (f Format) check(images *Images) error {
	if dtype := f.dtype(); dtype != dtypes.Float32 && dtype != dtypes.Float64 {
		return fmt.Errorf("%s: images of dtype %s, want float32 or float64", images.Name, dtype)
	}
	norm := f.Normalization
	if norm == nil {
		return nil
	}
	if len(norm.Mean) != images.C || len(norm.Std) != images.C {
		return fmt.Errorf("%s: normalization has %d means and %d standard deviations, want one of each for %d channels",
			images.Name, len(norm.Mean), len(norm.Std), images.C)
	}
	for c := range images.C {
		if mean, std := norm.Mean[c], norm.Std[c]; !(std > 0) || math.IsInf(std, 0) || math.IsNaN(mean) ||
			math.IsInf(mean, 0) {
			return fmt.Errorf("%s: normalization of channel %d has mean %g and standard deviation %g, "+
				"want a finite mean and a positive, finite standard deviation", images.Name, c, mean, std)
		}
	}
	return nil
}

// value returns the tensor's value for pixel p of channel c.
func (f Format) value(p uint8, c int) float64 {
	v := float64(p) / 255
	if f.Normalization != nil {
		v = (v - f.Normalization.Mean[c]) / f.Normalization.Std[c]
	}
	return v
}

func (f Format) dims(images *Images, batch int) []int {
	if f.Flat {
		return []int{batch, images.Size()}
	}
	return []int{batch, images.H, images.W, images.C}
}

// Tensors returns all images and labels: inputs [N, H, W, C], or [N, H·W·C] if the format is flat,
// and int32 labels [N, 1], as GoMLX's sparse losses accept them. The caller owns the tensors.
func (im *Images) Tensors(format Format) (inputs, labels *tensors.Tensor, err error) {
	if err := im.check(); err != nil {
		return nil, nil, err
	}
	converter, err := newConverter(im, format)
	if err != nil {
		return nil, nil, err
	}
	return converter.tensors(allOf(im.N), im.Labels)
}

// converter turns pixels into tensors with a table of the 256 possible values of each channel.
type converter struct {
	images  *Images
	format  Format
	table32 [][256]float32
	table64 [][256]float64
}

func newConverter(images *Images, format Format) (*converter, error) {
	if err := format.check(images); err != nil {
		return nil, err
	}
	c := &converter{images: images, format: format,
		table32: make([][256]float32, images.C), table64: make([][256]float64, images.C)}
	for channel := range images.C {
		for p := range 256 {
			v := format.value(uint8(p), channel)
			c.table32[channel][p], c.table64[channel][p] = float32(v), v
		}
	}
	return c, nil
}

// tensors returns the images with these indices and the labels, one for each image.
func (c *converter) tensors(indices []int, labels []uint8) (inputsT, labelsT *tensors.Tensor, err error) {
	inputsT = tensors.FromShape(shapes.Make(c.format.dtype(), c.format.dims(c.images, len(indices))...))
	if c.format.dtype() == dtypes.Float64 {
		err = tensors.MutableFlatData(inputsT, func(flat []float64) { gather(flat, c.images, indices, c.table64) })
	} else {
		err = tensors.MutableFlatData(inputsT, func(flat []float32) { gather(flat, c.images, indices, c.table32) })
	}
	if err != nil {
		return nil, nil, err
	}
	labelsT, err = labelTensor(labels)
	return inputsT, labelsT, err
}

// labelTensor returns labels as int32 [N, 1].
func labelTensor(labels []uint8) (*tensors.Tensor, error) {
	out := tensors.FromShape(shapes.Make(dtypes.Int32, len(labels), 1))
	err := tensors.MutableFlatData(out, func(flat []int32) {
		for row, label := range labels {
			flat[row] = int32(label)
		}
	})
	return out, err
}

func gather[T float32 | float64](flat []T, images *Images, indices []int, table [][256]T) {
	size, channels := images.Size(), images.C
	for row, i := range indices {
		out := flat[row*size : (row+1)*size]
		pixels := images.Image(i)
		for c := range channels {
			values := &table[c]
			for j := c; j < size; j += channels {
				out[j] = values[pixels[j]]
			}
		}
	}
}
