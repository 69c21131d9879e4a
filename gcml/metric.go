package gcml

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/support/exceptions"
)

// MetricType is the GoMLX metric type of the GC, so that plots give it an axis
// of its own.
const MetricType = "geometric-complexity"

// NewMetric returns a training metric for a model wrapped by Regularize. It reports the GC of each
// batch, the value that the penalty uses. If no coefficient is set, GC is computed for the metric
// alone.
func NewMetric(name, shortName string) metric.Interface {
	return metric.NewBaseMetric(name, shortName, MetricType, batchComplexity, nil)
}

// NewMovingAverageMetric is NewMetric as an exponential moving average, in which each new batch has
// the weight newExampleWeight (for example 0.01), and the n-th at least 1/n: the average begins as
// the mean of all batches so far.
func NewMovingAverageMetric(name, shortName string, newExampleWeight float64) metric.Interface {
	return metric.NewExponentialMovingAverageMetric(name, shortName, MetricType, batchComplexity, nil, newExampleWeight)
}

// NewMeanMetric returns the GC over a whole data set as an evaluation metric for
// a model wrapped by Regularize: the mean of the batches' values weighted by
// their sizes. Measure gives the same with a standard error.
func NewMeanMetric(name, shortName string) metric.Interface {
	return metric.NewMeanMetric(name, shortName, MetricType, batchComplexity, nil)
}

// batchComplexity returns the GC of Regularize's penalty in this graph.
func batchComplexity(_ *model.Scope, _, predictions []*graph.Node) *graph.Node {
	p := penaltyOf(predictions[0].Graph())
	if p == nil {
		exceptions.Panicf("gcml: the metric found no GC in this graph: wrap the model function with gcml.Regularize (no coefficient needed)")
	}
	return p.complexity()
}
