package ranking

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/train"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/capacity"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/representation"
)

// tolerance is the largest relative difference between a loss that is computed again and the
// recorded one: float32 and another order of the sums differ by less.
const tolerance = 1e-3

// measuring is the measurement of one run.
type measuring struct {
	ctx     context.Context
	backend compute.Backend
	trained *training.Trained
	record  *runs.Record
	// examples are those on which the run measured its training loss, and loss is that on them.
	examples *datasets.Batches
	loss     *capacity.Loss
	*Measured
}

// measure computes the measures of a complete run in the output folder.
func measure(ctx context.Context, backend compute.Backend, backendName, out string, record *runs.Record,
	settings Settings) (*Measured, error) {
	dir := filepath.Join(out, runs.RunsDir, record.Hash)
	trained, err := training.OpenRun(dir)
	if err != nil {
		return nil, err
	}
	defer trained.Store.Finalize()
	setting, err := flat(record.Task)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	m := &measuring{ctx: ctx, backend: backend, trained: trained, record: record,
		Measured: &Measured{Run: record.Hash, Seed: record.Seed, Setting: setting, Backend: backendName,
			Weights: record.Weights, Settings: settings, Revision: revision, Values: make(map[string]runs.Number),
			Missing: make(map[string]string)}}
	if m.examples, err = trained.TrainingExamples(settings.Batch); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	m.loss, err = capacity.NewLoss(ctx, backend, trained.Store, trained.Model, trained.Loss, m.examples)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	defer m.loss.Finalize()
	for _, part := range []func() error{m.recorded, m.margins, m.norms, m.distance, m.path, m.around} {
		if err := part(); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
	}
	return m.Measured, nil
}

func (m *measuring) set(id string, value float64) {
	if stats.Finite(value) {
		m.Values[id] = runs.Number(value)
	} else {
		m.Missing[id] = "not finite"
	}
}

// recorded takes what the run measured at its last step, and checks that the weights are those.
func (m *measuring) recorded() error {
	last := m.record.Final()
	m.set(trainLoss, last.Value("train_loss"))
	m.set("gc", last.Value("train_gc"))
	m.set(TestError, 1-last.Value("test_accuracy"))
	m.set(Gap, last.Value("train_accuracy")-last.Value("test_accuracy"))
	if got, want := m.loss.Value(), last.Value("train_loss"); !(stats.RelativeError(got, want) < tolerance) {
		return fmt.Errorf("the training loss of the checkpoint is %g, but the record has %g", got, want)
	}
	return nil
}

// margins adds the measures with the mean margin of the training examples.
func (m *measuring) margins() error {
	network := representation.NewEvaluator(m.backend, m.trained.Store, m.trained.Model)
	defer network.Finalize()
	evaluation, err := network.Evaluate(m.ctx, m.examples)
	if err != nil {
		return err
	}
	margins, err := representation.Margins(evaluation.Outputs[0].Values, m.trained.Outputs, evaluation.Labels)
	if err != nil {
		return err
	}
	margin := stat.Mean(margins, nil)
	if !(margin > 0) {
		for _, id := range []string{"gc_over_margin2", "inverse_margin2", "log_spectral2_over_margin2"} {
			m.Missing[id] = "the mean margin is not positive"
		}
		return nil
	}
	m.set("inverse_margin2", 1/(margin*margin))
	m.set("gc_over_margin2", float64(m.Values["gc"])/(margin*margin))
	return nil
}

// norms adds the norms of the weights. It needs the margins.
func (m *measuring) norms() error {
	weights := m.loss.Weights()
	m.set("norm2", capacity.SquaredNorm(weights))
	kernels, err := capacity.SpectralNorms(weights)
	if err != nil {
		return err
	}
	logProduct := 0.0
	for _, k := range kernels {
		logProduct += 2 * math.Log(k.Spectral)
	}
	m.set("log_spectral2", logProduct)
	if inverse, ok := m.Values["inverse_margin2"]; ok {
		m.set("log_spectral2_over_margin2", logProduct+math.Log(float64(inverse)))
	}
	return nil
}

// distance adds the distance from the initial weights, if they can be drawn again.
func (m *measuring) distance() error {
	initial, err := m.trained.Initial(m.backend)
	if err != nil {
		return err
	}
	defer initial.Finalize()
	loss, err := capacity.NewLoss(m.ctx, m.backend, initial, m.trained.Model, m.trained.Loss, m.examples)
	if err != nil {
		return err
	}
	defer loss.Finalize()
	if first := m.record.Points[0]; first.Step != 0 ||
		!(stats.RelativeError(loss.Value(), first.Value("train_loss")) < tolerance) {
		m.Missing["distance2"] = "this backend draws other initial weights than " + m.record.Backend +
			", which trained the network"
		return nil
	}
	d, err := capacity.SquaredDistance(m.loss.Weights(), initial)
	m.set("distance2", d)
	return err
}

// path adds the path norm, which only a network of dense ReLU layers has.
func (m *measuring) path() error {
	n := m.trained.Task.Network
	if n.Kind != training.KindMLP || n.Activation != "relu" {
		m.Missing["path2"] = "only for dense ReLU networks"
		return nil
	}
	batch, err := firstBatch(m.examples)
	if err != nil {
		return err
	}
	defer batch.Finalize()
	norm, err := capacity.SquaredPathNorm(m.backend, m.trained.Store, m.trained.Model, m.loss.Weights(),
		batch.Inputs[0].Shape().Dimensions[1:]...)
	m.set("path2", norm)
	return err
}

// around adds what depends on the loss around the weights.
func (m *measuring) around() error {
	gradient, err := m.loss.SquaredGradientNorm(m.ctx)
	if err != nil {
		return err
	}
	m.set("gradient2", gradient)
	s := m.Settings
	sharpness, err := m.loss.Sharpness(m.ctx, capacity.SharpnessOptions{Sigma: s.Noise, Draws: s.Draws, Seed: s.Seed})
	if err := m.setEstimate("sharpness", sharpness, err); err != nil {
		return err
	}
	coefficient, err := m.loss.LearningCoefficient(m.ctx, capacity.Langevin{StepSize: s.StepSize,
		Localization: s.Localization, Steps: s.Steps, BurnIn: s.BurnIn, Chains: s.Chains, Seed: s.Seed})
	return m.setEstimate("learning_coefficient", coefficient, err)
}

// setEstimate sets an estimate with its standard error, unless the loss diverged.
func (m *measuring) setEstimate(id string, e capacity.Estimate, err error) error {
	if errors.Is(err, capacity.ErrDiverged) {
		m.Missing[id] = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	m.set(id, e.Value)
	if stats.Finite(e.StdErr) {
		m.Values[id+"_stderr"] = runs.Number(e.StdErr)
	}
	return nil
}

func firstBatch(ds train.Dataset) (train.Batch, error) {
	for batch, err := range ds.Iter() {
		return batch, err
	}
	return train.Batch{}, fmt.Errorf("data set %q is empty", ds.Name())
}
