// Package capacity measures how complex a trained network is, from its weights and from the loss
// near them. These measures are there to be compared with geometric complexity: which of them ranks
// networks by their test error (Jiang et al. 2020, arXiv 1912.02178)?
//
//   - [NewLoss] makes the mean loss over a data set a function of the network's weights. Its
//     methods are the squared norm of the gradient, [Loss.Sharpness] and
//     [Loss.LearningCoefficient].
//   - [SquaredNorm], [SquaredDistance] and [SpectralNorms] are about the weights alone.
//   - [SquaredPathNorm] sums over all paths through a network of ReLU layers.
//
// Random numbers are drawn on the host from a seed, so that all backends draw the same ones. All
// functions return errors; none panics, prints or exits.
package capacity
