package backend_test

import (
	"fmt"
	"log"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/backend"
)

// Opens the fastest backend of this machine, or the one that GOMLX_BACKEND names.
func ExampleOpen() {
	b, info, err := backend.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer b.Finalize()
	log.Println(info.Why) // Which backend was opened, why, and how to get a faster one.

	y := MustExecOnce(b, func(x *Node) *Node { return Square(x) }, []float32{1, 2, 3})
	fmt.Println(y.Value())
	// Output: [1 4 9]
}

// Opens a backend that the program chooses.
func ExampleOpenConfig() {
	b, info, err := backend.OpenConfig("go")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Finalize()
	fmt.Println(info.ResultName(), info.Device)
	// Output: go cpu
}
