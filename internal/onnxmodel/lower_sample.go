package onnxmodel

import (
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
)

var _ = register(map[string]rewrite{"GridSample": gridSample, "AffineGrid": affineGrid})

// sampling describes a GridSample: the values of x at positions between its elements. The last axis
// of the grid, [examples, positions..., coordinates], has a position's coordinate on the last axis
// of x first.
type sampling struct {
	*lowering
	x, grid       string
	mode, padding string
	alignCorners  bool
	spatial       int    // how many axes x has after the channels
	shape         string // of x
}

// gridSample reads the elements around each position, as many along every axis, and sums them with
// the products of their weights along the axes. Derivatives pass through the elements and the
// weights; where the elements are does not change almost everywhere.
func gridSample(l *lowering, n *protos.NodeProto) (bool, error) {
	s := sampling{lowering: l, x: n.Input[0], grid: n.Input[1],
		mode:    strings.TrimPrefix(stringOr(n, "mode", "linear"), "bi"), // Opset 20 dropped the prefix.
		padding: stringOr(n, "padding_mode", "zeros"), alignCorners: intOr(n, "align_corners", 0) != 0}
	if !slices.Contains([]string{"linear", "nearest", "cubic"}, s.mode) {
		return refused(n, "the attribute mode is %q", stringOr(n, "mode", ""))
	}
	if !slices.Contains([]string{"zeros", "border", "reflection"}, s.padding) {
		return refused(n, "the attribute padding_mode is %q", s.padding)
	}
	if dtype := l.dtypes[s.x]; dtype != 0 && !isFloat(dtype) {
		return refused(n, "its first input is of type %s", protos.TensorProto_DataType(dtype))
	}
	rank, ok := l.firstRank(s.x, s.grid, n.Output[0])
	if !ok || rank < 3 {
		return refused(n, "its inputs are of a rank that the file does not tell, or below 3")
	}
	s.spatial, s.shape = rank-2, l.op("Shape", s.x)
	s.checkGrid()
	return l.finish(n, s.sampled())
}

// checkGrid refuses a grid of another number of examples: backends do not notice places beyond
// them.
func (s *sampling) checkGrid() {
	have := s.op("Gather", s.op("Shape", s.grid), s.integers(0, int64(s.spatial+1)))
	want := s.opWith("Concat", axisAttribute(0), s.op("Gather", s.shape, s.integers(0)), s.integers(int64(s.spatial)))
	s.grid = s.checked(s.grid, s.equalLists(have, want),
		"its grid has another number of examples than its values, or not one coordinate for each axis")
}

// equalLists compares lists of integers of the same length.
func (l *lowering) equalLists(a, b string) string {
	most := l.opWith("ReduceMax", []*protos.AttributeProto{intAttribute("keepdims", 0)}, l.op("Abs", l.op("Sub", a, b)))
	return l.op("Equal", most, l.integer(0))
}

func (s *sampling) sampled() string {
	places, weights := s.elementsAlong(0)
	for axis := 1; axis < s.spatial; axis++ {
		p, w := s.elementsAlong(axis)
		places = s.pairs("Add", s.op("Mul", places, s.size(axis)), p)
		if weights != "" {
			weights = s.pairs("Mul", weights, w)
		}
	}
	// [examples, elements, channels], then [examples, positions..., elements at each, channels].
	values := s.permuted(s.op("Reshape", s.x, s.integers(0, 0, -1)), 0, 2, 1)
	values = s.op("GatherND", values, s.withExamples(places))
	elements := int64(s.spatial + 1)
	if weights != "" {
		weights = s.cast(weights, s.floatType(s.x))
		values = s.op("Mul", values, s.op("Unsqueeze", weights, s.integers(-1)))
	}
	sum := []*protos.AttributeProto{intsAttribute("axes", elements), intAttribute("keepdims", 0)}
	perm := []int64{0, elements}
	for position := int64(1); position < elements; position++ {
		perm = append(perm, position)
	}
	return s.permuted(s.opWith("ReduceSum", sum, values), perm...)
}

