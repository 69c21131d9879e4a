package experiments

import (
	"fmt"
	"slices"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// ClassTransfer is one network of experiment 10. It is trained on some classes, the source, and its
// embedding is measured on these and on others, the target. All numbers of examples are those of
// the source's classes alone, but TargetExamples.
type ClassTransfer struct {
	training.ImageTraining
	LearningRates []float64 `json:"learning_rates"` // at batch_size, without penalty
	BatchSizes    []int     `json:"batch_sizes"`    // at learning_rate, without penalty
	L2            []float64 `json:"l2"`             // coefficients, from 0
	Coefficients  []float64 `json:"coefficients"`   // of the penalty on the embedding's GC, from 0
	// Estimator is that of the penalty, EmbeddingEstimator that of the embedding's measured GC.
	Estimator          string `json:"estimator"`
	EmbeddingEstimator string `json:"embedding_estimator"`
	Source             []int  `json:"source"` // classes of the data set
	Target             []int  `json:"target"` // classes of the data set
	TargetExamples     int    `json:"target_examples"`
	Shots              []int  `json:"shots"` // claims are decided at the middle one
	Episodes           int    `json:"episodes"`
}

// NeuralCollapseConfig configures experiment 10: an MLP, and a ResNet.
type NeuralCollapseConfig struct {
	ClassTransfer
	ResNet ClassTransfer `json:"resnet"`
	// ResNetSeeds is the number of seeds for the ResNet, the first ones; 0 for all.
	ResNetSeeds int `json:"resnet_seeds"`
}

// Validate returns an error for values that make no sense.
func (c *NeuralCollapseConfig) Validate() error {
	return bothNetworks(c.ClassTransfer.validateTransfer(), c.ResNet.validateTransfer())
}

func (c ClassTransfer) validateTransfer() error {
	if err := evidence.Rising("learning_rates", c.LearningRates); err != nil {
		return err
	}
	if err := evidence.Rising("batch_sizes", c.BatchSizes); err != nil {
		return err
	}
	if !slices.Contains(c.LearningRates, c.LearningRate) || !slices.Contains(c.BatchSizes, c.BatchSize) {
		return fmt.Errorf("learning_rate %g and batch_size %d must be among learning_rates and batch_sizes, "+
			"where the sweeps meet", c.LearningRate, c.BatchSize)
	}
	if c.BatchSizes[0] < 1 {
		return fmt.Errorf("batch_sizes: %d is not positive", c.BatchSizes[0])
	}
	if err := evidence.FromZero("l2", c.L2); err != nil {
		return err
	}
	if err := evidence.FromZero("coefficients", c.Coefficients); err != nil {
		return err
	}
	if err := c.ValidateTraining(); err != nil {
		return err
	}
	return c.train().Validate()
}

// transferClaims are the claims on one network.
type transferClaims struct {
	rate, batch, l2, penalty                        evidence.ClaimText // what lowers the embedding's GC
	collapse, cdnv, target, accuracy                evidence.ClaimText // what goes with it
	cdnvOfCollapse, targetOfSource, accuracyOfClass evidence.ClaimText // the steps between
	bound                                           evidence.ClaimText
}

func transferClaimsFor(id, network string) transferClaims {
	text := func(name, what string) evidence.ClaimText {
		return evidence.ClaimText{ID: name + id, Text: what + " (" + network + ")"}
	}
	return transferClaims{
		rate:    text("rate-embedding-gc", "a larger learning rate: lower GC of the embedding"),
		batch:   text("batch-embedding-gc", "a smaller batch: lower GC of the embedding (equal numbers of steps)"),
		l2:      text("l2-embedding-gc", "more L2 regularization: lower GC of the embedding"),
		penalty: text("penalty-embedding-gc", "penalizing the embedding's GC lowers it"),
		collapse: text("gc-geometric-collapse",
			"lower GC of the embedding goes with lower geometric collapse on the source"),
		cdnv: text("gc-cdnv", "lower GC of the embedding goes with lower class-distance normalized variance on the source"),
		target: text("gc-target-cdnv",
			"lower GC of the embedding goes with lower class-distance normalized variance on the target"),
		accuracy: text("gc-few-shot", "lower GC of the embedding goes with higher few-shot accuracy on the target"),
		cdnvOfCollapse: text("collapse-cdnv",
			"lower geometric collapse goes with lower class-distance normalized variance on the source"),
		targetOfSource: text("cdnv-target-cdnv",
			"lower class-distance normalized variance on the source goes with a lower one on the target"),
		accuracyOfClass: text("target-cdnv-few-shot",
			"lower class-distance normalized variance on the target goes with higher few-shot accuracy"),
		bound: text("collapse-bound",
			"the class-distance normalized variance of the source is at most λ times its geometric collapse, with λ the "+
				"largest variance of a class's inputs along a direction, the Poincaré constant of normal inputs"),
	}
}

func (c transferClaims) list() []evidence.ClaimText {
	return []evidence.ClaimText{c.rate, c.batch, c.l2, c.penalty, c.collapse, c.cdnv, c.target, c.accuracy,
		c.cdnvOfCollapse,
		c.targetOfSource, c.accuracyOfClass, c.bound}
}

var (
	collapseClaimsMLP    = transferClaimsFor("", "MLP")
	collapseClaimsResNet = transferClaimsFor("-resnet", "ResNet18")
)

// NeuralCollapse is experiment 10: the geometric complexity of the embedding, neural collapse and
// transfer to classes that the network has not seen (Munn, Dherin and Gonzalvo, arXiv 2405.15706).
// The grids are this toolkit's own.
var NeuralCollapse = &experiment.Definition[NeuralCollapseConfig]{
	About: experiment.Info{Number: "10", Name: "neural-collapse",
		Title: "Neural collapse and transfer", Paper: "arXiv 2405.15706",
		Question: "Does a lower GC of the embedding bring neural collapse and transfer?",
		Claims:   append(collapseClaimsMLP.list(), collapseClaimsResNet.list()...),
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "MLP: 300 images, 1 hidden layer of 16 units, 40 steps; ResNet18 of 2 channels, 12 steps; 5 settings, 3 seeds",
			experiment.Laptop: "Fashion-MNIST's embedded images, classes 0 to 5 against 6 to 9; MLP: 2 hidden layers of 128 units, 2,000 steps, 13 settings; ResNet18 of 4 channels, 300 steps, 5 settings; 3 seeds",
			experiment.Desk:   "digits and classes 0 to 5 against 6 to 9; MLP: MNIST, 2 hidden layers of 256 units, 5,000 steps; ResNet18 of 8 channels, 9,000 images of CIFAR-10, 2,500 steps; 13 settings; MLP: 10 seeds, ResNet18: 5",
			experiment.Paper:  "digits and classes 0 to 5 against 6 to 9; MLP: MNIST, 3 hidden layers of 500 units; ResNet18 of 64 channels on CIFAR-10; 20,000 steps, 16 settings; MLP: 10 seeds, ResNet18: 5",
		}},
	Config: neuralCollapseConfig,
	Seeds:  seedsPerScale(3, 3, 10, 10),
	Design: designNeuralCollapse,
	Report: reportNeuralCollapse,
}

