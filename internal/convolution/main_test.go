package convolution_test

import (
	"log"
	"os"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/autodiff"
	"github.com/geometric-complexity/toolkit/internal/convolution"
)

// TestMain registers the rule of this package, and those of the ops that convolutions are computed
// by, and has XLA write down the programs that TestCompiled looks at.
func TestMain(m *testing.M) {
	autodiff.Register()
	forget, err := convolution.DumpPrograms()
	if err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	forget()
	os.Exit(code)
}
