package backend

import (
	_ "unsafe" // For go:linkname.

	"github.com/gomlx/compute"
)

// The pure-Go backend of compute v0.1.14 announces PreferConstantsForVariables, and GoMLX v0.28.16 then embeds the values
// of variables as constants in every graph that is not in training mode. So train.Trainer.Eval, or any model.Exec that was
// compiled before, goes on computing with the weights of that moment whatever training makes of them since, without an
// error. There is no option against it, and the backend cannot be wrapped (tensors compare it by identity), so the
// announcement itself is taken back here, for every program and test that imports this package. All that is lost is
// that weights are packed anew for each product. A test sees whether an upgrade makes this void or needless.
//
//go:linkname goCapabilities github.com/gomlx/compute/internal/gobackend.Capabilities
var goCapabilities compute.Capabilities

func init() { goCapabilities.PreferConstantsForVariables = false }
