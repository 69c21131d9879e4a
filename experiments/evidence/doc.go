// Package evidence turns the records of runs into verdicts on claims.
//
// An experiment declares each swept quantity as an [Axis], which determines its runs. [Records]
// joins the axis with the records of these runs into a [Sweep], which yields claims, tables and
// figures. A [Claim] holds, does not hold, or is undecided: its [Criterion] compares an interval
// over seeds with a limit that was set before the first run.
package evidence
