package experiments

import (
	"fmt"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// LanguageConfig configures experiment 14.
type LanguageConfig struct {
	Train      int `json:"train"`      // training texts
	Validation int `json:"validation"` // further texts that choose a coefficient for each seed
	Test       int `json:"test"`       // test texts; 0 for all
	MeasureGC  int `json:"measure_gc"` // of the training and the test texts, how many for GC; 0 for all
	// The transformer: blocks, features of each token, heads, tokens known, and tokens of each
	// text.
	HiddenLayers int     `json:"hidden_layers"`
	Width        int     `json:"width"`
	Heads        int     `json:"heads"`
	Vocabulary   int     `json:"vocabulary"`
	Length       int     `json:"length"`
	LearningRate float64 `json:"learning_rate"` // of Adam
	BatchSize    int     `json:"batch_size"`
	Steps        int64   `json:"steps"`
	Measurements int     `json:"measurements"`
	// Coefficients of the penalty, rising from 0.
	Coefficients []float64 `json:"coefficients"`
	Estimator    string    `json:"estimator"` // of the penalty; GC is always measured exactly
	// LabelNoise are the fractions of wrong training labels, rising from 0. Each has a sweep of its
	// own over the coefficients.
	LabelNoise []float64 `json:"label_noise"`
	// EmbeddingNoise are deviations of noise on the embeddings, rising, in units of their root mean
	// square. ClaimedNoise is the one that the claim is about.
	EmbeddingNoise []float64 `json:"embedding_noise"`
	ClaimedNoise   float64   `json:"claimed_noise"`
}

// Validate returns an error for values that make no sense.
func (c *LanguageConfig) Validate() error {
	if err := evidence.FromZero("coefficients", c.Coefficients); err != nil {
		return err
	}
	if err := evidence.FromZero("label_noise", c.LabelNoise); err != nil {
		return err
	}
	if c.LabelNoise[len(c.LabelNoise)-1] >= 1 {
		return fmt.Errorf("label_noise: %v, want fractions below 1", c.LabelNoise)
	}
	if err := evidence.Rising("embedding_noise", c.EmbeddingNoise); err != nil {
		return err
	}
	if !slices.Contains(c.EmbeddingNoise, c.ClaimedNoise) {
		return fmt.Errorf("claimed_noise: %g is not one of embedding_noise, %v", c.ClaimedNoise, c.EmbeddingNoise)
	}
	if c.Validation < 1 {
		return fmt.Errorf("validation: %d texts, want 1 or more", c.Validation)
	}
	return c.task(c.LabelNoise[1], c.Coefficients[1]).Validate()
}

var (
	claimLanguageGC = evidence.ClaimText{ID: "lowers-gc",
		Text: "penalizing GC with respect to the token embeddings lowers it on test texts"}
	claimLanguageRelative = evidence.ClaimText{ID: "lowers-relative-gc",
		Text: "the penalty also lowers GC in units of the embeddings' size, which larger embeddings do not lower"}
	claimLanguageBlock = evidence.ClaimText{ID: "lowers-inner-gc",
		Text: "the penalty on the embeddings also lowers GC with respect to the last block's output"}
	claimLanguageCalibration = evidence.ClaimText{ID: "improves-calibration",
		Text: "the penalty lowers the expected calibration error on test texts"}
	claimLanguageNoise = evidence.ClaimText{ID: "resists-noise",
		Text: "the penalty lowers what noise on the embeddings takes from the test accuracy"}
	claimLanguageAccuracy = evidence.ClaimText{ID: "improves-accuracy",
		Text: "the penalty raises the test accuracy"}
	claimLanguageMemory = evidence.ClaimText{ID: "memorizes-less",
		Text: "with label noise, the penalty lowers the fraction of wrong labels that are memorized"}
	claimLanguageRight = evidence.ClaimText{ID: "improves-with-wrong-labels",
		Text: "with label noise, the penalty raises the test accuracy"}
)

// Language is experiment 14: a transformer that classifies texts, and the GC of its logits with
// respect to the token embeddings as a penalty, as JacHess penalizes Jacobians of language models
// (arXiv 2404.00758). The texts, the network and the grids are this toolkit's own.
var Language = &experiment.Definition[LanguageConfig]{
	About: experiment.Info{Number: "14", Name: "language", Title: "Language: GC with respect to token embeddings",
		Paper:    "arXiv 2404.00758",
		Question: "Does penalizing GC of the embeddings calibrate and protect a text classifier?",
		Claims: []evidence.ClaimText{claimLanguageGC, claimLanguageRelative, claimLanguageBlock, claimLanguageCalibration,
			claimLanguageNoise, claimLanguageAccuracy, claimLanguageMemory, claimLanguageRight},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "80 texts, transformer of 1 block of 8 features, 20 steps, 3 coefficients, 2 label noises, 3 seeds",
			experiment.Laptop: "1,600 texts, transformer of 2 blocks of 32 features, 400 steps, 5 coefficients, 3 label noises, 5 seeds",
			experiment.Desk:   "3,200 texts, transformer of 2 blocks of 32 features, 800 steps, 5 coefficients, 3 label noises, 10 seeds",
			experiment.Paper:  "3,200 texts, transformer of 6 blocks of 256 features, 5,000 steps, 5 coefficients, 3 label noises, 10 seeds",
		}},
	Config: languageConfig,
	Seeds:  seedsPerScale(3, 5, 10, 10),
	Design: designLanguage,
	Report: reportLanguage,
}

