package convolution

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// dumpPrefix begins the names of the graphs whose compiled programs are written to dumpFolder.
const dumpPrefix = "compiled_convolution"

var dumpFolder string

// DumpPrograms sets XLA's flags, which it reads once, so that it writes down the programs of graphs
// with dumpPrefix. forget removes them.
func DumpPrograms() (forget func(), err error) {
	if dumpFolder, err = os.MkdirTemp("", dumpPrefix); err != nil {
		return nil, err
	}
	flags := fmt.Sprintf("%s --xla_dump_to=%s --xla_dump_hlo_as_text --xla_dump_hlo_module_re=%s",
		os.Getenv("XLA_FLAGS"), dumpFolder, dumpPrefix)
	if err := os.Setenv("XLA_FLAGS", strings.TrimSpace(flags)); err != nil {
		return nil, err
	}
	return func() { _ = os.RemoveAll(dumpFolder) }, nil
}

// TestCompiled looks at what XLA with oneDNN compiles for the convolutions of residual networks and
// their derivatives: each has to be a call of oneDNN or a product of matrices, or at least a
// convolution that Eigen computes. All else is a scalar loop, which takes tens of times as long.
func TestCompiled(t *testing.T) {
	b := gctest.PlainXLABackend(t)
	if b == nil || !platform.HasOneDNN() {
		t.Skip("no XLA with oneDNN here")
	}
	for _, test := range []struct{ batch, size, kernel, stride, in, out int }{
		{128, 16, 3, 1, 3, 16}, {128, 16, 3, 2, 16, 32}, {128, 4, 3, 2, 64, 128}, {16, 2, 3, 1, 128, 128}, {8, 2, 3, 1, 8, 8},
		{128, 2, 3, 2, 8, 16}, {2, 2, 3, 2, 8, 16}, {128, 2, 1, 2, 8, 16}, {128, 1, 3, 1, 16, 16}, {1, 1, 3, 1, 16, 16},
		{32, 3, 3, 2, 4, 8}, {16, 3, 5, 2, 4, 8}, {2, 4, 7, 1, 4, 4}, {16, 8, 3, 1, 1, 1},
	} {
		pad := (test.kernel - 1) / 2
		c := geometry{strides: []int{test.stride, test.stride}, inputDilations: []int{1, 1}, kernelDilations: []int{1, 1},
			paddings: [][2]int{{pad, pad}, {pad, pad}}}
		outputs := (test.size + test.stride - 1) / test.stride
		x := shapes.Make(dtypes.Float32, test.batch, test.size, test.size, test.in)
		k := shapes.Make(dtypes.Float32, test.kernel, test.kernel, test.in, test.out)
		v := shapes.Make(dtypes.Float32, test.batch, outputs, outputs, test.out)
		for _, op := range []struct {
			name    string
			operand [2]shapes.Shape
			build   func(a, b *Node) *Node
		}{
			{"forward", [2]shapes.Shape{x, k}, func(x, k *Node) *Node { return Of(x, k, c.strides, c.paddings) }},
			{"forward_as_derivative", [2]shapes.Shape{x, k}, func(x, k *Node) *Node { return convolve(x, k, c) }},
			{"images_gradient", [2]shapes.Shape{v, k}, func(v, k *Node) *Node {
				return inputGradient(c, v, k, x.Dimensions[1:3])
			}},
			{"kernel_gradient", [2]shapes.Shape{x, v}, func(x, v *Node) *Node {
				return kernelGradient(c, x, v, k.Dimensions[:2])
			}},
		} {
			name := fmt.Sprintf("%s_of_%d_images_%d_wide_%d_to_%d_kernel_%d_stride_%d",
				op.name, test.batch, test.size, test.in, test.out, test.kernel, test.stride)
			t.Run(name, func(t *testing.T) {
				g := NewGraph(b, dumpPrefix+"_"+name)
				defer g.Finalize()
				if err := g.Compile(op.build(Parameter(g, "a", op.operand[0]), Parameter(g, "b", op.operand[1]))); err != nil {
					t.Fatal(err)
				}
				for _, line := range scalarLoops(t, compiledProgram(t, g.Name())) {
					t.Errorf("XLA makes a scalar loop of it: %s", line)
				}
			})
		}
	}
}

// TestCompiledStep looks at what XLA with oneDNN compiles for the gradients of all kernels of a
// network together: there it may lay out images in other ways than for one convolution. Of the
// narrow and the wide network every way to compute a kernel's gradient is a part.
func TestCompiledStep(t *testing.T) {
	b := gctest.PlainXLABackend(t)
	if b == nil || !platform.HasOneDNN() {
		t.Skip("no XLA with oneDNN here")
	}
	for _, width := range []int{8, 32} {
		t.Run(fmt.Sprintf("width %d", width), func(t *testing.T) {
			g := NewGraph(b, fmt.Sprintf("%s_step_%d", dumpPrefix, width))
			defer g.Finalize()
			if err := g.Compile(gradientsOfKernels(g, width)...); err != nil {
				t.Fatal(err)
			}
			program := compiledProgram(t, g.Name())
			for _, line := range scalarLoops(t, program) {
				t.Errorf("XLA makes a scalar loop of it: %s", line)
			}
			for line := range strings.SplitSeq(program, "\n") {
				// oneDNN's scalar loops need no memory of their own.
				if strings.Contains(line, `"ops":["SUM"]`) && strings.Contains(line, "u8[0]{0}) custom-call(") {
					t.Errorf("oneDNN makes a scalar loop of a convolution and a sum: %s", strings.TrimSpace(line))
				}
			}
		})
	}
}

