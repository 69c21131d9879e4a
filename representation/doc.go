// Package representation has statistics of what a network computes for a data set: the margins of
// its outputs, and how its features are arranged by class.
//
//   - [NewEvaluator] runs a model over a data set and returns its outputs as numbers.
//   - [Margins], [DecisionMargins] and [Decisions] are about the outputs of a classifier.
//   - [CalibrationError] is how far, on average, a classifier's confidence is from how often it is
//     right.
//   - [NewClasses] groups features by their labels. [Classes.CDNV], [Classes.NC1] and the other
//     methods measure neural collapse. [Classes.GeometricCollapse] is CDNV with the geometric
//     complexity in the place of the variance.
//   - [NearestMean] classifies features by the nearest class mean. [FewShotAccuracy] is its
//     accuracy when only a few examples of each class give the means.
//
// Features and outputs are float64 in rows, one for each example. Everything but the Evaluator is
// plain arithmetic on them. All functions return errors; none panics, prints or exits.
package representation