func languageConfig(scale experiment.Scale) LanguageConfig {
	// The coefficients were set before any run with a penalty at these scales. Without one, a
	// network of another seed fits 1,600 texts and has a GC of 3,400 then, of which these penalties
	// would make from 0.03 to 34.
	cfg := LanguageConfig{Train: 3200, Validation: 640, MeasureGC: 160,
		HiddenLayers: 2, Width: 32, Heads: 4, Vocabulary: 3000, Length: 32,
		LearningRate: 3e-3, BatchSize: 40, Steps: 800, Measurements: 8,
		Coefficients: []float64{0, 1e-5, 1e-4, 1e-3, 1e-2}, Estimator: "projection:1", LabelNoise: []float64{0, 0.2, 0.4},
		EmbeddingNoise: []float64{0.5, 1, 2}, ClaimedNoise: 1}
	switch scale {
	case experiment.Paper:
		cfg.MeasureGC, cfg.Steps = 480, 5000
		cfg.HiddenLayers, cfg.Width, cfg.Heads, cfg.Vocabulary, cfg.Length, cfg.LearningRate = 6, 256, 8, 8000, 48, 3e-4
	case experiment.Laptop:
		cfg.Train, cfg.Validation, cfg.MeasureGC, cfg.Steps = 1600, 400, 80, 400
	case experiment.Smoke:
		cfg.Train, cfg.Validation, cfg.Test, cfg.MeasureGC = 80, 40, 80, 16
		cfg.HiddenLayers, cfg.Width, cfg.Heads, cfg.Vocabulary, cfg.Length = 1, 8, 2, 200, 8
		cfg.LearningRate, cfg.BatchSize, cfg.Steps, cfg.Measurements = 1e-2, 16, 20, 3
		cfg.Coefficients, cfg.LabelNoise, cfg.EmbeddingNoise = []float64{0, 1e-2, 1e-1}, []float64{0, 0.4}, []float64{1, 2}
	}
	return cfg
}

// task is the training with a fraction of wrong labels and a coefficient of the penalty.
func (c LanguageConfig) task(labelNoise, coefficient float64) *training.Train {
	t := &training.Train{
		Data: training.Data{Name: datasets.NameGoDocs, Train: c.Train, Validation: c.Validation, Test: c.Test,
			MeasureGC: c.MeasureGC, DrawPerSeed: true, LabelNoise: labelNoise},
		Network:      training.Transformer(c.HiddenLayers, c.Width, c.Heads, c.Vocabulary, c.Length),
		LearningRate: c.LearningRate, Optimizer: training.OptimizerAdam, BatchSize: c.BatchSize, Steps: c.Steps,
		Measurements: c.Measurements, LogSpaced: true,
		TokenEmbeddings: &training.TokenEmbeddings{Noise: c.EmbeddingNoise}}
	if coefficient != 0 {
		t.Penalties, t.GCEstimator = map[string]float64{training.PenaltyGC: coefficient}, c.Estimator
	}
	return t
}

// axis trains with each coefficient, with a fraction of wrong labels.
func (c LanguageConfig) axis(labelNoise float64, seeds []int64) evidence.Axis {
	label := func(coefficient float64) string {
		return fmt.Sprintf("label noise %g, %s", labelNoise, coefficientLabel(coefficient))
	}
	a := evidence.NewAxis("coefficient", c.Coefficients, seeds, label, func(coefficient float64) *training.Train {
		return c.task(labelNoise, coefficient)
	})
	a.Group = fmt.Sprintf("label noise %g", labelNoise)
	return a
}

func designLanguage(cfg LanguageConfig, seeds []int64) evidence.Design {
	var d evidence.Design
	for _, noise := range cfg.LabelNoise {
		d.Axes = append(d.Axes, cfg.axis(noise, seeds))
	}
	return d
}

