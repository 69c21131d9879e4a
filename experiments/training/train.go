package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/nearest"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/layers"
)

// Train is the task of training one network and measuring it during training.
//
// Without an Optimizer it is plain gradient descent, as in the paper: a constant learning rate and
// no momentum.
type Train struct {
	Data         Data    `json:"data"`
	Network      Network `json:"network"`
	LearningRate float64 `json:"learning_rate"`
	BatchSize    int     `json:"batch_size"` // 0: all training examples, for full-batch gradient descent
	Steps        int64   `json:"steps"`
	// StopLoss ends the run at the first measurement whose training loss is at most this; 0 never
	// does.
	StopLoss float64 `json:"stop_loss,omitempty"`
	// SquaredError makes the loss of a classifier the mean over the examples of the squared
	// distance of the outputs from one-hot labels, the sum over the outputs, instead of the
	// cross-entropy.
	SquaredError bool `json:"squared_error,omitempty"`
	// Optimizer is the kind of gradient descent: empty for the plain one, OptimizerMomentum or
	// OptimizerAdam.
	Optimizer string `json:"optimizer,omitempty"`
	// Penalties are the coefficients of the penalties added to the training loss, by name: "gc",
	// "l2", "spectral", "flatness", and "embedding_gc" for GC of the embedding, which needs
	// Collapse and excludes "gc".
	Penalties map[string]float64 `json:"penalties,omitempty"`
	// GCEstimator of the "gc" or "embedding_gc" penalty; empty for exact. See gcml.ParseEstimator.
	GCEstimator string `json:"gc_estimator,omitempty"`
	// InputNoise is the standard deviation of the Gaussian noise on the inputs, LabelNoise the
	// probability that a label is replaced by a random class, both drawn anew for every training
	// step.
	InputNoise float64 `json:"input_noise,omitempty"`
	LabelNoise float64 `json:"label_noise,omitempty"`
	// Measurements is the number of measurements of the network after step 0, the last at the last
	// step; LogSpaced spaces them evenly in the logarithm of the step.
	Measurements int  `json:"measurements"`
	LogSpaced    bool `json:"log_spaced,omitempty"`
	// Transfer is the number of measured training examples on which both sides of the transfer
	// inequality are computed; 0 for none. Only ReLU MLPs support it. A point gets the means
	// "transfer_left", "parameter_gradient" (the right side) and "transfer_gc", and the largest
	// ratio of the sides, "transfer_ratio".
	Transfer int `json:"transfer,omitempty"`
	// NoiseGap are the standard deviations of the input noise whose effect on the squared error is
	// measured at the last step, on the measured training examples: what it adds in the mean, for
	// each deviation, is the array "noise_gap", and GC over them "noise_gap_gc", see noiseGap.
	NoiseGap []float64 `json:"noise_gap,omitempty"`
	// Collapse measures how the classes are arranged in the embedding, and how well it separates
	// classes that the network has not seen; nil does not.
	Collapse *Collapse `json:"collapse,omitempty"`
	// Spectrum measures the largest singular value σ₁ of the Jacobian at the training examples on
	// which GC is measured. A point gets the mean over the examples, "lipschitz", which is the
	// empirical Lipschitz constant of Gamba et al. (2023); the largest, "lipschitz_max", a lower
	// bound of the Lipschitz constant (Khromov and Singh, arXiv 2302.10886); the mean stable rank
	// ‖J‖²_F/σ₁², "stable_rank"; the square root of GC on the same examples, "root_gc"; and
	// "lipschitz_bound_ratio", the larger of lipschitz/root_gc and
	// root_gc/(√min(outputs, inputs) · lipschitz_max), neither of which can exceed 1.
	Spectrum bool `json:"spectrum,omitempty"`
	// Margin measures the margins of the measured training examples and the margin bound of Munn,
	// Dherin and Gonzalvo (arXiv 2405.18590). A point gets the mean margin, "margin"; the accuracy
	// on training data minus that on test data, "excess_risk"; GC over the mean margin,
	// "gc_over_margin", and the root of GC over it, "root_gc_over_margin", both only if the mean is
	// positive; the bound's measure C of the network, "margin_capacity"; and the bound as printed,
	// "margin_bound", with the margin at which it is smallest, "margin_bound_at", unless it is
	// smallest for an infinite one, where it says nothing. It is a diagnostic and no certificate:
	// see marginBound.
	Margin bool `json:"margin,omitempty"`
	// TokenEmbeddings measures a transformer's calibration, its GC layer by layer, and what noise
	// on the embeddings and on the labels does to it; nil does not.
	TokenEmbeddings *TokenEmbeddings `json:"token_embeddings,omitempty"`
	// KeepFunction keeps the values of a function of one variable on the grid with each
	// measurement, as the array "f".
	KeepFunction bool `json:"keep_function,omitempty"`
	// ArcLength adds the length of the graph of a function of one variable to each measurement,
	// over the interval of the grid, as "arc_length".
	ArcLength bool `json:"arc_length,omitempty"`
}

