package layers

import (
	"iter"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// batchNormData are two batches of four examples with two channels.
var batchNormData = [][]float64{{1, 10, 2, 20, 3, 30, 6, 20}, {-1, 0, 1, 2, 0, 4, 4, 6}}

// channelMoments returns the means and variances of each channel, averaged over the batches.
func channelMoments(batches [][]float64) (means, variances []float64) {
	means, variances = make([]float64, 2), make([]float64, 2)
	for _, batch := range batches {
		for c := range 2 {
			var mean, square float64
			for i := c; i < len(batch); i += 2 {
				mean += batch[i] / 4
				square += batch[i] * batch[i] / 4
			}
			means[c] += mean / float64(len(batches))
			variances[c] += (square - mean*mean) / float64(len(batches))
		}
	}
	return means, variances
}

func checkAverages(t *testing.T, store *model.Store, batches [][]float64) {
	t.Helper()
	means, variances := channelMoments(batches)
	average := func(name string) []float64 {
		return gctest.Flat(store.GetVariable("/batch_normalization/" + name).MustValue())
	}
	gctest.AssertClose(t, average("mean"), means, 1e-12, 0, "running mean")
	gctest.AssertClose(t, average("variance"), variances, 1e-12, 0, "running variance")
}

// TestBatchNormAverages checks the running averages: the first training steps make them the mean
// over the batches so far; evaluation uses them without changing them.
func TestBatchNormAverages(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore()
		run := func(training bool, batch []float64) []float64 {
			exec := model.MustNewExec(b, store, func(scope *model.Scope, x *Node) *Node {
				scope.Store().SetTraining(x.Graph(), training)
				return BatchNorm(scope.ResetVisited(), x).Epsilon(0).Done()
			})
			return gctest.Flat(exec.MustCall(tensors.FromFlatDataAndDimensions(append([]float64(nil), batch...), 4, 2))[0])
		}
		normalized := run(true, batchNormData[0])
		means, variances := channelMoments([][]float64{normalized})
		gctest.AssertClose(t, means, []float64{0, 0}, 0, 1e-12, "mean of the normalized batch")
		gctest.AssertClose(t, variances, []float64{1, 1}, 1e-12, 0, "variance of the normalized batch")
		checkAverages(t, store, batchNormData[:1])
		run(true, batchNormData[1])
		checkAverages(t, store, batchNormData)
		centered := run(false, batchNormData[0])
		checkAverages(t, store, batchNormData)
		if means, _ := channelMoments([][]float64{centered}); means[0] <= 0 {
			t.Errorf("in evaluation the first batch has mean %g after normalization, want > 0, by the running mean", means[0])
		}
	})
}

// TestBatchNormMomentum compares the running averages after 14 steps with the recursion, computed
// on the host: up to step 10 the default momentum gives the mean over the steps, then an
// exponential moving average.
func TestBatchNormMomentum(t *testing.T) {
	const steps = 14
	layer := func(scope *model.Scope, x *Node) *BatchNormBuilder { return BatchNorm(scope, x) }
	for _, c := range []struct {
		name     string
		momentum float64
		layer    func(scope *model.Scope, x *Node) *BatchNormBuilder
	}{
		{"default", 0.9, layer},
		{"0.25", 0.25, func(scope *model.Scope, x *Node) *BatchNormBuilder { return layer(scope, x).Momentum(0.25) }},
		{"1", 1, func(scope *model.Scope, x *Node) *BatchNormBuilder { return layer(scope, x).Momentum(1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				store := model.NewStore()
				exec := model.MustNewExec(b, store, func(scope *model.Scope, x *Node) *Node {
					scope.Store().SetTraining(x.Graph(), true)
					return c.layer(scope, x).Done()
				})
				defer exec.Finalize()
				means, variances := make([]float64, 2), make([]float64, 2)
				for step := range steps {
					batch := batchNormData[step%2]
					exec.MustCall(tensors.FromFlatDataAndDimensions(batch, 4, 2))
					ofBatch, ofSquares := channelMoments([][]float64{batch})
					keep := min(c.momentum, 1-1/float64(step+1))
					for k := range 2 {
						means[k] = keep*means[k] + (1-keep)*ofBatch[k]
						variances[k] = keep*variances[k] + (1-keep)*ofSquares[k]
					}
				}
				for name, want := range map[string][]float64{"mean": means, "variance": variances} {
					got := gctest.Flat(store.GetVariable("/batch_normalization/" + name).MustValue())
					gctest.AssertClose(t, got, want, 1e-12, 0, "running "+name)
				}
			})
		})
	}
}

// batchesDataset yields batchNormData.
type batchesDataset struct{}

func (batchesDataset) Name() string { return "batches" }

func (batchesDataset) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for _, batch := range batchNormData {
			x := tensors.FromFlatDataAndDimensions(append([]float64(nil), batch...), 4, 2)
			labels := tensors.FromFlatDataAndDimensions(make([]float64, 8), 4, 2)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{labels}}, nil) {
				return
			}
		}
	}
}

// TestBatchNormAveragesUpdate checks that GoMLX recognizes the layer's averages and recomputes
// them.
func TestBatchNormAveragesUpdate(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore()
		network := func(scope *model.Scope, _ any, inputs []*Node) []*Node {
			return []*Node{BatchNorm(scope, inputs[0]).Done()}
		}
		trainer := train.NewTrainer(b, store, network, loss.MeanSquaredError, optimizer.StochasticGradientDescent().Done(),
			nil, nil)
		for batch, err := range (batchesDataset{}).Iter() {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := trainer.TrainStep(batch); err != nil {
				t.Fatal(err)
			}
		}
		setValue(t, store.GetVariable("/batch_normalization/mean"), tensors.FromValue([]float64{7, 7}))
		updated, err := norm.UpdateBatchNormAverages(trainer, batchesDataset{})
		if err != nil || !updated {
			t.Fatalf("UpdateBatchNormAverages = %t, %v, want true", updated, err)
		}
		checkAverages(t, store, batchNormData)
	})
}
