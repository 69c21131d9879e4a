package convolution_test

import (
	"log"
	"os"
	"testing"

	"example.com/geometric-complexity/internal/autodiff"
	"example.com/geometric-complexity/internal/convolution"
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
