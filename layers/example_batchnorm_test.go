package layers_test

import (
	"fmt"
	"log"

	. "github.com/gomlx/gomlx/core/graph"
	stock "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"example.com/geometric-complexity/gcml"
	"example.com/geometric-complexity/layers"
)

// normalized is a network of 4 inputs and 3 outputs with batch norm.
func normalized(scope *model.Scope, x *Node) *Node {
	h := stock.Dense(scope.In("hidden"), x, true, 5)
	h = activation.Relu(layers.BatchNorm(scope, h).Done())
	return stock.Dense(scope.In("output"), h, true, 3)
}

// trainingNumbers are four quantities of one batch that might be called its GC.
// y is [examples, outputs], and in training mode every y[a, k] depends on every
// example x[b].
func trainingNumbers(scope *model.Scope, x *Node) []*Node {
	scope.Store().SetTraining(x.Graph(), true)
	y := normalized(scope, x)
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

// With batch norm in training mode "the GC of a batch" may mean several things:
// one backward pass per output for the sum over the batch; each example's
// outputs by its own input; all outputs by all inputs; and what gcml takes, by
// its own input with the batch's statistics held fixed.
func ExampleBatchNorm() {
	backend := openBackend()
	fmt.Println("examples  summed   own   all  fixed  evaluation mode")
	for _, examples := range []int{4, 32} {
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(1); err != nil {
			log.Fatal(err)
		}
		x := normal(examples, 4)
		v, err := model.CallOnceN(backend, store, trainingNumbers, x)
		if err != nil {
			log.Fatal(err)
		}
		// After one step the running averages are the statistics of its batch.
		evaluation, err := model.CallOnce(backend, store, func(scope *model.Scope, x *Node) *Node {
			return gcml.Complexity(normalized(scope, x), x)
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
