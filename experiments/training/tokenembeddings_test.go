package training

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/representation"
)

// textTask trains a transformer of one block for a few steps on texts with wrong labels.
func textTask() *Train {
	return &Train{Data: Data{Name: datasets.NameGoDocs, Train: 80, Test: 40, MeasureGC: 16, Validation: 16,
		DrawPerSeed: true, LabelNoise: 0.25}, Network: Transformer(1, 8, 2, 100, 6), LearningRate: 0.01,
		Optimizer: OptimizerAdam, BatchSize: 16, Steps: 20, Measurements: 1,
		Penalties:       map[string]float64{PenaltyGC: 0.01},
		TokenEmbeddings: &TokenEmbeddings{Noise: []float64{1e-6, 1}}}
}

// TestTokenEmbeddings compares a run's measurements with those of the trained network by other
// means.
func TestTokenEmbeddings(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		ctx := context.Background()
		env := runs.Env{Backend: backend, Out: t.TempDir()}
		task := textTask()
		record := execute(t, env, runs.Run{Label: "texts", Seed: 5, Task: task})
		final := record.Final()
		trained, err := OpenRun(filepath.Join(env.Out, runs.RunsDir, record.Hash))
		if err != nil {
			t.Fatal(err)
		}
		data, err := task.Data.load(task.Network, 5)
		if err != nil {
			t.Fatal(err)
		}
		allTest, err := datasets.GoDocs(datasets.Test)
		if err != nil {
			t.Fatal(err)
		}
		test, err := allTest.Balanced(5, subsetSeed)
		if err != nil {
			t.Fatal(err)
		}
		few, err := test.Balanced(2, subsetSeed)
		if err != nil {
			t.Fatal(err)
		}
		tokenizer, err := task.Network.tokenizer()
		if err != nil {
			t.Fatal(err)
		}
		batches := func(texts *datasets.Texts) *datasets.Batches {
			ds, err := datasets.NewTextBatches(texts, 8, tokenizer).Done()
			if err != nil {
				t.Fatal(err)
			}
			return ds
		}
		same := func(name string, want float64) {
			t.Helper()
			gctest.AssertClose(t, []float64{final.Value(name)}, []float64{want}, 1e-4, 1e-7, name)
		}
		network := func(scope *model.Scope, inputs []*graph.Node) []*graph.Node {
			return []*graph.Node{trained.Model(scope, inputs[0])}
		}
		for name, node := range map[string]string{"test_gc": EmbeddedNode, BlockGCName(1): blockNode(1)} {
			gc, err := gcml.Measure(ctx, backend, trained.Store, network, batches(few), gcml.WithInputNode(node))
			if err != nil {
				t.Fatal(err)
			}
			same(name, gc.GC)
		}
		if trained.InputNode != EmbeddedNode {
			t.Errorf("derivatives are with respect to %q, want %q", trained.InputNode, EmbeddedNode)
		}
		first, err := trained.Dataset("", datasets.Test, 10, 4)
		if err != nil || first.(*datasets.Batches).NumExamples() != 10 {
			t.Errorf("the first 10 test texts: %v", err)
		}
		if _, err := trained.Dataset(datasets.NameFashionMNISTSubset, datasets.Test, 10, 4); err == nil {
			t.Error("images for a transformer: no error")
		}
		if _, err := trained.Dataset(NameParabola, datasets.Test, 10, 4); err == nil {
			t.Error("a curve for a transformer: no error")
		}
		changed := *trained
		changed.data = &runs.DataContent{SHA256: "other"}
		if _, err := changed.Dataset("", datasets.Test, 0, 4); err == nil {
			t.Error("texts that have changed since the training: no error")
		}
		if _, err := changed.Dataset(datasets.NameGoDocs, datasets.Test, 0, 4); err != nil {
			t.Errorf("texts that have changed, by their name: %v", err)
		}
		words, err := trained.Store.GetVariable("/model/words/embeddings").Value()
		if err != nil {
			t.Fatal(err)
		}
		same("embedding_scale", scaleOf(few, tokenizer, gctest.Flat(words), 8))
		same("test_relative_gc", final.Value("test_gc")*math.Pow(final.Value("embedding_scale"), 2))

		evaluator := representation.NewEvaluator(backend, trained.Store, network)
		defer evaluator.Finalize()
		onTest, err := evaluator.Evaluate(ctx, batches(test))
		if err != nil {
			t.Fatal(err)
		}
		calibration, err := representation.CalibrationError(onTest.Outputs[0].Values, 8, onTest.Labels, CalibrationBins)
		if err != nil {
			t.Fatal(err)
		}
		same("test_calibration_error", calibration)
		// Noise of a millionth changes no decision.
		same(NoisyAccuracyName(1e-6), final.Value("test_accuracy"))
		if v := final.Value(NoisyAccuracyName(1)); !(v >= 0 && v <= 1) || v == final.Value("test_accuracy") {
			t.Errorf("accuracy with noise %g, without %g", v, final.Value("test_accuracy"))
		}

		onTrain, err := evaluator.Evaluate(ctx, batches(trainTexts(t, task.Data, 5)))
		if err != nil {
			t.Fatal(err)
		}
		decisions, err := representation.Decisions(onTrain.Outputs[0].Values, 8)
		if err != nil {
			t.Fatal(err)
		}
		var wrong, memorized, recovered float64
		for i, label := range onTrain.Labels {
			truth := int64(data.trueLabels[i])
			if label == truth {
				continue
			}
			wrong++
			if decisions[i] == label {
				memorized++
			}
			if decisions[i] == truth {
				recovered++
			}
		}
		if wrong != 20 {
			t.Errorf("%g wrong labels of 80, want a quarter", wrong)
		}
		same("memorized", memorized/wrong)
		same("recovered", recovered/wrong)
	})
}

