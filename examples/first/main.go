// Prints the geometric complexity (GC) of sin 3x at three points. The derivative is 3 cos 3x, so
// it is the mean of 9, 9 cos² 1.5 and 9 cos² 3.
//
//	GC 5.955
package main

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/janpfeifer/must"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/gcml"
)

func main() {
	device, _ := must.M2(backend.Open())
	gc := must.M1(CallOnce(device, func(x *Node) *Node {
		return gcml.Complexity(Sin(MulScalar(x, 3)), x) // GC is a node: it can be added to a loss.
	}, [][]float64{{0}, {0.5}, {1}}))
	fmt.Printf("GC %.3f\n", gc.Value())
}
