package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// followGather keeps the batch on axes that the gather takes whole. If the gather selects examples
// by number, the numbers have to be known: an Iota, alone or as a component of the indices, keeps
// every example in its place. Other numbers, and random shuffles, mix the examples.
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

// othersThan returns the axes below rank except the given ones.
func othersThan(rank int, axes []int) []int {
	return slices.DeleteFunc(axesFrom(0, rank), func(axis int) bool { return slices.Contains(axes, axis) })
}

// picked returns the flow of a node that takes an unknown part of an axis. If the axis is the batch
// alone, the part consists of other examples.
func picked(factors []factor) flow {
	if len(factors) == 1 {
		return mixes
	}
	return unknown("it takes a part of an axis that contains the batch and another axis")
}

// column describes the numbers of one component of indices.
type column struct {
	values   []int // Nil if unknown.
	dims     []int // The dimensions of the indices, without the axis of the components.
	counts   bool  // The numbers depend on an Iota.
	random   bool  // They depend on random numbers.
	constant bool  // They depend on neither random numbers nor parameters.
}

// columnOf describes component k of indices whose components lie along the axis vector.
func columnOf(indices *Node, vector, k int) column {
	dims := slices.Clone(dimsOf(indices))
	c := column{dims: dims}
	if vector < len(dims) { // Otherwise there is only one component, without an axis.
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
	values, ok := make(knownValues).of(indices)
	if !ok || len(values) == 0 {
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

// pick gives the factors of the indexed axis to the axis, in all layouts, along which the column
// counts. If the column selects other or unknown examples, it returns no layouts, and the flow to
// return instead.
func (c column) pick(places []layout, factors []factor, indexAxes []int, batch int) ([]layout, flow) {
	if batch == 1 && (c.counts || c.constant) {
		for k := range c.dims {
			if c.dims[k] > 1 && c.dims[k] == sizeOf(factors) && c.countsAlong(k, batch) {
				return withAxis(places, indexAxes[k], factors, 0), flow{}
			}
		}
		// A count along one axis of size 1 is a count along every other one.
		var found []layout
		for k, axis := range indexAxes {
			if c.dims[k] == 1 {
				found = append(found, withAxis(places, axis, []factor{{1, 1}}, 0)...)
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
		return nil, unknown("it selects by number from an axis that contains the batch and another axis")
	case c.values != nil || c.random:
		return nil, mixes
	}
	return nil, unknown("it selects examples by numbers that are computed, or come from a constant too large for GoMLX to keep")
}

// progression reports whether the values are start + step·index along one axis, with axis -1 if all
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

// madeOf reports what n depends on: an Iota, random numbers, or only constants (an Iota included).
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

// followScatter keeps the batch on axes that the updates cover whole, and on an axis along which an
// Iota counts.
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

// scattered returns the layout in the result of updates with layout l, or if there is none, the
// flow to return instead.
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
			return nil, unknown("it puts examples at computed indices")
		}
	}
	return &moved, flow{}
}

// countsAlong reports whether the column is the index along axis k.
func (c column) countsAlong(k, batch int) bool {
	if batch == 1 && c.dims[k] == 1 {
		return c.counts || c.constant
	}
	if c.values == nil {
		return false
	}
	axis, start, step, ok := c.progression()
	return ok && axis == k && start == 0 && step == 1
}

// followDynamicSlice keeps the batch on axes that the slice takes whole.
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
