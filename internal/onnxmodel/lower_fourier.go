package onnxmodel

import (
	"fmt"
	"math"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Fourier transforms become products with a matrix of cosines, so that their derivatives of every
// order are products too. The importer builds the matrix once it knows the sizes.
var _ = register(map[string]rewrite{"DFT": dft, "STFT": stft})

// fourier is a transform along the axis before the last, from [..., values, taken] to
// [..., count, given]. The last axis has the real part, or the real and the imaginary part.
type fourier struct {
	*lowering
	values, count string
	length        string // of the whole transform, whose first numbers are the count
	taken, given  int64  // taken is 0 if it is known only with the sizes
	rank          int    // or 0 if the file does not tell it
	inverse       bool
	scale         string // of the values, [values, 1, 1, 1] or a number in float64, or ""
}

// mostInTransform limits the elements of a matrix. One half of the transform of 8,000 real values
// has as many, and takes 256 MB in float32.
const mostInTransform = 1 << 26

const tooLong = "it is too long: the matrix of its cosines has more than 67,108,864 elements"

// of transforms x by the matrix [values, taken, count, given] with the elements
//
//	cos(2π·value·frequency/length + π/2·(part given - part taken))
//
// and the opposite shift for an inverse. The shift by a quarter makes sines of the cosines where
// real and imaginary parts meet.
func (f *fourier) of(x string) string {
	quarter := math.Pi / 2
	if f.inverse {
		quarter = -quarter
	}
	size := f.integers(max(1, f.taken))
	taken := f.numbers(size, 1)
	if f.taken == 0 {
		size = f.op("Gather", f.op("Shape", x), f.integers(-1))
		taken = f.op("Slice", f.numbers(f.integers(2), 1), f.integers(0), size, f.integers(1))
	}
	turn := f.op("Div", f.double(2*math.Pi), f.cast(f.length, protos.TensorProto_DOUBLE))
	angle := f.op("Mul", f.op("Mul", f.numbers(f.values, 0), turn), f.numbers(f.count, 2))
	shift := f.op("Mul", f.op("Sub", f.numbers(f.integers(f.given), 3), taken), f.double(quarter))
	matrix := f.op("Cos", f.op("Add", angle, shift))
	if f.scale != "" {
		matrix = f.op("Mul", matrix, f.scale)
	}
	if f.taken == 1 {
		matrix = f.op("Reshape", matrix, f.integers(0, -1))
	} else {
		matrix = f.reshaped(matrix, f.op("Mul", f.values, size), f.integers(-1))
	}
	y := f.op("MatMul", f.withLast(x, x, -1), f.cast(matrix, f.floatType(x)))
	return f.withLast(y, x, -1, f.given)
}

// withLast reshapes y to the sizes of x, with others for the last two.
func (f *fourier) withLast(y, x string, last ...int64) string {
	if f.rank >= 2 {
		return f.op("Reshape", y, f.integers(append(make([]int64, f.rank-2), last...)...)) // A 0 keeps a size.
	}
	before := f.op("Slice", f.op("Shape", x), f.integers(0), f.integers(-2), f.integers(0))
	return f.reshaped(y, before, f.integers(last...))
}

// limited refuses x if its matrix is too large.
func (f *fourier) limited(x string) string {
	taken := f.op("Gather", f.op("Shape", x), f.integers(-1))
	elements := f.op("Mul", f.op("Mul", f.values, taken), f.op("Mul", f.count, f.integer(f.given)))
	return f.checked(x, f.op("LessOrEqual", elements, f.integer(mostInTransform)), tooLong+", which is not supported")
}

// half is the number of frequencies that are not those of the opposite sign.
func (f *fourier) half() string {
	if length, ok := f.constant(f.length); ok {
		return f.integers(length[0]/2 + 1)
	}
	return f.op("Add", f.op("Div", f.length, f.integer(2)), f.integer(1))
}

// isSize reports whether values are one that can be the length of a transform.
func isSize(values []int64) bool {
	return len(values) == 1 && values[0] >= 1 && values[0] <= mostInTransform
}

// numbers is 0, 1, ... below a count, in float64, along one of four axes. As many as the file tells
// are a constant, because the importer runs a program for each size that it computes.
func (l *lowering) numbers(count string, axis int) string {
	dims := []int64{1, 1, 1, 1}
	if known, ok := l.constant(count); ok && isSize(known) && known[0] <= 1<<12 {
		dims[axis] = known[0]
		t := &protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_DOUBLE), Dims: dims}
		for i := range known[0] {
			t.DoubleData = append(t.DoubleData, float64(i))
		}
		return l.weight(t)
	}
	dims[axis] = -1
	return l.op("Reshape", l.cast(l.rangeTo(count), protos.TensorProto_DOUBLE), l.integers(dims...))
}