func neuralCollapseConfig(scale experiment.Scale) NeuralCollapseConfig {
	return NeuralCollapseConfig{ClassTransfer: mlpTransfer(scale), ResNet: resNetTransfer(scale), ResNetSeeds: 5}
}

// classTransfer has what all networks and scales share.
func classTransfer(c training.ImageTraining) ClassTransfer {
	return ClassTransfer{ImageTraining: c, Source: []int{0, 1, 2, 3, 4, 5}, Target: []int{6, 7, 8, 9},
		TargetExamples: 2000, Shots: []int{1, 5, 20}, Episodes: 100, Estimator: "projection:1", EmbeddingEstimator: "exact"}
}

func mlpTransfer(scale experiment.Scale) ClassTransfer {
	c := classTransfer(deskMLP())
	c.Measure, c.MeasureGC = 4800, 600
	c.LearningRates, c.BatchSizes = []float64{0.03, 0.1, 0.3, 0.6}, []int{32, 64, 128, 256}
	c.L2, c.Coefficients = []float64{0, 1e-4, 3e-4, 1e-3}, []float64{0, 1e-3, 1e-2, 1e-1}
	switch scale {
	case experiment.Paper:
		c.HiddenLayers, c.Width, c.Steps = 3, 500, 20000
		c.BatchSizes, c.LearningRates = []int{16, 32, 64, 128, 256}, []float64{0.01, 0.03, 0.1, 0.3, 0.6}
		c.Coefficients = []float64{0, 1e-4, 1e-3, 1e-2, 1e-1}
	case experiment.Laptop:
		c.ImageTraining = laptopMLP()
		c.Measure, c.MeasureGC, c.TargetExamples, c.LogSpaced = 900, 300, 800, true
		c.LearningRates, c.BatchSizes = []float64{0.03, 0.1, 0.2, 0.4}, []int{16, 32, 64, 128}
	case experiment.Smoke:
		c.ImageTraining = smokeMLP()
		c.Train, c.Test, c.Measure, c.MeasureGC, c.TargetExamples, c.Episodes = 300, 60, 120, 60, 88, 5
		c.HiddenLayers, c.Steps, c.Measurements = 1, 40, 2
		c.LearningRates, c.BatchSizes = []float64{0.1, 0.3}, []int{25, 50}
		c.L2, c.Coefficients = []float64{0, 1e-2}, []float64{0, 1e-1}
	}
	return c
}

