package vjp

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// passing are the elementwise nodes whose derivative is 1 (or -1).
var passing = map[NodeType]bool{
	NodeTypeAdd: true, NodeTypeSub: true, NodeTypeNeg: true, NodeTypeIdentity: true,
	NodeTypeConvertDType: true, NodeTypeOptimizationBarrier: true,
}

// elementwise are the nodes whose Jacobian is diagonal after broadcasting the operands to the shape
// of the result.
var elementwise = map[NodeType]bool{
	NodeTypeAbs: true, NodeTypeExp: true, NodeTypeExpm1: true, NodeTypeLog: true, NodeTypeLog1p: true,
	NodeTypeSin: true, NodeTypeCos: true, NodeTypeTanh: true, NodeTypeLogistic: true, NodeTypeErf: true,
	NodeTypeSqrt: true, NodeTypeRsqrt: true, NodeTypeMul: true, NodeTypeDiv: true, NodeTypePow: true,
	NodeTypeMax: true, NodeTypeMin: true, NodeTypeWhere: true,
}

// isElementwise reports whether n's Jacobian is diagonal. It is for a fused activation, except a
// gated one, which computes each value from two.
func isElementwise(n *Node) bool {
	if n.Type() == NodeTypeFusedActivation {
		return sameDims(n.Inputs()[0], n)
	}
	return elementwise[n.Type()]
}

// pullNode returns the adjoints of n's inputs, nil where not needed. v, the adjoint of n, has shape
// [C, n's dims...], where axes may have size 1. If there is no rule for C cotangents at once, it
// pulls them one by one.
func (s *Pullback) pullNode(n, v *Node) []*Node {
	if n.CustomGradient() != nil {
		return s.pullOneByOne(n, spread(v, n))
	}
	switch n.Type() {
	case NodeTypeDotGeneral:
		return s.pullDot(n, v)
	case NodeTypeFusedDense:
		if pulled := s.pullFusedDense(n, v); pulled != nil {
			return pulled
		}
	case NodeTypeReshape:
		return []*Node{s.keepColumns(pullReshape(n, v), v)}
	case NodeTypeTranspose:
		return []*Node{pullTranspose(n, v)}
	case NodeTypeBroadcastInDim:
		return []*Node{pullBroadcast(n, v)}
	case NodeTypeReduceSum:
		return []*Node{unreduce(n, v)}
	case NodeTypeReduceMax, NodeTypeReduceMin:
		return []*Node{Mul(unreduce(n, v), InsertAxes(s.diagonal(n)[0], 0))}
	case NodeTypeConcatenate:
		return pullConcatenate(n, v)
	case NodeTypeReverse:
		axes, _ := gomlxcompat.ReverseOf(n)
		return []*Node{Reverse(spread(v, n), shifted(axes)...)}
	case NodeTypeSlice:
		return []*Node{pullSlice(n, spread(v, n))}
	case NodeTypePad:
		if pulled := pullPad(n, spread(v, n)); pulled != nil {
			return []*Node{pulled, nil}
		}
	case NodeTypeGather:
		return []*Node{pullGather(n, spread(v, n)), nil}
	case NodeTypeConvGeneral, NodeTypeReduceWindow:
		n, v = s.gainIntoKernel(n, v)
		if pulled := s.pullTiled(n, v); pulled != nil {
			return pulled
		}
	case NodeTypeBatchNormForInference:
		if !slices.ContainsFunc(n.Inputs()[1:], s.isOnPath) {
			return s.pullBatchNorm(n, v, n.Inputs()[4])
		}
	}
	if passing[n.Type()] || isElementwise(n) {
		return s.pullElementwise(n, v)
	}
	return s.pullOneByOne(n, spread(v, n))
}

// pullElementwise multiplies by the local derivative, computed once for all cotangents, and sums
// over the axes along which an operand was broadcast.
func (s *Pullback) pullElementwise(n, v *Node) []*Node {
	pulled := make([]*Node, len(n.Inputs()))
	for i, in := range n.Inputs() {
		if !s.onPath[in] {
			continue
		}
		p := v
		gain, axis := s.channelGain(n, i)
		switch {
		case gain != nil:
			p = s.timesGain(v, gain, axis)
		case !passing[n.Type()]:
			d := s.diagonal(n)[i]
			p = s.timesDiagonal(v, d)
			s.keepFactors(p, v, d)
		case n.Type() == NodeTypeNeg, n.Type() == NodeTypeSub && i == 1:
			p = Neg(v)
		case n.Type() == NodeTypeConvertDType:
			p = ConvertDType(v, in.DType())
		}
		pulled[i] = unbroadcast(p, n, in)
	}
	return pulled
}

