package nb

import (
	"fmt"

	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/representation"
)

// Texts of TrainOnTexts have TextLength tokens, with padding, and tokens below Vocabulary: 0 is
// padding, 1 an unknown word.
const (
	TextLength = 16
	Vocabulary = 1500
	// Areas is the number of classes.
	Areas = 8
)

// EmbeddedTokens is the alias that a model for TrainOnTexts gives to its token embeddings.
const EmbeddedTokens = "embedded"

// TrainedOnTexts says what came out of a training on texts. GC is with respect to the embeddings.
type TrainedOnTexts struct {
	Trained
	CalibrationError float64 // on test texts, in 15 bins
}

// String returns a summary in one line.
func (t TrainedOnTexts) String() string {
	return fmt.Sprintf("%v, calibration error %.3f", t.Trained, t.CalibrationError)
}

// TrainOnTexts trains a model of tokens [batch, TextLength] to logits [batch, Areas] with Adam on
// 400 doc comments of Go's standard library, on the pure Go backend, always from the same weights.
// It tests the model on 400 others. It ends the cell on an error.
func TrainOnTexts[F train.ModelFnCompatible](modelFn F) TrainedOnTexts {
	trained, err := trainOnTexts(modelFn)
	Check(err)
	return trained
}

func trainOnTexts[F train.ModelFnCompatible](modelFn F) (result TrainedOnTexts, err error) {
	const each = 50 // texts of a class
	var sets [2]*datasets.Texts
	var tokenizer datasets.Tokenizer
	for i, split := range []datasets.Split{datasets.Train, datasets.Test} {
		all, err := datasets.GoDocs(split)
		if err != nil {
			return result, err
		}
		if split == datasets.Train {
			tokenizer.Length = TextLength
			if tokenizer.Vocabulary, err = datasets.NewVocabulary(all, Vocabulary); err != nil {
				return result, err
			}
		}
		if sets[i], err = all.Balanced(each, 1); err != nil {
			return result, err
		}
	}
	of := func(texts *datasets.Texts) batchesOf {
		return func(batch int) *datasets.BatchesConfig { return datasets.NewTextBatches(texts, batch, tokenizer) }
	}
	device, store := GoBackend(), Store()
	defer device.Finalize()
	t := Training{Optimizer: optimizer.Adam().LearningRate(5e-3).Done(), Steps: 100}.withDefaults()
	result.Trained, err = trainAndTest(device, store, modelFn, of(sets[0]), of(sets[1]), t,
		gcml.WithInputNode(EmbeddedTokens))
	if err != nil {
		return result, err
	}
	test, err := of(sets[1])(100).Done()
	if err != nil {
		return result, err
	}
	network := representation.NewEvaluator(device, store, modelFn)
	defer network.Finalize()
	evaluated, err := network.Evaluate(Context(), test)
	if err != nil {
		return result, err
	}
	logits := evaluated.Outputs[0].Values
	result.CalibrationError, err = representation.CalibrationError(logits, Areas, evaluated.Labels,
		training.CalibrationBins)
	return result, err
}