func resNetTransfer(scale experiment.Scale) ClassTransfer {
	// Numbers of images are multiples of the six classes. Projections make GC of the embedding,
	// which has eight outputs for each channel, affordable; eight of them leave a hundredth of
	// noise.
	c := classTransfer(deskResNet())
	c.Train, c.Test, c.Measure, c.MeasureGC, c.TargetExamples = 9000, 3000, 1800, 180, 1200
	c.EmbeddingEstimator, c.Measurements = "projection:8", 10
	c.LearningRates, c.BatchSizes = []float64{0.05, 0.1, 0.2, 0.4}, []int{32, 64, 128, 256}
	c.L2, c.Coefficients = []float64{0, 1e-4, 3e-4, 1e-3}, []float64{0, 1e-4, 1e-3, 1e-2}
	switch scale {
	case experiment.Paper:
		c.ImageTraining = paperResNet()
		c.Measure, c.MeasureGC, c.TargetExamples, c.LogSpaced = 4800, 960, 2000, true
		c.LearningRates, c.BatchSizes = []float64{0.01, 0.02, 0.05, 0.1, 0.2}, []int{32, 64, 128, 256, 512}
		c.Coefficients = []float64{0, 1e-5, 1e-4, 1e-3, 1e-2}
	case experiment.Laptop:
		c.ImageTraining = laptopResNet()
		c.Measure, c.MeasureGC, c.TargetExamples = 480, 60, 400
		c.LearningRates, c.BatchSizes = []float64{0.05, 0.1}, []int{32, 64}
		c.L2, c.Coefficients = []float64{0, 1e-3}, []float64{0, 1e-2}
	case experiment.Smoke:
		c.ImageTraining = smokeResNet()
		c.Train, c.Test, c.Measure, c.MeasureGC, c.TargetExamples, c.Episodes = 120, 60, 60, 6, 88, 5
		// Enough to leave chance behind with some seeds, on images of 4×4 to make up for it.
		c.Width, c.Pool, c.Steps, c.Measurements, c.EmbeddingEstimator = 2, 7, 12, 1, "projection:1"
		c.LearningRates, c.BatchSizes = []float64{0.05, 0.1}, []int{10, 20}
		c.L2, c.Coefficients = []float64{0, 1e-2}, []float64{0, 1e-1}
	}
	return c
}

// train is the setting that the sweeps share.
func (c ClassTransfer) train() *training.Train {
	task := c.Task()
	task.Data.Classes = c.Source
	task.Collapse = &training.Collapse{Target: c.Target, Examples: c.TargetExamples, Shots: c.Shots, Episodes: c.Episodes,
		Estimator: c.EmbeddingEstimator}
	return task
}

// axes are the sweeps of a network, all of which have the setting of train.
func (c ClassTransfer) axes(network string, seeds []int64) (rate, batch, l2, penalty evidence.Axis) {
	label := func(what string) func(float64) string {
		return func(v float64) string { return fmt.Sprintf("%s, %s %g", network, what, v) }
	}
	rate = evidence.NewAxis("learning rate", c.LearningRates, seeds, label("rate"), func(v float64) *training.Train {
		task := c.train()
		task.LearningRate = v
		return task
	})
	batch = evidence.NewAxis("batch size", c.BatchSizes, seeds, func(v int) string { return label("batch")(float64(v)) },
		func(v int) *training.Train {
			task := c.train()
			task.BatchSize = v
			return task
		})
	l2 = evidence.NewAxis("L2 penalty", c.L2, seeds, label("L2"), func(v float64) *training.Train {
		return c.penalized(training.PenaltyL2, v)
	})
	penalty = evidence.NewAxis("embedding GC penalty", c.Coefficients, seeds, label("coefficient"),
		func(v float64) *training.Train { return c.penalized(training.PenaltyEmbeddingGC, v) })
	for _, a := range []*evidence.Axis{&rate, &batch, &l2, &penalty} {
		a.Group = network
	}
	return rate, batch, l2, penalty
}

func (c ClassTransfer) penalized(penalty string, coefficient float64) *training.Train {
	task := c.train()
	if coefficient == 0 {
		return task
	}
	task.Penalties = map[string]float64{penalty: coefficient}
	if penalty == training.PenaltyEmbeddingGC {
		task.GCEstimator = c.Estimator
	}
	return task
}