// diagonal returns the derivatives of n with respect to its operands, each of the shape of n (for a
// reduction: of its operand). They are the result of GoMLX's own rule for an adjoint of ones.
func (s *Pullback) diagonal(n *Node) []*Node {
	if d, ok := s.diagonals[n]; ok {
		return d
	}
	wide := n
	isBroadcast := func(in *Node) bool { return s.onPath[in] && !sameDims(in, n) }
	if isElementwise(n) && slices.ContainsFunc(n.Inputs(), isBroadcast) {
		operands := slices.Clone(n.Inputs())
		for i, in := range operands {
			if isBroadcast(in) {
				operands[i] = BroadcastToDims(in, n.Shape().Dimensions...)
			}
		}
		wide = n.CloneWithInputs(operands...)
	}
	d := gradientOf(n)(wide, []*Node{OnesLike(n)}, shapes.Make(n.DType()))
	s.diagonals[n] = d
	return d
}

func sameDims(a, b *Node) bool {
	return slices.Equal(a.Shape().Dimensions, b.Shape().Dimensions)
}

// unbroadcast sums v, an adjoint of shape [C, n's dims...], over the axes along which the operand
// in of the elementwise n was broadcast.
func unbroadcast(v, n, in *Node) *Node {
	if sameDims(in, n) {
		return v
	}
	v = spread(v, n)
	if in.IsScalar() {
		return ReduceSum(v, axesFrom(1, v.Rank())...)
	}
	var axes []int
	for axis, dim := range in.Shape().Dimensions {
		if dim == 1 && n.Shape().Dimensions[axis] > 1 {
			axes = append(axes, axis+1)
		}
	}
	return ReduceAndKeep(v, ReduceSum, axes...)
}

func axesFrom(first, limit int) []int {
	var axes []int
	for axis := first; axis < limit; axis++ {
		axes = append(axes, axis)
	}
	return axes
}

// shifted converts axes of a node to axes of its adjoint.
func shifted(axes []int) []int {
	moved := make([]int, len(axes))
	for i, axis := range axes {
		moved[i] = axis + 1
	}
	return moved
}

func pullReshape(n, v *Node) *Node {
	in := n.Inputs()[0]
	c, from, to := v.Shape().Dimensions[0], n.Shape().Dimensions, in.Shape().Dimensions
	if len(from) > 0 && len(to) > 0 && from[0] == to[0] && v.Shape().Dimensions[1] == 1 &&
		slices.Equal(v.Shape().Dimensions[2:], from[1:]) {
		return Reshape(v, append([]int{c, 1}, to[1:]...)...) // An adjoint that is the same for every example stays small.
	}
	return Reshape(spread(v, n), append([]int{c}, to...)...)
}

func pullTranspose(n, v *Node) *Node {
	permutation, _ := gomlxcompat.TransposeOf(n)
	inverse := make([]int, len(permutation)+1)
	for to, from := range permutation {
		inverse[from+1] = to + 1
	}
	return TransposeAllAxes(v, inverse...)
}

func pullBroadcast(n, v *Node) *Node {
	in := n.Inputs()[0]
	to, _ := gomlxcompat.BroadcastInDimOf(n)
	kept := make([]bool, n.Rank())
	for axis, outAxis := range to {
		kept[outAxis] = in.Shape().Dimensions[axis] == n.Shape().Dimensions[outAxis]
	}
	var summed []int
	for axis, keep := range kept {
		if !keep {
			summed = append(summed, axis+1)
		}
	}
	v = spread(v, n)
	if len(summed) > 0 {
		v = ReduceSum(v, summed...)
	}
	return Reshape(v, append([]int{v.Shape().Dimensions[0]}, in.Shape().Dimensions...)...)
}

// unreduce puts the axes that n reduced back into v, with size 1.
func unreduce(n, v *Node) *Node {
	axes, _ := gomlxcompat.ReduceOf(n)
	dims := []int{v.Shape().Dimensions[0]}
	next := 1
	for axis := range n.Inputs()[0].Rank() {
		if slices.Contains(axes, axis) {
			dims = append(dims, 1)
			continue
		}
		dims = append(dims, v.Shape().Dimensions[next])
		next++
	}
	return Reshape(v, dims...)
}

func pullConcatenate(n, v *Node) []*Node {
	axis, _ := gomlxcompat.ConcatenateOf(n)
	v = spread(v, n)
	pulled := make([]*Node, len(n.Inputs()))
	start := 0
	for i, in := range n.Inputs() {
		size := in.Shape().Dimensions[axis]
		pulled[i] = SliceAxis(v, axis+1, AxisRange(start, start+size))
		start += size
	}
	return pulled
}

func pullSlice(n, v *Node) *Node {
	slice, _ := gomlxcompat.SliceOf(n)
	padding := make([]PadAxis, v.Rank())
	for axis, stride := range slice.Strides {
		size := n.Inputs()[0].Shape().Dimensions[axis]
		covered := (n.Shape().Dimensions[axis]-1)*stride + 1
		padding[axis+1] = PadAxis{
			Start: slice.Starts[axis], End: size - slice.Starts[axis] - covered, Interior: stride - 1,
		}
	}
	return Pad(v, ScalarZero(v.Graph(), v.DType()), padding...)
}

