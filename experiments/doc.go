// Package experiments holds the paper's experiments, each with its
// configuration at three scales, its runs, and the claims that its runs decide.
//
// The notebook, the command and the tests call the same function:
//
//	cfg := experiments.SimplicityBias.Config(experiments.Smoke)
//	cfg.Steps = 500
//	result, err := experiments.SimplicityBias.Run(ctx, env, cfg, []int64{0, 1, 2})
//
// An experiment is a list of runs and a report. A run ([Run]) is a seed and a
// [Task], all of whose numbers follow from its JSON form, the seed, the task's
// revision and the backend; their hash is the run's address under the output
// folder. A run that is complete there is not done again, one that was
// interrupted goes on from its checkpoint and ends with the same numbers as an
// uninterrupted one. The report reads nothing but the runs' records and gives
// claims, tables and figures.
//
// The paper's grids could not be read: every sweep here is this toolkit's own.
// Claims are reported as they come out.
package experiments
