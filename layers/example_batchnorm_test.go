package layers_test

import (
	"fmt"
	"log"

	. "github.com/gomlx/gomlx/core/graph"
	stock "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/layers"
)

// batchNormNetwork has 4 inputs, a hidden layer with batch norm, and 3 outputs.
func batchNormNetwork(scope *model.Scope, x *Node) *Node {
	h := stock.Dense(scope.In("hidden"), x, true, 5)
	h = activation.Relu(layers.BatchNorm(scope, h).Done())
	return stock.Dense(scope.In("output"), h, true, 3)
}

// trainingComplexities returns four quantities that one might call the GC of a batch. y is
// [examples, outputs], and in training mode every y[a, k] depends on every example x[b].
func trainingComplexities(scope *model.Scope, x *Node) []*Node {
	scope.Store().SetTraining(x.Graph(), true)
	y := batchNormNetwork(scope, x)
	examples, outputs := y.Shape().Dimensions[0], y.Shape().Dimensions[1]
	zero := ScalarZero(x.Graph(), x.DType())
	summed, own, all := zero, zero, zero
	for k := range outputs {
		column := SliceAxis(y, 1, AxisElem(k))
		total := Gradient(ReduceAllSum(column), x)[0]
		summed = Add(summed, ReduceAllSum(Square(total)))
		for a := range examples {
			row := Gradient(Reshape(SliceAxis(column, 0, AxisElem(a))), x)[0] // ∂y[a,k]/∂x[b] for all b
			all = Add(all, ReduceAllSum(Square(row)))
			own = Add(own, ReduceAllSum(Square(SliceAxis(row, 0, AxisElem(a)))))
		}
	}
	n := float64(examples)
	return []*Node{DivScalar(summed, n), DivScalar(own, n), DivScalar(all, n), gcml.Complexity(y, x)}
}

// With batch norm in training mode "the GC of a batch" is ambiguous. The columns are: "summed", one
// backward pass per output for the sum over the batch; "own", each example's outputs with respect
// to its own input; "all", all outputs with respect to all inputs; and "fixed", which gcml
// measures: each example's outputs with respect to its own input, with the batch's statistics held
// fixed.
func ExampleBatchNorm() {
	backend := openBackend()
	fmt.Println("examples  summed   own   all  fixed  evaluation mode")
	for _, examples := range []int{4, 32} {
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(1); err != nil {
			log.Fatal(err)
		}
		x := normal(examples, 4)
		v, err := model.CallOnceN(backend, store, trainingComplexities, x)
		if err != nil {
			log.Fatal(err)
		}
		// After one step the running averages are the statistics of its batch.
		evaluation, err := model.CallOnce(backend, store, func(scope *model.Scope, x *Node) *Node {
			return gcml.Complexity(batchNormNetwork(scope, x), x)
		}, x)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%8d  %6.2f %5.2f %5.2f  %5.2f  %15.2f\n",
			examples, v[0].Value(), v[1].Value(), v[2].Value(), v[3].Value(), evaluation.Value())
	}
	// Output:
	// examples  summed   own   all  fixed  evaluation mode
	//        4    1.17  3.97  6.01  10.97            10.97
	//       32    0.63  6.17  6.56   7.04             7.04
}
