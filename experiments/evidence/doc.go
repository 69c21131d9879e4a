// Package evidence turns the records of runs into verdicts on claims.
//
// An experiment declares what it sweeps as an [Axis]. Its runs follow from the axis, and [Records]
// joins the axis with the records of these runs to a [Sweep], from which claims, tables and figures
// are made. A [Claim] holds, does not hold, or is undecided: its [Criterion] compares an interval over
// seeds with a limit that was set before the first run.
package evidence
