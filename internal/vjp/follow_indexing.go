package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// followGather keeps the batch on axes that are taken whole. Where examples are picked by their
// number, it has to know the numbers: an Iota, alone or among the indices, keeps every example in
// its place; others, and shuffles by random numbers, mix them.
func followGather(n *Node, in []*layout, batch int) flow {
	g, _ := gomlxcompat.GatherOf(n)
	operand, indices := n.Inputs()[0], n.Inputs()[1]
	l := plain(dimsOf(n))
	l.first = in[0].first
	places := []layout{l}
	offset := 0
	for axis := range operand.Rank() {
		collapsed := slices.Contains(g.CollapsedAxes, axis)
		to := 0
		if !collapsed {
			to = g.OffsetAxes[offset]
			offset++
		}
		whole := g.SliceSizes[axis] == dimsOf(operand)[axis] && !collapsed
		switch {
		case !in[0].carries(axis):
			if !collapsed {
				places = withAxis(places, to, []factor{{g.SliceSizes[axis], 0}}, 0)
			}
		case whole:
			places = withAxis(places, to, in[0].axes[axis], 0)
		case !collapsed:
			return picked(in[0].axes[axis])
		default:
			column := columnOf(indices, g.IndexVector, slices.Index(g.IndexedAxes, axis))
			indexAxes := othersThan(n.Rank(), g.OffsetAxes)
			var f flow
			if places, f = column.pick(places, in[0].axes[axis], indexAxes, batch); places == nil {
				return f
			}
		}
	}
	for i, p := range places {
		places[i] = p.normal(batch)
	}
	return one(places...)
}

func withAxis(places []layout, axis int, factors []factor, moved int) []layout {
	changed := make([]layout, len(places))
	for i, p := range places {
		changed[i] = p.with(axis, factors, moved)
	}
	return changed
}

// othersThan returns the axes below rank that are not among the given ones.
func othersThan(rank int, axes []int) []int {
	return slices.DeleteFunc(axesFrom(0, rank), func(axis int) bool { return slices.Contains(axes, axis) })
}

// picked is the flow of a node that takes a part of an axis that is not known: of the batch alone,
// it is other examples.
func picked(factors []factor) flow {
	if len(factors) == 1 {
		return mixes
	}
	return unknown("it takes a part of an axis that the batch is merged into")
}

// column are the numbers of one component of indices.
type column struct {
	values   []int // Nil if they are not known.
	dims     []int // Of the indices, without the axis of the components.
	counts   bool  // Whether an Iota is among what they are made of,
	random   bool  // or random numbers,
	constant bool  // or nothing but constants.
}

// columnOf returns what can be told of component k of indices whose components lie along the axis
// vector.
func columnOf(indices *Node, vector, k int) column {
	dims := slices.Clone(dimsOf(indices))
	c := column{dims: dims}
	if vector < len(dims) { // Else there is one component, without an axis.
		c.dims = slices.Delete(slices.Clone(dims), vector, vector+1)
		if indices.Type() == NodeTypeConcatenate {
			if axis, _ := gomlxcompat.ConcatenateOf(indices); axis == vector {
				for _, part := range indices.Inputs() {
					size := dimsOf(part)[vector]
					if k < size {
						return columnOf(part, vector, k)
					}
					k -= size
				}
			}
		}
	}
	c.counts, c.random, c.constant = madeOf(indices)
	values, ok := valuesOf(indices)
	if !ok {
		return c
	}
	if vector >= len(dims) {
		c.values = values
		return c
	}
	after := product(dims[vector+1:])
	for i, v := range values {
		if i/after%dims[vector] == k {
			c.values = append(c.values, v)
		}
	}
	return c
}

