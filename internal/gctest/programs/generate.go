package programs

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"pgregory.net/rapid"
)

// The largest numbers of values per example, which keep a program quick: inputs, intermediate
// values and outputs.
const (
	maxInputs  = 24
	maxInner   = 64
	maxOutputs = 10
)

// Generator draws programs of the allowed kinds. It builds graphs on the given backend to find the
// shapes of values, but executes nothing.
func Generator(backend compute.Backend, allowed func(k *Kind) bool) *rapid.Generator[Program] {
	kinds := slices.DeleteFunc(slices.Clone(Kinds), func(k *Kind) bool { return !allowed(k) })
	return rapid.Custom(func(t *rapid.T) Program {
		p := Program{
			DType: rapid.SampledFrom([]dtypes.DType{dtypes.Float64, dtypes.Float32}).Draw(t, "dtype"),
			Shape: drawShape(t),
		}
		sketch := newSketch(backend, p)
		defer sketch.graph.Finalize()
		for range 1 + evenly(t, "ops", 7) {
			sketch.try(drawOp(t, kinds))
		}
		if size(sketch.last()) > maxOutputs {
			sketch.try(Op{Kind: Lookup("flatten")})
			sketch.try(Op{Kind: Lookup("dense"), Params: []int{3}})
		}
		if len(sketch.program.Ops) == 0 {
			sketch.try(Op{Kind: Lookup("tanh")})
		}
		return sketch.program
	})
}

// drawShape draws [batch, ...] of rank 2 to 5, often with equal dimensions.
func drawShape(t *rapid.T) []int {
	shape := []int{rapid.SampledFrom([]int{2, 1, 3, 4}).Draw(t, "batch")}
	room := maxInputs
	for range rapid.SampledFrom([]int{1, 2, 2, 3, 3, 4}).Draw(t, "axes") {
		dim := min(room, rapid.IntRange(1, 5).Draw(t, "dim"))
		shape = append(shape, dim)
		room /= dim
	}
	return shape
}

// evenly draws an index below n, all equally likely. Rapid's own generators prefer small numbers,
// which would leave out most kinds.
func evenly(t *rapid.T, label string, n int) int {
	const odd = 0x9e3779b97f4a7c15 // 2⁶⁴ divided by the golden ratio: spreads small numbers, and maps 0 to 0.
	return int(rapid.Uint64().Draw(t, label) * odd >> 33 % uint64(n))
}

func drawOp(t *rapid.T, kinds []*Kind) Op {
	kind := kinds[evenly(t, "kind", len(kinds))]
	if kind.NoDerivative && evenly(t, "refused", 10) < 9 {
		kind = kinds[0]
	}
	op := Op{Kind: kind}
	for _, r := range kind.Params {
		op.Params = append(op.Params, rapid.IntRange(r.Min, r.Max).Draw(t, "param"))
	}
	return op
}

// sketch is a graph that grows with a program, to find out which op can come next.
type sketch struct {
	program Program
	graph   *Graph
	scope   *model.Scope
	values  []*Node
	tries   int
}

func newSketch(backend compute.Backend, p Program) *sketch {
	g := NewGraph(backend, "sketch")
	return &sketch{program: p, graph: g, scope: model.NewStore().RootScope(),
		values: []*Node{Parameter(g, "x", shapes.Make(p.DType, p.Shape...))}}
}

func (s *sketch) last() *Node { return s.values[len(s.values)-1] }

// size returns the number of values per example.
func size(x *Node) int { return x.Shape().Size() / batchOf(x) }

// try appends the op to the program if it can be applied to the last value.
func (s *sketch) try(op Op) {
	lowers := func(k *Kind) bool { return k.LowersPrecision }
	kinks := func(k *Kind) bool { return k.Kinks }
	if op.Kind.LowersPrecision && s.program.Has(kinks) || op.Kind.Kinks && s.program.Has(lowers) {
		return // Rounding would decide on which side of a kink a value lies.
	}
	if op.Kind.MixesExamples && s.program.Shape[0] == 1 {
		return // In a batch of one, some look like ops that mix nothing: see docs/batch-norm.md.
	}
	s.tries++
	b := &Builder{Scope: s.scope.In("try%d", s.tries), Earlier: s.values[:len(s.values)-1]}
	var y *Node
	err := exceptions.TryCatch[error](func() { y = op.Kind.Build(b, s.last(), op.Params) })
	if err != nil || y == nil || y.Rank() < 2 || size(y) > maxInner || size(y) == 0 || batchOf(y) != s.program.Shape[0] {
		return
	}
	s.values = append(s.values, y)
	s.program.Ops = append(s.program.Ops, op)
}
