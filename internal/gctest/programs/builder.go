package programs

import (
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// Builder is the context in which an op builds itself in a graph.
type Builder struct {
	// Scope is the op's own scope.
	Scope *model.Scope

	// Earlier are the values before the op's input, the program's inputs first.
	Earlier []*Node

	// Exact says that the program is built for the oracle: ops that lower the precision keep it.
	Exact bool

	held *Node
}

// Held returns the value from which the op computes statistics of several examples: x itself, or in
// the oracle the value of x for the unperturbed inputs, which holds the statistics fixed.
func (b *Builder) Held(x *Node) *Node {
	if b.held == nil {
		return x
	}
	return b.held
}

// Graph builds the program on x, which has the program's shape. It returns x and then the value
// after each op. If held is not nil, it has the values that Graph returned for other inputs, and
// ops that mix examples compute their statistics from these.
func (p Program) Graph(scope *model.Scope, x *Node, held []*Node, exact bool) []*Node {
	values := []*Node{x}
	scope = scope.ResetVisited()
	for i, op := range p.Ops {
		b := &Builder{Scope: scope.In("op%d", i), Earlier: values[:i], Exact: exact}
		if held != nil {
			b.held = held[i]
		}
		y := op.Kind.Build(b, values[i], op.Params)
		if y == nil {
			exceptions.Panicf("programs: op %d, %q, cannot be applied to a value of shape %s", i, op, values[i].Shape())
		}
		values = append(values, y)
	}
	return values
}

// Model is the program as a model function with one output, [batch, ...].
func (p Program) Model(scope *model.Scope, x *Node) *Node {
	values := p.Graph(scope, x, nil, false)
	return values[len(values)-1]
}

// NewStore returns a store with the weights of the program. The weights depend only on their names
// and shapes, and bfloat16 represents them exactly, so that they are the same in every dtype.
func (p Program) NewStore(goBackend compute.Backend, exact bool) (store *model.Store, err error) {
	store = model.NewStore()
	if err = store.SetRNGStateFromSeed(42); err != nil {
		return nil, err
	}
	g := NewGraph(goBackend, "variables")
	defer g.Finalize()
	err = exceptions.TryCatch[error](func() {
		p.Graph(store.RootScope(), Parameter(g, "x", shapes.Make(p.dtype(exact), p.Shape...)), nil, exact)
	})
	if err != nil {
		return nil, err
	}
	for v := range store.IterVariables() {
		if v.Name() == model.RNGStateVariableName {
			continue
		}
		value, err := weight(v)
		if err != nil {
			return nil, err
		}
		if err := v.SetValue(value); err != nil {
			return nil, err
		}
	}
	return store, nil
}

func (p Program) dtype(exact bool) dtypes.DType {
	if exact {
		return dtypes.Float64
	}
	return p.DType
}

// weight draws a value for a variable.
func weight(v *model.Variable) (*tensors.Tensor, error) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(v.Path()))
	rng := rand.New(rand.NewPCG(hash.Sum64(), 7))
	draw := func() float64 { return 0.6 * rng.NormFloat64() }
	switch name := v.Name(); {
	case strings.Contains(name, "scale"), strings.Contains(name, "gain"), strings.Contains(name, "multiplier"):
		draw = func() float64 { return 1 + 0.3*rng.NormFloat64() }
	case strings.Contains(name, "variance"), name == "avg_weight":
		draw = func() float64 { return 0.5 + rng.Float64() }
	}
	values := make([]float64, v.Shape().Size())
	for i := range values {
		values[i] = float64(bfloat16.FromFloat64(draw()).Float32())
	}
	return numbers.Tensor(values, v.DType(), v.Shape().Dimensions...)
}

// Inputs draws the inputs of one batch. Float32 represents them exactly.
func (p Program) Inputs(seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 11))
	values := make([]float64, shapes.Make(dtypes.Float64, p.Shape...).Size())
	for i := range values {
		values[i] = float64(float32(rng.NormFloat64()))
	}
	return values
}
