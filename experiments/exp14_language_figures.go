package experiments

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// layerColumns are the GC on test texts with respect to the embeddings and to each block's output.
func (r languageResults) layerColumns() []evidence.Column {
	columns := []evidence.Column{{Title: "GC, embeddings", Name: "test_gc"}}
	for block := 1; block <= r.HiddenLayers; block++ {
		columns = append(columns,
			evidence.Column{Title: fmt.Sprintf("GC, block %d", block), Name: training.BlockGCName(block)})
	}
	return columns
}

var columnRelativeGC = evidence.Column{Title: "relative GC", Name: "test_relative_gc"}

var columnCalibration = evidence.Column{Title: "calibration error", Name: "test_calibration_error"}

func (r languageResults) coefficientTable() evidence.Table {
	columns := append([]evidence.Column{{Title: "train loss", Name: "train_loss"}, {Title: "test loss", Name: "test_loss"},
		{Title: "test accuracy", Name: "test_accuracy"}, columnCalibration}, r.layerColumns()...)
	columns = append(columns, columnRelativeGC,
		evidence.Column{Title: "size of the embeddings", Name: "embedding_scale"})
	for _, deviation := range r.EmbeddingNoise {
		columns = append(columns, evidence.Column{Title: fmt.Sprintf("accuracy, noise %g", deviation),
			Name: training.NoisyAccuracyName(deviation)})
	}
	t := r.sweeps[0].TableOf("Without label noise: "+r.describe(), columns...)
	t.Notes += " GC is of the logits on test texts, with respect to the embeddings or to the output of a block. The size of " +
		"the embeddings is their root mean square; relative GC is GC times its square, and noise is in units of it."
	return t
}

// languageSetting is one of the two settings that the claims compare.
type languageSetting struct {
	name, chosen string // chosen are the coefficients.
	records      []*runs.Record
}

// withoutAndWith are the settings without and with the penalty.
func (t tunedSweep) withoutAndWith() [2]languageSetting {
	return [2]languageSetting{{"no penalty", "", t.none}, {"GC penalty", countsOf(t.Values, t.chosen), t.tuned}}
}

func (r languageResults) noiseTable() evidence.Table {
	columns := []evidence.Column{{Title: "train accuracy", Name: "train_accuracy"},
		{Title: "memorized", Name: "memorized"}, {Title: "recovered", Name: "recovered"},
		{Title: "test accuracy", Name: "test_accuracy"},
		{Title: "test loss", Name: "test_loss"}, columnCalibration}
	t := evidence.Table{Title: "Label noise, with the coefficient that validation chooses: " + r.describe(),
		Header: []string{"label noise", "training", "coefficients chosen"},
		Notes: fmt.Sprintf("Mean ± standard deviation over %d seeds at the last step. Of the wrongly labelled training texts, "+
			"memorized is the fraction decided as they are labelled, recovered the fraction decided rightly. %d validation "+
			"texts without wrong labels choose the coefficient for each seed.", r.seeds, r.Validation)}
	for _, c := range columns {
		t.Header = append(t.Header, c.Title)
	}
	var all [][]*runs.Record
	for i, s := range r.sweeps {
		for _, setting := range s.withoutAndWith() {
			row := []string{fmt.Sprintf("%g", r.LabelNoise[i]), setting.name, setting.chosen}
			for _, c := range columns {
				row = append(row, evidence.MeanAndDeviation(setting.records, evidence.AtEnd(c.Name)))
			}
			t.Rows = append(t.Rows, row)
			all = append(all, setting.records)
		}
	}
	t.Notes = evidence.NotesOn(t.Notes, all...)
	return t
}

func (r languageResults) describe() string {
	return fmt.Sprintf("transformer of %d × %d features on %s, %d texts, %d steps, batch %d, Adam with rate %g",
		r.HiddenLayers, r.Width, datasetTitle, r.Train, r.Steps, r.BatchSize, r.LearningRate)
}

// datasetTitle names the texts in captions.
const datasetTitle = "doc comments of Go"

func (r languageResults) figure() plots.Figure {
	s := r.sweeps[0]
	return plots.Figure{Title: "GC of the token embeddings as a penalty",
		Caption: fmt.Sprintf("%s At the last step; %s. Relative GC is GC times the mean square of the embeddings. On "+
			"the right, validation chooses the coefficient for each seed, and noise is in units of their root mean square.",
			evidence.BandCaption(r.seeds), r.describe()),
		Panels: []plots.Panel{
			s.PanelOf("GC on test texts", "GC of the logits", true, append(r.layerColumns(), columnRelativeGC)...),
			s.PanelOf("calibration and accuracy, test texts", "fraction", false, columnCalibration,
				evidence.Column{Title: "test accuracy", Name: "test_accuracy"}),
			r.robustnessPanel()}}
}

// robustnessPanel draws the accuracy against the noise on the embeddings, with and without the
// penalty.
func (r languageResults) robustnessPanel() plots.Panel {
	p := plots.Panel{Title: "noise on the embeddings", XLabel: "deviation / size of the embeddings",
		YLabel: "test accuracy"}
	x := append([]float64{0}, r.EmbeddingNoise...)
	for _, setting := range r.sweeps[0].withoutAndWith() {
		rows := make([][]float64, r.seeds)
		for seed, record := range setting.records {
			rows[seed] = []float64{record.FinalValue("test_accuracy")}
			for _, deviation := range r.EmbeddingNoise {
				rows[seed] = append(rows[seed], record.FinalValue(training.NoisyAccuracyName(deviation)))
			}
		}
		band := evidence.BandOf(setting.name, x, rows)
		band.Points = true
		p.Series = append(p.Series, band)
	}
	return p
}

// labelNoiseFigure draws what label noise does with and without the penalty.
func (r languageResults) labelNoiseFigure() plots.Figure {
	panel := func(title, name string, from int) plots.Panel {
		p := plots.Panel{Title: title, XLabel: "label noise", YLabel: "fraction"}
		for k := range 2 {
			rows := make([][]float64, r.seeds)
			setting := ""
			for _, s := range r.sweeps[from:] {
				both := s.withoutAndWith()[k]
				setting = both.name
				for seed, record := range both.records {
					rows[seed] = append(rows[seed], record.FinalValue(name))
				}
			}
			band := evidence.BandOf(setting, r.LabelNoise[from:], rows)
			band.Points = true
			p.Series = append(p.Series, band)
		}
		return p
	}
	return plots.Figure{Title: "Wrong labels, with and without the penalty",
		Caption: fmt.Sprintf("%s At the last step; %s. Validation chooses the coefficient for each seed. Memorized is the "+
			"fraction of the wrongly labelled training texts that the network decides as they are labelled.",
			evidence.BandCaption(r.seeds), r.describe()),
		Panels: []plots.Panel{panel("wrong labels memorized", "memorized", 1),
			panel("wrong labels decided rightly", "recovered", 1), panel("test accuracy", "test_accuracy", 0)}}
}
