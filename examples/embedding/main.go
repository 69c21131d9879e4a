// Measures the geometric complexity (GC) of a model whose inputs are integers: a classifier of
// sentences, given as tokens. Integers have no derivative, so GC is taken with respect to the
// embeddings that the model looks up for them. The model names that node by Node.WithAlias:
//
//	GC 5.1 ± 0.2 of 2 logits with respect to 96 values, over 3 sentences
package main

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/janpfeifer/must"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/gcml"
	gclayers "github.com/geometric-complexity/toolkit/layers"
)

// classifier maps tokens, shaped [batch, length], to logits, shaped [batch, 2].
func classifier(scope *model.Scope, tokens *Node) *Node {
	embedded := layers.Embedding(scope.In("words"), tokens, dtypes.Float32, 1000, 16).WithAlias("embedded")
	x := Tanh(layers.Dense(scope.In("hidden"), embedded, true, 32)) // [batch, length, 32]
	x = gclayers.GlobalMaxPool(x)                                   // Over the sentence: [batch, 32].
	return layers.Dense(scope.In("logits"), x, true, 2)
}

func main() {
	device, _ := must.M2(backend.Open())
	sentences := must.M1(dataset.InMemoryFromData(device, "sentences",
		[]any{[][]int32{{5, 17, 3, 801, 44, 9}, {9, 9, 1, 25, 730, 2}, {11, 4, 8, 3, 62, 500}}}, nil))

	// Your program would train the model, or load a checkpoint into the store.
	store := model.NewStore()
	must.M(store.SetRNGStateFromSeed(1))
	gc := must.M1(gcml.Measure(context.Background(), device, store, classifier, sentences.BatchSize(3, false),
		gcml.WithInputNode("embedded")))
	fmt.Printf("GC %.2g ± %.1g of %d logits with respect to %d values, over %d sentences\n",
		gc.GC, float64(gc.StdErr), gc.Outputs, gc.Inputs, gc.Examples)
}
