// Measures the geometric complexity (GC) of three networks before any training, on the same images.
// VGG13 and ResNet18 have a sixteenth of their usual channels:
//
//	MLP: GC 1.0 ± 0.0
//	VGG13: GC 5.1 ± 0.2
//	ResNet18: GC 42.3 ± 2.1
package main

import (
	"context"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/janpfeifer/must"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/layers"
)

// padded returns images of 28×28 with a black border of two pixels.
func padded(x *Node) *Node {
	none, two := PadAxis{}, PadAxis{Start: 2, End: 2}
	return Pad(x, ScalarZero(x.Graph(), x.DType()), none, two, two, none)
}

func main() {
	device, _ := must.M2(backend.Open())
	images := must.M1(datasets.Load(datasets.NameFashionMNISTSubset, datasets.Test))
	fixed := must.M1(datasets.NewBatches(must.M1(images.Balanced(2, 1)), 20).Done())

	for _, network := range []struct {
		name    string
		modelFn func(scope *model.Scope, x *Node) *Node // Images, shaped [batch, 28, 28, 1], to logits.
	}{
		{"MLP", func(scope *model.Scope, x *Node) *Node {
			return layers.MLP(scope, Reshape(padded(x), -1, 32*32)).Hidden(3, 128).Outputs(10).Done()
		}},
		{"VGG13", func(scope *model.Scope, x *Node) *Node {
			return layers.VGG13(scope, padded(x)).Width(4).Outputs(10).Done()
		}},
		{"ResNet18", func(scope *model.Scope, x *Node) *Node {
			return layers.ResNet18(scope, padded(x)).Width(4).Outputs(10).Done()
		}},
	} {
		store := model.NewStore()
		must.M(store.SetRNGStateFromSeed(1))
		gc := must.M1(gcml.Measure(context.Background(), device, store, network.modelFn, fixed))
		fmt.Printf("%s: GC %.1f ± %.1f\n", network.name, gc.GC, float64(gc.StdErr))
	}
}
