// Package runs executes the runs of experiments: it loses no work and repeats none.
//
// A run ([Run]) is a seed and a [Task]. The JSON form of the task, its revision, the seed, the
// backend and the content of the data decide all of its numbers; the hash of these is the run's
// address and the name of its folder. A complete run is not repeated. An interrupted run resumes
// from its checkpoint and ends with the same numbers as an uninterrupted one. A lock keeps two
// processes from doing the same run.
//
// A [Schedule] does runs with several workers in parallel.
package runs