func designNeuralCollapse(cfg NeuralCollapseConfig, seeds []int64) evidence.Design {
	var d evidence.Design
	add := func(rate, batch, l2, penalty evidence.Axis) { d.Axes = append(d.Axes, rate, batch, l2, penalty) }
	add(cfg.axes("MLP", seeds))
	add(cfg.ResNet.axes("ResNet18", firstOf(seeds, cfg.ResNetSeeds)))
	return d
}

// The measured values that the claims are about.
var (
	columnEmbeddingGC = evidence.Column{Title: "GC of the embedding", Name: "embedding_gc"}
	columnCollapse    = evidence.Column{Title: "geometric collapse", Name: "geometric_collapse"}
	columnCDNV        = evidence.Column{Title: "CDNV of the source", Name: "cdnv"}
	columnTargetCDNV  = evidence.Column{Title: "CDNV of the target", Name: "target_cdnv"}
)

func fewShotColumn(shots int) evidence.Column {
	return evidence.Column{Title: fmt.Sprintf("%d-shot accuracy", shots), Name: training.FewShotName(shots)}
}

// transferSweeps are the sweeps of one network, and all their settings together.
type transferSweeps struct {
	ClassTransfer
	network                  string
	rate, batch, l2, penalty evidence.Sweep
	all                      evidence.Sweep
}

func (c ClassTransfer) sweeps(network string, seeds []int64, records *evidence.Records) transferSweeps {
	rate, batch, l2, penalty := c.axes(network, seeds)
	s := transferSweeps{ClassTransfer: c, network: network, rate: records.Along(rate), batch: records.Along(batch),
		l2: records.Along(l2), penalty: records.Along(penalty)}
	s.all = evidence.Pool(s.list()...)
	return s
}

func (s transferSweeps) list() []evidence.Sweep {
	return []evidence.Sweep{s.rate, s.batch, s.l2, s.penalty}
}

// accuracy is the few-shot accuracy that decides claims.
func (s transferSweeps) accuracy() evidence.Column { return fewShotColumn(s.Shots[len(s.Shots)/2]) }

func (s transferSweeps) claims(texts transferClaims) []evidence.Claim {
	gc, accuracy := columnEmbeddingGC, s.accuracy()
	return []evidence.Claim{
		s.rate.GCTrend(texts.rate, gc.Name, evidence.Falls),
		s.batch.GCTrend(texts.batch, gc.Name, evidence.Rises),
		s.l2.GCTrend(texts.l2, gc.Name, evidence.Falls),
		s.penalty.GCTrend(texts.penalty, gc.Name, evidence.Falls),
		s.all.Association(texts.collapse, gc, columnCollapse, evidence.Rises),
		s.all.Association(texts.cdnv, gc, columnCDNV, evidence.Rises),
		s.all.Association(texts.target, gc, columnTargetCDNV, evidence.Rises),
		s.all.Association(texts.accuracy, gc, accuracy, evidence.Falls),
		s.all.Association(texts.cdnvOfCollapse, columnCollapse, columnCDNV, evidence.Rises),
		s.all.Association(texts.targetOfSource, columnCDNV, columnTargetCDNV, evidence.Rises),
		s.all.Association(texts.accuracyOfClass, columnTargetCDNV, accuracy, evidence.Falls),
		s.boundClaim(texts.bound),
	}
}

// boundClaim checks the bound at every measurement of every run that counts.
func (s transferSweeps) boundClaim(text evidence.ClaimText) evidence.Claim {
	ratios := make([][]float64, s.all.Seeds())
	for _, records := range s.all.Records {
		for i, r := range records {
			if r.Counts() {
				_, values := evidence.Series(r, "bound_ratio")
				ratios[i] = append(ratios[i], values...)
			}
		}
	}
	var largest []float64
	for _, values := range ratios {
		if len(values) > 0 {
			largest = append(largest, slices.Max(values)) // NaN if one is.
		}
	}
	return evidence.LimitClaim(text, "largest CDNV / (λ · geometric collapse)", largest, 1,
		fmt.Sprintf("over all measurements of %d settings", len(s.all.Records)))
}

