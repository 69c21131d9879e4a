package vjp

import (
	"slices"
)

// factor is a part of an axis. An index along the axis is a mixed-radix number with one digit per
// factor, the slowest first.
type factor struct {
	size int
	// stride is the change of the example's number when the digit grows by 1; 0 for a factor that
	// is independent of the batch.
	stride int
}

// layout says to which example every element of a node belongs: the only example on whose input the
// element depends. Its number is first + Σ digit·stride. In [B, T, D], the shape of tokens, axis 0
// has the single factor {B, 1}. Merged to [B·T, D], axis 0 has the factors {B, 1}, {T, 0}. Split
// into ghost batches of 8, as [B/8, 8, T, D], axis 0 has the factor {B/8, 8} and axis 1 the factor
// {8, 1}.
//
// In a batch of one, a factor {1, 1} marks the position of the batch.
type layout struct {
	first int
	axes  [][]factor
}

// batchFirst returns the layout of inputs and outputs.
func batchFirst(dims []int) layout {
	l := plain(dims)
	l.axes[0] = []factor{{dims[0], 1}}
	return l
}

// plain returns a layout without the batch: all values belong to example 0.
func plain(dims []int) layout {
	l := layout{axes: make([][]factor, len(dims))}
	for axis, dim := range dims {
		l.axes[axis] = []factor{{dim, 0}}
	}
	return l
}

// normal returns the normal form of l, the shortest one, so that layouts can be compared.
func (l layout) normal(batch int) layout {
	n := layout{first: l.first, axes: make([][]factor, len(l.axes))}
	for axis, factors := range l.axes {
		n.axes[axis] = joined(factors, batch)
	}
	return n
}

// joined drops factors of size 1, and merges neighbours that are parts of one factor.
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

// isWhole reports whether l covers every example of the batch once, from the first to the last.
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

// carries reports whether the example changes along the axis.
func (l layout) carries(axis int) bool { return anyOfBatch(l.axes[axis]) }

func anyOfBatch(factors []factor) bool {
	return slices.ContainsFunc(factors, func(f factor) bool { return f.stride != 0 })
}

// with returns l with other factors on one axis, and with moved added to the number of its first
// example.
func (l layout) with(axis int, factors []factor, moved int) layout {
	axes := slices.Clone(l.axes)
	axes[axis] = factors
	return layout{first: l.first + moved, axes: axes}
}

// spread returns the layout of a node with dimensions from after broadcasting to dimensions to.
// Both have the same number of axes, unless the node is a scalar.
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

// repeated returns the factors of an axis of size from after broadcasting to size to.
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

// reshaped returns the possible layouts of l after a reshape. There is one, because the factors
// keep their order; or none, if a factor cannot be split at the end of an axis. In a batch of one
// the batch's factor has size 1 and may have several positions: the likeliest layout is first.
func (l layout) reshaped(to []int, batch int) []layout {
	var factors []factor
	var batchFactor *factor // The batch's factor, if it has size 1.
	var own, before int     // The axis of batchFactor, and the number of elements before it.
	sizes := make([]int, 0) // The sizes of l's axes.
	for axis, along := range l.axes {
		for _, f := range along {
			if f.size == 1 && f.stride != 0 {
				batchFactor, own, before = &f, axis, sizeOf(factors)
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
	if batchFactor == nil {
		return []layout{moved.normal(batch)}
	}
	var places []layout
	for _, axis := range placesFor(before, own, sizes, to) {
		outer := before / product(to[:axis])
		place := []factor{{outer, 0}, *batchFactor, {to[axis] / outer, 0}}
		places = append(places, moved.with(axis, place, 0).normal(batch))
	}
	return places
}

// divided distributes the factors over axes of the given sizes, and splits factors as needed. It
// returns false if the sizes do not match.
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

// placesFor returns the axes, after a reshape to the sizes to, that may contain the batch's factor
// of size 1; the likeliest first. Before the reshape the factor was on axis own, with before
// elements before it. Afterwards it is most likely on an axis of size 1 at the same position: the
// first one that corresponds to no earlier axis of size 1. If there are too few such axes for all
// earlier ones, the factor may instead be merged into the axis that ends, begins or lies around its
// position.
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
	case len(alone) == others+1: // Each axis of size 1 corresponds to an earlier one.
		return alone[:1]
	case len(alone) > others:
		return alone
	}
	return slices.Concat(alone, within, ending, beginning)
}

// sliced returns the factors of a slice of an axis, count elements from start with a stride, and
// the change of the example's number at index 0. It returns false if the slice has no factors.
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
	case stride%inner == 0: // The faster digits keep their values at start.
		return []factor{{count, slow.stride * (stride / inner)}}, exampleAt(factors, start), true
	case start/inner == (start+(count-1)*stride)/inner: // The slowest digit stays.
		kept, moved, ok = sliced(rest, start%inner, stride, count)
		return kept, moved + slow.stride*(start/inner), ok
	}
	return nil, 0, false
}

// exampleAt returns the example's number Σ digit·stride at an index along an axis.
func exampleAt(factors []factor, index int) (example int) {
	for i := len(factors) - 1; i >= 0; i-- {
		example += index % factors[i].size * factors[i].stride
		index /= factors[i].size
	}
	return example
}

// reversed returns the factors of a reversed axis, and the change of the example's number at index
// 0.
func reversed(factors []factor) (turned []factor, moved int) {
	for _, f := range factors {
		turned = append(turned, factor{f.size, -f.stride})
		moved += (f.size - 1) * f.stride
	}
	return turned, moved
}
