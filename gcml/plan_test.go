package gcml

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	timage "github.com/gomlx/gomlx/core/tensors/images"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// TestPlan checks the plan for a network, an estimator and options. Other tests check the values
// that plans compute.
func TestPlan(t *testing.T) {
	const batch, inputs, units, outputs = 16, 60, 5, 40
	dense := func(x *Node) *Node { // 60 inputs into 5 units: the closed form is cheaper.
		w := Iota(x.Graph(), shapes.Make(x.DType(), inputs, units), 0)
		v := Iota(x.Graph(), shapes.Make(x.DType(), units, outputs), 1)
		return Dot(Sin(Dot(x, w).Product()), v).Product()
	}
	elementwise := func(x *Node) *Node { return Sin(x) }
	cases := []struct {
		name    string
		network func(x *Node) *Node
		change  func(o *options)
		want    plan
	}{
		{"exact", elementwise, nil, plan{norm: fromJacobian, cotangents: inputs, atOnce: inputs, rounds: 1, scale: 1}},
		{"closed form", dense, nil, plan{norm: fromGram, cotangents: outputs, atOnce: outputs, rounds: 1, scale: 1}},
		{"no closed form", dense, func(o *options) { o.noClosedForm = true },
			plan{norm: fromJacobian, cotangents: outputs, atOnce: outputs, rounds: 1, scale: 1}},
		{"closed form to be differentiated", dense, func(o *options) { o.forGradient = true },
			plan{norm: fromGram, gradient: byGram, cotangents: outputs, atOnce: outputs, rounds: 1, scale: 1}},
		{"to be differentiated", elementwise, func(o *options) { o.forGradient = true },
			plan{norm: fromJacobian, cotangents: inputs, atOnce: inputs, rounds: 1, scale: 1}},
		{"one graph", dense, func(o *options) { o.cotangents = 2 },
			plan{norm: fromGram, cotangents: outputs, atOnce: 2, ordered: true, rounds: 1, scale: 1}},
		{"in rounds", dense, func(o *options) { o.cotangents, o.inRounds = 2, true },
			plan{norm: fromGram, cotangents: outputs, atOnce: 2, rounds: 20, scale: 1}},
		{"few enough parts for one graph", dense, func(o *options) { o.cotangents, o.inRounds = 3, true },
			plan{norm: fromGram, cotangents: outputs, atOnce: 3, ordered: true, rounds: 1, scale: 1}},
		{"more at once than there are", dense, func(o *options) { o.cotangents = 100 },
			plan{norm: fromGram, cotangents: outputs, atOnce: outputs, rounds: 1, scale: 1}},
		{"within a budget of ten cotangents", elementwise, func(o *options) { o.memoryBudget = 10 * batch * inputs * 8 },
			plan{norm: fromJacobian, cotangents: inputs, atOnce: 10, ordered: true, rounds: 1, scale: 1}},
		{"projection", dense, func(o *options) { o.estimator = Projection(20) },
			plan{norm: fromGram, cotangents: 20, atOnce: 20, rounds: 1, scale: 2}},
		{"a random estimator has no rounds", elementwise,
			func(o *options) { o.estimator, o.cotangents, o.inRounds = Hutchinson(20, Gaussian), 1, true },
			plan{norm: fromJacobian, cotangents: 20, atOnce: 1, ordered: true, rounds: 1, scale: 1.0 / 20}},
		{"projection onto all outputs", dense,
			func(o *options) { o.estimator, o.cotangents, o.inRounds = Projection(outputs), 2, true },
			plan{norm: fromGram, cotangents: outputs, atOnce: 2, rounds: 20, scale: 1}},
		{"forward noise", dense, func(o *options) { o.estimator = ForwardNoise(0.5, 2) },
			plan{norm: fromNoise, rounds: 1, scale: 2}},
		{"forward noise to be differentiated", dense,
			func(o *options) { o.estimator, o.forGradient = ForwardNoise(0.5, 2), true },
			plan{norm: fromNoise, rounds: 1, scale: 2}},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				var o options
				if c.change != nil {
					c.change(&o)
				}
				x := Parameter(NewGraph(b, t.Name()), "x", shapes.Make(dtypes.Float64, batch, inputs))
				y := c.network(x)
				want := c.want
				want.estimator, want.batch, want.inputs, want.outputs = o.estimator, batch, inputs, y.Shape().Dimensions[1]
				want.columns = want.norm == fromJacobian && platform.Of(b) == platform.XLACPU
				if got := newJacobian(y, x, o).plan; got != want {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			})
		}
	})
}

