package experiments

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/layers"
)

// paperResNet is what is known of the paper's image experiments: ResNet18 of 64
// channels on CIFAR-10. Rates and steps are this toolkit's own, near the little
// that is remembered of them (plain gradient descent, 10,000 to 100,000 steps).
func paperResNet() training.ImageTraining {
	return training.ImageTraining{Dataset: datasets.NameCIFAR10, Measure: 5000, MeasureGC: 1000,
		Network: training.KindResNet18, Width: 64, Norm: layers.NormBatch.String(),
		LearningRate: 0.05, BatchSize: 256, Steps: 20000, Measurements: 20}
}

// deskResNet is the paper's network with an eighth of the channels, on 10,000 images of CIFAR-10
// that its first layer halves. So many images and steps let two cores train a sweep in a few hours.
// The measurements are evenly spaced in the logarithm of the step, so that runs can be compared at
// equal training loss.
func deskResNet() training.ImageTraining {
	c := paperResNet()
	c.Train, c.Test, c.Measure, c.MeasureGC = 10000, 5000, 2000, 300
	c.Width, c.Pool, c.LearningRate, c.BatchSize, c.Steps, c.Measurements = 8, 2, 0.1, 128, 2500, 20
	c.LogSpaced = true
	return c
}

// deskMLP is an MLP on all of MNIST.
func deskMLP() training.ImageTraining {
	return training.ImageTraining{Dataset: datasets.NameMNIST, Measure: 5000, MeasureGC: 1000, Network: training.KindMLP,
		HiddenLayers: 2, Width: 256,
		LearningRate: 0.1, BatchSize: 128, Steps: 5000, Measurements: 20, LogSpaced: true}
}

// laptopResNet is what two cores train in less than a minute: Fashion-MNIST's
// embedded images, because nothing has to be fetched, a sixteenth of the
// channels, a first layer that halves the images, and few steps. On narrow
// layers XLA's convolutions run far below the machine's rate (about 0.1 s of CPU
// time a step), and each run compiles for 10 to 20 s before it starts.
func laptopResNet() training.ImageTraining {
	c := paperResNet()
	c.Dataset, c.Measure, c.MeasureGC = datasets.NameFashionMNISTSubset, 500, 200
	c.Width, c.Pool, c.LearningRate, c.BatchSize, c.Steps, c.Measurements = 4, 2, 0.1, 64, 300, 5
	return c
}

// smokeResNet is the smallest that still learns something.
func smokeResNet() training.ImageTraining {
	c := laptopResNet()
	c.Train, c.Test, c.Measure, c.MeasureGC = 200, 100, 50, 10
	c.Width, c.Pool, c.BatchSize, c.Steps, c.Measurements = 1, 4, 20, 6, 2
	return c
}

// laptopMLP is an MLP on the embedded images.
func laptopMLP() training.ImageTraining {
	return training.ImageTraining{Dataset: datasets.NameFashionMNISTSubset, Measure: 1000, Network: training.KindMLP,
		HiddenLayers: 2, Width: 128,
		LearningRate: 0.1, BatchSize: 64, Steps: 2000, Measurements: 10}
}

// smokeMLP is the smallest that still learns something.
func smokeMLP() training.ImageTraining {
	c := laptopMLP()
	c.Train, c.Test, c.Measure = 500, 200, 200
	c.Width, c.BatchSize, c.Steps, c.Measurements = 16, 50, 60, 3
	return c
}

// bothNetworks joins what is wrong with the settings of an experiment's MLP and of its ResNet.
func bothNetworks(mlp, resnet error) error {
	if mlp == nil && resnet != nil {
		return fmt.Errorf("resnet: %w", resnet)
	}
	return mlp
}
