package onnxmodel

import (
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Operators that move values, and operators on one-hot codes.
var _ = register(map[string]rewrite{
	"DepthToSpace": func(l *lowering, n *protos.NodeProto) (bool, error) {
		mode, b := stringOr(n, "mode", "DCR"), intOr(n, "blocksize", 0)
		if b < 1 || b > 1<<16 || mode != "DCR" && mode != "CRD" {
			return refused(n, "the attribute mode is %q or blocksize %d", mode, b)
		}
		dim := l.dimsOf(n.Input[0], 4)
		depth := l.op("Div", dim[1], l.integer(b*b))
		block := l.integers(b)
		parts, perm := []string{dim[0], block, block, depth, dim[2], dim[3]}, []int64{0, 3, 4, 1, 5, 2}
		if mode == "CRD" {
			parts, perm = []string{dim[0], depth, block, block, dim[2], dim[3]}, []int64{0, 1, 4, 2, 5, 3}
		}
		y := l.permuted(l.reshaped(n.Input[0], parts...), perm...)
		return l.finish(n, l.reshaped(y, dim[0], depth, l.op("Mul", dim[2], l.integer(b)), l.op("Mul", dim[3], l.integer(b))))
	},
	"SpaceToDepth": func(l *lowering, n *protos.NodeProto) (bool, error) {
		mode, b := stringOr(n, "mode", "DCR"), intOr(n, "blocksize", 0)
		if b < 1 || b > 1<<16 || mode != "DCR" && mode != "CRD" {
			return refused(n, "the attribute mode is %q or blocksize %d", mode, b)
		}
		dim := l.dimsOf(n.Input[0], 4)
		h, w := l.op("Div", dim[2], l.integer(b)), l.op("Div", dim[3], l.integer(b))
		perm := []int64{0, 3, 5, 1, 2, 4}
		if mode == "CRD" {
			perm = []int64{0, 1, 3, 5, 2, 4}
		}
		y := l.permuted(l.reshaped(n.Input[0], dim[0], dim[1], h, l.integers(b), w, l.integers(b)), perm...)
		return l.finish(n, l.reshaped(y, dim[0], l.op("Mul", dim[1], l.integer(b*b)), h, w))
	},
	"OneHot": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if len(n.Input) < 3 {
			return lacking(n, 3)
		}
		depth := l.opWith("ReduceSum", []*protos.AttributeProto{intAttribute("keepdims", 0)},
			l.cast(n.Input[1], protos.TensorProto_INT64))
		at := l.cast(n.Input[0], protos.TensorProto_INT64)
		at = l.op("Where", l.op("Less", at, l.integer(0)), l.op("Add", at, depth), at)
		axis := intOr(n, "axis", -1)
		at = l.op("Unsqueeze", at, l.integers(axis))
		hot := l.op("Equal", at, l.along(l.op("Range", l.integer(0), depth, l.integer(1)), at, axis))
		return l.finish(n, l.op("Where", hot, l.op("Gather", n.Input[2], l.integer(1)),
			l.op("Gather", n.Input[2], l.integer(0))))
	},
	"Hardmax": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if l.opset >= 13 || intOr(n, "axis", 1) == -1 {
			return l.finish(n, l.hardmax(n.Input[0], intOr(n, "axis", -1)))
		}
		return l.flattened(n, func(x string) string { return l.hardmax(x, 1) })
	},
	"CastLike": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if len(n.Input) < 2 {
			return lacking(n, 2)
		}
		dtype, ok := l.dtypes[n.Input[1]]
		if !ok {
			return refused(n, "its second input is of a type that the file does not tell")
		}
		return l.finish(n, l.cast(n.Input[0], protos.TensorProto_DataType(dtype)))
	},
	"ScatterElements": scatterElements,
	"Scatter":         scatterElements,
	"Einsum":          einsum,
})

// dimsOf returns the sizes of the axes of x, each of shape [1].
func (l *lowering) dimsOf(x string, rank int) []string {
	shape := l.op("Shape", x)
	var dims []string
	for i := range rank {
		dims = append(dims, l.op("Gather", shape, l.integers(int64(i))))
	}
	return dims
}

func (l *lowering) reshaped(x string, dims ...string) string {
	return l.op("Reshape", x, l.opWith("Concat", axisAttribute(0), dims...))
}

func (l *lowering) permuted(x string, perm ...int64) string {
	return l.opWith("Transpose", []*protos.AttributeProto{intsAttribute("perm", perm...)}, x)
}