// gradientsOfKernels returns the gradients of the kernels of eight convolutions of 128 images, of
// 32×32 to 4×4, each normalized over the batch.
func gradientsOfKernels(g *Graph, width int) []*Node {
	y := Parameter(g, "x", shapes.Make(dtypes.Float32, 128, 32, 32, 3))
	var kernels []*Node
	for size := range 4 {
		for _, stride := range []int{1 + min(size, 1), 1} {
			name := fmt.Sprintf("k%d", len(kernels))
			kernel := Parameter(g, name, shapes.Make(dtypes.Float32, 3, 3, y.Shape().Dim(-1), width<<size))
			kernels = append(kernels, kernel)
			y = Max(Of(y, kernel, []int{stride, stride}, [][2]int{{1, 1}, {1, 1}}), ScalarZero(g, dtypes.Float32))
			centered := Sub(y, ReduceAndKeep(y, ReduceMean, 0, 1, 2))
			y = Mul(centered, Inverse(Sqrt(OnePlus(ReduceAndKeep(Square(centered), ReduceMean, 0, 1, 2)))))
		}
	}
	return Gradient(ReduceAllSum(Square(y)), kernels...)
}

// TestCompiledGroups looks at what XLA with oneDNN compiles for a depthwise convolution, its
// derivatives and theirs: calls of oneDNN alone, in a program that does not grow with the groups.
func TestCompiledGroups(t *testing.T) {
	b := gctest.PlainXLABackend(t)
	if b == nil || !platform.HasOneDNN() {
		t.Skip("no XLA with oneDNN here")
	}
	for _, test := range []struct{ channels, depth, stride int }{{64, 1, 1}, {64, 1, 2}, {64, 4, 1}} {
		name := fmt.Sprintf("%d_channels_in_groups_of_%d_stride_%d", test.channels, test.depth, test.stride)
		t.Run(name, func(t *testing.T) {
			g := NewGraph(b, dumpPrefix+"_"+name)
			defer g.Finalize()
			if err := g.Compile(derivativesOfGroups(g, test.channels, test.depth, test.stride)...); err != nil {
				t.Fatal(err)
			}
			program := compiledProgram(t, g.Name())
			for _, line := range scalarLoops(t, program) {
				t.Errorf("XLA makes a scalar loop of it: %s", line)
			}
			if n := strings.Count(program, " convolution("); n > 0 {
				t.Errorf("oneDNN does not compute %d convolutions:\n%s", n, program)
			}
			if n := strings.Count(program, " = "); n > 300 {
				t.Errorf("the program has %d instructions, want at most 300", n)
			}
		})
	}
}

// TestGroupsGraph checks that the graph of a depthwise convolution and its derivatives on XLA has
// as many nodes for 64 groups as for 4.
func TestGroupsGraph(t *testing.T) {
	b := gctest.PlainXLABackend(t)
	if b == nil {
		t.Skip("no XLA here")
	}
	var nodes []int
	for _, channels := range []int{4, 64} {
		g := NewGraph(b, "groups")
		derivativesOfGroups(g, channels, 1, 2)
		nodes = append(nodes, len(g.Nodes()))
		g.Finalize()
	}
	if nodes[0] != nodes[1] {
		t.Errorf("%d nodes for 4 groups and %d for 64, want the same number", nodes[0], nodes[1])
	}
}

// derivativesOfGroups returns valueAndDerivatives of a convolution in float32 of 8 images of 16×16,
// in groups of so many channels each.
func derivativesOfGroups(g *Graph, channels, depth, stride int) []*Node {
	x := Parameter(g, "x", shapes.Make(dtypes.Float32, 8, 16, 16, channels))
	k := Parameter(g, "k", shapes.Make(dtypes.Float32, 3, 3, depth, channels))
	return valueAndDerivatives(func(x, k *Node) *Node {
		return Convolve(x, k).Strides(stride).PadSame().ChannelGroupCount(channels / depth).Done()
	}, x, k)
}

// compiledProgram returns the text of the program that XLA compiled for a graph.
func compiledProgram(t *testing.T, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dumpFolder, "*."+name+".cpu_after_optimizations.txt"))
	if err != nil || len(files) != 1 {
		t.Fatalf("XLA wrote %d programs of %s (%v), want 1", len(files), name, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scalarLoops returns the convolutions of a compiled program that nothing but a loop over single
// elements computes: those in fusions, which XLA computes element by element, and those that are
// not in the one form that Eigen takes. It fails if the program computes neither convolution nor
// product.
func scalarLoops(t *testing.T, program string) []string {
	t.Helper()
	var found []string
	isEntry, computes := false, false
	for line := range strings.SplitSeq(program, "\n") {
		if !strings.HasPrefix(line, " ") {
			isEntry = strings.HasPrefix(line, "ENTRY")
		}
		isConvolution := strings.Contains(line, " convolution(")
		isEigens := isEntry && !strings.Contains(line, "reversal") && strings.Contains(line, "dim_labels=b01f_01io->b01f")
		if isConvolution && !isEigens {
			found = append(found, strings.TrimSpace(line))
		}
		computes = computes || isConvolution || strings.Contains(line, " dot(") || strings.Contains(line, "__onednn$")
	}
	if !computes {
		t.Errorf("no product is in this program:\n%s", program)
	}
	return found
}
