package docs

import (
	"iter"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// sameBatch is a data set that repeats one batch without end.
type sameBatch struct{}

func (sameBatch) Name() string { return "one batch" }

func (sameBatch) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		column := func() []*tensors.Tensor { return []*tensors.Tensor{tensors.FromValue([][]float32{{1}})} }
		for yield(train.Batch{Inputs: column(), Labels: column()}, nil) {
		}
	}
}

// stepsOfHooks returns the steps after which the hooks of two runs of 9 steps are called.
func stepsOfHooks(backend compute.Backend) (thrice, growing []int) {
	network := func(scope *model.Scope, x *Node) *Node { return layers.Dense(scope, x, false, 1) }
	loop := train.NewLoop(train.NewTrainer(backend, model.NewStore(), network, loss.MeanSquaredError,
		optimizer.StochasticGradientDescent(), nil, nil))
	record := func(steps *[]int) train.OnStepFn {
		return func(loop *train.Loop, _ []*tensors.Tensor) error {
			*steps = append(*steps, loop.LoopStep+1)
			return nil
		}
	}
	train.NTimesDuringLoop(loop, 3, "thrice", 0, record(&thrice))
	train.ExponentialCallback(loop, 1, 1.4, false, "growing", 0, record(&growing))
	for range 2 {
		if _, err := loop.RunSteps(sameBatch{}, 9); err != nil {
			panic(err)
		}
	}
	return thrice, growing
}

// TestUpstreamHooks runs the report's program. If it fails, a fault is mended upstream: change the
// report.
func TestUpstreamHooks(t *testing.T) {
	thrice, growing := stepsOfHooks(gctest.GoBackend(t))
	if want := []int{1, 3, 6, 9, 18}; !slices.Equal(thrice, want) {
		t.Errorf("NTimesDuringLoop: %v, reported are %v", thrice, want)
	}
	if len(growing) != 17 || growing[0] != 2 {
		t.Errorf("ExponentialCallback: %v, reported are all steps from 2 on", growing)
	}
}
