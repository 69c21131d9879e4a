package gcml

import (
	"fmt"
	"iter"
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/pkg/errors"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// NonFiniteError is what ends a training loop that StopAtNonFinite watches.
type NonFiniteError struct {
	// Step is the training step that was not applied, from 0.
	Step int

	// What is not finite first: "the training loss" without its penalties, "the penalty", or "the
	// update of" a variable.
	What string

	// Origin describes the first node that is not finite though all that it is computed from is:
	// its type, shape and alias, its operands, and the nearest node before it that has a name. It
	// is empty where a repetition of the step did not show one.
	Origin string
}

// Error is one line.
func (e *NonFiniteError) Error() string {
	origin := e.Origin
	if origin == "" {
		origin = "a repetition of the step did not show where"
	}
	return fmt.Sprintf("gcml: in training step %d %s is not finite, and the step was not applied: %s",
		e.Step, e.What, origin)
}

// StopAtNonFinite ends the loop with a NonFiniteError at the first step whose loss, penalties
// included, or whose new weights are not all finite. It returns the data set that the loop has to
// be run on: ds, of which it keeps a copy of the latest batch.
//
// Such a step is not applied: all variables keep the values from before it, those of the optimizer,
// of the normalization and of the random numbers too. The step is then built and run once more,
// with that batch, to find the node where it begins. Until then the training graph has only a few
// operations more for each weight, and may hold the old weights beside the new ones for longer; the
// numbers are the same as without.
//
// Call it for each loop, for the first one of a trainer before its first step: else the training
// graph is compiled again. It works with every model and optimizer, but not with gradients
// accumulated over steps, nor on several devices: that is an error.
func StopAtNonFinite(loop *train.Loop, ds train.Dataset) (train.Dataset, error) {
	if _, distributed := ds.(train.DistributedDataset); distributed {
		return nil, errors.Errorf("gcml.StopAtNonFinite: the data set %q is for several devices, which is not supported",
			ds.Name())
	}
	if n := loop.Trainer.NumAccumulatingSteps(); n > 1 {
		return nil, errors.Errorf("gcml.StopAtNonFinite: the trainer accumulates the gradients of %d steps, "+
			"which is not supported", n)
	}
	lossMetric := gomlxcompat.LossMetric(loop.Trainer)
	guard, guarded := (*lossMetric).(*finiteGuard)
	if !guarded {
		guard = &finiteGuard{Interface: *lossMetric, trainer: loop.Trainer}
		*lossMetric = guard
		loop.Trainer.ResetComputationGraphs()
		loop.Trainer.OnExecCreation(guard.logTo)
	}
	kept := &latestBatch{Dataset: ds}
	loop.OnStep("gcml.StopAtNonFinite", math.MinInt32, func(loop *train.Loop, metrics []*tensors.Tensor) error {
		if loss := shapes.ConvertTo[float64](metrics[0].Value()); !math.IsNaN(loss) && !math.IsInf(loss, 0) {
			return nil
		}
		return guard.explain(loop.LoopStep, kept.batch)
	})
	return kept, nil
}

// latestBatch is a data set that keeps a copy of the batch that it gave last.
type latestBatch struct {
	train.Dataset
	batch train.Batch
}

// Iter implements train.Dataset.
func (d *latestBatch) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range d.Dataset.Iter() {
			if err == nil {
				_ = d.batch.Finalize() // Frees memory; it has nothing to say.
				d.batch, err = batch.Clone()
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// finiteGuard is the metric of the training loss. In the training graph it undoes a step that is
// not finite, and reports its loss as NaN.
type finiteGuard struct {
	metric.Interface
	trainer *train.Trainer
	search  *originSearch // While a step is repeated to find where it begins.
}

// UpdateGraph implements metric.Interface.
func (f *finiteGuard) UpdateGraph(scope *model.Scope, labels, predictions []*Node) *Node {
	loss := f.Interface.UpdateGraph(scope, labels, predictions)
	g := loss.Graph()
	// What the step computes is kept apart from what is done with it here: else XLA fuses both, and
	// rounds otherwise.
	loss = gomlxcompat.After(loss)
	finite := IsFinite(loss)
	var changed []*model.Variable
	for v := range scope.Store().IterVariables() {
		if !v.ChangedInGraph(g) {
			continue
		}
		changed = append(changed, v)
		v.SetNodeValue(gomlxcompat.After(v.NodeValue(g)))
		if v.Trainable && v.DType().IsFloat() {
			finite = LogicalAnd(finite, allFinite(v.NodeValue(g)))
		}
	}
	if f.search != nil {
		f.search.trace(g, changed)
	}
	for _, v := range changed {
		v.SetNodeValue(Where(finite, v.NodeValue(g), g.GetParameterByName(v.Path())))
	}
	return Where(finite, loss, Scalar(g, loss.DType(), math.NaN()))
}

func allFinite(x *Node) *Node {
	if x.IsScalar() {
		return IsFinite(x)
	}
	return LogicalAll(IsFinite(x))
}

// logTo lets the search see the results of a graph. It is called for every executor that the
// trainer creates.
func (f *finiteGuard) logTo(exec *model.Exec, _ train.GraphType) {
	if f.search != nil {
		exec.SetNodeLogger(f.search.log)
	}
}

// explain repeats the step that was undone and returns the error that says where it is not finite.
func (f *finiteGuard) explain(step int, batch train.Batch) error {
	result := &NonFiniteError{Step: step, What: "the loss"}
	if len(batch.Inputs) == 0 {
		result.Origin = "run the loop on the data set that StopAtNonFinite returned to learn where"
		return result
	}
	search, err := f.repeat(batch)
	switch {
	case err != nil:
		result.Origin = fmt.Sprintf("a repetition of the step failed: %v", err)
	case search.what != "":
		result.What, result.Origin = search.what, search.origin
	}
	return result
}

// repeat runs the step again, in a graph that is built for the search, and leaves no graph behind.
// The guard undoes the step again.
func (f *finiteGuard) repeat(batch train.Batch) (*originSearch, error) {
	copied, err := batch.Clone()
	if err != nil {
		return nil, err
	}
	f.search = &originSearch{}
	f.trainer.ResetComputationGraphs()
	defer func() {
		f.search = nil
		f.trainer.ResetComputationGraphs()
	}()
	search := f.search
	_, err = f.trainer.TrainStep(copied)
	return search, err
}
