// Package gcml measures and regularizes the geometric complexity (GC) of what a GoMLX model has
// learned.
//
// The GC of a function f over a set D of examples is
//
//	GC(f, D) = 1/|D| Σ_x ‖∂f/∂x‖²_F
//
// (Dherin, Munn, Rosca, Barrett, "Why neural networks find simple solutions: the many regularizers
// of geometric complexity", NeurIPS 2022): the mean over the examples of the squared Frobenius norm
// of the Jacobian of the outputs with respect to the inputs. There is no factor 1/2, and for a
// classifier the outputs are the logits unless something else is asked for.
//
// There are three ways to use it:
//
//   - While building a graph: [SquaredJacobianNorm], [SquaredJacobianRowNorms],
//     [SquaredJacobianColumnNorms] and [Complexity] take and return nodes, and can be
//     differentiated again. [JacobianSpectralNorm] and [JacobianStableRank] report the largest
//     singular value and the stable rank.
//   - Over a data set: [Measure] runs a model in evaluation mode and returns a [Result] with a
//     standard error. A [Measurer] compiles a model once and measures it repeatedly, and [Watch]
//     measures during training.
//   - In training: [Regularize] wraps a model function so that coefficient × GC is added to the
//     training loss, and [NewMetric] reports the GC of each training step without computing it
//     again. [StopAtNonFinite] stops training at the first step that is not finite and names the
//     node that caused it.
//
// [CheckSecondDerivatives] checks that these derivatives are right for your own layers.
//
// An [Estimator] selects the method: exact, by random projections, or by noise. Graph functions
// panic on misuse, as GoMLX's do, with the shapes in the message; everything else returns errors.
// Each [Option] lists the functions that accept it; the others refuse it.
//
// # Which estimator
//
// Use [Exact] for measuring, unless there are thousands of outputs. With K outputs it costs K
// vector-Jacobian products, each about as much as a forward pass: 1+K forward passes in all, 3+3K
// for a training step with the penalty. If the inputs enter through a single dense layer, gcml uses
// a closed form that never builds the Jacobian with respect to the input, wherever that is less
// work: mostly where the layer has many inputs and few units. docs/cost.md has the condition, and
// says where the closed form loses digits.
//
// Use [Projection] with 1 direction for a penalty on many outputs. It costs 1+1 forward passes to
// measure and 3+3 for a training step, for every K. It is unbiased, and its noise averages out over
// the steps.
//
// [Hutchinson] allows comparison with the literature, at the same cost as Projection; with several
// outputs no number of samples makes it exact in general. [ForwardNoise] takes no derivative with
// respect to the input, so it works where an op cannot be differentiated twice. It has a bias and
// the largest variance.
//
// # Which coefficient
//
// The unit of GC is (outputs / inputs)²: multiplying the inputs by 255 divides GC by 65,025. So a
// coefficient is valid for one scaling of the inputs only. Measure loss and GC of the network
// trained without the penalty, and start where coefficient × GC is a tenth of the loss.
// [SetCoefficient] changes it between steps and [WithSchedule] makes it depend on the step, both
// without recompiling.
//
// # Models that mix examples
//
// If a model mixes the examples of a batch, gcml differentiates each example's outputs with respect
// to its own input. It holds fixed the values computed from several examples (the statistics of
// batch norm in training mode, attention between examples) and the values of other examples (in
// mixup, the second example). All estimators agree on this quantity. If gcml cannot follow the
// examples through an op, it panics with the op's name. The dependence of fixed values on the
// parameters is kept when the penalty is differentiated. docs/batch-norm.md has the rules.
// [Measure] runs in evaluation mode, where batch norm mixes nothing.
//
// # Maxima
//
// A maximum that two elements share has no derivative. ReduceMax, ReduceMin, ScatterMax, ScatterMin
// and max and min pooling then take a subgradient: the first of the equal elements in the order of
// the axes receives the whole gradient, on every backend. (GoMLX's own rules give the whole
// gradient to each of them, which multiplies GC by their number.) Ties are common in practice, for
// example in the black border of an image. Between equal operands, Max passes the gradient to the
// first and Min to the second, as in GoMLX.
//
// # What importing this package changes
//
// It changes two things for the whole program:
//
//   - It registers gradient rules in GoMLX that are correct, fast and differentiable again. They
//     also apply to training without a penalty. The rules are for ConvGeneral, Max, Min,
//     ReduceMax, ReduceMin, ScatterMax, ScatterMin, ReduceWindow (max and min pooling), Pad,
//     Rsqrt, Expm1, Clamp, BatchNormForTraining, BatchNormForInference, FusedDense,
//     FusedActivation, Gather, ScatterSum, ReduceProduct, Rem, ConvertDType and Identity.
//   - On the pure Go backend every graph reads the current values of variables. GoMLX itself
//     compiles their values into graphs that are not in training mode, so a later evaluation still
//     uses the weights of its first call. WithVariableAsConst still compiles the values in.
//
// So the numbers are right on any backend that the program opens. The import sets no environment
// variable and adds no C code. The settings that make XLA fast are in the optional package backend.
// The optional package backend/keepmemory replaces malloc and free on Linux: large blocks then come
// from a heap of its own.
//
// The repository's docs folder has a page with numbers on each of these topics.
package gcml