// pullPad returns nil for a padding that crops.
func pullPad(n, v *Node) *Node {
	padding, _ := gomlxcompat.PadOf(n)
	specs := []SliceAxisSpec{AxisRange()}
	for axis, p := range padding {
		if p.Start < 0 || p.End < 0 {
			return nil
		}
		size := n.Inputs()[0].Shape().Dimensions[axis]
		limit := p.Start + (size-1)*(p.Interior+1) + 1
		specs = append(specs, AxisRange(p.Start, limit).Stride(p.Interior+1))
	}
	return Slice(v, specs...)
}

// pullGather adds the cotangents to what the gather read, each row of all cotangents at once: XLA
// scatters rows one after another on a CPU.
func pullGather(n, v *Node) *Node {
	p, _ := gomlxcompat.GatherOf(n)
	in := n.Inputs()[0]
	zeros := Zeros(n.Graph(), shapes.Make(v.DType(), append([]int{v.Shape().Dimensions[0]}, dimsOf(in)...)...))
	return BackendScatterSum(zeros, n.Inputs()[1], v, p.IndexVector, append([]int{0}, shifted(p.OffsetAxes)...),
		shifted(p.CollapsedAxes), shifted(p.IndexedAxes), false, false)
}

// pullTiled pulls C cotangents through a convolution or pooling at once. It merges them into a C
// times larger batch, and applies the node's own rule to a copy of the node on the batch repeated C
// times. XLA does not compute the copy if the rule needs only the kernel. pullTiled returns nil if
// the node does not treat every index along axis 0 separately.
func (s *Pullback) pullTiled(n, v *Node) []*Node {
	in := n.Inputs()[0]
	c := v.Shape().Dimensions[0]
	if c == 1 || slices.ContainsFunc(n.Inputs()[1:], s.isOnPath) {
		return nil
	}
	if conv, ok := gomlxcompat.ConvOf(n); ok &&
		(conv.BatchGroupCount > 1 || conv.Axes.InputBatch != 0 || conv.Axes.OutputBatch != 0) {
		return nil
	}
	if window, ok := gomlxcompat.ReduceWindowOf(n); ok && !treatsAlone(window, 0) {
		return nil
	}
	operands := slices.Clone(n.Inputs())
	operands[0] = mergeFront(BroadcastToDims(InsertAxes(in, 0), append([]int{c}, in.Shape().Dimensions...)...))
	tiled := n.CloneWithInputs(operands...)
	dx := gradientOf(n)(tiled, []*Node{mergeFront(spread(v, n))}, shapes.Make(n.DType()))[0]
	return []*Node{Reshape(dx, append([]int{c}, in.Shape().Dimensions...)...)}
}

// mergeFront merges the first two axes.
func mergeFront(x *Node) *Node {
	dims := x.Shape().Dimensions
	return Reshape(x, append([]int{dims[0] * dims[1]}, dims[2:]...)...)
}

// pullOneByOne applies the node's own rule to each cotangent. It works for every node, but the
// graph grows with the number of cotangents.
func (s *Pullback) pullOneByOne(n, v *Node) []*Node {
	return s.pullEach(n, []*Node{v})
}

// pullEach is pullOneByOne for a node with several outputs: vs has the adjoint of each, nil if it
// has none.
func (s *Pullback) pullEach(n *Node, vs []*Node) []*Node {
	rule := gradientOf(n)
	var c int
	var scalar shapes.Shape
	wide, missing := make([]*Node, len(vs)), make([]*Node, len(vs))
	for i, output := range outputsOf(n) {
		switch v := vs[i]; {
		case v != nil:
			c, scalar = v.Shape().Dimensions[0], shapes.Make(v.DType())
			wide[i] = spread(v, output)
		case output != nil: // GoMLX's rules expect an adjoint for every output.
			missing[i] = ZerosLike(output)
		}
	}
	pulled := make([][]*Node, len(n.Inputs()))
	for k := range c {
		one := slices.Clone(missing)
		for i, v := range wide {
			if v != nil {
				one[i] = Squeeze(SliceAxis(v, 0, AxisElem(k)), 0)
			}
		}
		for i, p := range rule(n, one, scalar) {
			if p != nil && s.onPath[n.Inputs()[i]] {
				pulled[i] = append(pulled[i], p)
			}
		}
	}
	stacked := make([]*Node, len(pulled))
	for i, parts := range pulled {
		if len(parts) > 0 {
			stacked[i] = Stack(parts, 0)
		}
	}
	return stacked
}

// outputsOf returns n, or the nodes that GoMLX adds for its outputs if it has several.
func outputsOf(n *Node) []*Node {
	if n.NumOutputs() == 1 {
		return []*Node{n}
	}
	outputs := make([]*Node, n.NumOutputs())
	for _, output := range n.Graph().Nodes()[n.Id()+1:] {
		if index, ok := gomlxcompat.SplitOf(output); ok && output.Inputs()[0] == n && outputs[index] == nil {
			outputs[index] = output
		}
	}
	return outputs
}
