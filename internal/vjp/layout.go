package vjp

import (
	"slices"
)

// factor is a part of an axis. The index along an axis is a number whose digits, the slowest first,
// are those of its factors.
type factor struct {
	size int
	// stride is by how much the number of the example grows with the digit; 0 for a factor that has
	// nothing to do with the batch.
	stride int
}

// layout says to which example every element of a node belongs, that is, on whose input alone it
// depends: to number first + Σ digit·stride. In [B, T, D], the shape of tokens, axis 0 is the one
// factor {B, 1}. Merged to [B·T, D], axis 0 has the factors {B, 1}, {T, 0}. Split into ghost
// batches of 8, as [B/8, 8, T, D], axis 0 is {B/8, 8} and axis 1 is {8, 1}.
//
// In a batch of one, a factor {1, 1} marks the place that the batch has in larger ones.
type layout struct {
	first int
	axes  [][]factor
}

// batchFirst is the layout of inputs and outputs.
func batchFirst(dims []int) layout {
	l := plain(dims)
	l.axes[0] = []factor{{dims[0], 1}}
	return l
}

// plain is the layout of values that all belong to example 0.
func plain(dims []int) layout {
	l := layout{axes: make([][]factor, len(dims))}
	for axis, dim := range dims {
		l.axes[axis] = []factor{{dim, 0}}
	}
	return l
}

// normal returns l in its one shortest form, in which equal layouts are the same.
func (l layout) normal(batch int) layout {
	n := layout{first: l.first, axes: make([][]factor, len(l.axes))}
	for axis, factors := range l.axes {
		n.axes[axis] = joined(factors, batch)
	}
	return n
}

// joined drops factors of size 1, and makes one of neighbours that are parts of one.
func joined(factors []factor, batch int) []factor {
	var short []factor
	for _, f := range factors {
		if f.size == 1 && (f.stride == 0 || batch > 1) {
			continue
		}
		if k := len(short) - 1; k >= 0 && f.size > 1 && short[k].stride == f.stride*f.size {
			short[k] = factor{short[k].size * f.size, f.stride}
			continue
		}
		short = append(short, f)
	}
	return short
}

// equal compares layouts in normal form.
func (l layout) equal(other layout) bool {
	return l.first == other.first && slices.EqualFunc(l.axes, other.axes, slices.Equal[[]factor])
}

// isWhole tells whether every example of the batch has its part in l, in order.
func (l layout) isWhole(batch int) bool {
	var parts []factor
	for _, factors := range l.axes {
		for _, f := range factors {
			if f.stride != 0 {
				parts = append(parts, f)
			}
		}
	}
	slices.SortFunc(parts, func(a, b factor) int { return a.stride - b.stride })
	covered := 1
	for _, f := range parts {
		if f.stride != covered {
			return false
		}
		covered *= f.size
	}
	return l.first == 0 && len(parts) > 0 && covered == batch
}

// carries tells whether the example changes along the axis.
func (l layout) carries(axis int) bool { return anyOfBatch(l.axes[axis]) }

func anyOfBatch(factors []factor) bool {
	return slices.ContainsFunc(factors, func(f factor) bool { return f.stride != 0 })
}

// with returns l with other factors along one axis, and the example at index 0 moved.
func (l layout) with(axis int, factors []factor, moved int) layout {
	axes := slices.Clone(l.axes)
	axes[axis] = factors
	return layout{first: l.first + moved, axes: axes}
}

// spread is the layout of a node of dimensions from once it is broadcast to dimensions to, of as
// many axes (a scalar: of any number).
func (l layout) spread(from, to []int) layout {
	if len(from) == 0 {
		wide := plain(to)
		wide.first = l.first
		return wide
	}
	axes := make([][]factor, len(to))
	for axis := range to {
		axes[axis] = repeated(l.axes[axis], from[axis], to[axis])
	}
	return layout{first: l.first, axes: axes}
}

// repeated are the factors of an axis of size from that is broadcast to size to.
func repeated(factors []factor, from, to int) []factor {
	if from == to {
		return factors
	}
	return append(slices.Clone(factors), factor{to, 0})
}

func product(dims []int) int {
	p := 1
	for _, d := range dims {
		p *= d
	}
	return p
}

func sizeOf(factors []factor) int {
	p := 1
	for _, f := range factors {
		p *= f.size
	}
	return p
}

