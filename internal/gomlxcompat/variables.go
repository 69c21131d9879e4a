package gomlxcompat

import (
	_ "unsafe" // For go:linkname.

	"github.com/gomlx/compute"
)

// goCapabilities is what the pure Go backend of compute v0.1.14 announces. It announces
// PreferConstantsForVariables, and GoMLX v0.28.16 then embeds the values of variables as constants
// in every graph that is not in training mode. So train.Trainer.Eval, or any model.Exec that was
// compiled before, goes on computing with the weights of that moment whatever training makes of
// them since, without an error. There is no option against it, and the backend cannot be wrapped
// (tensors compare it by identity), so the announcement itself is taken back. All that is lost is
// that weights are packed anew for each product.
//
// This package does not import the Go backend. In a program without it the variable is one of this
// package's own, and nothing happens. In a program with it the assignment below holds whichever
// package is initialized first: the compiler lays down the backend's value of this field, a
// constant, in the program's data.
//
//go:linkname goCapabilities github.com/gomlx/compute/internal/gobackend.Capabilities
var goCapabilities compute.Capabilities

func init() { goCapabilities.PreferConstantsForVariables = false }
