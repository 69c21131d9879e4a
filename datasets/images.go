package datasets

import (
	"compress/flate"
	"errors"
	"fmt"
)

// Split is a part of a data set.
type Split int

const (
	Train Split = iota
	Test
)

// String returns "train" or "test".
func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case Test:
		return "test"
	}
	return fmt.Sprintf("Split(%d)", int(s))
}

// ParseSplit is the inverse of [Split.String].
func ParseSplit(s string) (Split, error) {
	switch s {
	case "train":
		return Train, nil
	case "test":
		return Test, nil
	}
	return 0, fmt.Errorf("unknown split %q, want \"train\" or \"test\"", s)
}

// Images is a labelled set of images in memory.
type Images struct {
	// Pixels are the values 0 to 255, row-major [N, H, W, C].
	Pixels []uint8
	// Labels are the class indices, [N].
	Labels []uint8
	// N images of height H, width W and C channels.
	N, H, W, C int
	// Classes are the names of the classes, by label.
	Classes []string
	// Name is the name of the set and the split, such as "mnist/train".
	Name string
	// SHA256 is the sum of the set's [Content] if [Load] read the images; otherwise it is empty.
	SHA256 string
}

// Size returns the number of values of one image, H·W·C.
func (im *Images) Size() int { return im.H * im.W * im.C }

// Image returns the pixels of image i, row-major [H, W, C]. It is a view, not a copy.
func (im *Images) Image(i int) []uint8 { return im.Pixels[i*im.Size() : (i+1)*im.Size()] }

// check returns an error if the fields contradict each other, because callers may fill them too.
func (im *Images) check() error {
	if im == nil || im.N <= 0 {
		return errors.New("no images: the data set is empty")
	}
	if im.H <= 0 || im.W <= 0 || im.C <= 0 {
		return fmt.Errorf("%s: image shape [%d, %d, %d], want positive height, width and channels", im.Name, im.H, im.W, im.C)
	}
	if len(im.Pixels) != im.N*im.Size() {
		return fmt.Errorf("%s: %d pixel values, want %d for %d images of [%d, %d, %d]",
			im.Name, len(im.Pixels), im.N*im.Size(), im.N, im.H, im.W, im.C)
	}
	return checkLabels(im.Name, "image", im.N, im.Labels, im.Classes)
}

// Counts returns the number of images of each class.
func (im *Images) Counts() []int { return countLabels(im.Labels, len(im.Classes)) }

// Select returns a copy of the images with the given indices, in their order. It panics on an index
// out of range.
func (im *Images) Select(indices []int) *Images {
	out := *im
	out.N = len(indices)
	out.Pixels = make([]uint8, 0, len(indices)*im.Size())
	out.Labels = make([]uint8, 0, len(indices))
	for _, i := range indices {
		out.Pixels = append(out.Pixels, im.Image(i)...)
		out.Labels = append(out.Labels, im.Labels[i])
	}
	return &out
}

// OfClasses returns a copy of the images of some classes, in their order, with the labels
// renumbered from 0 in the order of the arguments. It returns an error for fewer than two classes,
// for one that does not exist or is named twice, and if there are no images of them.
func (im *Images) OfClasses(classes ...int) (*Images, error) {
	if err := im.check(); err != nil {
		return nil, err
	}
	if len(classes) < 2 {
		return nil, fmt.Errorf("%s: %d classes, want two or more", im.Name, len(classes))
	}
	renumbered := make(map[uint8]uint8)
	var names []string
	for i, class := range classes {
		if class < 0 || class >= len(im.Classes) {
			return nil, fmt.Errorf("%s: there is no class %d, want 0 to %d", im.Name, class, len(im.Classes)-1)
		}
		if _, twice := renumbered[uint8(class)]; twice {
			return nil, fmt.Errorf("%s: class %d is named twice", im.Name, class)
		}
		renumbered[uint8(class)] = uint8(i)
		names = append(names, im.Classes[class])
	}
	var kept []int
	for i, label := range im.Labels {
		if _, ok := renumbered[label]; ok {
			kept = append(kept, i)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%s: no images of the classes %v", im.Name, classes)
	}
	out := im.Select(kept)
	out.Classes = names
	for i, label := range out.Labels {
		out.Labels[i] = renumbered[label]
	}
	return out, nil
}

// First returns the first n images, which share the memory of im.
func (im *Images) First(n int) (*Images, error) {
	if n <= 0 || n > im.N {
		return nil, fmt.Errorf("%s: cannot take the first %d of %d images", im.Name, n, im.N)
	}
	out := *im
	out.N, out.Pixels, out.Labels = n, im.Pixels[:n*im.Size()], im.Labels[:n]
	return &out, nil
}

// Balanced draws perClass images of every class without replacement. The result keeps their order
// and depends only on the images, perClass and the seed.
func (im *Images) Balanced(perClass int, seed uint64) (*Images, error) {
	if err := im.check(); err != nil {
		return nil, err
	}
	chosen, err := drawBalanced(im.Name, im.Classes, im.Labels, perClass, seed)
	if err != nil {
		return nil, err
	}
	return im.Select(chosen), nil
}

// SplitBalanced returns the images that [Images.Balanced] draws, and all others, such as validation
// images and those to train on. Both keep the images' order. It returns an error if nothing is
// left.
func (im *Images) SplitBalanced(perClass int, seed uint64) (drawn, others *Images, err error) {
	if err := im.check(); err != nil {
		return nil, nil, err
	}
	chosen, left, err := splitBalanced(im.Name, im.Classes, im.Labels, perClass, seed)
	if err != nil {
		return nil, nil, err
	}
	return im.Select(chosen), im.Select(left), nil
}

// WithLabelNoise returns the images with the labels of exactly round(fraction·N) of them replaced.
// The choice of the labels and their replacements depends only on the labels and the arguments. The
// result shares the pixels of im.
func (im *Images) WithLabelNoise(fraction float64, kind NoiseKind, seed uint64) (*Images, error) {
	labels, err := noisyLabels(im.Name, im.Labels, len(im.Classes), fraction, kind, seed)
	if err != nil {
		return nil, err
	}
	out := *im
	out.Labels = labels
	return &out, nil
}

// RandomLabels returns the images with every label drawn uniformly from all classes (Zhang et al.
// 2017). The result shares the pixels of im.
func (im *Images) RandomLabels(seed uint64) (*Images, error) {
	return im.WithLabelNoise(1, AnyClass, seed)
}

func isCorrupt(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.As(err, &corrupt)
}
