package gomlxcompat

import (
	_ "unsafe" // For go:linkname.

	"github.com/gomlx/compute"
)

// goCapabilities are the capabilities of the pure Go backend of compute v0.1.14. They include
// PreferConstantsForVariables, which makes GoMLX v0.28.16 embed the values of variables as
// constants in every graph that is not in training mode. Without an error, train.Trainer.Eval and
// every other compiled model.Exec then keep using the weights that they were compiled with,
// although training has changed them. GoMLX has no option against this, and the backend cannot be
// wrapped because tensors compare it by identity. This package therefore clears the capability. The
// only cost is that the backend packs the weights again for each product.
//
// This package does not import the Go backend. In a program without it the variable belongs to this
// package, and the assignment has no effect. In a program with it the assignment below works
// whichever package is initialized first: the backend's value of this field is a constant, which
// the compiler puts into the program's data instead of assigning it at initialization.
//
//go:linkname goCapabilities github.com/gomlx/compute/internal/gobackend.Capabilities
var goCapabilities compute.Capabilities

func init() { goCapabilities.PreferConstantsForVariables = false }
