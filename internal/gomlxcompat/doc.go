// Package gomlxcompat holds all code that depends on GoMLX v0.28.16 (with compute v0.1.14 and
// go-xla v0.4.13) beyond its public API: by linkname, by reflection, through functions that GoMLX
// names Internal, or on undocumented behaviour. The test of package internal/rooms keeps such code
// out of all other packages.
//
// Importing it changes one thing in the program: on the pure Go backend every graph sees the
// current values of variables (variables.go).
//
// The dependencies follow, each with its reason, what GoMLX would have to offer instead, and the
// test that fails when a new GoMLX breaks it:
//
//	what        goCapabilities (variables.go): linkname of a variable
//	why         on the Go backend, graphs outside of training keep the weights that they were
//	            compiled with
//	instead     an option of the backend, or of model.Exec, against variables as constants
//	guarded by  TestGraphsSeeChangedVariables, TestGraphsSeeSetVariables
//
//	what        Barrier, After (barrier.go): linkname of a function
//	why         keeps XLA from fusing values with what uses them, and from computing them twice
//	instead     an exported graph.OptimizationBarrier
//	guarded by  autodiff.TestBarrier, autodiff.TestAfter
//
//	what        WithGradientOf (barrier.go): calls graph.InternalFusedOpCaller
//	why         a value computed in a faster way keeps the derivatives of the plain op
//	instead     the same function, documented for users
//	guarded by  autodiff.TestAfter, convolution.TestConvolution
//
//	what        DotGeneralOf, ConvOf, ... (attributes.go, attributes_indexing.go): reflection,
//	            read-only, over unexported fields
//	why         gradient rules, and those that follow a batch through a graph, need the axes,
//	            strides, paddings and alternate outputs of nodes
//	instead     accessors of the parameters of a graph.Node
//	guarded by  TestAttributes
//
//	what        ModelFn (modelfn.go): reflection over the type of a function
//	why         decorators take every form of model function that train.NewTrainer takes
//	instead     an exported conversion to train.ModelFn
//	guarded by  TestModelFn
//
//	what        LossMetric (trainer.go): an element of the slice that TrainMetrics returns
//	why         a step that is not finite has to be undone after the optimizer
//	instead     a hook at the end of the training graph
//	guarded by  gcml.TestStopAtNonFinite
//
//	what        program.Text: reflection, read-only, over an unexported field of xla.Builder
//	why         equal programs of XLA are compiled once
//	instead     a cache of executables in go-xla, or the program's text from its builder
//	guarded by  compilecache.TestEqualProgramsAreCompiledOnce
package gomlxcompat
