package convolution_test

import (
	"os"
	"testing"

	"example.com/geometric-complexity/internal/autodiff"
)

// TestMain registers the rule of this package, and those of the ops that convolutions are computed
// by.
func TestMain(m *testing.M) {
	autodiff.Register()
	os.Exit(m.Run())
}