// pick replaces, in places, the axes along which the column counts by the factors that it counts.
// It returns no places and a flow if the picked examples are others, or are not known.
func (c column) pick(places []layout, factors []factor, indexAxes []int, batch int) ([]layout, flow) {
	if batch == 1 && (c.counts || c.constant) { // A count along an axis of size 1 may be along any such.
		var found []layout
		for k, axis := range indexAxes {
			if c.dims[k] == 1 {
				found = append(found, withAxis(places, axis, factors, 0)...)
			}
		}
		if len(found) > 0 {
			return found, flow{}
		}
	}
	if batch > 1 && c.values != nil {
		if axis, start, step, ok := c.progression(); ok {
			if axis < 0 {
				return withAxis(places, indexAxes[0], places[0].axes[indexAxes[0]], exampleAt(factors, start)), flow{}
			}
			if kept, moved, ok := sliced(factors, start, step, c.dims[axis]); ok {
				return withAxis(places, indexAxes[axis], kept, moved), flow{}
			}
		}
	}
	switch {
	case len(factors) > 1:
		return nil, unknown("it picks by number from an axis that the batch is merged into")
	case c.values != nil || c.random:
		return nil, mixes
	}
	return nil, unknown("it picks examples by numbers that are computed, or of a constant too large to be kept")
}

// progression tells whether the values are start + step·index along one axis, which is -1 if all
// are equal.
func (c column) progression() (axis, start, step int, ok bool) {
	start = c.values[0]
	axis = -1
	for k := range c.dims {
		if c.dims[k] > 1 {
			if d := c.values[product(c.dims[k+1:])] - start; d != 0 {
				if axis >= 0 {
					return 0, 0, 0, false
				}
				axis, step = k, d
			}
		}
	}
	for i, v := range c.values {
		index := 0
		if axis >= 0 {
			index = i / product(c.dims[axis+1:]) % c.dims[axis]
		}
		if v != start+step*index {
			return 0, 0, 0, false
		}
	}
	return axis, start, step, axis < 0 || step > 0
}

// madeOf tells what a node is computed from.
func madeOf(n *Node) (counts, random, constant bool) {
	constant = true
	seen := map[*Node]bool{n: true}
	queue := []*Node{n}
	for i := 0; i < len(queue); i++ {
		switch queue[i].Type() {
		case NodeTypeIota:
			counts = true
		case NodeTypeRNGBitGenerator:
			random, constant = true, false
		case NodeTypeParameter:
			constant = false
		}
		for _, in := range queue[i].Inputs() {
			if !seen[in] {
				seen[in] = true
				queue = append(queue, in)
			}
		}
	}
	return counts, random, constant
}

// valuesOf computes a node of integers that is made of Iotas, small constants and what moves them
// about.
func valuesOf(n *Node) (values []int, ok bool) {
	var in []int
	if len(n.Inputs()) > 0 {
		if in, ok = valuesOf(n.Inputs()[0]); !ok {
			return nil, false
		}
	}
	values = make([]int, n.Shape().Size())
	at := func(i int) int { return i } // From which element of in.
	switch n.Type() {
	case NodeTypeConstant:
		return constantInts(n.ConstantValue())
	case NodeTypeIota:
		axis, _ := gomlxcompat.AxisOf(n)
		after := product(dimsOf(n)[axis+1:])
		for i := range values {
			values[i] = i / after % dimsOf(n)[axis]
		}
		return values, true
	case NodeTypeReshape, NodeTypeConvertDType, NodeTypeIdentity:
	case NodeTypeBroadcastInDim:
		axes, _ := gomlxcompat.BroadcastInDimOf(n)
		at = func(i int) int { return elementAt(n, n.Inputs()[0], i, axes) }
	case NodeTypeTranspose:
		permutation, _ := gomlxcompat.TransposeOf(n)
		axes := make([]int, len(permutation))
		for to, from := range permutation {
			axes[from] = to
		}
		at = func(i int) int { return elementAt(n, n.Inputs()[0], i, axes) }
	default:
		return nil, false
	}
	for i := range values {
		values[i] = in[at(i)]
	}
	return values, true
}

// elementAt returns which element of from is at element i of n, where axis a of from became axis
// axes[a] of n.
func elementAt(n, from *Node, i int, axes []int) (element int) {
	for a, size := range dimsOf(from) {
		index := i / product(dimsOf(n)[axes[a]+1:]) % dimsOf(n)[axes[a]]
		if size == 1 {
			index = 0
		}
		element = element*size + index
	}
	return element
}

