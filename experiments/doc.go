// Package experiments holds the experiments of the paper and of related papers. A file for each has
// its configuration at every scale, what it sweeps, and the claims that its runs decide.
//
// The notebook, the command and the tests call the same function:
//
//	cfg := experiments.SimplicityBias.Config(experiment.Smoke)
//	cfg.Steps = 500
//	result, err := experiments.SimplicityBias.Run(ctx, env, cfg, []int64{0, 1, 2})
//
// The packages below it, from the bottom up:
//
//   - runs executes runs, and keeps their records and checkpoints so that nothing is lost.
//   - training holds the tasks of the runs: networks, data, penalties, measurements.
//   - evidence decides claims from records, and draws the records.
//   - experiment puts these together: it defines what an experiment is, its plan and its result.
//   - report shows and publishes results.
//
// Of the paper its abstract and introduction could be read, not the rest or the supplement. Sizes
// and learning rates follow what is known of them at second hand, and every sweep is this toolkit's
// own. So the claims are about directions, not about the paper's numbers. They are reported as they
// come out.
package experiments
