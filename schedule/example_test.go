package schedule_test

import (
	"fmt"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/schedule"
)

// A Func can combine others: a warm-up followed by a cosine.
func ExampleFunc() {
	warmUp, cosine := schedule.WarmUp(2), schedule.Cosine(4, 0)
	both := func(step *Node) *Node {
		return Mul(warmUp(step), cosine(MaxScalar(SubScalar(step, 2), 0)))
	}
	backend, err := compute.NewWithConfig("go")
	if err != nil {
		panic(err)
	}
	for step := range 8 {
		fmt.Printf("%.2f ", MustExecOnce(backend, both, float64(step)).Value())
	}
	// Output: 0.00 0.50 1.00 0.85 0.50 0.15 0.00 0.00
}