// constantInts returns the elements of a constant, of which GoMLX keeps those of small ones.
func constantInts(t *tensors.Tensor) (values []int, ok bool) {
	if t == nil {
		return nil, false
	}
	err := t.ConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []int32:
			values = toInts(flat)
		case []int64:
			values = toInts(flat)
		case []uint32:
			values = toInts(flat)
		}
	})
	return values, err == nil && values != nil
}

func toInts[T int32 | int64 | uint32](flat []T) []int {
	values := make([]int, len(flat))
	for i, v := range flat {
		values[i] = int(v)
	}
	return values
}

// followScatter keeps the batch on axes that the updates cover whole, and on one that an Iota
// counts along.
func followScatter(n *Node, in []*layout, batch int) flow {
	sc, _ := gomlxcompat.ScatterOf(n)
	if in[1] != nil {
		return unknown("its indices depend on the inputs")
	}
	wide := []*layout{in[0], nil, nil}
	if l := in[2]; l != nil {
		moved, f := scattered(n, sc, *l, batch)
		if moved == nil {
			return f
		}
		wide[2] = moved
	}
	return combined(wide, batch)
}

// scattered returns the layout that updates of layout l have in the result, or why there is none.
func scattered(n *Node, sc gomlxcompat.ScatterAttributes, l layout, batch int) (*layout, flow) {
	moved := plain(dimsOf(n))
	moved.first = l.first
	updates := n.Inputs()[2]
	for i, axis := range othersThan(n.Rank(), sc.InsertedAxes) {
		from := sc.WindowAxes[i]
		switch {
		case !l.carries(from):
		case dimsOf(updates)[from] != dimsOf(n)[axis]:
			return nil, picked(l.axes[from])
		default:
			moved.axes[axis] = l.axes[from]
		}
	}
	for k, from := range othersThan(updates.Rank(), sc.WindowAxes) {
		if !l.carries(from) {
			continue
		}
		to, known := -1, true
		for component, axis := range sc.IndexedAxes {
			c := columnOf(n.Inputs()[1], sc.IndexVector, component)
			if c.countsAlong(k, batch) && dimsOf(n)[axis] == dimsOf(updates)[from] {
				to = axis
			}
			known = known && (c.values != nil || c.random)
		}
		switch {
		case to >= 0:
			moved.axes[to] = l.axes[from]
		case known && batch > 1:
			return nil, picked(l.axes[from])
		default:
			return nil, unknown("it puts examples where computed indices say")
		}
	}
	return &moved, flow{}
}

// countsAlong tells whether the column is the index along axis k.
func (c column) countsAlong(k, batch int) bool {
	if batch == 1 {
		return (c.counts || c.constant) && c.dims[k] == 1
	}
	if c.values == nil {
		return false
	}
	axis, start, step, ok := c.progression()
	return ok && axis == k && start == 0 && step == 1
}

// followDynamicSlice keeps the batch on axes that are taken whole.
func followDynamicSlice(n *Node, in []*layout, batch int) flow {
	sizes, _ := gomlxcompat.DynamicSliceOf(n)
	l := *in[0]
	for axis, size := range sizes {
		switch {
		case size == dimsOf(n.Inputs()[0])[axis]:
		case l.carries(axis):
			return picked(l.axes[axis])
		default:
			l = l.with(axis, []factor{{size, 0}}, 0)
		}
	}
	return one(l.normal(batch))
}

// followDynamicUpdateSlice keeps the batch on axes that the update covers whole.
func followDynamicUpdateSlice(n *Node, in []*layout, batch int) flow {
	wide := make([]*layout, len(in))
	wide[0] = in[0]
	if l := in[1]; l != nil {
		moved := *l
		for axis, size := range dimsOf(n.Inputs()[1]) {
			switch {
			case size == dimsOf(n)[axis]:
			case l.carries(axis):
				return picked(l.axes[axis])
			default:
				moved = moved.with(axis, []factor{{dimsOf(n)[axis], 0}}, 0)
			}
		}
		wide[1] = &moved
	}
	return combined(wide, batch)
}
