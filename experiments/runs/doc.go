// Package runs does the runs of experiments so that nothing is lost and nothing is done twice.
//
// A run ([Run]) is a seed and a [Task]. All of its numbers follow from the JSON form of the task, its
// revision, the seed, the backend and the content of the data; their hash is the run's address, the
// name of its folder. A run that is complete there is not done again. One that was interrupted goes on
// from its checkpoint, and ends with the same numbers as one that nothing interrupted. A lock keeps
// two processes from doing the same run.
//
// [Execute] does one run. A [Schedule] does many of them, by several workers side by side.
package runs
