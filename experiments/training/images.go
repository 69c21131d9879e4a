package training

import (
	"fmt"
	"slices"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/nearest"
	"github.com/geometric-complexity/toolkit/layers"
)

// ImageTraining is the part of a configuration that describes training on images: the baseline that
// most experiments vary.
type ImageTraining struct {
	Dataset      string  `json:"dataset"`
	Train        int     `json:"train"`         // training examples; 0 for all
	Test         int     `json:"test"`          // test examples; 0 for all
	Measure      int     `json:"measure"`       // training examples that the loss is measured on; 0 for all
	MeasureGC    int     `json:"measure_gc"`    // of those, and of the test examples, how many for GC; 0 for all
	Network      string  `json:"network"`       // "mlp" or "resnet18"
	HiddenLayers int     `json:"hidden_layers"` // of an MLP
	Width        int     `json:"width"`         // units of each hidden layer, or channels of a ResNet's first stage
	Norm         string  `json:"norm"`          // of a ResNet: "batch", "group" or "none"
	Pool         int     `json:"pool"`          // a ResNet first averages squares of this many pixels; 0 and 1: does not
	LearningRate float64 `json:"learning_rate"`
	BatchSize    int     `json:"batch_size"`
	Steps        int64   `json:"steps"`
	Measurements int     `json:"measurements"`
	LogSpaced    bool    `json:"log_spaced"` // the measurements, evenly in the logarithm of the step
}

// ValidateTraining returns an error for invalid values.
func (c ImageTraining) ValidateTraining() error {
	if !slices.Contains(datasets.Names(), c.Dataset) {
		return fmt.Errorf("dataset: %w", nearest.Unknown("data set", c.Dataset, datasets.Names()))
	}
	return c.Task().Validate()
}

func (c ImageTraining) network() Network {
	if c.Network == KindResNet18 {
		n := ResNet18(c.Width, layers.NormBatch)
		n.Norm = c.Norm
		if c.Pool > 1 {
			n.Pool = c.Pool
		}
		return n
	}
	n := MLP(c.HiddenLayers, c.Width)
	n.Kind = c.Network
	return n
}

// Task returns the baseline training of an experiment.
func (c ImageTraining) Task() *Train {
	return &Train{Data: Data{Name: c.Dataset, Train: c.Train, Test: c.Test, Measure: c.Measure, MeasureGC: c.MeasureGC},
		Network: c.network(), LearningRate: c.LearningRate, BatchSize: c.BatchSize, Steps: c.Steps,
		Measurements: c.Measurements, LogSpaced: c.LogSpaced}
}

// Describe returns a short description of the network and its training for captions.
func (c ImageTraining) Describe() string {
	network := fmt.Sprintf("MLP with %d × %d hidden units", c.HiddenLayers, c.Width)
	if c.Network == KindResNet18 {
		network = fmt.Sprintf("ResNet18 of %d to %d channels (%s norm)", c.Width, 8*c.Width, c.Norm)
	}
	return network + " on " + c.DescribeSchedule()
}

// DescribeSchedule returns Describe's text without the network.
func (c ImageTraining) DescribeSchedule() string {
	return fmt.Sprintf("%s, %d steps, batch %d, rate %g", c.Dataset, c.Steps, c.BatchSize, c.LearningRate)
}