var _ runs.ContentTask = (*Train)(nil)

// Kind implements Task.
func (t *Train) Kind() string { return "train" }

// Revision implements Task. The derivatives of networks with batch norm round differently since
// revision 2. Since 3 the spectral penalty follows the largest singular value when another one
// passes it. Since 4 the singular values of the Jacobians of dense networks round differently.
// Since 5 GC is measured on the same examples as the effect of noise on the squared error.
func (t *Train) Revision() int {
	switch {
	case len(t.NoiseGap) > 0:
		return 5
	case t.Spectrum && t.Network.Kind == KindMLP:
		return 4
	case t.Penalties[PenaltySpectral] > 0:
		return 3
	case t.Network.Norm == layers.NormBatch.String():
		return 2
	}
	return 1
}

// Content implements ContentTask.
func (t *Train) Content() (*runs.DataContent, error) { return t.Data.content() }

// Units implements Task: one per training step.
func (t *Train) Units() int64 { return t.Steps }

// Validate returns an error for settings that no run can have, whatever the data.
func (t *Train) Validate() error {
	switch {
	case !(t.LearningRate > 0) || math.IsInf(t.LearningRate, 0):
		return fmt.Errorf("learning rate %g is not a positive number", t.LearningRate)
	case t.Steps < 1:
		return fmt.Errorf("%d steps: at least 1 is needed", t.Steps)
	case t.BatchSize < 0:
		return fmt.Errorf("batch size %d is negative", t.BatchSize)
	case t.Measurements < 1:
		return fmt.Errorf("%d measurements: at least 1 is needed", t.Measurements)
	}
	if !stats.Finite(t.InputNoise) || t.InputNoise < 0 || !(t.LabelNoise >= 0 && t.LabelNoise <= 1) {
		return fmt.Errorf("input noise %g and label noise %g: a deviation from 0 and a probability are needed", t.InputNoise,
			t.LabelNoise)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Penalties)) {
		if _, known := penaltyParams[name]; !known {
			return nearest.Unknown("penalty", name, slices.Sorted(maps.Keys(penaltyParams)))
		}
		if c := t.Penalties[name]; c < 0 || !stats.Finite(c) {
			return fmt.Errorf("coefficient %g of the %s penalty is not a number from 0", c, name)
		}
	}
	if t.Penalties[PenaltyEmbeddingGC] > 0 && (t.Collapse == nil || t.Penalties[PenaltyGC] > 0) {
		return fmt.Errorf("penalty %s: it needs collapse, and excludes the penalty %s", PenaltyEmbeddingGC, PenaltyGC)
	}
	if t.Collapse != nil {
		if err := t.Collapse.validate(t.Data); err != nil {
			return err
		}
	}
	if t.TokenEmbeddings != nil {
		if err := t.TokenEmbeddings.validate(t); err != nil {
			return err
		}
	}
	if t.Network.Kind == KindTransformer {
		if err := t.validateTransformer(); err != nil {
			return err
		}
	}
	if _, err := t.function(1); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	return nil
}

// function returns the network's model function.
func (t *Train) function(outputs int) (modelFn, error) {
	if t.Collapse == nil {
		return t.Network.function(outputs)
	}
	fn, err := t.Network.withEmbedding(outputs)
	return fn.logits, err
}

// measuredSteps lists the steps at which the network is measured, from 0 to the last, without
// repeats.
func (t *Train) measuredSteps() []int64 {
	steps := []int64{0}
	for i := 1; i <= t.Measurements; i++ {
		at := float64(t.Steps) * float64(i) / float64(t.Measurements)
		if t.LogSpaced && t.Measurements > 1 {
			at = math.Pow(float64(t.Steps), float64(i-1)/float64(t.Measurements-1))
		}
		if step := min(t.Steps, int64(math.Round(at))); step > steps[len(steps)-1] {
			steps = append(steps, step)
		}
	}
	return steps
}

// trainingRun is the state of a training in progress.
type trainingRun struct {
	task    *Train
	job     *runs.Job
	data    *loaded
	store   *model.Store
	trainer *train.Trainer
	eval    *evaluator
	kept    *runs.Checkpoints
	ended   bool      // the restored checkpoint is the run's last one
	saved   time.Time // when the last checkpoint was saved
	trained bool      // this process has taken a step of the run
}

