// Package experiment says what an experiment is: a [Definition] has a configuration for each [Scale],
// the design of its runs, and a report that decides its claims from their records. Run does the runs
// and gives a [Result], which says by which command it is repeated.
package experiment