func reportNeuralCollapse(cfg NeuralCollapseConfig, seeds []int64,
	records *evidence.Records) (evidence.Findings, error) {
	var f evidence.Findings
	for _, s := range []struct {
		transferSweeps
		texts transferClaims
		id    string
	}{
		{cfg.sweeps("MLP", seeds, records), collapseClaimsMLP, ""},
		{cfg.ResNet.sweeps("ResNet18", firstOf(seeds, cfg.ResNetSeeds), records), collapseClaimsResNet, "-resnet"},
	} {
		f.Claims = append(f.Claims, s.claims(s.texts)...)
		f.Tables = append(f.Tables, s.tables()...)
		f.Figures = append(f.Figures,
			evidence.NamedFigure{Name: "neural-collapse" + s.id, Figure: s.chainFigure()},
			evidence.NamedFigure{Name: "neural-collapse-sweeps" + s.id, Figure: s.sweepsFigure()},
			evidence.NamedFigure{Name: "neural-collapse-training" + s.id, Figure: s.trainingFigure()})
	}
	return f, nil
}

func (s transferSweeps) tables() (tables []evidence.Table) {
	columns := []evidence.Column{{Title: "train loss", Name: "train_loss"},
		{Title: "test accuracy", Name: "test_accuracy"},
		columnEmbeddingGC, columnCollapse, columnCDNV, columnTargetCDNV}
	for _, shots := range s.Shots {
		columns = append(columns, fewShotColumn(shots))
	}
	for _, sweep := range s.list() {
		tables = append(tables, sweep.TableOf(fmt.Sprintf("%s, %s: %s", s.network, sweep.Name, s.Describe()), columns...))
	}
	return tables
}

func (s transferSweeps) what() string {
	return fmt.Sprintf("%s. Source: classes %v; target: classes %v.", s.Describe(), s.Source, s.Target)
}

// chainFigure draws each step of the chain, a point for each run at equal training loss.
func (s transferSweeps) chainFigure() plots.Figure {
	m := s.all.EqualLoss()
	f := plots.Figure{Title: "From the GC of the embedding to transfer: " + s.network,
		Caption: fmt.Sprintf("A point for each run, %s. CDNV: class-distance normalized variance. %s", m.Name, s.what())}
	for _, step := range []struct {
		x, y evidence.Column
		logY bool
	}{{columnEmbeddingGC, columnCollapse, true}, {columnCollapse, columnCDNV, true}, {columnCDNV, columnTargetCDNV, true},
		{columnTargetCDNV, s.accuracy(), false}} {
		panel := plots.Panel{Title: step.y.Title, XLabel: step.x.Title, YLabel: step.y.Title, LogX: true, LogY: step.logY}
		for _, sweep := range s.list() {
			series := plots.Series{Name: sweep.Name, NoLine: true}
			for _, records := range sweep.Records {
				for _, r := range records {
					series.X, series.Y = append(series.X, m.Of(step.x.Name)(r)), append(series.Y, m.Of(step.y.Name)(r))
				}
			}
			panel.Series = append(panel.Series, series)
		}
		f.Panels = append(f.Panels, panel)
	}
	return f
}

// sweepsFigure draws the embedding's GC, CDNV and accuracy along each sweep. Its panels have no
// titles: the axis below says which sweep it is.
func (s transferSweeps) sweepsFigure() plots.Figure {
	var gc, cdnv, accuracy []plots.Panel
	var shots []evidence.Column
	for _, n := range s.Shots {
		shots = append(shots, fewShotColumn(n))
	}
	for _, sweep := range s.list() {
		gc = append(gc, sweep.PanelOf("", "GC of the embedding", true, columnEmbeddingGC))
		cdnv = append(cdnv, sweep.PanelOf("", "CDNV", true, columnCDNV, columnTargetCDNV))
		accuracy = append(accuracy, sweep.PanelOf("", "fraction right", false, shots...))
	}
	return plots.Figure{Title: "Embedding, collapse and transfer: " + s.network, Columns: len(gc),
		Caption: evidence.BandCaption(s.all.Seeds()) + " At the last step. " + s.what(),
		Panels:  slices.Concat(gc, cdnv, accuracy)}
}

// trainingFigure draws the sweep of learning rates along training, and the bound.
func (s transferSweeps) trainingFigure() plots.Figure {
	f := plots.Figure{Title: "Along training: " + s.network, Ordered: true,
		Caption: fmt.Sprintf("%s The bound holds with the Poincaré constant of normal inputs where the ratio is at most 1. %s",
			evidence.BandCaption(s.all.Seeds()), s.what())}
	for _, c := range []struct {
		evidence.Column
		logY bool
	}{{columnEmbeddingGC, true}, {columnCDNV, true},
		{evidence.Column{Title: "CDNV / (λ · geometric collapse)", Name: "bound_ratio"}, true}, {s.accuracy(), false}} {
		f.Panels = append(f.Panels, s.rate.TrainingPanel(c.Column, c.logY))
	}
	return f
}