// Do implements Task.
func (t *Train) Do(ctx context.Context, job *runs.Job) error {
	if err := t.Validate(); err != nil {
		return err
	}
	s, err := t.open(job)
	if err != nil {
		return err
	}
	defer s.close()
	// A run that ended before its record was written has its status in the checkpoint.
	for _, next := range t.measuredSteps() {
		if job.Record.Status != "" {
			break
		}
		if more, err := s.advance(ctx, next); err != nil {
			return err
		} else if !more {
			break
		}
	}
	return s.end()
}

// open sets up the run at the step of its checkpoint, or at 0.
func (t *Train) open(job *runs.Job) (*trainingRun, error) {
	data, err := t.load(job.Record.Seed)
	if err != nil {
		return nil, err
	}
	if content := job.Record.Data; content != nil && content.SHA256 != data.sha256 {
		return nil, fmt.Errorf("data set %s was changed after the run began; start the run again", content.Name)
	}
	fn, err := t.function(data.outputs)
	if err != nil {
		return nil, err
	}
	s := &trainingRun{task: t, job: job, data: data, store: model.NewStore(), saved: time.Now(),
		kept: job.Checkpoints()}
	if err := s.restore(); err != nil {
		return nil, err
	}
	if s.eval, err = newEvaluator(job.Backend, s.store, fn, data, gridOptions{t.KeepFunction, t.ArcLength}); err != nil {
		return nil, err
	}
	if err := s.addDiagnostics(fn); err != nil {
		return nil, err
	}
	trainingFn, trainingLoss, err := t.regularized(s.store, fn, data)
	if err != nil {
		return nil, err
	}
	descent, err := t.optimizer()
	if err != nil {
		return nil, err
	}
	s.trainer = train.NewTrainer(job.Backend, s.store, trainingFn, trainingLoss, descent, nil, nil)
	return s, nil
}

// load reads the data for the run with a seed, with the loss of the task.
func (t *Train) load(seed int64) (*loaded, error) {
	data, err := t.Data.load(t.Network, seed)
	if err != nil || !t.SquaredError {
		return data, err
	}
	if !data.classes {
		return nil, errors.New("squared_error: the data set has no classes, and its loss is always the squared error; leave it out")
	}
	data.lossFn = oneHotSquaredError
	return data, nil
}

// oneHotSquaredError is the loss of Train.SquaredError. Labels are classes [batch, 1].
func oneHotSquaredError(labels, predictions []*graph.Node) *graph.Node {
	f := predictions[0]
	target := graph.OneHot(graph.Reshape(labels[0], -1), f.Shape().Dim(-1), f.DType())
	return graph.ReduceAllMean(graph.ReduceSum(graph.Square(graph.Sub(f, target)), -1))
}

// restore loads the newest checkpoint. Without one the store starts from the seed.
func (s *trainingRun) restore() error {
	record := s.job.Record
	before, skipped, err := s.kept.Restore(s.store)
	if err != nil {
		return err
	}
	for _, why := range skipped {
		s.job.Log.Warn(fmt.Sprintf("%v; run %s resumes at step %d", why, record.Hash, before.Step))
	}
	if before == nil {
		if err := s.store.SetRNGStateFromSeed(record.Seed); err != nil {
			return err
		}
	} else {
		if err := s.task.checkPoints(before); err != nil {
			return fmt.Errorf("%s: %w; remove %s to restart the run", s.kept.Current(), err, s.kept.Dir())
		}
		record.Step, record.Points = before.Step, before.Points
		record.Status, record.Message = before.Status, before.Message
		s.ended = before.Status != ""
	}
	s.job.Advance(record.Step)
	return s.job.RewriteLog()
}

// checkPoints checks that a checkpoint's points have the steps at which the task measures. The
// checkpoint's own step may not be measured yet.
func (t *Train) checkPoints(s *runs.State) error {
	var want []int64
	for _, step := range t.measuredSteps() {
		if step < s.Step || step == s.Step && len(s.Points) > len(want) {
			want = append(want, step)
		}
	}
	got := make([]int64, len(s.Points))
	for i, p := range s.Points {
		got[i] = p.Step
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the checkpoint has points of steps %v, want %v", got, want)
	}
	return nil
}

// advance trains up to a step and measures there, unless the interrupted run had passed that step.
// It returns more = false if the run diverged or reached its StopLoss.
func (s *trainingRun) advance(ctx context.Context, next int64) (more bool, err error) {
	record := s.job.Record
	if next > record.Step {
		if err := s.train(ctx, next); err != nil {
			return false, err
		}
	}
	if record.Status == runs.Diverged {
		return false, nil
	}
	if next == record.Step && (len(record.Points) == 0 || record.Final().Step != next) {
		if err := s.measure(ctx); err != nil {
			return false, err
		}
	}
	loss := record.Final().Value("train_loss")
	return !(s.task.StopLoss > 0 && loss <= s.task.StopLoss), nil
}