// exchanged is x with two of its axes exchanged.
func (l *lowering) exchanged(x string, rank int, a, b int64) string {
	perm := make([]int64, rank)
	for i := range perm {
		perm[i] = int64(i)
	}
	perm[a], perm[b] = b, a
	return l.permuted(x, perm...)
}

// dft transforms along the axis before the last: another one is exchanged with it before and after.
func dft(l *lowering, n *protos.NodeProto) (bool, error) {
	axis, rank, err := dftAxis(l, n)
	if err != nil {
		return false, err
	}
	x, given := n.Input[0], input(n, 1)
	exchange := func(x string) string {
		if axis == -2 || axis == int64(rank)-2 {
			return x
		}
		return l.exchanged(x, rank, axis, int64(rank)-2)
	}
	x = exchange(x)
	f := &fourier{lowering: l, rank: rank, given: 2, inverse: intOr(n, "inverse", 0) != 0}
	onesided := intOr(n, "onesided", 0) != 0
	f.values = l.op("Gather", l.op("Shape", x), l.integers(-2))
	f.length = f.values
	if given != "" {
		f.length = l.op("Reshape", l.cast(given, protos.TensorProto_INT64), l.integers(1))
		if length, known := l.constant(given); known && !isSize(length) {
			return refused(n, "its dft_length is %v", length)
		} else if known {
			f.length = l.integers(length...)
		}
	} else if onesided && f.inverse {
		f.length = l.op("Mul", l.op("Sub", f.values, l.integer(1)), l.integer(2))
	}
	x = f.prepare(x, onesided, given != "")
	return l.finish(n, exchange(f.of(f.limited(x))))
}

// dftAxis is the axis of a DFT, from the first one, and the rank of its input; or -2 and 0 for the
// axis before the last of an input of unknown rank.
func dftAxis(l *lowering, n *protos.NodeProto) (axis int64, rank int, err error) {
	axis = intOr(n, "axis", 1)
	switch in := input(n, 2); {
	case l.opset < 20 && in != "":
		_, err = refused(n, "it has the input axis, which opset 20 began")
	case l.opset >= 20 && attribute(n, "axis") != nil:
		_, err = refused(n, "it has the attribute axis, which opset 20 ended")
	case in != "":
		given, ok := l.constant(in)
		if !ok || len(given) != 1 {
			_, err = refused(n, "its axis is not constant")
			break
		}
		axis = given[0]
	case l.opset >= 20:
		axis = -2
	}
	if err != nil {
		return axis, 0, err
	}
	rank, ok := l.rank(n.Input[0])
	given := axis
	if axis < 0 && ok {
		axis += int64(rank)
	}
	switch {
	case !ok && axis == -2:
		rank = 0
	case !ok:
		_, err = refused(n, "its axis is %d, for an input of a rank that the file does not tell", given)
	case axis < 0 || axis > int64(rank)-2:
		_, err = refused(n, "its axis is %d for the rank %d, where the last axis has the real and imaginary parts",
			given, rank)
	}
	return axis, rank, err
}

// prepare sets what a DFT gives, and checks what it takes. It cuts x to the length of the
// transform, if that is given: the matrix has no rows for zeros after the values of x.
func (f *fourier) prepare(x string, onesided, cut bool) string {
	f.count = f.length
	switch {
	case onesided && f.inverse:
		f.taken, f.given = 2, 1
		x = f.checkedParts(x, "Equal", 2,
			"the attributes onesided and inverse are 1 and its input is not complex, [..., 2]")
		fits := f.op("And", f.op("Equal", f.values, f.half()), f.op("Greater", f.length, f.integer(0)))
		x = f.checked(x, fits, "its input has not dft_length / 2 + 1 values, where ONNX's definition and its runtimes "+
			"differ, which is not supported: pad or cut it before")
		f.scale = f.op("Div", f.twins(), f.cast(f.length, protos.TensorProto_DOUBLE))
		return x
	case onesided:
		f.taken, f.count = 1, f.half()
		x = f.checkedParts(x, "Equal", 1, "the attribute onesided is 1 and its input is not real, [..., 1]")
	default:
		x = f.checkedParts(x, "LessOrEqual", 2, "its input has neither 1 nor 2 values along the last axis")
	}
	if f.inverse {
		f.scale = f.op("Div", f.double(1), f.cast(f.length, protos.TensorProto_DOUBLE))
	}
	if cut {
		x = f.op("Slice", x, f.integers(0), f.length, f.integers(-2))
		f.values = f.op("Min", f.values, f.length)
	}
	return x
}

// twins counts how often each frequency of the half of a real signal's transform is in the whole:
// the first and, of an even length, the last have no other of the opposite sign.
func (f *fourier) twins() string {
	at := f.numbers(f.values, 0)
	is := func(a, b string) string { return f.cast(f.op("Equal", a, b), protos.TensorProto_DOUBLE) }
	length := f.cast(f.length, protos.TensorProto_DOUBLE)
	single := f.op("Add", is(at, f.double(0)), is(f.op("Mul", at, f.double(2)), length))
	return f.op("Sub", f.double(2), single)
}

