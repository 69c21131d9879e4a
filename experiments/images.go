package experiments

import (
	"errors"
	"fmt"
	"slices"

	"example.com/geometric-complexity/datasets"
	"example.com/geometric-complexity/layers"
)

// ImageTraining is the part of a configuration that says how a network is
// trained on images where nothing is swept: what most experiments vary from.
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
}

// paperResNet is what is known of the paper's image experiments: ResNet18 of 64
// channels on CIFAR-10. Rates and steps are this toolkit's own, near the little
// that is remembered of them (plain gradient descent, 10,000 to 100,000 steps).
func paperResNet() ImageTraining {
	return ImageTraining{Dataset: datasets.NameCIFAR10, Measure: 5000, MeasureGC: 1000, Network: kindResNet18, Width: 64, Norm: layers.NormBatch.String(),
		LearningRate: 0.05, BatchSize: 256, Steps: 20000, Measurements: 20}
}

// laptopResNet makes of it what two cores do in less than a minute: Fashion-MNIST's
// embedded images, because nothing has to be fetched, a sixteenth of the
// channels, a first layer that halves the images, and few steps. On narrow
// layers XLA's convolutions run far below the machine's rate (about 0.1 s of CPU
// time a step), and each run compiles for 10 to 20 s before it starts.
func laptopResNet() ImageTraining {
	c := paperResNet()
	c.Dataset, c.Measure, c.MeasureGC = datasets.NameFashionMNISTSubset, 500, 200
	c.Width, c.Pool, c.LearningRate, c.BatchSize, c.Steps, c.Measurements = 4, 2, 0.1, 64, 300, 5
	return c
}

// smokeResNet is the smallest that still learns something.
func smokeResNet() ImageTraining {
	c := laptopResNet()
	c.Train, c.Test, c.Measure, c.MeasureGC = 200, 100, 50, 10
	c.Width, c.Pool, c.BatchSize, c.Steps, c.Measurements = 1, 4, 20, 6, 2
	return c
}

// laptopMLP is an MLP on the embedded images.
func laptopMLP() ImageTraining {
	return ImageTraining{Dataset: datasets.NameFashionMNISTSubset, Measure: 1000, Network: kindMLP, HiddenLayers: 2, Width: 128,
		LearningRate: 0.1, BatchSize: 64, Steps: 2000, Measurements: 10}
}

// smokeMLP is the smallest that still learns something.
func smokeMLP() ImageTraining {
	c := laptopMLP()
	c.Train, c.Test, c.Measure = 500, 200, 200
	c.Width, c.BatchSize, c.Steps, c.Measurements = 16, 50, 60, 3
	return c
}

func (c ImageTraining) validate() error {
	if !slices.Contains(datasets.Names(), c.Dataset) {
		return fmt.Errorf("dataset: %w", unknown("data set", c.Dataset, datasets.Names()))
	}
	if _, err := c.network().function(1); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	return c.task().validate()
}

func (c ImageTraining) network() Network {
	if c.Network == kindResNet18 {
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

// task is the training from which an experiment varies.
func (c ImageTraining) task() *Train {
	return &Train{Data: Data{Name: c.Dataset, Train: c.Train, Test: c.Test, Measure: c.Measure, MeasureGC: c.MeasureGC},
		Network: c.network(), LearningRate: c.LearningRate, BatchSize: c.BatchSize, Steps: c.Steps, Measurements: c.Measurements}
}

// describe says in a few words what is trained, for captions.
func (c ImageTraining) describe() string {
	network := fmt.Sprintf("MLP with %d × %d hidden units", c.HiddenLayers, c.Width)
	if c.Network == kindResNet18 {
		network = fmt.Sprintf("ResNet18 of %d to %d channels (%s norm)", c.Width, 8*c.Width, c.Norm)
	}
	return network + " on " + c.describeSchedule()
}

// describeSchedule is describe without the network.
func (c ImageTraining) describeSchedule() string {
	return fmt.Sprintf("%s, %d steps, batch %d, rate %g", c.Dataset, c.Steps, c.BatchSize, c.LearningRate)
}

// fromZero checks the coefficients of a penalty: they rise from 0.
func fromZero(key string, coefficients []float64) error {
	if len(coefficients) < 2 || coefficients[0] != 0 {
		return fmt.Errorf("%s: they must start with 0, and there must be another", key)
	}
	return rising(key, coefficients)
}

// rising checks the values of a sweep.
func rising[T int | float64](key string, values []T) error {
	if len(values) < 2 {
		return errors.New(key + ": at least 2 values are needed")
	}
	for i := 1; i < len(values); i++ {
		if !(values[i] > values[i-1]) {
			return fmt.Errorf("%s: %v does not rise from %v", key, values[i], values[i-1])
		}
	}
	return nil
}
