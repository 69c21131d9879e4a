package gomlxcompat

import (
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"
)

// LossMetric returns where the trainer keeps the metric of the training loss, to be replaced by
// another one before the training graph is built. A trainer builds its metrics last, so that
// UpdateGraph sees the new values of all variables, those of the optimizer too, and may change them
// once more.
func LossMetric(trainer *train.Trainer) *metric.Interface {
	return &trainer.TrainMetrics()[0] // GoMLX gives its own slice of them, the loss first.
}
