// Package gomlxcompat is the one place for what reaches into GoMLX behind its public API. Importing it changes one thing in
// the program: on the pure Go backend every graph sees the present values of variables (see variables.go).
//
// What reaches behind the API, here and, until it moves here, elsewhere:
//
//	what                                      why                                           what GoMLX would have to offer                    guarded by
//	goCapabilities, linkname (variables.go)   the Go backend has graphs outside of training an option of the backend, or of model.Exec,       TestGraphsSeeChangedVariables
//	                                          that keep the weights they were compiled with against variables as constants
//	OptimizationBarrier, linkname             keeps XLA from fusing, and from computing     an exported graph.OptimizationBarrier             autodiff.TestBarrier
//	(barrier.go)                              values twice
//	internal/autodiff/attributes.go,          gradient rules need the parameters of a node  accessors of the parameters of graph.Node         autodiff.TestAttributes
//	reflection over unexported fields         (axes, strides, alternate outputs)
//	internal/modelfn, reflection over         GoMLX converts every form of a model function an exported conversion to train.ModelFn           modelfn.TestCanonical
//	exported types                            but does not export the conversion
//	gcml/nonfinite.go, an element of the      a step that is not finite has to be undone    a hook at the end of the training graph           gcml.TestStopAtNonFinite
//	slice of Trainer.TrainMetrics             after the optimizer
package gomlxcompat