// trainTexts are the training texts of a run as they are labelled for it.
func trainTexts(t *testing.T, d Data, seed uint64) *datasets.Texts {
	t.Helper()
	all, err := datasets.GoDocs(datasets.Train)
	if err == nil {
		_, all, err = all.SplitBalanced(d.Validation/8, seed)
	}
	if err == nil {
		all, err = all.Balanced(d.Train/8, seed)
	}
	if err == nil {
		all, err = all.WithLabelNoise(d.LabelNoise, datasets.OtherClass, subsetSeed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// scaleOf is the root mean square of the embeddings' values over all words of the texts.
func scaleOf(texts *datasets.Texts, z datasets.Tokenizer, table []float64, width int) float64 {
	var squares, n float64
	for _, words := range texts.Words {
		for _, token := range z.Vocabulary.Encode(words, z.Length) {
			if token == datasets.TokenPadding {
				continue
			}
			for _, v := range table[int(token)*width : (int(token)+1)*width] {
				squares, n = squares+v*v, n+1
			}
		}
	}
	return math.Sqrt(squares / n)
}

func TestWrongTextTasks(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	for want, change := range map[string]func(*Train){
		"a transformer takes texts":        func(t *Train) { t.Data = Data{Name: NameParabola}; t.TokenEmbeddings = nil },
		"and no other network does":        func(t *Train) { t.Network = MLP(1, 4); t.TokenEmbeddings = nil },
		"but only a transformer has them":  func(t *Train) { t.Network = MLP(1, 4) },
		"want deviations above 0":          func(t *Train) { t.TokenEmbeddings.Noise = []float64{0} },
		"noise []":                         func(t *Train) { t.TokenEmbeddings.Noise = nil },
		"leave measure out":                func(t *Train) { t.Data.Measure = 16 },
		"spectrum: it does not apply":      func(t *Train) { t.Spectrum = true },
		"input_noise: it does not apply":   func(t *Train) { t.InputNoise = 0.1 },
		"classes: go-docs is not cut down": func(t *Train) { t.Data.Classes = []int{0, 1} },
		"validation: go-docs/train: 15":    func(t *Train) { t.Data.Validation = 15 },
	} {
		task := textTask()
		change(task)
		_, err := runstest.Do(context.Background(), env, runs.Run{Label: "wrong", Task: task})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}