// reshaped returns the layouts that l may have with other dimensions. There is one, as the order of
// the factors stays; or none, where an axis would get a part of a factor that is no whole number of
// digits. In a batch of one the factor of the batch, of size 1, may have several places: the
// likeliest is first.
func (l layout) reshaped(to []int, batch int) []layout {
	var factors []factor
	var lone *factor        // The batch's, of size 1.
	var own, before int     // Its axis, and the product of the sizes before it.
	sizes := make([]int, 0) // Of the axes.
	for axis, along := range l.axes {
		for _, f := range along {
			if f.size == 1 && f.stride != 0 {
				lone, own, before = &f, axis, sizeOf(factors)
				continue
			}
			factors = append(factors, f)
		}
		sizes = append(sizes, sizeOf(along))
	}
	axes, ok := divided(joined(factors, 2), to)
	if !ok {
		return nil
	}
	moved := layout{first: l.first, axes: axes}
	if lone == nil {
		return []layout{moved.normal(batch)}
	}
	var places []layout
	for _, axis := range placesFor(before, own, sizes, to) {
		outer := before / product(to[:axis])
		place := []factor{{outer, 0}, *lone, {to[axis] / outer, 0}}
		places = append(places, moved.with(axis, place, 0).normal(batch))
	}
	return places
}

// divided deals the factors out to axes of the given sizes.
func divided(factors []factor, to []int) ([][]factor, bool) {
	factors = slices.Clone(factors)
	axes := make([][]factor, len(to))
	for axis, left := range to {
		for left > 1 {
			if len(factors) == 0 {
				return nil, false
			}
			f := &factors[0]
			switch {
			case f.size <= left && left%f.size == 0:
				axes[axis] = append(axes[axis], *f)
				left /= f.size
				factors = factors[1:]
			case f.size > left && f.size%left == 0:
				f.size /= left
				axes[axis] = append(axes[axis], factor{left, f.stride * f.size})
				left = 1
			default:
				return nil, false
			}
		}
	}
	return axes, true
}

// placesFor returns the axes that may hold a factor of size 1 that was on axis own of the given
// sizes, with before elements before it; the likeliest first. That is an axis of size 1: the first
// after those that were there before. Where no more of them are left than other axes of size 1 were
// there, it may also be merged into the axis that ends at its place, or begins there. Where there
// are none, it has to be, or into the axis within which it falls.
func placesFor(before, own int, sizes, to []int) []int {
	others, first := 0, 0
	start := 1
	for axis, size := range sizes {
		if size == 1 && start == before && axis != own {
			others++
			if axis < own {
				first++
			}
		}
		start *= size
	}
	var alone, within, ending, beginning []int
	start = 1
	for axis, size := range to {
		end := start * size
		switch {
		case size == 1 && start == before:
			alone = append(alone, axis)
		case start < before && before < end && before%start == 0 && end%before == 0:
			within = append(within, axis)
		case size > 1 && end == before:
			ending = append(ending, axis)
		case size > 1 && start == before:
			beginning = append(beginning, axis)
		}
		start = end
	}
	if first < len(alone) {
		alone = slices.Concat(alone[first:], alone[:first])
	}
	switch {
	case len(alone) == others+1: // None more, none less: they are the same.
		return alone[:1]
	case len(alone) > others:
		return alone
	}
	return slices.Concat(alone, within, ending, beginning)
}

// sliced returns the factors of count elements along an axis, from start on, stride apart, and by
// how much the example at index 0 moves. It returns false for elements that make no factors.
func sliced(factors []factor, start, stride, count int) (kept []factor, moved int, ok bool) {
	size := sizeOf(factors)
	switch {
	case start == 0 && stride == 1 && count == size:
		return factors, 0, true
	case !anyOfBatch(factors):
		return []factor{{count, 0}}, 0, true
	case len(factors) == 1:
		return []factor{{count, factors[0].stride * stride}}, factors[0].stride * start, true
	}
	slow, rest := factors[0], factors[1:]
	inner := size / slow.size
	switch {
	case stride == 1 && start%inner == 0 && count%inner == 0:
		return append([]factor{{count / inner, slow.stride}}, rest...), slow.stride * (start / inner), true
	case stride%inner == 0: // The faster digits stay as they are at start.
		return []factor{{count, slow.stride * (stride / inner)}}, exampleAt(factors, start), true
	case start/inner == (start+(count-1)*stride)/inner: // The slowest digit stays.
		kept, moved, ok = sliced(rest, start%inner, stride, count)
		return kept, moved + slow.stride*(start/inner), ok
	}
	return nil, 0, false
}

// exampleAt returns Σ digit·stride of an index along an axis.
func exampleAt(factors []factor, index int) (example int) {
	for i := len(factors) - 1; i >= 0; i-- {
		example += index % factors[i].size * factors[i].stride
		index /= factors[i].size
	}
	return example
}

// reversed returns the factors of an axis read backwards.
func reversed(factors []factor) (turned []factor, moved int) {
	for _, f := range factors {
		turned = append(turned, factor{f.size, -f.stride})
		moved += (f.size - 1) * f.stride
	}
	return turned, moved
}
