// Package inspect reports what the geometric complexity (GC) of a network means: for its classes,
// layers and examples, for noise on its inputs, and beside its margins and the collapse of its
// features.
//
// [Measure] measures a [Subject], a network with its examples, and returns a [Report]: as JSON, or
// by [Report.Page] as one HTML page that needs nothing beside it. [Compare] ranks several networks,
// or checkpoints of one, by their GC on the same examples, with paired intervals. docs/inspect.md
// explains each quantity.
//
// All functions return errors; none prints or exits.
package inspect