// TestPlanOfConvolutions checks that XLA on a CPU computes all cotangents of a network with
// convolutions together, if they have room.
func TestPlanOfConvolutions(t *testing.T) {
	const size, channels, outputs = 32, 16, 10
	convolution := func(x *Node) *Node {
		kernel := Iota(x.Graph(), shapes.Make(x.DType(), 3, 3, channels, channels), 0)
		return Convolve(x, kernel).ChannelsAxis(timage.ChannelsLast).PadSame().Done()
	}
	dense := func(x *Node) *Node {
		w := Iota(x.Graph(), shapes.Make(x.DType(), channels, channels), 0)
		return DotGeneral(x, []int{3}, nil, w, []int{0}, nil)
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range []struct {
			name    string
			network func(x *Node) *Node
			batch   int // One image has 64 KiB.
			onXLA   int
		}{
			{"with room", convolution, 128, outputs},
			{"without room", convolution, 1024, 1},
			{"no convolution", dense, 128, 1},
		} {
			t.Run(c.name, func(t *testing.T) {
				x := Parameter(NewGraph(b, t.Name()), "x", shapes.Make(dtypes.Float32, c.batch, size, size, channels))
				y := ReduceSum(c.network(x), 1, 2)
				y = Slice(y, AxisRange(), AxisRange(0, outputs))
				want := 1
				if platform.Of(b) == platform.XLACPU {
					want = c.onXLA
				}
				if got := newJacobian(y, x, options{}).plan.atOnce; got != want {
					t.Errorf("%d cotangents at once, want %d", got, want)
				}
			})
		}
	})
}

// TestPlanOfLargeWeights checks that there is one part if its adjoints take at most four times the
// memory of the weights, else parts of up to twice that memory, all of about the same size. The
// first layer counts only where the adjoints pass through it.
func TestPlanOfLargeWeights(t *testing.T) {
	const batch, inputs, units, float = 2, 300, 30, 8
	const one = batch * (inputs + units) * float // A cotangent's adjoints of the layer and of the inputs: 5,280 bytes.
	usual := cpuWorkingSet
	t.Cleanup(func() { cpuWorkingSet = usual })
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range []struct {
			name         string
			set, outputs int
			closedForm   bool
			parts        int
		}{
			// The weights have 72,000 bytes. Twice that holds 27 cotangents, four times that 54.
			{"through the first layer", 1, 60, false, 3},
			{"through the first layer, all", 1, 54, false, 1},
			{"a larger cache", 60 * one, 60, false, 1},
			// Twice the 14,400 bytes of the second layer's weights hold 15 cotangents, 1,920 bytes
			// each: the adjoints of 60 outputs and 30 units, and the latter's product with the Gram
			// matrix.
			{"down to the first layer", 1, 60, true, 4},
		} {
			t.Run(c.name, func(t *testing.T) {
				cpuWorkingSet = c.set
				x := Parameter(NewGraph(b, t.Name()), "x", shapes.Make(dtypes.Float64, batch, inputs))
				w := Parameter(x.Graph(), "w", shapes.Make(dtypes.Float64, inputs, units))
				v := Parameter(x.Graph(), "v", shapes.Make(dtypes.Float64, units, c.outputs))
				y := Dot(Sin(Dot(x, w).Product()), v).Product()
				p := newJacobian(y, x, options{noClosedForm: !c.closedForm}).plan
				if p.parts() != c.parts || p.atOnce != c.outputs/c.parts || (p.norm == fromGram) != c.closedForm {
					t.Errorf("%d parts of %d, from the %s, want %d", p.parts(), p.atOnce, p.norm, c.parts)
				}
			})
		}
	})
}
