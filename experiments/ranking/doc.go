// Package ranking asks which complexity measure ranks the networks of an experiment by their test
// error: it computes the measures of each run's final weights, and their rank correlations with the
// test error, as Jiang et al., "Fantastic generalization measures and where to find them"
// (arXiv 1912.02178), do.
package ranking