// along reshapes v of rank 1 so that it lies along an axis of x.
func (l *lowering) along(v, x string, axis int64) string {
	if axis < 0 {
		return l.op("Reshape", v, l.integers(append([]int64{-1}, slices.Repeat([]int64{1}, int(-axis-1))...)...))
	}
	ones := l.op("Add", l.op("Mul", l.axesFrom(x, axis+1), l.integer(0)), l.integer(1))
	return l.reshaped(v, l.integers(-1), ones)
}

// hardmax is 1 at the first of the largest values along an axis, and 0 elsewhere.
func (l *lowering) hardmax(x string, axis int64) string {
	best := l.opWith("ArgMax", append(axisAttribute(axis), intAttribute("keepdims", 1)), x)
	size := l.op("Gather", l.op("Shape", x), l.integer(axis))
	hot := l.op("Equal", best, l.along(l.op("Range", l.integer(0), size, l.integer(1)), x, axis))
	return l.op("Where", hot, l.scalar(x, 1), l.scalar(x, 0))
}

// scatterElements writes the full index of each element, for ScatterND.
func scatterElements(l *lowering, n *protos.NodeProto) (bool, error) {
	data, indices, updates := n.Input[0], n.Input[1], n.Input[2]
	rank, ok := l.firstRank(indices, data, updates, n.Output[0])
	reduction := stringOr(n, "reduction", "none")
	switch {
	case !ok:
		return refused(n, "its inputs are of a rank that the file does not tell")
	case reduction == "mul":
		return refused(n, "the attribute reduction is %q", reduction)
	}
	axis, err := axisWithin(n, 0, rank)
	if err != nil {
		return false, err
	}
	return l.finish(n, l.scattered(reduction, data, l.places(data, indices, axis, rank), updates))
}

