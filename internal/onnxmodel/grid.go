package onnxmodel

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// PyTorch's older exporter computes pads from constants: it reshapes a list to two columns,
// reverses and transposes them. These operators move integers, so that their shapes matter.

// grid is a small constant array of integers.
type grid struct{ dims, values []int64 }

// mostInGrid limits the elements: larger arrays are weights.
const mostInGrid = 64

// foldGrid computes a value that constants determine, going back a number of nodes.
func (l *lowering) foldGrid(name string, depth int) (grid, bool) {
	n := l.madeBy(name)
	if n == nil || depth == 0 || !isOwn(n) || l.tensor(name) != nil {
		return l.foldedList(name, depth)
	}
	switch n.OpType {
	case "Reshape":
		return l.foldReshape(n, depth-1)
	case "Transpose":
		return l.foldTranspose(n, depth-1)
	case "Slice":
		return l.foldSlice(n, depth-1)
	case "ConstantOfShape":
		dims, ok := l.fold(input(n, 0), depth-1)
		value := []int64{0}
		if a := attribute(n, "value"); a != nil {
			value, _ = integersOf(a.T)
		}
		count, possible := elements(dims)
		if !ok || !possible || count > mostInGrid || len(value) != 1 {
			return grid{}, false
		}
		return grid{dims, slices.Repeat(value, int(count))}, true
	}
	return l.foldedList(name, depth)
}

// madeBy is the node of a value, as it was in the file if the node was rewritten.
func (l *lowering) madeBy(name string) *protos.NodeProto {
	if origin := l.origins[name]; origin != nil && slices.Contains(origin.Output, name) {
		return origin
	}
	return l.makers[name]
}

// foldedList is a value of known shape, or else a list.
func (l *lowering) foldedList(name string, depth int) (grid, bool) {
	values, ok := l.fold(name, depth)
	if t := l.tensor(name); ok && t != nil {
		return grid{t.Dims, values}, len(values) <= mostInGrid
	}
	return grid{[]int64{int64(len(values))}, values}, ok && len(values) <= mostInGrid
}

func (l *lowering) foldReshape(n *protos.NodeProto, depth int) (grid, bool) {
	from, ok := l.foldGrid(n.Input[0], depth)
	dims, known := l.fold(input(n, 1), depth)
	if !ok || !known || slices.Contains(dims, 0) {
		return grid{}, false
	}
	dims = slices.Clone(dims)
	if free := slices.Index(dims, -1); free >= 0 {
		dims[free] = 1
		count, _ := elements(dims)
		dims[free] = int64(len(from.values)) / max(1, count)
	}
	count, possible := elements(dims)
	return grid{dims, from.values}, possible && count == int64(len(from.values))
}

func (l *lowering) foldTranspose(n *protos.NodeProto, depth int) (grid, bool) {
	from, ok := l.foldGrid(n.Input[0], depth)
	perm := intsOr(n, "perm", nil)
	if !ok || len(perm) != len(from.dims) {
		return grid{}, false
	}
	dims, source := make([]int64, len(perm)), make([]int64, len(perm))
	for to, axis := range perm {
		if axis < 0 || axis >= int64(len(perm)) {
			return grid{}, false
		}
		dims[to] = from.dims[axis]
	}
	return from.rearranged(dims, func(at []int64) []int64 {
		for to, axis := range perm {
			source[axis] = at[to]
		}
		return source
	}), true
}

// foldSlice takes a part of an array by the inputs of a Slice, which opset 10 introduced.
func (l *lowering) foldSlice(n *protos.NodeProto, depth int) (grid, bool) {
	from, ok := l.foldGrid(n.Input[0], depth)
	starts, okStarts := l.fold(input(n, 1), depth)
	ends, okEnds := l.fold(input(n, 2), depth)
	if !ok || !okStarts || !okEnds || len(ends) != len(starts) {
		return grid{}, false
	}
	axes, steps := make([]int64, len(starts)), slices.Repeat([]int64{1}, len(starts))
	for i := range axes {
		axes[i] = int64(i)
	}
	for list, name := range map[*[]int64]string{&axes: input(n, 3), &steps: input(n, 4)} {
		if name == "" {
			continue
		}
		if *list, ok = l.fold(name, depth); !ok || len(*list) != len(starts) {
			return grid{}, false
		}
	}
	first, step := make([]int64, len(from.dims)), slices.Repeat([]int64{1}, len(from.dims))
	dims := slices.Clone(from.dims)
	for i, axis := range axes {
		size, ok := at(from.dims, axis)
		if !ok || steps[i] == 0 {
			return grid{}, false
		}
		if axis < 0 {
			axis += int64(len(from.dims))
		}
		step[axis] = steps[i]
		first[axis], dims[axis] = sliceOf(size, starts[i], ends[i], steps[i])
	}
	return from.rearranged(dims, func(at []int64) []int64 {
		source := make([]int64, len(at))
		for axis := range at {
			source[axis] = first[axis] + at[axis]*step[axis]
		}
		return source
	}), true
}

// sliceOf returns the first index and the number of values from start to end, without end, of an
// axis. Negative bounds count from its end, and bounds beyond it are cut.
func sliceOf(size, start, end, step int64) (first, count int64) {
	least, most := int64(0), size
	if step < 0 {
		least, most = -1, size-1
	}
	bound := func(at int64) int64 {
		if at < 0 {
			at = max(at, -size-1) + size
		}
		return min(max(at, least), most)
	}
	start, end = bound(start), bound(end)
	if step < 0 {
		start = max(start, 0)
		return start, max(0, (start-end-step-1)/-step)
	}
	return start, max(0, (end-start+step-1)/step)
}

// rearranged returns an array whose element at an index is the element of g at from(index).
func (g grid) rearranged(dims []int64, from func(at []int64) []int64) grid {
	out := grid{dims: dims}
	count, _ := elements(dims)
	at := make([]int64, len(dims))
	for rest := range count {
		for axis := len(dims) - 1; axis >= 0; axis-- {
			at[axis] = rest % dims[axis]
			rest /= dims[axis]
		}
		flat := int64(0)
		for axis, index := range from(at) {
			flat = flat*g.dims[axis] + index
		}
		out.values = append(out.values, g.values[flat])
	}
	return out
}
