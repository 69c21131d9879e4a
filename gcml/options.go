package gcml

import (
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"
)

// Option changes what is measured, or how. Each says where it applies; elsewhere
// it has no effect.
type Option func(*options)

type options struct {
	estimator      Estimator
	estimatorGiven bool
	cotangents     int
	noClosedForm   bool

	// forGradient says that the value will be differentiated for sure, which
	// moves work from the gradient to the value, and variables with respect to
	// what.
	forGradient bool
	variables   []*Node

	// inRounds says that the graph can be run several times for one batch, see plan.
	inRounds bool

	// Where the model function is called by this package.
	input, output int
	transform     func(*Node) *Node

	// Measure alone.
	seed        int64
	maxExamples int
	progress    func(examples int)
	perOutput   bool
	perClass    bool
	layers      bool
}

// WithEstimator sets the estimator. The default is Exact.
func WithEstimator(e Estimator) Option {
	return func(o *options) { o.estimator, o.estimatorGiven = e, true }
}

// WithCotangents sets how many vector-Jacobian products are carried at once.
// More makes wider products and a smaller graph, and takes memory in
// proportion. The default, 0, goes by the backend and the sizes.
//
// In Regularize a number given also has the penalty's gradient taken for so many
// at a time, so that the memory of a training step does not grow with the number
// of outputs, unless the closed form of dense networks is used. The penalty's
// gradient then is that with respect to the trainable variables in use, and
// stops at any other node. With piecewise linear activations a step takes as
// long as before, up to two thirds longer with smooth ones or with batch norm in
// training mode.
func WithCotangents(n int) Option { return func(o *options) { o.cotangents = n } }

// WithoutClosedForm builds the Jacobian with respect to the input even where
// its norm can be had from the Gram matrix of the first layer's weights.
func WithoutClosedForm() Option { return func(o *options) { o.noClosedForm = true } }

// WithInput makes Regularize and Measure differentiate with respect to the i-th
// input of the model. The default is the first, 0.
func WithInput(i int) Option { return func(o *options) { o.input = i } }

// WithOutput makes Regularize and Measure take the i-th output of the model. The
// default is the first, 0.
func WithOutput(i int) Option { return func(o *options) { o.output = i } }

// WithTransform makes Regularize and Measure take fn of the output, which has
// shape [batch, ...] as the output has. For the GC of the probabilities
// instead of the logits:
//
//	gcml.WithTransform(func(logits *Node) *Node { return Softmax(logits) })
func WithTransform(fn func(output *Node) *Node) Option {
	return func(o *options) { o.transform = fn }
}

// WithSeed sets the seed of the random estimators in Measure. The default is 0.
// The random state of the store is left as it was.
func WithSeed(seed int64) Option { return func(o *options) { o.seed = seed } }

// WithMaxExamples makes Measure stop after the first n examples. The default, 0,
// measures all of a data set, which must then be finite.
func WithMaxExamples(n int) Option { return func(o *options) { o.maxExamples = n } }

// WithProgress makes Measure call fn after every batch with the number of
// examples done.
func WithProgress(fn func(examples int)) Option { return func(o *options) { o.progress = fn } }

// WithPerOutput makes Measure report every output's own squared gradient norm.
// It needs the exact estimator.
func WithPerOutput() Option { return func(o *options) { o.perOutput = true } }

// WithPerClass makes Measure report the GC over the examples of each class, by
// the integer labels of the data set, of shape [batch] or [batch, 1].
func WithPerClass() Option { return func(o *options) { o.perClass = true } }

// WithLayers makes Measure report the GC of inner nodes too: of every node
// between input and output that the model named by Node.WithAlias and that has
// the shape [batch, ...]. The estimator is the same for all: choose one that is
// not exact where a layer has many values.
func WithLayers() Option { return func(o *options) { o.layers = true } }

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	switch {
	case o.cotangents < 0:
		Panicf("gcml: cannot carry %d cotangents at once, want 1 or more, or 0 for the default", o.cotangents)
	case o.input < 0:
		Panicf("gcml: there is no input #%d", o.input)
	case o.output < 0:
		Panicf("gcml: there is no output #%d", o.output)
	case o.maxExamples < 0:
		Panicf("gcml: cannot measure %d examples, want 1 or more, or 0 for all", o.maxExamples)
	}
	return o
}
