package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/fnn"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/operatornorm"
	"github.com/geometric-complexity/toolkit/layers"
)

// ClosedForms is the task of measuring one random ReLU network in double precision, and of
// computing the same without automatic differentiation.
//
// Its one point holds "gc", as gcml measures it; "gc_jacobian", the same through the whole
// Jacobian, without the closed form of dense networks; "gc_regions", the sum over the linear
// regions of the share of the points that lie in each times ‖A‖²_F, with A the product of the
// weights of the units active there; "regions", how many those are; "lipschitz", the largest
// operator norm of A; and "weights_bound", ((1/l) Σ ‖W_i‖²_F)^l over the l layers.
type ClosedForms struct {
	Inputs       int `json:"inputs"`
	HiddenLayers int `json:"hidden_layers"` // 0 for a linear map
	Width        int `json:"width"`
	Outputs      int `json:"outputs"`
	Points       int `json:"points"` // standard normal
}

var _ runs.Task = (*ClosedForms)(nil)

// Kind implements Task.
func (t *ClosedForms) Kind() string { return "closed-forms" }

// Revision implements Task.
func (t *ClosedForms) Revision() int { return 2 }

// Units implements Task: the run is one.
func (t *ClosedForms) Units() int64 { return 1 }

// Do implements Task.
func (t *ClosedForms) Do(_ context.Context, job *runs.Job) error {
	if t.Inputs < 1 || t.Outputs < 1 || t.Points < 1 || t.HiddenLayers < 0 || t.Width < 1 {
		return fmt.Errorf("invalid network: inputs %d, hidden_layers %d, width %d, outputs %d, points %d; want 1 or more, "+
			"for hidden_layers 0 or more", t.Inputs, t.HiddenLayers, t.Width, t.Outputs, t.Points)
	}
	random := rand.New(rand.NewPCG(uint64(job.Record.Seed), 1))
	points := make([]float64, t.Points*t.Inputs)
	for i := range points {
		points[i] = random.NormFloat64()
	}
	net := randomNetwork{t.HiddenLayers, t.Width, t.Outputs}
	store, measured, err := net.measure(job.Backend, job.Record.Seed, points, t.Inputs,
		func(f, x *graph.Node) []*graph.Node {
			return []*graph.Node{gcml.Complexity(f, x), gcml.Complexity(f, x, gcml.WithoutClosedForm())}
		})
	if err != nil {
		return err
	}
	defer store.Finalize()
	weights, biases, err := mlpWeights(store, "/", net.hidden)
	if err != nil {
		return err
	}
	r := linearRegions(weights, biases, points)
	job.Record.Status = runs.Complete
	job.Record.Points = []runs.Point{{Values: map[string]runs.Number{"gc": runs.Number(measured[0][0]),
		"gc_jacobian": runs.Number(measured[1][0]),
		"gc_regions":  runs.Number(r.gc), "regions": runs.Number(r.count), "lipschitz": runs.Number(r.lipschitz),
		"weights_bound": runs.Number(weightsBound(weights))}}}
	return nil
}

// randomNetwork is a ReLU network made of GoMLX's own layers, with random biases, so that the
// points lie in many linear regions.
type randomNetwork struct{ hidden, width, outputs int }

// biasDeviation is the standard deviation of the biases.
const biasDeviation = 0.5

func (n randomNetwork) function(scope *model.Scope, x *graph.Node) *graph.Node {
	he, bias := layers.InitHeNormal.Initializer(scope), normalOf(scope, biasDeviation)
	scope = scope.WithInitializer(func(g *graph.Graph, shape shapes.Shape) *graph.Node {
		if shape.Rank() < 2 {
			return bias(g, shape)
		}
		return he(g, shape)
	})
	return fnn.New(scope, x, n.outputs).NumHiddenLayers(n.hidden, n.width).Activation(activation.TypeRelu).Done()
}

// measure draws a network from a seed and gives the values of measures, which are functions of its
// outputs f at the inputs x, [n, inputs] as rows in points. The caller owns the store, which holds
// the weights.
func (n randomNetwork) measure(backend compute.Backend, seed int64, points []float64, inputs int,
	measures func(f, x *graph.Node) []*graph.Node) (*model.Store, [][]float64, error) {
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(seed); err != nil {
		return nil, nil, err
	}
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, x *graph.Node) []*graph.Node {
		scope.Store().SetTraining(x.Graph(), false)
		return measures(n.function(scope, x), x)
	})
	if err != nil {
		return nil, nil, err
	}
	defer exec.Finalize()
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(points, len(points)/inputs, inputs))
	if err != nil {
		return nil, nil, err
	}
	values := make([][]float64, len(out))
	for i, tensor := range out {
		values[i] = tensors.MustCopyFlatData[float64](tensor)
	}
	return store, values, nil
}

// regions summarizes the linear regions of a network that contain points.
type regions struct {
	count         int
	gc, lipschitz float64
}

// linearRegions assigns the points to the network's linear regions by their active units, and
// computes each region's linear map once.
func linearRegions(weights []*mat.Dense, biases [][]float64, points []float64) regions {
	inputs, _ := weights[0].Dims()
	n := len(points) / inputs
	type region struct {
		held   int
		linear *mat.Dense
	}
	var all []*region // in the order of the points, so that the sum is always the same
	byPattern := make(map[string]*region)
	for i := range n {
		pattern, linear := regionOf(weights, biases, points[i*inputs:(i+1)*inputs])
		if byPattern[pattern] == nil {
			byPattern[pattern] = &region{linear: linear}
			all = append(all, byPattern[pattern])
		}
		byPattern[pattern].held++
	}
	r := regions{count: len(all)}
	for _, region := range all {
		r.gc += float64(region.held) / float64(n) * squaredFrobenius(region.linear)
		r.lipschitz = max(r.lipschitz, math.Sqrt(operatornorm.Squared(region.linear)))
	}
	return r
}

// regionOf gives the units that are active at a point, one byte each, and the linear map of that
// region, [outputs, inputs].
func regionOf(weights []*mat.Dense, biases [][]float64, point []float64) (string, *mat.Dense) {
	h := mat.NewVecDense(len(point), append([]float64(nil), point...))
	linear := mat.DenseCopyOf(weights[0].T())
	var pattern []byte
	for l := range weights {
		if l > 0 {
			var product mat.Dense
			product.Mul(weights[l].T(), linear)
			linear = &product
		}
		var z mat.VecDense
		z.MulVec(weights[l].T(), h)
		for i := range z.Len() {
			z.SetVec(i, z.AtVec(i)+biases[l][i])
		}
		if h = &z; l == len(weights)-1 {
			break
		}
		for i := range z.Len() {
			active := byte(1)
			if z.AtVec(i) <= 0 {
				active = 0
				z.SetVec(i, 0)
				clear(linear.RawRowView(i))
			}
			pattern = append(pattern, active)
		}
	}
	return string(pattern), linear
}

func squaredFrobenius(a mat.Matrix) float64 { return math.Pow(mat.Norm(a, 2), 2) }

// weightsBound is ((1/l) Σ ‖W_i‖²_F)^l.
func weightsBound(weights []*mat.Dense) float64 {
	var sum float64
	for _, w := range weights {
		sum += squaredFrobenius(w)
	}
	layers := float64(len(weights))
	return math.Pow(sum/layers, layers)
}
