package gcml

import (
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	. "github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/random"
)

// The default number of cotangents carried at once. On a CPU one at a time runs
// fastest where the batch alone makes the products wide enough, as its adjoints
// stay in the cache; on an accelerator wide is fast. Either way there are not
// more than maxParts copies in the graph, so that it compiles in seconds, unless
// the memory asks for it.
const (
	cpuCotangentBytes         = 2 << 20
	acceleratorCotangentBytes = 256 << 20
	largestCotangentBytes     = 512 << 20
	maxParts                  = 16
)

// parts returns the cotangents of the estimator, in parts of as many as are
// carried at once, each of shape [C, batch or 1, outputs].
func (j *jacobian) parts() []*Node {
	if j.opts.estimator.isExact(j.numOutputs()) {
		return j.unitCotangents()
	}
	all := j.drawCotangents()
	total := all.Shape().Dimensions[0]
	step := j.carried(total)
	var parts []*Node
	for start := 0; start < total; start += step {
		parts = append(parts, SliceAxis(all, 0, AxisRange(start, min(start+step, total))))
	}
	return parts
}

// unitCotangents are the rows of the identity, the same for every example.
func (j *jacobian) unitCotangents() []*Node {
	k := j.numOutputs()
	step := j.carried(k)
	identity := ConvertDType(Diagonal(j.outputs.Graph(), k), j.outputs.DType())
	var parts []*Node
	for start := 0; start < k; start += step {
		rows := Slice(identity, AxisRange(start, min(start+step, k)))
		parts = append(parts, InsertAxes(rows, 1)) // [C, 1, outputs]
	}
	return parts
}

// unitCotangentsOfRound are step rows of the identity from row start on, a
// scalar node; rows beyond the last output are zero. Shape [step, 1, outputs].
func (j *jacobian) unitCotangentsOfRound(start *Node, step int) *Node {
	shape := shapes.Make(start.DType(), step, j.numOutputs())
	g := j.outputs.Graph()
	ones := Equal(Add(Iota(g, shape, 0), start), Iota(g, shape, 1))
	return InsertAxes(ConvertDType(ones, j.outputs.DType()), 1)
}

// carried returns how many of total cotangents to carry at once.
func (j *jacobian) carried(total int) int {
	if j.opts.cotangents > 0 {
		return min(j.opts.cotangents, total)
	}
	largest := 1
	for _, n := range j.pullback.Nodes() {
		if n.NumOutputs() == 1 {
			largest = max(largest, int(n.Shape().ByteSize()))
		}
	}
	fast := cpuCotangentBytes
	if isAccelerator(j.outputs.Graph().Backend()) {
		fast = acceleratorCotangentBytes
	}
	atOnce := max(1, fast/largest, (total+maxParts-1)/maxParts)
	return min(max(1, min(atOnce, largestCotangentBytes/largest)), total)
}

// isAccelerator tells whether the backend computes elsewhere than on the CPU.
func isAccelerator(b compute.Backend) bool {
	d := strings.ToLower(b.Description())
	return strings.Contains(d, "cuda") || strings.Contains(d, "gpu") || strings.Contains(d, "rocm") || strings.Contains(d, "tpu")
}

// drawCotangents draws those of a random estimator, of shape
// [samples, batch, outputs].
func (j *jacobian) drawCotangents() *Node {
	e := j.opts.estimator
	shape := shapes.Make(j.outputs.DType(), e.samples, j.batch(), j.numOutputs())
	switch e.kind {
	case kindRademacher:
		coins := j.store().RandomBernoulli(ConstAsDType(j.outputs.Graph(), dtypes.Float32, 0.5), shape)
		return SubScalar(MulScalar(coins, 2), 1)
	case kindGaussian:
		return random.Normal(j.store(), j.outputs.Graph(), shape)
	}
	return orthonormal(random.Normal(j.store(), j.outputs.Graph(), shape))
}

// store returns where the graph's random state is kept.
func (j *jacobian) store() *model.Store {
	store := model.GetStore(j.outputs)
	if store == nil {
		Panicf("gcml: the estimator %s draws random numbers, and this graph has no model.Store to draw from: build it through model.NewExec, or use gcml.Exact()",
			j.opts.estimator)
	}
	return store
}

// orthonormal makes the vectors x[0], x[1], ... of shape [batch, n] orthonormal
// for each example, by Gram-Schmidt, each vector cleared twice ("twice is
// enough", Giraud et al. 2005). Of normal x that gives directions without any
// preference.
func orthonormal(x *Node) *Node {
	var directions []*Node // Each [batch, n].
	for i := range x.Shape().Dimensions[0] {
		v := Squeeze(SliceAxis(x, 0, AxisElem(i)), 0)
		for range 2 {
			for _, d := range directions {
				v = Sub(v, Mul(d, ReduceAndKeep(Mul(v, d), ReduceSum, -1)))
			}
		}
		directions = append(directions, Div(v, Sqrt(ReduceAndKeep(Square(v), ReduceSum, -1))))
	}
	return Stack(directions, 0)
}

// forwardNoise is the estimator of that name, shape [batch].
func (j *jacobian) forwardNoise() *Node {
	e := j.opts.estimator
	var total *Node
	for range e.samples {
		noise := MulScalar(random.Normal(j.store(), j.inputs.Graph(), j.inputs.Shape()), e.sigma)
		change := Sub(j.pullback.Clone(Add(j.inputs, noise)), j.outputs)
		squares := ReduceSum(Square(change), 1)
		if total == nil {
			total = squares
		} else {
			total = Add(total, squares)
		}
	}
	return MulScalar(total, 1/(e.sigma*e.sigma*float64(e.samples)))
}
