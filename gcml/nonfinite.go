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

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// NonFiniteError is the error with which StopAtNonFinite ends a training loop.
type NonFiniteError struct {
	// Step is the training step that was not applied, from 0.
	Step int

	// What names the first result of the step that is not finite: "the training loss" without its
	// penalties, "the penalty", or "the update of" a variable.
	What string

	// Origin describes the first node that is not finite although its operands are: its type, shape
	// and alias, its operands, and the nearest preceding node with a name. It is empty if repeating
	// the step did not show such a node.
	Origin string
}

// Error returns one line.
func (e *NonFiniteError) Error() string {
	origin := e.Origin
	if origin == "" {
		origin = "repeating the step did not show where"
	}
	return fmt.Sprintf("gcml: training step %d was not applied because %s is not finite: %s",
		e.Step, e.What, origin)
}

// StopAtNonFinite ends the loop with a NonFiniteError at the first step whose loss, penalties
// included, or whose new weights are not all finite. It returns the data set on which to run the
// loop: ds, extended to keep a copy of the latest batch.
//
// Such a step is not applied: all variables keep their previous values, including those of the
// optimizer, of normalization layers and of the random state. StopAtNonFinite then builds and runs
// the step again with that batch, to find the node that causes it. Before that, the training graph
// has only a few more operations for each weight, and may keep the old weights in memory for
// longer; the numbers do not change.
//
// Call it for each loop, and for a trainer's first loop before its first step; otherwise the
// training graph is compiled again. It works with every model and optimizer. It returns an error if
// the trainer accumulates gradients over steps or the data set is for several devices.
func StopAtNonFinite(loop *train.Loop, ds train.Dataset) (train.Dataset, error) {
	if _, distributed := ds.(train.DistributedDataset); distributed {
		return nil, errors.Errorf("gcml.StopAtNonFinite: the data set %q is for several devices, which is not supported: use one device",
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

// latestBatch is a data set that keeps a copy of its latest batch.
type latestBatch struct {
	train.Dataset
	batch train.Batch
}

// Iter implements train.Dataset.
func (d *latestBatch) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range d.Dataset.Iter() {
			if err == nil {
				_ = d.batch.Finalize() // Finalize of a batch in memory does not fail.
				d.batch, err = batch.Clone()
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// finiteGuard is the metric of the training loss. In the training graph it undoes a step that is
// not finite and reports NaN as its loss.
type finiteGuard struct {
	metric.Interface
	trainer *train.Trainer
	search  *originSearch // nil except while a step is repeated.
}

// UpdateGraph implements metric.Interface.
func (f *finiteGuard) UpdateGraph(scope *model.Scope, labels, predictions []*Node) *Node {
	loss := f.Interface.UpdateGraph(scope, labels, predictions)
	g := loss.Graph()
	// After keeps XLA from fusing the step's computations with the checks, which would round
	// differently.
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

// logTo passes the results of a graph to the search. The trainer calls it for each new executor.
func (f *finiteGuard) logTo(exec *model.Exec, _ train.GraphType) {
	if f.search != nil {
		exec.SetNodeLogger(f.search.log)
	}
}

// explain repeats the undone step and returns the error that says which node is not finite.
func (f *finiteGuard) explain(step int, batch train.Batch) error {
	result := &NonFiniteError{Step: step, What: "the loss"}
	if len(batch.Inputs) == 0 {
		result.Origin = "run the loop on the data set that StopAtNonFinite returned, to find the node"
		return result
	}
	search, err := f.repeat(batch)
	switch {
	case err != nil:
		result.Origin = fmt.Sprintf("repeating the step failed: %v", err)
	case search.what != "":
		result.What, result.Origin = search.what, search.origin
	}
	return result
}

// repeat runs the step again in a graph with the search's results, and frees that graph. The guard
// undoes the step again.
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
