// Package gcml measures and regularizes the geometric complexity (GC) of what
// a GoMLX model has learned.
//
// The GC of a function f over a set D of examples is
//
//	GC(f, D) = 1/|D| Σ_x ‖∂f/∂x‖²_F
//
// (Dherin, Munn, Rosca, Barrett, "Why neural networks find simple solutions:
// the many regularizers of geometric complexity", NeurIPS 2022): the mean over
// the examples of the squared Frobenius norm of the Jacobian of the outputs
// with respect to the inputs. There is no factor 1/2, and for a classifier the
// outputs are the logits unless something else is asked for.
//
// There are three ways in:
//
//   - While building a graph: [SquaredJacobianNorm], [SquaredGradientNorms] and
//     [Complexity] take nodes and give nodes, and can be differentiated again.
//   - Over a data set: [Measure] runs a model in evaluation mode and returns a
//     [Result] with a standard error.
//   - In training: [Regularize] wraps a model function so that coefficient × GC
//     is added to the training loss, and [NewMetric] reports the GC of each
//     training step without computing it again.
//
// An [Estimator] says how: exactly, or by projections, or by noise. Graph
// functions panic on misuse, as GoMLX's do, with the shapes in the message;
// everything else returns errors.
//
// # Batch statistics
//
// Where a model mixes the examples of a batch (batch norm in training mode),
// the derivative is taken with the statistics of the batch held fixed: each
// example's outputs with respect to its own input. All estimators agree on
// that quantity. The dependence of the statistics on the parameters is kept
// when the penalty is differentiated. [Measure] runs in evaluation mode, where
// nothing is mixed.
package gcml
