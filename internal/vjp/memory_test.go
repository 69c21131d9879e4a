package vjp_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// onExample builds fn on inputs of the given dimensions, in training mode, and calls check.
func onExample(t *testing.T, b compute.Backend, dims []int, fn func(s *model.Scope, x *Node) *Node,
	check func(y, x *Node)) {
	t.Helper()
	store := model.NewStore()
	_, err := model.CallOnce(b, store, func(scope *model.Scope, x *Node) *Node {
		scope.SetTraining(x.Graph(), true)
		y := fn(scope, x)
		check(y, x)
		return y
	}, tensors.FromScalarAndDimensions(float32(0.5), dims...))
	if err != nil {
		t.Fatal(err)
	}
}

// TestAdjointBytes compares the estimated size of all adjoints with the nodes that Pull builds, and
// the largest size at one time with counts by hand. It recognizes adjoints by their size, a
// multiple of 7: only the axis of the cotangents has 7 elements.
func TestAdjointBytes(t *testing.T) {
	const cotangents, float = 7, 4
	cases := []struct {
		name string
		dims []int
		fn   func(s *model.Scope, x *Node) *Node
		// Numbers of values per example. all is 0 if the test can count the nodes that Pull builds.
		alive, all int
	}{
		// The largest are the adjoints of 6 units and of 5 inputs; the sine works in place.
		{"chain", []int{4, 5}, func(s *model.Scope, x *Node) *Node {
			return DotProduct(Sin(DotProduct(x, weights(s, x, 5, 6))), weights(s, x, 6, 3))
		}, 6 + 5, 0},
		// The adjoint of the sum goes to both branches, and stays alive while Pull handles the
		// other one.
		{"residual", []int{4, 5}, func(s *model.Scope, x *Node) *Node {
			h := DotProduct(x, weights(s, x, 5, 6))
			return DotProduct(Add(h, DotProduct(Tanh(DotProduct(h, weights(s, x, 6, 10))), weights(s, x, 10, 6))),
				weights(s, x, 6, 3))
		}, 6 + 10 + 6, 0},
		// The adjoints of both sums go on to h and to a branch, so that those of h need memory for
		// their sum. Most is alive when the second branch adds the adjoint of the inputs: that, the
		// sum, and the adjoints of both branches. Each branch gives its own back when it is done.
		{"two residuals", []int{4, 5}, func(s *model.Scope, x *Node) *Node {
			h := DotProduct(x, weights(s, x, 5, 6))
			a := Tanh(DotProduct(x, weights(s.In("a"), x, 5, 6)))
			b := Tanh(DotProduct(x, weights(s.In("b"), x, 5, 6)))
			first, second := Add(h, a), Add(h, b)
			return Add(DotProduct(first, weights(s.In("c"), x, 6, 3)), DotProduct(second, weights(s.In("d"), x, 6, 3)))
		}, 5 + 6 + 2*6, 3 + 2*6 + 6 + 2*6 + 3*5},
		{"reshapes", []int{4, 2, 3}, func(s *model.Scope, x *Node) *Node {
			return DotProduct(Reshape(Neg(Reshape(x, 4, 6)), 4, 6), weights(s, x, 6, 3))
		}, 3 + 6, 0},
		{"image", []int{4, 6, 6, 2}, func(s *model.Scope, x *Node) *Node {
			y := activation.Relu(layers.Convolution(s.In("conv"), x).Channels(3).KernelSize(3).PadSame().Done())
			return layers.Dense(s.In("dense"), Reshape(y, 4, -1), true, 5)
		}, 6*6*3 + 6*6*2, 5 + 2*6*6*3 + 6*6*2},
	}
	// A sum overwrites a term, and the others are views.
	free := map[NodeType]bool{NodeTypeReshape: true, NodeTypeBroadcastInDim: true, NodeTypeAdd: true}
	b := gctest.GoBackend(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			onExample(t, b, c.dims, c.fn, func(y, x *Node) {
				s := vjp.New(y, x)
				alive, all := s.AdjointBytes(x)
				v := s.Pull(Ones(x.Graph(), shapes.Make(y.DType(), append([]int{cotangents}, y.Shape().Dimensions...)...)))
				want := int(y.Shape().ByteSize())
				for _, n := range before(v) {
					if n.Shape().Size()%cotangents == 0 && !free[n.Type()] {
						want += int(n.Shape().ByteSize()) / cotangents
					}
				}
				if c.all > 0 { // Pull also builds patches of the images, which the estimate leaves out.
					want = c.all * 4 * float
				}
				if all != want {
					t.Errorf("all adjoints take %d bytes, Pull builds %d", all, want)
				}
				if alive != c.alive*4*float {
					t.Errorf("%d bytes are alive at once, want %d", alive, c.alive*4*float)
				}
			})
		})
	}
}

