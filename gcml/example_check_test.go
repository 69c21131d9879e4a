package gcml_test

import (
	"fmt"
	"log"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
)

// Two layers with a gate. One holds its gate constant in derivatives, so that neither the GC nor
// the gradient of the penalty is right; the other does not.
func ExampleCheckSecondDerivatives() {
	network := func(stops bool) func(scope *model.Scope, x *Node) *Node {
		return func(scope *model.Scope, x *Node) *Node {
			h := layers.Dense(scope.In("hidden"), x, true, 4)
			gate := Sigmoid(h)
			if stops {
				gate = StopGradient(gate).WithAlias("gate")
			}
			return layers.Dense(scope.In("output"), Mul(h, gate), true, 2)
		}
	}
	batch := []*tensors.Tensor{tensors.FromValue([][]float64{{1, 2, -1}, {0.5, 0, 1}})}
	for _, stops := range []bool{false, true} {
		report, err := gcml.CheckSecondDerivatives(openBackend(), model.NewStore(), network(stops), batch)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("all right:", report.OK())
		for _, n := range report.Nodes {
			fmt.Printf("%s, %s, alias %s: %s\n", n.Mode, n.Type, n.Alias, n.Problem)
		}
	}
	// Output:
	// all right: true
	// all right: false
	// evaluation, Identity, alias /gate: it stops gradients, though the outputs change with it, so that derivatives through it are missing
	// training, Identity, alias /gate: it stops gradients, though the outputs change with it, so that derivatives through it are missing
}