// tunedSweep is a sweep over the coefficients, with the record and the coefficient above 0 that the
// validation texts choose for each seed.
type tunedSweep struct {
	evidence.Sweep
	none, tuned []*runs.Record // [seed]
	chosen      []float64      // [seed]
}

// tune chooses a coefficient above 0 for each seed by its validation texts, which have no wrong
// labels.
func tune(s evidence.Sweep) tunedSweep {
	best, settings := bestValidated(s.Records[1:])
	t := tunedSweep{Sweep: s, none: s.Records[0], tuned: best}
	for _, setting := range settings {
		t.chosen = append(t.chosen, s.Values[1+setting])
	}
	return t
}

// difference is a quantity with the chosen coefficient minus that without the penalty.
func (t tunedSweep) difference(of evidence.Quantity) stats.Difference {
	return stats.Paired(evidence.Values(t.tuned, of), evidence.Values(t.none, of))
}

// lostToNoise is the accuracy that noise of a deviation on the embeddings takes.
func lostToNoise(deviation float64) evidence.Quantity {
	return func(r *runs.Record) float64 {
		return r.FinalValue("test_accuracy") - r.FinalValue(training.NoisyAccuracyName(deviation))
	}
}

// languageResults are the sweeps over the coefficients, one for each label noise.
type languageResults struct {
	LanguageConfig
	seeds  int
	sweeps []tunedSweep
}

func reportLanguage(cfg LanguageConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	r := languageResults{LanguageConfig: cfg, seeds: len(seeds)}
	for _, noise := range cfg.LabelNoise {
		r.sweeps = append(r.sweeps, tune(records.Along(cfg.axis(noise, seeds))))
	}
	return evidence.Findings{Claims: r.claims(), Tables: []evidence.Table{r.coefficientTable(), r.noiseTable()},
		Figures: []evidence.NamedFigure{{Name: "language", Figure: r.figure()},
			{Name: "language-label-noise", Figure: r.labelNoiseFigure()}}}, nil
}

func (r languageResults) claims() []evidence.Claim {
	clean := r.sweeps[0]
	tuned := func(text evidence.ClaimText, statistic string, of evidence.Quantity, c evidence.Criterion) evidence.Claim {
		return evidence.DifferenceClaim(text, statistic+" minus that without the penalty", clean.difference(of), c,
			"with the coefficients "+countsOf(clean.Values, clean.chosen))
	}
	return []evidence.Claim{
		clean.GCTrend(claimLanguageGC, "test_gc", evidence.Falls),
		clean.GCTrend(claimLanguageRelative, "test_relative_gc", evidence.Falls),
		clean.GCTrend(claimLanguageBlock, training.BlockGCName(r.HiddenLayers), evidence.Falls),
		tuned(claimLanguageCalibration, "calibration error", evidence.AtEnd("test_calibration_error"), evidence.Below(0)),
		tuned(claimLanguageNoise, fmt.Sprintf("accuracy lost to noise of %g", r.ClaimedNoise),
			lostToNoise(r.ClaimedNoise), evidence.Below(0)),
		tuned(claimLanguageAccuracy, "test accuracy", evidence.AtEnd("test_accuracy"), evidence.Above(0)),
		r.withWrongLabels(claimLanguageMemory, "fraction memorized", "memorized", evidence.Below(0)),
		r.withWrongLabels(claimLanguageRight, "test accuracy", "test_accuracy", evidence.Above(0)),
	}
}

// withWrongLabels decides a claim on the difference that the penalty makes, for each seed the mean
// over the label noises above 0.
func (r languageResults) withWrongLabels(text evidence.ClaimText, statistic, name string,
	c evidence.Criterion) evidence.Claim {
	tuned, none := make([]float64, r.seeds), make([]float64, r.seeds) // Means over the label noises.
	of, n := evidence.AtEnd(name), float64(len(r.sweeps)-1)
	var notes []string
	for i, s := range r.sweeps[1:] {
		for seed := range tuned {
			tuned[seed] += of(s.tuned[seed]) / n
			none[seed] += of(s.none[seed]) / n
		}
		notes = append(notes, fmt.Sprintf("%+.3g at %g with the coefficients %s", s.difference(of).Mean, r.LabelNoise[i+1],
			countsOf(s.Values, s.chosen)))
	}
	return evidence.DifferenceClaim(text, statistic+" minus that without the penalty", stats.Paired(tuned, none), c,
		"mean over the label noises: "+strings.Join(notes, ", "))
}
