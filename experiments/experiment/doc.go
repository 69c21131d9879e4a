// Package experiment defines experiments: a [Definition] has a configuration for each [Scale], the
// design of its runs, and a report that decides its claims from their records. Run does the runs
// and returns a [Result], which includes the command that repeats it.
package experiment
