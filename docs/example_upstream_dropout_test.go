package docs

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/fnn"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// sumOfInputs returns the output of a network without hidden layers, with weights of 1, for nine
// ones in training, with dropout between its layers.
func sumOfInputs(backend compute.Backend) float32 {
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		panic(err)
	}
	sum, err := model.CallOnce(backend, store, func(scope *model.Scope, x *Node) *Node {
		scope.Store().SetTraining(x.Graph(), true)
		return fnn.New(scope.WithInitializer(initializer.One), x, 1).UseBias(false).Dropout(0.5).Done()
	}, [][]float32{{1, 1, 1, 1, 1, 1, 1, 1, 1}})
	if err != nil {
		panic(err)
	}
	return sum.Value().([][]float32)[0][0]
}

// TestUpstreamDropout runs the report's program. If it fails, the fault is mended upstream: delete
// the report.
func TestUpstreamDropout(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if got := sumOfInputs(b); got == 9 {
			t.Error("the sum is 9: no input is dropped")
		}
	})
}
