package gcml

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// budgetNetworks have different plans: with and without the closed form, piecewise linear and
// smooth.
var budgetNetworks = []struct {
	name string
	dims []int
	fn   func(scope *model.Scope, x *Node) *Node
}{
	{"closed form", []int{8, 60}, func(scope *model.Scope, x *Node) *Node {
		return layers.Dense(scope.In("out"), Tanh(layers.Dense(scope.In("in"), x, true, 5)), true, 12)
	}},
	{"smooth", []int{8, 3}, func(scope *model.Scope, x *Node) *Node {
		return layers.Dense(scope.In("out"), Tanh(layers.Dense(scope.In("in"), x, true, 6)), true, 12)
	}},
	{"convolution with ReLU", []int{3, 4, 4, 2}, func(scope *model.Scope, x *Node) *Node {
		y := activation.Relu(layers.Convolution(scope.In("conv"), x).Channels(3).KernelSize(3).PadSame().Done())
		return layers.Dense(scope.In("out"), Reshape(y, 3, -1), true, 12)
	}},
}

// TestMemoryBudget checks that the value and the penalty's gradient do not depend on the budget,
// and that a budget too small for a single cotangent is refused. As the budget falls, the gradient
// is first computed at once, then in more and more parts.
func TestMemoryBudget(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, network := range budgetNetworks {
			t.Run(network.name, func(t *testing.T) {
				x := gctest.RandomTensor(rand.New(rand.NewPCG(3, 4)), network.dims...)
				run := func(opts ...Option) (values []float64, p plan, err error) {
					store := model.NewStore()
					if err := store.SetRNGStateFromSeed(5); err != nil {
						t.Fatal(err)
					}
					fn := Regularize(network.fn, append(opts, WithCoefficient(0.7))...)
					out, err := model.CallOnceN(b, store, func(scope *model.Scope, x *Node) []*Node {
						scope.SetTraining(x.Graph(), true)
						y := fn(scope, nil, []*Node{x})[0]
						w := penaltyOf(x.Graph())
						p = newJacobian(w.outputs, w.inputs, w.options).plan
						penalty := train.GetRegularizationLoss(x.Graph())
						value := Complexity(y, x, opts...)
						return append(scope.BuildTrainableVariablesGradientsGraph(penalty), penalty, value)
					}, x)
					for _, o := range out {
						values = append(values, gctest.Flat(o)...)
					}
					return values, p, err
				}
				want, _, err := run(WithCotangents(12), WithoutClosedForm())
				if err != nil {
					t.Fatal(err)
				}
				parts, seen := 1, map[gradientStrategy]bool{}
				for _, budget := range []int{1 << 30, 24_000, 8_000, 1} {
					got, p, err := run(WithMemoryBudget(budget))
					if budget == 1 {
						want := fmt.Sprintf("WithMemoryBudget(1) is too small: one vector-Jacobian product of a batch of %d takes", network.dims[0])
						if err == nil || !strings.Contains(err.Error(), want) {
							t.Errorf("budget 1: got error %v", err)
						}
						continue
					}
					if err != nil {
						t.Fatalf("budget %d: %v", budget, err)
					}
					gctest.AssertClose(t, got, want, 1e-10, 1e-13, fmt.Sprintf("gradients, penalty and value with budget %d", budget))
					if p.parts() < parts {
						t.Errorf("budget %d: %d parts, after %d with more memory", budget, p.parts(), parts)
					}
					parts, seen[p.gradient] = p.parts(), true
				}
				if !seen[byParts] || len(seen) < 2 {
					t.Errorf("the budgets lead only to the strategies %v: the test covers too little", seen)
				}
			})
		}
	})
}

