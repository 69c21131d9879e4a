package gomlxcompat

import (
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"
)

// LossMetric returns a pointer to the trainer's metric of the training loss, so that the caller can
// replace it before the training graph is built. A trainer builds its metrics after the optimizer.
// UpdateGraph therefore sees the new values of all variables, the optimizer's included, and may
// change them again.
func LossMetric(trainer *train.Trainer) *metric.Interface {
	return &trainer.TrainMetrics()[0] // GoMLX returns its own slice, not a copy; the loss is first.
}