// size is the number of elements along a spatial axis, of type int64.
func (s *sampling) size(axis int) string { return s.op("Gather", s.shape, s.integer(int64(axis+2))) }

// pairs applies an operator to each element along the last axis of a and each of b, and lists the
// results along one axis.
func (s *sampling) pairs(op, a, b string) string {
	table := s.op(op, s.op("Unsqueeze", a, s.integers(-1)), s.op("Unsqueeze", b, s.integers(-2)))
	return s.op("Reshape", table, s.integers(append(make([]int64, s.spatial+1), -1)...))
}

// withExamples puts the number of its example before each place.
func (s *sampling) withExamples(places string) string {
	examples := s.along(s.rangeTo(s.op("Gather", s.shape, s.integers(0))), places, -int64(s.spatial+2))
	examples = s.op("Expand", examples, s.op("Shape", places))
	return s.opWith("Concat", axisAttribute(-1), s.op("Unsqueeze", examples, s.integers(-1)),
		s.op("Unsqueeze", places, s.integers(-1)))
}

// elementsAlong returns the elements that are read along one axis, [examples, positions...,
// elements], and their weights, "" if each is 1.
func (s *sampling) elementsAlong(axis int) (places, weights string) {
	size := s.cast(s.size(axis), s.floatType(s.grid))
	zero, one := s.scalar(s.grid, 0), s.scalar(s.grid, 1)
	last := s.op("Sub", size, one)
	at := s.coordinate(axis, size, last)
	join := func(parts ...string) string { return s.opWith("Concat", axisAttribute(-1), parts...) }
	switch s.mode {
	case "nearest":
		places = s.padded(s.rounded(at), last)
	case "linear":
		at = s.padded(at, last)
		first := s.floor(at)
		beyond := s.op("Sub", at, first)
		places, weights = join(first, s.op("Add", first, one)), join(s.op("Sub", one, beyond), beyond)
	case "cubic":
		first := s.floor(at)
		beyond := s.op("Sub", at, first)
		weights = join(s.cubic(beyond)...)
		places = join(s.op("Sub", first, one), first, s.op("Add", first, one), s.op("Add", first, s.scalar(s.grid, 2)))
		places = s.padded(places, last)
	}
	if s.padding == "zeros" {
		inside := s.op("And", s.op("GreaterOrEqual", places, zero), s.op("LessOrEqual", places, last))
		if weights == "" {
			weights = one
		}
		weights = s.op("Where", inside, weights, zero)
	}
	places = s.op("Max", s.op("Min", places, last), zero)
	return s.cast(places, protos.TensorProto_INT64), weights
}

// coordinate returns a coordinate of each position, [examples, positions..., 1], in elements of x:
// the grid counts from -1 to 1, between the centers of the first and the last element, or between
// their outer ends.
func (s *sampling) coordinate(axis int, size, last string) string {
	component := int64(s.spatial - 1 - axis)
	at := s.op("Slice", s.grid, s.integers(component), s.integers(component+1), s.integers(int64(s.spatial+1)))
	at = s.op("Add", at, s.scalar(s.grid, 1))
	half := s.scalar(s.grid, 0.5)
	if s.alignCorners {
		return s.op("Mul", s.op("Mul", at, half), last)
	}
	return s.op("Mul", s.op("Sub", s.op("Mul", at, size), s.scalar(s.grid, 1)), half)
}

// padded moves coordinates outside of x to the border, or reflects them there. The derivative at
// the border itself is 0, as PyTorch has it.
func (s *sampling) padded(at, last string) string {
	if s.padding == "zeros" {
		return at
	}
	if s.padding == "reflection" {
		at = s.reflected(at, last)
	}
	zero := s.scalar(s.grid, 0)
	at = s.op("Where", s.op("Greater", at, zero), at, zero)
	return s.op("Where", s.op("Less", at, last), at, last)
}

