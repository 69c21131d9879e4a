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
//   - While building a graph: [SquaredJacobianNorm], [SquaredJacobianRowNorms] and
//     [Complexity] take nodes and give nodes, and can be differentiated again.
//     [JacobianSpectralNorm] and [JacobianStableRank] are of the largest singular value.
//   - Over a data set: [Measure] runs a model in evaluation mode and returns a
//     [Result] with a standard error. A [Measurer] does so again and again, and
//     [Watch] during a training.
//   - In training: [Regularize] wraps a model function so that coefficient × GC
//     is added to the training loss, and [NewMetric] reports the GC of each
//     training step without computing it again. [StopAtNonFinite] names the node
//     where a step is not finite.
//
// [CheckSecondDerivatives] tells whether all that is right for layers of your own.
//
// An [Estimator] says how: exactly, or by projections, or by noise. Graph
// functions panic on misuse, as GoMLX's do, with the shapes in the message;
// everything else returns errors. An [Option] says for which functions it is, and
// the others refuse it.
//
// # Which estimator
//
// [Exact] for measuring, always, unless there are thousands of outputs. With K
// outputs it costs K vector-Jacobian products, each about as much as a forward
// pass: 1+K forward passes in all, 3+3K for a training step with the penalty.
// Where the inputs enter through one dense layer of fewer units than there are
// inputs, a closed form is taken: the Jacobian with respect to the input is
// never built.
//
// [Projection] with 1 direction for a penalty on many outputs: 1+1 and 3+3
// forward passes whatever K is, unbiased, and the noise averages out over the
// steps.
//
// [Hutchinson] is there for comparison with the literature, at the same cost as
// Projection; it does not become exact with many samples. [ForwardNoise] takes
// no derivative with respect to the input, so that it works where an op cannot
// be differentiated twice, at the price of a bias and of the largest variance.
//
// # Which coefficient
//
// GC has the square of the units of outputs over inputs: inputs scaled by 255
// divide it by 65,025. So a coefficient holds for one scaling of the inputs.
// Measure loss and GC of the network trained without the penalty, and start
// where coefficient × GC is a tenth of the loss. [SetCoefficient] changes it
// between steps and [WithSchedule] lets it follow the step, with no graph compiled
// again.
//
// # Models that mix examples
//
// Where a model mixes the examples of a batch, the derivative is that of each
// example's outputs with respect to its own input. Values computed from several
// examples (the statistics of batch norm in training mode, attention between
// examples) and values of other examples (in mixup, the other one) are held
// fixed. All estimators agree on that quantity; an op through which the examples
// cannot be followed is refused, with its name. The dependence of fixed values on
// the parameters is kept when the penalty is differentiated. docs/batch-norm.md
// has the rules. [Measure] runs in evaluation mode, where batch norm mixes
// nothing.
//
// # Maxima
//
// Where two elements share a maximum it has no derivative. ReduceMax, ReduceMin,
// ScatterMax, ScatterMin and max and min pooling then take a subgradient: the
// first of the equal elements in the order of the axes counts in full and the
// others not at all, on every backend. (GoMLX's own rules let each of them count
// in full, which multiplies GC by their number.) Ties are common in practice: the
// black border of an image. Of the equal operands of Max the first counts, of
// Min the second, as in GoMLX.
//
// # What importing this package changes
//
// Two things in the whole program, and nothing else:
//
//   - GoMLX's registry of gradients gets rules that are right, quick and
//     differentiable again, for training without a penalty too: for ConvGeneral,
//     ReduceMax, ReduceMin, ScatterMax, ScatterMin, ReduceWindow (max and min
//     pooling), Pad, Rsqrt, Expm1, Clamp, BatchNormForTraining,
//     BatchNormForInference, FusedDense, FusedActivation, Gather, ScatterSum and
//     Identity.
//   - On the pure Go backend every graph sees the present values of variables.
//     GoMLX alone compiles their values into graphs that are not in training
//     mode, so that an evaluation goes on with the weights of its first call. A
//     store that asks for that by WithVariableAsConst still gets it.
//
// So the numbers are right on any backend that the program opens. No environment
// variable is set, and no C code comes along: the settings that make XLA quick,
// and that of the C library's allocator, are the module's packages backend and
// backend/keepmemory, which are optional.
//
// The folder docs of the repository has a page on each of these, with numbers.
package gcml