// before returns the node and all its ancestors.
func before(n *Node) []*Node {
	seen := map[*Node]bool{n: true}
	nodes := []*Node{n}
	for i := 0; i < len(nodes); i++ {
		for _, in := range nodes[i].Inputs() {
			if !seen[in] {
				seen[in] = true
				nodes = append(nodes, in)
			}
		}
	}
	return nodes
}

// TestIsPiecewiseLinear checks networks whose local derivatives are known.
func TestIsPiecewiseLinear(t *testing.T) {
	dense := func(s *model.Scope, x *Node) *Node { return layers.Dense(s, x, true, 6) }
	cases := []struct {
		name string
		want bool
		fn   func(s *model.Scope, h *Node) *Node
	}{
		{"ReLU", true, func(_ *model.Scope, h *Node) *Node { return activation.Relu(h) }},
		{"absolute values", true, func(_ *model.Scope, h *Node) *Node { return Abs(h) }},
		{"maximum", true, func(_ *model.Scope, h *Node) *Node { return ReduceMax(Reshape(h, 4, 3, 2), 2) }},
		{"scaled", true, func(s *model.Scope, h *Node) *Node { return Mul(h, weights(s, h, 1, 6)) }},
		{"frozen batch norm", true, func(s *model.Scope, h *Node) *Node {
			return Div(Sub(h, weights(s, h, 1, 6)), AddScalar(Abs(weights(s, h, 1, 6)), 1))
		}},
		{"tanh", false, func(_ *model.Scope, h *Node) *Node { return Tanh(h) }},
		{"GELU", false, func(_ *model.Scope, h *Node) *Node { return activation.Gelu(h) }},
		{"product of activations", false, func(_ *model.Scope, h *Node) *Node { return Mul(h, Abs(h)) }},
		{"divided by an activation", false, func(_ *model.Scope, h *Node) *Node {
			return Div(OnesLike(h), AddScalar(Abs(h), 1))
		}},
		{"layer norm", false, func(s *model.Scope, h *Node) *Node { return norm.LayerNorm(s.In("norm"), h, -1).Done() }},
		{"batch norm in training", false, func(s *model.Scope, h *Node) *Node {
			mean := ReduceAndKeep(h, ReduceMean, 0)
			return Div(Sub(h, mean), Sqrt(AddScalar(ReduceAndKeep(Square(Sub(h, mean)), ReduceMean, 0), 1e-3)))
		}},
		{"a gate of batch statistics", false,
			func(s *model.Scope, h *Node) *Node { return Mul(h, ReduceAndKeep(h, ReduceMean, 0)) }},
		{"a gradient of its own", false, func(_ *model.Scope, h *Node) *Node {
			return IdentityWithCustomGradient(h, func(x, v *Node) *Node { return Mul(v, x) })
		}},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				onExample(t, b, []int{4, 5}, func(s *model.Scope, x *Node) *Node {
					return layers.Dense(s.In("out"), c.fn(s, dense(s.In("in"), x)), true, 3)
				}, func(y, x *Node) {
					if got := vjp.New(y, x).IsPiecewiseLinear(); got != c.want {
						t.Errorf("got %v, want %v", got, c.want)
					}
				})
			})
		}
	})
}

// TestLargestWeights counts, by hand, the weights of products that depend on the inputs: not a
// product of weights alone, and not the product of two activations.
func TestLargestWeights(t *testing.T) {
	const float = 4
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		onExample(t, b, []int{4, 5}, func(s *model.Scope, x *Node) *Node {
			first := layers.Dense(s.In("first"), x, true, 9)
			gate := Dot(weights(s.In("a"), x, 9, 50), weights(s.In("b"), x, 50, 9)).Product()
			second := Dot(Sin(Dot(first, gate).Product()), weights(s.In("c"), x, 9, 4)).Product()
			pairs := Einsum("bi,bj->bij", second, second)
			return ReduceSum(DotGeneral(pairs, []int{2}, nil, weights(s.In("d"), x, 4, 3), []int{0}, nil), 1)
		}, func(y, x *Node) {
			s := vjp.New(y, x)
			if got := s.LargestWeights(x); got != 9*9*float {
				t.Errorf("LargestWeights is %d bytes, want those of the gate, %d", got, 9*9*float)
			}
		})
		onExample(t, b, []int{4, 5}, func(s *model.Scope, x *Node) *Node {
			return layers.Dense(s.In("second"), Sin(layers.Dense(s.In("first"), x, true, 9)), true, 3)
		}, func(y, x *Node) {
			s := vjp.New(y, x)
			first, ok := s.FirstLinear()
			if !ok {
				t.Fatal("found no first layer")
			}
			if whole, rest := s.LargestWeights(x), s.LargestWeights(first.Node); whole != 5*9*float || rest != 9*3*float {
				t.Errorf("LargestWeights is %d bytes, and %d after the first layer, want %d and %d", whole, rest, 5*9*float, 9*3*float)
			}
		})
	})
}