// reflected reflects at the centers of the first and the last element, or at their outer ends, as
// often as it takes.
func (s *sampling) reflected(at, last string) string {
	least, span := s.scalar(s.grid, 0), last
	if !s.alignCorners {
		least, span = s.scalar(s.grid, -0.5), s.op("Add", last, s.scalar(s.grid, 1))
	}
	// The period is 0 for a single element.
	period := s.op("Max", s.op("Add", span, span), s.scalar(s.grid, 1))
	at = s.op("Sub", at, least)
	at = s.op("Sub", at, s.op("Mul", s.floor(s.op("Div", at, period)), period))
	return s.op("Sub", s.op("Add", least, span), s.op("Abs", s.op("Sub", at, span)))
}

// cubic returns the values of Keys' kernel (see resizing.cubic) for a = -0.75 at the distances
// 1 + t, t, 1 - t and 2 - t, with t between 0 and 1, as polynomials of t.
func (s *sampling) cubic(t string) []string {
	const a = -0.75
	var weights []string
	for _, c := range [][4]float32{ // of t³, t², t and 1
		{a, -2 * a, a, 0}, {a + 2, -(a + 3), 0, 1}, {-(a + 2), 2*a + 3, -a, 0}, {-a, a, 0, 0}} {
		w := s.scalar(s.grid, c[0])
		for _, next := range c[1:] {
			w = s.op("Add", s.op("Mul", w, t), s.scalar(s.grid, next))
		}
		weights = append(weights, w)
	}
	return weights
}

// affineGrid multiplies the coordinates of a regular grid, and a 1, by the matrix of each example.
func affineGrid(l *lowering, n *protos.NodeProto) (bool, error) {
	theta, size := n.Input[0], n.Input[1]
	count, ok := l.length(size, 64)
	if rank, known := l.rank(n.Output[0]); !ok && known {
		count, ok = rank, true
	}
	if !ok || count != 4 && count != 5 {
		return refused(n, "its size has a length that the file does not tell, or not of 4 or 5")
	}
	spatial := count - 2
	dims := l.op("Slice", size, l.integers(2), l.integers(int64(count)), l.integers(0))
	have := l.opWith("Concat", axisAttribute(0), l.op("Gather", size, l.integers(0)),
		l.integers(int64(spatial), int64(spatial+1)))
	theta = l.checked(theta, l.equalLists(have, l.op("Shape", theta)),
		"its size has another number of examples or axes than its matrices")
	alignCorners := intOr(n, "align_corners", 0) != 0
	if alignCorners {
		least := l.opWith("ReduceMin", []*protos.AttributeProto{intAttribute("keepdims", 0)}, dims)
		theta = l.checked(theta, l.op("Greater", least, l.integer(1)), "the attribute align_corners is 1, and an axis has "+
			"one position, which runtimes place differently")
	}
	rows := []string{l.cast(l.op("Expand", l.integer(1), dims), protos.TensorProto_DOUBLE)}
	for axis := range spatial {
		at := l.op("Expand", l.along(l.regular(l.op("Gather", dims, l.integer(int64(axis))), alignCorners), dims,
			int64(axis-spatial)), dims)
		rows = append([]string{at}, rows...) // The coordinate of the last axis comes first.
	}
	for i, row := range rows {
		rows[i] = l.op("Reshape", row, l.integers(1, -1))
	}
	positions := l.cast(l.opWith("Concat", axisAttribute(0), rows...), l.floatType(theta))
	y := l.permuted(l.op("MatMul", theta, positions), 0, 2, 1)
	return l.finish(n, l.reshaped(y, l.integers(0), dims, l.integers(int64(spatial))))
}

// regular returns as many numbers from -1 to 1 as count says, including the ends, or as the centers
// of equal parts.
func (l *lowering) regular(count string, withEnds bool) string {
	i := l.cast(l.op("Range", l.integer(0), count, l.integer(1)), protos.TensorProto_DOUBLE)
	steps := l.cast(count, protos.TensorProto_DOUBLE)
	i = l.op("Add", i, i)
	if withEnds {
		steps = l.op("Sub", steps, l.double(1))
	} else {
		i = l.op("Add", i, l.double(1))
	}
	return l.op("Sub", l.op("Div", i, steps), l.double(1))
}