// einsum multiplies any number of operands two at a time, because the importer's Einsum takes two.
func einsum(l *lowering, n *protos.NodeProto) (bool, error) {
	terms, result, refusal := l.einsumTerms(n)
	if refusal != "" {
		return refused(n, "the attribute equation %q has %s", stringOr(n, "equation", ""), refusal)
	}
	operands := slices.Clone(n.Input)
	for i := range terms {
		operands[i] = l.withoutRepeated(operands[i], i, terms)
		operands[i], terms[i] = l.diagonals(operands[i], terms[i])
	}
	value, term := operands[0], terms[0]
	for i := 1; i < len(terms); i++ {
		// Letters that occur neither in the result nor in a later term are summed over.
		kept := ""
		for _, r := range term + terms[i] {
			if !strings.ContainsRune(kept, r) && strings.ContainsRune(result+strings.Join(terms[i+1:], ""), r) {
				kept += string(r)
			}
		}
		value, term = l.product(value, term, operands[i], terms[i], kept), kept
	}
	return l.finish(n, l.sumAndOrder(value, term, result))
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// einsumTerms returns a letter for each axis of each operand and of the result, in place of
// ellipses too, or says what it cannot read.
func (l *lowering) einsumTerms(n *protos.NodeProto) (terms []string, result, refusal string) {
	equation := strings.ReplaceAll(stringOr(n, "equation", ""), " ", "")
	left, result, explicit := strings.Cut(equation, "->")
	terms = strings.Split(left, ",")
	if len(terms) != len(n.Input) {
		return nil, "", "another number of terms than it has inputs"
	}
	spare := strings.Map(func(r rune) rune {
		if strings.ContainsRune(equation, r) {
			return -1
		}
		return r
	}, letters)
	longest := ""
	for i, term := range terms {
		if named := strings.Replace(term, "...", "", 1); named != term {
			rank, ok := l.rank(n.Input[i])
			if !ok || rank < len(named) || rank-len(named) > len(spare) {
				return nil, "", "an ellipsis, for an input of unknown rank"
			}
			// Broadcast axes count from the last.
			dots := spare[len(spare)-(rank-len(named)):]
			if len(dots) > len(longest) {
				longest = dots
			}
			terms[i] = strings.Replace(term, "...", dots, 1)
		}
		if strings.Trim(terms[i], letters) != "" {
			return nil, "", "a sign that is no letter"
		}
	}
	result = strings.Replace(result, "...", longest, 1)
	if !explicit {
		result = implicitResult(terms, longest)
	}
	for _, r := range result {
		if strings.Count(result, string(r)) > 1 || !strings.ContainsRune(left+longest, r) {
			return nil, "", "a result that its terms do not give"
		}
	}
	return terms, result, ""
}

// implicitResult has the letters that occur once, in order of the alphabet, after broadcast axes.
func implicitResult(terms []string, broadcast string) string {
	all, result := []rune(strings.Join(terms, "")), broadcast
	slices.Sort(all)
	for _, r := range all {
		if strings.Count(string(all), string(r)) == 1 && !strings.ContainsRune(broadcast, r) {
			result += string(r)
		}
	}
	return result
}

// withoutRepeated drops the axes of size 1 of a constant operand whose letters another term has
// too, because they are repeated along that term's axes. It shortens the operand's term.
func (l *lowering) withoutRepeated(x string, operand int, terms []string) string {
	term, left := terms[operand], ""
	dims := l.dims(x)
	if len(dims) != len(term) {
		return x
	}
	var axes []int64
	for axis, size := range dims {
		others := slices.Concat(terms[:operand:operand], terms[operand+1:])
		letter := term[axis : axis+1]
		if size == 1 && slices.ContainsFunc(others, func(t string) bool { return strings.Contains(t, letter) }) {
			axes = append(axes, int64(axis))
		} else {
			left += letter
		}
	}
	if len(axes) == 0 {
		return x
	}
	terms[operand] = left
	return l.op("Squeeze", x, l.integers(axes...))
}

// diagonals leaves one axis for each letter of a term. Of axes with the same letter it takes the
// diagonal.
func (l *lowering) diagonals(x, term string) (value, distinct string) {
	for i := 0; i < len(term); i++ {
		first := strings.IndexByte(term, term[i])
		if first == i {
			continue
		}
		numbers := func(axis int) string {
			count := l.rangeTo(l.op("Gather", l.op("Shape", x), l.integers(int64(axis))))
			return l.along(count, x, int64(axis-len(term)))
		}
		same := l.op("Where", l.op("Equal", numbers(first), numbers(i)), x, l.scalar(x, 0))
		x = l.opWith("ReduceSum", []*protos.AttributeProto{intsAttribute("axes", int64(i)), intAttribute("keepdims", 0)},
			same)
		term = term[:i] + term[i+1:]
		i--
	}
	return x, term
}

// product is the sum over all letters that are not kept. Letters of one operand alone that are not
// kept are summed over first, which the importer's Einsum does not do.
func (l *lowering) product(a, termA, b, termB, kept string) string {
	only := func(term, other string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(other+kept, r) {
				return r
			}
			return -1
		}, term)
	}
	shortA, shortB := only(termA, termB), only(termB, termA)
	a, b = l.sumAndOrder(a, termA, shortA), l.sumAndOrder(b, termB, shortB)
	equation := &protos.AttributeProto{Name: "equation", Type: protos.AttributeProto_STRING,
		S: []byte(shortA + "," + shortB + "->" + kept)}
	return l.opWith("Einsum", []*protos.AttributeProto{equation}, a, b)
}

// sumAndOrder sums over the letters of a term that are not in the result, and transposes the others
// into the order of the result.
func (l *lowering) sumAndOrder(x, term, result string) string {
	var axes []int64
	left := ""
	for i, r := range term {
		if strings.ContainsRune(result, r) {
			left += string(r)
		} else {
			axes = append(axes, int64(i))
		}
	}
	if len(axes) > 0 {
		x = l.opWith("ReduceSum", []*protos.AttributeProto{intsAttribute("axes", axes...), intAttribute("keepdims", 0)}, x)
	}
	if left == result {
		return x
	}
	var perm []int64
	for _, r := range result {
		perm = append(perm, int64(strings.IndexRune(left, r)))
	}
	return l.permuted(x, perm...)
}

// around implements a Pad of another mode than constant along one axis, by a gather. before and
// after are the numbers of added values.
func (l *lowering) around(x, mode string, axis, before, after int64) string {
	size := l.op("Gather", l.op("Shape", x), l.integer(axis))
	at := l.op("Range", l.integer(-before), l.op("Add", size, l.integer(after)), l.integer(1))
	last := l.op("Sub", size, l.integer(1))
	switch mode {
	case "edge":
		at = l.op("Max", l.op("Min", at, last), l.integer(0))
	case "wrap":
		at = l.op("Mod", at, size)
	case "reflect":
		// Forth and back, without repeating the ends.
		period := l.op("Max", l.op("Mul", last, l.integer(2)), l.integer(1))
		at = l.op("Mod", at, period)
		at = l.op("Min", at, l.op("Abs", l.op("Sub", period, at)))
		at = l.op("Min", at, last)
	}
	return l.opWith("Gather", axisAttribute(axis), x, at)
}
