package training

import (
	"fmt"
	"maps"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/geometric-complexity/toolkit/datasets"
)

// exampleSet has the methods that sets of images and of texts share.
type exampleSet[S any] interface {
	Balanced(perClass int, seed uint64) (S, error)
	SplitBalanced(perClass int, seed uint64) (drawn, others S, err error)
	WithLabelNoise(fraction float64, kind datasets.NoiseKind, seed uint64) (S, error)
	Counts() []int
}

// drawnSets are the sets of examples that Data describes.
type drawnSets[S any] struct {
	train S // with label noise
	clean S // the same examples without it
	// measured are the sets for evaluations, gc those for GC, as in loaded. gc is there even if it
	// is no other than measured; ownGC says whether it differs.
	measured, gc map[string]S
	ownGC        bool
}

// drawSets draws the sets of a run with a seed from all training and test examples.
func drawSets[S exampleSet[S]](d Data, seed int64, allTrain, allTest S) (out drawnSets[S], err error) {
	trainName, testName := d.Name+"/"+datasets.Train.String(), d.Name+"/"+datasets.Test.String()
	drawSeed := uint64(subsetSeed)
	if d.DrawPerSeed {
		drawSeed = uint64(seed)
	}
	out.measured, out.gc = make(map[string]S), make(map[string]S)
	out.ownGC = d.MeasureGC != 0 || d.Validation != 0
	if d.Validation != 0 {
		n, err := perClass(allTrain.Counts(), trainName, d.Validation)
		if err != nil {
			return out, fmt.Errorf("validation: %w", err)
		}
		if out.measured["validation"], allTrain, err = allTrain.SplitBalanced(n, drawSeed); err != nil {
			return out, fmt.Errorf("validation: %w", err)
		}
	}
	if out.clean, err = balanced(allTrain, trainName, d.Train, drawSeed); err != nil {
		return out, err
	}
	if out.measured["test"], err = balanced(allTest, testName, d.Test, subsetSeed); err != nil {
		return out, err
	}
	out.train = out.clean
	if d.LabelNoise != 0 {
		if out.train, err = out.train.WithLabelNoise(d.LabelNoise, datasets.OtherClass, subsetSeed); err != nil {
			return out, err
		}
	}
	if out.measured["train"], err = balanced(out.train, trainName, d.Measure, subsetSeed); err != nil {
		return out, err
	}
	maps.Copy(out.gc, out.measured)
	delete(out.gc, "validation")
	for name, set := range out.gc {
		if out.gc[name], err = balanced(set, d.Name+"/"+name, d.MeasureGC, subsetSeed); err != nil {
			return out, err
		}
	}
	return out, nil
}

// addTensors adds all examples of each set: those for GC only if they differ from the others.
func addTensors[S any](l *loaded, sets drawnSets[S], tensorsOf func(S) (x, y *tensors.Tensor, err error)) (err error) {
	if l.measured, err = examplesOf(sets.measured, tensorsOf); err != nil || !sets.ownGC {
		return err
	}
	l.gc, err = examplesOf(sets.gc, tensorsOf)
	return err
}

func examplesOf[S any](sets map[string]S, tensorsOf func(S) (x, y *tensors.Tensor, err error)) (map[string]examples,
	error) {
	out := make(map[string]examples)
	for name, set := range sets {
		x, y, err := tensorsOf(set)
		if err != nil {
			return nil, err
		}
		out[name] = examples{x.Shape().Dim(0), x, y}
	}
	return out, nil
}

// endless yields batches in a random order without end, from a step on.
func endless(c *datasets.BatchesConfig, seed, step int64) (train.Dataset, error) {
	return c.Shuffle(uint64(seed)).DropLast().Infinite().StartAt(int(step)).Done()
}

// loadTexts reads the embedded texts as tokens.
func (d Data) loadTexts(n Network, seed int64) (*loaded, error) {
	if len(d.Classes) > 0 {
		return nil, fmt.Errorf("classes: %s is not cut down to classes; leave it out", d.Name)
	}
	tokenizer, err := n.tokenizer()
	if err != nil {
		return nil, err
	}
	allTrain, err := datasets.GoDocs(datasets.Train)
	if err != nil {
		return nil, err
	}
	allTest, err := datasets.GoDocs(datasets.Test)
	if err != nil {
		return nil, err
	}
	sets, err := drawSets(d, seed, allTrain, allTest)
	if err != nil {
		return nil, err
	}
	out := &loaded{outputs: len(sets.train.Classes), trained: len(sets.train.Words), classes: true,
		sha256: sets.train.SHA256, lossFn: loss.SparseCategoricalCrossEntropyLogits, inputNode: EmbeddedNode,
		trueLabels: sets.clean.Labels}
	err = addTensors(out, sets, func(texts *datasets.Texts) (x, y *tensors.Tensor, err error) {
		return texts.Tensors(tokenizer)
	})
	if err != nil {
		return nil, err
	}
	out.stream = func(batchSize int, seed, step int64) (train.Dataset, error) {
		return endless(datasets.NewTextBatches(sets.train, batchSize, tokenizer), seed, step)
	}
	return out, nil
}

// balanced draws n examples, equally many of each class; 0, or as many as there are, for all.
func balanced[S exampleSet[S]](all S, name string, n int, seed uint64) (S, error) {
	if n == 0 || n == sum(all.Counts()) {
		return all, nil
	}
	each, err := perClass(all.Counts(), name, n)
	if err != nil {
		return all, err
	}
	return all.Balanced(each, seed)
}

// perClass returns how many of n examples each class has, if all have equally many.
func perClass(counts []int, name string, n int) (int, error) {
	if n%len(counts) != 0 {
		return 0, fmt.Errorf("%s: %d examples cannot be drawn evenly from %d classes; take a multiple of %d",
			name, n, len(counts), len(counts))
	}
	return n / len(counts), nil
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
