package gcml_test

import (
	"fmt"
	"log"
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
)

// The mean and the standard deviation of 50,000 estimates for one example, divided by the exact
// value. The network is linear with 20 inputs, 10 outputs and normal weights, so that ForwardNoise
// has no bias.
func ExampleEstimator() {
	const draws, inputs, outputs = 50000, 20, 10
	backend := openBackend()
	rng := rand.New(rand.NewPCG(1, 2))
	weights := make([]float64, inputs*outputs)
	for i := range weights {
		weights[i] = rng.NormFloat64()
	}
	w := tensors.FromFlatDataAndDimensions(weights, inputs, outputs)
	x := tensors.FromFlatDataAndDimensions(make([]float64, draws*inputs), draws, inputs)
	norms := func(e gcml.Estimator) []float64 {
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(1); err != nil {
			log.Fatal(err)
		}
		all, err := model.CallOnce(backend, store, func(_ *model.Scope, x, w *Node) *Node {
			return gcml.SquaredJacobianNorm(DotProduct(x, w), x, gcml.WithEstimator(e))
		}, x, w)
		if err != nil {
			log.Fatal(err)
		}
		return tensors.MustCopyFlatData[float64](all)
	}
	exact := norms(gcml.Exact())[0]
	for _, e := range []gcml.Estimator{
		gcml.Projection(1), gcml.Projection(5), gcml.Projection(10),
		gcml.Hutchinson(1, gcml.Rademacher), gcml.Hutchinson(10, gcml.Rademacher),
		gcml.Hutchinson(1, gcml.Gaussian), gcml.Hutchinson(10, gcml.Gaussian),
		gcml.ForwardNoise(0.01, 1), gcml.ForwardNoise(0.01, 10),
	} {
		mean, deviation := stat.MeanStdDev(norms(e), nil)
		fmt.Printf("%-14s %.2f ± %.2f\n", e, mean/exact, deviation/exact)
	}
	// Output:
	// projection:1   1.00 ± 0.33
	// projection:5   1.00 ± 0.11
	// projection:10  1.00 ± 0.00
	// rademacher:1   1.00 ± 0.34
	// rademacher:10  1.00 ± 0.11
	// gaussian:1     1.00 ± 0.58
	// gaussian:10    1.00 ± 0.18
	// noise:0.01:1   1.00 ± 0.58
	// noise:0.01:10  1.00 ± 0.18
}