// checkedParts refuses a number of real and imaginary parts that does not compare to a limit.
func (l *lowering) checkedParts(x, comparison string, limit int64, reason string) string {
	parts := l.op("Gather", l.op("Shape", x), l.integers(-1))
	return l.checked(x, l.op(comparison, parts, l.integer(limit)), reason+", which is not supported")
}

// stft transforms frames of a signal, each times the window.
func stft(l *lowering, n *protos.NodeProto) (bool, error) {
	x := n.Input[0]
	switch rank, ok := l.rank(x); {
	case rank == 2: // Real values, as PyTorch's exporter writes them.
		x = l.op("Unsqueeze", x, l.integers(-1))
	case ok && rank != 3:
		return refused(n, "its signal is of rank %d", rank)
	}
	onesided := intOr(n, "onesided", 1) != 0
	if onesided {
		x = l.checkedParts(x, "Equal", 1, "the attribute onesided is 1 and its signal is not real, [..., 1]")
	} else {
		x = l.checkedParts(x, "LessOrEqual", 2, "its signal has neither 1 nor 2 values along the last axis")
	}
	step, ok := l.constant(n.Input[1])
	if !ok || !isSize(step) {
		return refused(n, "its frame_step is not constant, or not 1 or more")
	}
	size, refusal := l.frameSize(n)
	if refusal != "" {
		return refused(n, "%s", refusal)
	}
	f := &fourier{lowering: l, rank: 4, given: 2, values: l.integers(size)}
	if onesided {
		f.taken = 1
	}
	switch {
	case size == 0: // One frame, of the whole signal.
		x = l.op("Unsqueeze", x, l.integers(1))
		f.values = l.op("Gather", l.op("Shape", x), l.integers(2))
	case onesided && size*size > mostInTransform, !onesided && 4*size*size > mostInTransform:
		return refused(n, tooLong)
	case (size-1)/step[0] >= mostSlices:
		return refused(n, "its frame_step %d is below 1/%d of its frames of %d values", step[0], mostSlices, size)
	default:
		x = l.frames(x, size, step[0])
	}
	f.length, f.count = f.values, f.values
	if onesided {
		f.count = f.half()
	}
	if size == 0 {
		x = f.limited(x)
	}
	if window := input(n, 2); window != "" {
		f.scale = l.op("Reshape", l.cast(window, protos.TensorProto_DOUBLE), l.integers(size, 1, 1, 1))
	}
	return l.finish(n, f.of(x))
}

// frameSize is that of an STFT's frames, or 0 if they are as long as the signal. The string says
// what is not supported.
func (l *lowering) frameSize(n *protos.NodeProto) (size int64, refusal string) {
	window, given := input(n, 2), input(n, 3)
	if given != "" {
		values, ok := l.constant(given)
		if !ok || !isSize(values) {
			return 0, "its frame_length is not constant, or not 1 or more"
		}
		size = values[0]
	}
	if window == "" {
		return size, ""
	}
	length, ok := l.length(window, 16)
	switch {
	case !ok && size == 0, ok && length == 0:
		return 0, "its window is of a length that the file does not tell, or empty"
	case ok && size > 0 && int64(length) != size:
		return 0, fmt.Sprintf("its window has %d values for frames of %d", length, size)
	case size == 0:
		size = int64(length)
	}
	return size, ""
}

// frames returns the frames [examples, frames, size, parts] of a signal [examples, values, parts],
// one every step values: the signal is cut into pieces of a step, and frames are made of adjacent
// pieces, so that gradients are sums of a few slices and not a scatter, as those of a Gather are.
func (l *lowering) frames(x string, size, step int64) string {
	values := l.op("Gather", l.op("Shape", x), l.integers(1))
	x = l.checked(x, l.op("GreaterOrEqual", values, l.integer(size)), "its signal is shorter than a frame")
	pieces := (size + step - 1) / step // in a frame
	all := l.op("Add", l.op("Div", l.op("Sub", values, l.integer(size)), l.integer(step)), l.integer(pieces))
	if more := pieces*step - size; more > 0 {
		x = l.op("Pad", x, l.integers(0, 0, 0, 0, more, 0), l.scalar(x, 0))
	}
	x = l.op("Slice", x, l.integers(0), l.op("Mul", all, l.integer(step)), l.integers(1))
	x = l.reshaped(x, l.integers(0), all, l.integers(step, -1))
	var parts []string
	for i := range pieces {
		end := i - pieces + 1
		if end == 0 {
			end = math.MaxInt32
		}
		parts = append(parts, l.op("Slice", x, l.integers(i, 0), l.integers(end, min(step, size-i*step)), l.integers(1, 2)))
	}
	return l.opWith("Concat", axisAttribute(2), parts...)
}
