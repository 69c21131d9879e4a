package layers_test

import (
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	stock "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/layers"
)

func openBackend() compute.Backend {
	backend, err := compute.NewWithConfig("go")
	if err != nil {
		log.Fatal(err)
	}
	return backend
}

// normal returns a tensor of standard normal numbers, the same in each call.
func normal(dims ...int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, shapes.Make(dtypes.Float64, dims...).Size())
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// call builds and runs a network on x and returns its output.
func call(network func(scope *model.Scope, x *Node) *Node, x any) *tensors.Tensor {
	output, err := model.CallOnce(openBackend(), model.NewStore(), network, x)
	if err != nil {
		log.Fatal(err)
	}
	return output
}

// describe builds a network for images of a shape, without running it, and
// prints its size.
func describe(network func(scope *model.Scope, x *Node) *Node, dims ...int) {
	store := model.NewStore()
	x := Parameter(NewGraph(openBackend(), "describe"), "x", shapes.Make(dtypes.Float32, dims...))
	logits := network(store.RootScope(), x)
	parameters := 0
	for v := range store.IterVariables() {
		if v.Trainable {
			parameters += v.Shape().Size()
		}
	}
	fmt.Println(logits.Shape(), "from", parameters, "parameters")
}

func ExampleMLP() {
	describe(func(scope *model.Scope, x *Node) *Node {
		return layers.MLP(scope, x).Hidden(3, 500).Outputs(10).Initializer(layers.InitGlorotNormal).Done()
	}, 8, 28, 28, 1)
	// Output: (Float32)[8, 10] from 898510 parameters
}

func ExampleResNet18() {
	describe(func(scope *model.Scope, x *Node) *Node {
		return layers.ResNet18(scope, x).Outputs(10).Done()
	}, 8, 32, 32, 3)
	describe(func(scope *model.Scope, x *Node) *Node {
		return layers.ResNet18(scope, x).Outputs(10).Width(16).Norm(layers.NormNone).Done()
	}, 8, 28, 28, 1)
	// Output:
	// (Float32)[8, 10] from 11173962 parameters
	// (Float32)[8, 10] from 699978 parameters
}

func ExampleVGG13() {
	describe(func(scope *model.Scope, x *Node) *Node {
		return layers.VGG13(scope, x).Outputs(10).Done()
	}, 8, 32, 32, 3)
	// Output: (Float32)[8, 10] from 9416010 parameters
}

func ExampleConv() {
	describe(func(scope *model.Scope, x *Node) *Node {
		return layers.Conv(scope, x).Channels(16).KernelSize(3).Strides(2).PadSame().UseBias(false).Done()
	}, 8, 32, 32, 3)
	// Output: (Float32)[8, 16, 16, 16] from 432 parameters
}

func ExampleGlobalMeanPool() {
	image := [][][][]float32{{{{1, 10}, {2, 10}}, {{3, 10}, {4, 30}}}} // 2×2 pixels of 2 channels.
	pooled := call(func(_ *model.Scope, x *Node) *Node { return layers.GlobalMeanPool(x) }, image)
	fmt.Println(pooled.Value())
	// Output: [[2.5 15]]
}

func ExampleGlobalMaxPool() {
	image := [][][][]float32{{{{1, 10}, {2, 10}}, {{3, 10}, {4, 30}}}}
	pooled := call(func(_ *model.Scope, x *Node) *Node { return layers.GlobalMaxPool(x) }, image)
	fmt.Println(pooled.Value())
	// Output: [[4 30]]
}

// Two groups of two channels: each group of each example gets mean 0 and variance 1.
func ExampleGroupNorm() {
	y := call(func(scope *model.Scope, x *Node) *Node { return layers.GroupNorm(scope, x, 2) },
		[][]float64{{1, 3, 10, 20}, {0, 8, -5, 5}})
	fmt.Printf("%.2f\n", y.Value())
	// Output: [[-1.00 1.00 -1.00 1.00] [-1.00 1.00 -1.00 1.00]]
}

func ExampleParseNorm() {
	norm, err := layers.ParseNorm("group")
	fmt.Println(norm == layers.NormGroup, err)
	_, err = layers.ParseNorm("layer")
	fmt.Println(err)
	// Output:
	// true <nil>
	// unknown normalization "layer": use one of ["batch" "none" "group"]
}

func ExampleParseInitialization() {
	he, err := layers.ParseInitialization("he_normal")
	fmt.Println(he == layers.InitHeNormal, err)
	// Output: true <nil>
}

func ExampleInitialization_Variance() {
	fmt.Printf("%.4f\n", layers.InitGlorotNormal.Variance(784, 16))
	// Output: 0.0025
}

// GoMLX's own layers can use the schemes too.
func ExampleInitialization_Initializer() {
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		log.Fatal(err)
	}
	_, err := model.CallOnce(openBackend(), store, func(scope *model.Scope, x *Node) *Node {
		return stock.Dense(scope.WithInitializer(layers.InitHeNormal.Initializer(scope)), x, true, 400)
	}, normal(1, 100))
	if err != nil {
		log.Fatal(err)
	}
	weights := tensors.MustCopyFlatData[float64](store.GetVariable("/dense/weights").MustValue())
	fmt.Printf("variance %.3f of %d weights\n", stat.Variance(weights, nil), len(weights))
	// Output: variance 0.020 of 40000 weights
}
