package convolution

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// groupsCase is a convolution of 4 channels in groups, of images of 7 by 8.
type groupsCase struct {
	name                                     string
	batch, groups, multiplier                int
	kernel                                   []int
	strides, inputDilations, kernelDilations []int
	paddings                                 [][2]int
}

const groupsChannels = 4

// groupsCases returns every combination of batch, groups and multiplier with every geometry if all
// is set. XLA takes a second to compile each, so it gets a selection in which every size and every
// geometry occurs.
func groupsCases(all bool) []groupsCase {
	ones, twos := []int{1, 1}, []int{2, 2}
	geometries := []groupsCase{
		{name: "same", kernel: []int{3, 3}, strides: ones, paddings: [][2]int{{1, 1}, {1, 1}}},
		{name: "stride", kernel: []int{3, 2}, strides: []int{2, 3}, paddings: [][2]int{{1, 0}, {0, 2}}},
		{name: "kernel dilation", kernel: []int{2, 3}, strides: []int{1, 2}, kernelDilations: []int{3, 2},
			paddings: [][2]int{{2, 2}, {1, 1}}},
		{name: "input dilation", kernel: []int{3, 3}, strides: ones, inputDilations: []int{2, 3},
			paddings: [][2]int{{1, 2}, {0, 0}}},
		{name: "all", kernel: []int{3, 3}, strides: twos, inputDilations: []int{3, 3}, kernelDilations: []int{1, 2},
			paddings: [][2]int{{1, 1}, {2, 3}}},
		{name: "cropped", kernel: []int{3, 3}, strides: twos, paddings: [][2]int{{-1, 1}, {1, -1}}},
		{name: "one tap", kernel: ones, strides: twos, paddings: [][2]int{{}, {}}},
	}
	var cases []groupsCase
	for i, c := range geometries {
		for j, sizes := range [][3]int{{3, 4, 1}, {1, 4, 2}, {1, 4, 1}, {3, 4, 2}, {3, 2, 1}, {1, 2, 2}} {
			if all || i == j || i == j+1 {
				c.batch, c.groups, c.multiplier = sizes[0], sizes[1], sizes[2]
				cases = append(cases, c)
			}
		}
	}
	return cases
}

func (c groupsCase) String() string {
	return fmt.Sprintf("%s, batch %d, %d groups, multiplier %d", c.name, c.batch, c.groups, c.multiplier)
}

// operands cuts the case's images and kernel out of x and k, which are large enough for all cases.
func (c groupsCase) operands(x, k *Node) (images, kernel *Node) {
	return Slice(x, AxisRange(0, c.batch)), Slice(k, AxisRange(0, c.kernel[0]), AxisRange(0, c.kernel[1]),
		AxisRange(0, groupsChannels/c.groups), AxisRange(0, groupsChannels*c.multiplier))
}

func (c groupsCase) grouped(x, k *Node) *Node {
	return ConvGeneral(x, k, channelsLast, c.strides, c.paddings, c.inputDilations, c.kernelDilations, c.groups, 1)
}

// full computes the result of grouped by one convolution of all channels, whose kernel is 0 between
// the groups.
func (c groupsCase) full(x, k *Node) *Node {
	copies := make([]*Node, c.groups)
	for i := range copies {
		copies[i] = k
	}
	k = Concatenate(copies, 2) // [kernel..., all channels, channels out]
	group := func(axis, size int) *Node {
		return Floor(DivScalar(Iota(x.Graph(), k.Shape(), axis), float64(size)))
	}
	within := ConvertDType(Equal(group(2, groupsChannels/c.groups), group(3, groupsChannels*c.multiplier/c.groups)),
		k.DType())
	return ConvGeneral(x, Mul(k, within), channelsLast, c.strides, c.paddings, c.inputDilations, c.kernelDilations, 1, 1)
}

var channelsLast = ConvolveAxesConfig{
	InputBatch: 0, InputSpatial: []int{1, 2}, InputChannels: 3,
	KernelSpatial: []int{0, 1}, KernelInputChannels: 2, KernelOutputChannels: 3,
	OutputBatch: 0, OutputSpatial: []int{1, 2}, OutputChannels: 3,
}

// valueAndDerivatives returns the outputs of a convolution, the gradients of a function of them,
// and the gradients of the squares of these.
func valueAndDerivatives(convolve func(x, k *Node) *Node, x, k *Node) []*Node {
	y := convolve(x, k)
	first := Gradient(ReduceAllSum(Sin(y)), x, k)
	squares := Add(ReduceAllSum(Square(first[0])), ReduceAllSum(Square(first[1])))
	return append(append([]*Node{y}, first...), Gradient(squares, x, k)...)
}

// TestGroupsOfChannels compares convolutions of groups of channels, and their derivatives of both
// orders, with convolutions of all channels on the Go backend in float64.
func TestGroupsOfChannels(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	x, k := gctest.RandomTensor(rng, 3, 7, 8, groupsChannels), gctest.RandomTensor(rng, 3, 3, 2, 2*groupsChannels)
	derive := func(t *testing.T, b compute.Backend, cases []groupsCase, dtype dtypes.DType,
		define func(c groupsCase) func(x, k *Node) *Node) []*tensors.Tensor {
		for _, input := range []*tensors.Tensor{x, k} {
			if err := input.ToLocal(); err != nil { // From one backend to the other.
				t.Fatal(err)
			}
		}
		return MustExecOnceN(b, func(x, k *Node) []*Node {
			var results []*Node
			for _, c := range cases {
				images, kernel := c.operands(ConvertDType(x, dtype), ConvertDType(k, dtype))
				results = append(results, valueAndDerivatives(define(c), images, kernel)...)
			}
			return results
		}, x, k)
	}
	grouped := func(c groupsCase) func(x, k *Node) *Node { return c.grouped }
	full := func(c groupsCase) func(x, k *Node) *Node { return c.full }
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		cases := groupsCases(b.String() == "go")
		want := derive(t, gctest.GoBackend(t), cases, dtypes.Float64, full)
		for _, dtype := range []dtypes.DType{dtypes.Float64, dtypes.Float32} { // XLA computes them in different ways.
			tolerance := 1e-10
			if dtype == dtypes.Float32 {
				tolerance = 5e-5
			}
			got := derive(t, b, cases, dtype, grouped)
			for i := range want {
				what := []string{"outputs", "images' gradient", "kernel's gradient", "images' second", "kernel's second"}[i%5]
				gctest.AssertClose(t, gctest.Flat(got[i]), gctest.Flat(want[i]), tolerance, 0,
					fmt.Sprintf("%s: %s: %s", dtype, cases[i/5], what))
			}
		}
	})
}
