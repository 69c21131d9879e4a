package inspect

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"

	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/plots"
)

// imageLayout says where the pixels and channels of an image are among its values.
type imageLayout struct {
	height, width, channels int
	channelsFirst           bool
}

// maxPixels is the side of the largest image that is drawn: a page holds a dozen.
const maxPixels = 1024

// newLayout returns the layout of images of given dimensions that have so many values.
func newLayout(dims []int, values int) (imageLayout, error) {
	var l imageLayout
	switch {
	case len(dims) == 2:
		l = imageLayout{dims[0], dims[1], 1, false}
	case len(dims) == 3 && (dims[0] == 1 || dims[0] == 3):
		l = imageLayout{dims[1], dims[2], dims[0], true}
	case len(dims) == 3 && (dims[2] == 1 || dims[2] == 3):
		l = imageLayout{dims[0], dims[1], dims[2], false}
	default:
		return l, errors.Errorf("inspect: image dimensions %v: want [height width], or with 1 or 3 channels first or last",
			dims)
	}
	if l.height < 1 || l.width < 1 || l.height*l.width*l.channels != values {
		return l, errors.Errorf("inspect: images of dimensions %v do not have %d values, as the network's inputs do", dims,
			values)
	}
	if max(l.height, l.width) > maxPixels {
		return l, errors.Errorf("inspect: images of dimensions %v: up to %d pixels in each direction are drawn", dims,
			maxPixels)
	}
	return l, nil
}

// imageLayout returns the layout of the inputs as images; ok is false if they are none.
func (in *inspection) imageLayout() (l imageLayout, ok bool) {
	if in.subject.InputNode != "" {
		return l, false
	}
	dims := in.options.Image
	if dims == nil {
		if len(in.found.input) != 3 || min(in.found.input[0]*in.found.input[1], in.found.input[1]*in.found.input[2]) < 4 {
			return l, false
		}
		dims = in.found.input
	}
	l, err := newLayout(dims, in.found.inputs())
	return l, err == nil
}

// at returns the position of a channel of a pixel.
func (l imageLayout) at(y, x, channel int) int {
	if l.channelsFirst {
		return (channel*l.height+y)*l.width + x
	}
	return (y*l.width+x)*l.channels + channel
}

// draw returns two PNG files: the image, its values from the smallest to the largest, and the norm
// of the derivatives by each pixel, over all its channels, from 0 to the largest.
func (l imageLayout) draw(values, squares []float64) (picture, sensitivity []byte, err error) {
	low, high := slices.Min(values), slices.Max(values)
	drawing, heat := image.NewNRGBA(image.Rect(0, 0, l.width, l.height)), image.NewNRGBA(image.Rect(0, 0, l.width,
		l.height))
	norms := make([]float64, l.height*l.width)
	for y := range l.height {
		for x := range l.width {
			var rgb [3]uint8
			for c := range 3 {
				v := values[l.at(y, x, min(c, l.channels-1))]
				rgb[c] = uint8(math.Round(255 * fraction(v-low, high-low)))
			}
			drawing.SetNRGBA(x, y, color.NRGBA{R: rgb[0], G: rgb[1], B: rgb[2], A: 255})
			for c := range l.channels {
				norms[y*l.width+x] += squares[l.at(y, x, c)]
			}
		}
	}
	for i := range norms {
		norms[i] = math.Sqrt(norms[i])
	}
	largest := slices.Max(norms)
	for i, norm := range norms {
		heat.SetNRGBA(i%l.width, i/l.width, plots.Sequential(fraction(norm, largest)))
	}
	if picture, err = encode(drawing); err != nil {
		return nil, nil, err
	}
	sensitivity, err = encode(heat)
	return picture, sensitivity, err
}

// fraction returns part/whole, or 0 if the whole is 0.
func fraction(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

func encode(m image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, m)
	return b.Bytes(), err
}