// measure adds a point for the current step to the record and to the log.
func (s *trainingRun) measure(ctx context.Context) error {
	point, err := s.eval.measure(ctx, s.job.Record.Step)
	if ctx.Err() != nil {
		return s.interrupt(ctx)
	}
	if err != nil {
		return err
	}
	s.job.Record.Points = append(s.job.Record.Points, point)
	s.job.Log.Debug("measured", "step", point.Step, "values", point.Values)
	if err := s.job.AppendLog(point); err != nil {
		return err
	}
	// Before the first step the optimizer and the penalties have no variables yet.
	if point.Step > 0 && (s.job.KeepCheckpoints || time.Since(s.saved) > s.job.CheckpointEvery) {
		return s.save()
	}
	return nil
}

// train runs the loop from the current step to the next one.
func (s *trainingRun) train(ctx context.Context, next int64) error {
	record := s.job.Record
	stream, err := s.data.stream(cmp.Or(s.task.BatchSize, s.data.trained), record.Seed, record.Step)
	if err != nil {
		return err
	}
	loop := train.NewLoop(s.trainer)
	guarded, err := gcml.StopAtNonFinite(loop, stream)
	if err != nil {
		return err
	}
	loop.OnStep("watch", 0, func(loop *train.Loop, _ []*tensors.Tensor) error {
		return s.watch(ctx, int64(loop.LoopStep)+1)
	})
	_, err = loop.RunSteps(guarded, int(next-record.Step))
	var diverged *gcml.NonFiniteError
	switch {
	case errors.As(err, &diverged):
		record.Step = int64(diverged.Step) + 1
		s.job.Advance(record.Step)
		record.Status, record.Message = runs.Diverged,
			fmt.Sprintf("in step %d %s is not finite: %s", record.Step, diverged.What, diverged.Origin)
		return nil
	case ctx.Err() != nil:
		return s.interrupt(ctx)
	}
	return err
}

// watch is called after each step.
func (s *trainingRun) watch(ctx context.Context, step int64) error {
	s.job.Record.Step = step
	s.job.Advance(step)
	if !s.trained { // The first step compiles its graph.
		backend.FreeOSMemory()
		s.trained = true
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if time.Since(s.saved) > s.job.CheckpointEvery {
		return s.save()
	}
	return nil
}

// save writes a checkpoint of the current step.
func (s *trainingRun) save() error {
	if err := s.writeCheckpoint(); err != nil {
		return err
	}
	s.saved = time.Now()
	return s.job.SaveTime()
}

// writeCheckpoint saves the variables with what the record holds so far.
func (s *trainingRun) writeCheckpoint() error {
	r := s.job.Record
	return s.kept.Write(s.store, runs.State{Step: r.Step, Status: r.Status, Message: r.Message, Points: r.Points})
}

// interrupt saves the state and returns what Do returns on cancellation.
func (s *trainingRun) interrupt(ctx context.Context) error {
	// Before the first step there may be no variables yet, and nothing is lost.
	if s.job.Record.Step > 0 {
		if err := s.save(); err != nil {
			return err
		}
	}
	return &runs.InterruptedError{Cause: ctx.Err(), Label: s.job.Run.Label, Seed: s.job.Record.Seed,
		Step: s.job.Record.Step, End: s.task.Steps, Out: s.job.Out}
}

// end completes the record and saves the final weights as a checkpoint. The checkpoint stores the
// run's status, because the record is written later: a run killed in between must not resume its
// training.
func (s *trainingRun) end() error {
	record := s.job.Record
	if record.Status == "" {
		record.Status = runs.Complete
	}
	record.Dead = s.atChance()
	var err error
	if record.Weights, err = weightsDigest(s.store); err != nil {
		return err
	}
	if s.ended {
		return s.kept.RemoveOthers()
	}
	return s.writeCheckpoint()
}

// atChance reports whether a classifier ended no better than chance: its accuracy on the measured
// training examples is within three standard deviations of the accuracy of guesses.
func (s *trainingRun) atChance() bool {
	if !s.data.classes || s.job.Record.Status != runs.Complete {
		return false
	}
	chance, n := 1/float64(s.data.outputs), float64(s.data.measured["train"].n)
	accuracy := s.job.Record.Final().Value("train_accuracy")
	return accuracy <= chance+3*math.Sqrt(chance*(1-chance)/n)
}

// close frees the run's device memory.
func (s *trainingRun) close() {
	s.eval.finalize()
	s.trainer.ResetComputationGraphs()
	s.store.Finalize()
}
