package inspect

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/geometric-complexity/toolkit/gcml"
)

// Cost is the work of an inspection, known before it begins.
type Cost struct {
	// Examples is 0 if the data set does not say how many it has.
	Examples int
	// Products and Evaluations are numbers of vector-Jacobian products and of forward evaluations
	// of the network for each example. A product takes about as long as an evaluation.
	Products, Evaluations int64
	// Outputs is the number of the network's outputs.
	Outputs int

	parts string
}

// Units returns the number of products and evaluations of all examples, 0 if it is not known.
func (c Cost) Units() int64 { return int64(c.Examples) * (c.Products + c.Evaluations) }

// String says what the work is made of.
func (c Cost) String() string {
	each := fmt.Sprintf("for each example %d vector-Jacobian products (%s) and %d evaluations", c.Products, c.parts,
		c.Evaluations)
	if c.Examples == 0 {
		return "cost: " + each
	}
	return fmt.Sprintf("cost: %d examples, %s", c.Examples, each)
}

func (in *inspection) cost() Cost {
	c := Cost{Products: in.complexityProducts(), Evaluations: 1, Outputs: in.found.outputs}
	parts := []string{fmt.Sprintf("%d for GC and singular values", c.Products)}
	if n := in.layersProducts(); n > 0 {
		c.Products += n
		parts = append(parts, fmt.Sprintf("%d for %d layers", n, len(in.found.layers)))
	}
	if n := in.featuresProducts(); n > 0 {
		c.Products += n
		parts = append(parts, fmt.Sprintf("%d for the features with labels", n))
	}
	c.parts = strings.Join(parts, ", ")
	sigmas := len(in.options.Noise)
	if in.options.Noise == nil {
		sigmas = len(relativeNoise)
	}
	if in.subject.InputNode == "" {
		c.Evaluations += int64(sigmas) * noiseDraws
	}
	if ds, ok := in.subject.Data.(sized); ok {
		c.Examples = ds.NumExamples()
	}
	return c
}

// complexityProducts are those of GC and of the singular values.
func (in *inspection) complexityProducts() int64 {
	directions := cmp.Or(in.options.Estimator.Samples(), in.found.outputs)
	return int64(directions + gcml.SpectralNormProducts(in.found.outputs, in.found.inputs()))
}

func (in *inspection) layersProducts() int64 {
	if in.options.WithoutLayers {
		return 0
	}
	return int64(layerDirections * len(in.found.layers))
}

func (in *inspection) featuresProducts() int64 {
	if in.subject.Features == "" || !in.found.labelled {
		return 0
	}
	if in.found.features <= exactFeatures {
		return int64(in.found.features)
	}
	return featuresDirections
}