// TestBudgetPlan compares the number of cotangents computed together, for a value and for a
// penalty, with numbers worked out by hand, for 60 inputs, a layer of 60 units and 40 outputs.
func TestBudgetPlan(t *testing.T) {
	const batch, units, outputs, float = 16, 60, 40, 8
	relu := func(h *Node) *Node { return Max(h, ZerosLike(h)) }
	const alive = batch * (units + units) * float
	const kept = batch * (outputs + 3*units) * float // The result, its layer, before the activation, the inputs.
	cases := []struct {
		name           string
		activation     func(h *Node) *Node
		budget         int
		differentiated bool
		atOnce         int
		gradient       gradientStrategy
	}{
		{"value, all", relu, 40 * alive, false, outputs, byNodes},
		{"value, ten at once", relu, 11*alive - 1, false, 10, byNodes},
		{"value, one at once", relu, alive, false, 1, byNodes},
		{"penalty, all", relu, outputs * kept, true, outputs, byNodes},
		{"penalty, one byte less than all", relu, outputs*kept - 1, true, outputs / 2, byParts},
		{"penalty, ten at a time", relu, 11*kept - 1, true, 10, byParts},
		{"penalty, one at a time", relu, kept, true, 1, byParts},
		{"smooth penalty, parts of the same size", Tanh, 15 * kept, true, 14, byParts},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				x := Parameter(NewGraph(b, t.Name()), "x", shapes.Make(dtypes.Float64, batch, units))
				w := Parameter(x.Graph(), "w", shapes.Make(dtypes.Float64, units, units))
				v := Parameter(x.Graph(), "v", shapes.Make(dtypes.Float64, units, outputs))
				y := Dot(c.activation(Dot(x, w).Product()), v).Product()
				o := options{memoryBudget: c.budget, noClosedForm: true}
				if c.differentiated {
					o.forGradient, o.variables = true, []*Node{w, v}
				}
				if p := newJacobian(y, x, o).plan; p.atOnce != c.atOnce || p.gradient != c.gradient {
					t.Errorf("%d at once, gradient by %q, want %d and %q", p.atOnce, p.gradient, c.atOnce, c.gradient)
				}
			})
		}
	})
}

// TestPartsOfConvolutions checks the parts of the penalty's gradient by default, for a network with
// a convolution whose 40 outputs keep so much that not all of them fit into the budget. On XLA's
// CPU backend there are eight, though more would need less memory. A limit set by the user holds.
func TestPartsOfConvolutions(t *testing.T) {
	const batch, side, channels, outputs = 64, 8, 3, 40
	// The result, its layer, before the activation, the inputs.
	const kept = batch * (outputs + 2*side*side*channels + side*side) * 8
	usual, most, set, convolutions := cpuMemoryBudget, cpuSlowPartsBudget, cpuWorkingSet, cpuConvolutionSet
	t.Cleanup(func() {
		cpuMemoryBudget, cpuSlowPartsBudget, cpuWorkingSet, cpuConvolutionSet = usual, most, set, convolutions
	})
	cpuMemoryBudget, cpuWorkingSet, cpuConvolutionSet = 2*kept, 1, 1 // So no cotangents share a cache.
	cases := []struct {
		name        string
		most, given int
		xla, other  int
	}{
		{"eight parts", outputs * kept, 0, 5, 2},
		{"up to the largest default", 4*kept + 1, 0, 4, 2},
		{"the user's budget", outputs * kept, 3 * kept, 3, 3},
		{"a large budget of the user", outputs * kept, 12 * kept, 5, 3},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				cpuSlowPartsBudget = c.most
				x := Parameter(NewGraph(b, t.Name()), "x", shapes.Make(dtypes.Float64, batch, side, side, 1))
				k := Parameter(x.Graph(), "k", shapes.Make(dtypes.Float64, 3, 3, 1, channels))
				v := Parameter(x.Graph(), "v", shapes.Make(dtypes.Float64, side*side*channels, outputs))
				h := activation.Relu(Convolve(x, k).PadSame().Done())
				y := Dot(Reshape(h, batch, -1), v).Product()
				o := options{memoryBudget: c.given, forGradient: true, variables: []*Node{k, v}}
				want := c.other
				if platform.Of(b) == platform.XLACPU {
					want = c.xla
				}
				if p := newJacobian(y, x, o).plan; p.atOnce != want || p.gradient != byParts {
					t.Errorf("%d at once, gradient by %q, want %d and %q", p.atOnce, p.gradient, want, byParts)
				}
			})
		}
	})
}
