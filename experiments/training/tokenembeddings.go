package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/layers"
	"github.com/geometric-complexity/toolkit/representation"
)

// TokenEmbeddings describes measurements of a transformer on the test texts.
//
// A point gets "test_calibration_error", the expected calibration error in CalibrationBins bins;
// "embedding_scale", the root mean square of the embeddings' values over the words of the texts on
// which GC is measured, and "test_relative_gc", GC in units of it: GC times its square, which does
// not change if the embeddings grow and the layers after them shrink; for each block the GC with
// respect to its output, see BlockGCName; and at the last step for each deviation of Noise the
// accuracy with normal noise on the embeddings, see NoisyAccuracyName.
//
// With label noise it also gets "memorized", the fraction of the wrongly labelled training texts
// for which the network decides on the wrong label, and "recovered", the fraction for which it
// decides on the true one.
type TokenEmbeddings struct {
	// Noise are standard deviations of noise on the embeddings, in units of embedding_scale.
	Noise []float64 `json:"noise"`
}

// CalibrationBins is the number of bins of the calibration error.
const CalibrationBins = 15

// BlockGCName returns the name of the GC with respect to the output of a block, counted from 1.
func BlockGCName(block int) string { return fmt.Sprintf("test_gc_block_%d", block) }

// NoisyAccuracyName returns the name of the test accuracy with noise of a deviation.
func NoisyAccuracyName(deviation float64) string {
	return fmt.Sprintf("test_accuracy_noise_%g", deviation)
}

func (e *TokenEmbeddings) validate(t *Train) error {
	switch {
	case t.Network.Kind != KindTransformer:
		return fmt.Errorf("token_embeddings: the network is of kind %q, but only a transformer has them; leave it out",
			t.Network.Kind)
	case len(e.Noise) == 0 || !(slices.Min(e.Noise) > 0) || math.IsInf(slices.Max(e.Noise), 0):
		return fmt.Errorf("token_embeddings: noise %v, want deviations above 0", e.Noise)
	case t.Data.Measure != 0 && t.Data.LabelNoise > 0:
		return errors.New("token_embeddings: with label noise all training texts are measured; leave measure out")
	}
	return nil
}

// validateTransformer returns an error for settings that apply to images or curves alone.
func (t *Train) validateTransformer() error {
	for name, set := range map[string]bool{"input_noise": t.InputNoise != 0, "transfer": t.Transfer != 0,
		"noise_gap": len(t.NoiseGap) > 0, "collapse": t.Collapse != nil, "spectrum": t.Spectrum, "margin": t.Margin,
		"keep_function": t.KeepFunction, "arc_length": t.ArcLength} {
		if set {
			return fmt.Errorf("%s: it does not apply to texts; leave it out", name)
		}
	}
	return nil
}

// tokenEmbeddings measures what TokenEmbeddings describes.
type tokenEmbeddings struct {
	noise []float64
	last  int64 // step
	// outputs computes logits from tokens and what is added to their embeddings.
	outputs *model.Exec
	// inner computes, over a batch of tokens, the GC with respect to each block's output, the sum
	// of the squares of the words' embeddings, and the number of their values.
	inner *model.Exec

	classes, width int
	test, gc       []examples
	train          []examples // nil without label noise
	trueLabels     []uint8    // of train
}

func newTokenEmbeddings(backend compute.Backend, store *model.Store, t *Train, data *loaded) (d *tokenEmbeddings,
	err error) {
	d = &tokenEmbeddings{noise: t.TokenEmbeddings.Noise, last: t.Steps, classes: data.outputs, width: t.Network.Width}
	gc := data.measured["test"]
	if data.gc != nil {
		gc = data.gc["test"]
	}
	if t.Data.LabelNoise > 0 {
		d.trueLabels = data.trueLabels
		if d.train, err = split(data.measured["train"]); err != nil {
			return nil, err
		}
	}
	if d.test, err = split(data.measured["test"]); err != nil {
		return nil, err
	}
	if d.gc, err = split(gc); err != nil {
		return nil, err
	}
	initialization, err := layers.ParseInitialization(t.Network.Initialization)
	if err != nil {
		return nil, err
	}
	fn, err := t.Network.transformer(data.outputs, initialization, dtypes.Float32)
	if err != nil {
		return nil, err
	}
	d.outputs, err = model.NewExec(backend, store, func(scope *model.Scope, tokens, added *graph.Node) *graph.Node {
		scope.Store().SetTraining(tokens.Graph(), false)
		return fn(scope, tokens, func(alias string, x *graph.Node) *graph.Node {
			if alias == EmbeddedNode {
				return graph.Add(x, added)
			}
			return x
		})
	})
	if err != nil {
		return nil, err
	}
	d.inner, err = model.NewExec(backend, store, func(scope *model.Scope, tokens *graph.Node) []*graph.Node {
		scope.Store().SetTraining(tokens.Graph(), false)
		return innerValues(fn(scope, tokens, nil), tokens, t.Network.HiddenLayers)
	})
	return d, err
}

// innerValues are the results of tokenEmbeddings.inner.
func innerValues(logits, tokens *graph.Node, blocks int) (values []*graph.Node) {
	g := tokens.Graph()
	for i := range blocks {
		values = append(values, gcml.Complexity(logits, g.GetNodeByAlias(blockNode(i+1))))
	}
	embedded := g.GetNodeByAlias(EmbeddedNode)
	words := graph.BroadcastLike(isWord(tokens), embedded, 0, 1)
	return append(values, graph.MaskedReduceAllSum(graph.Square(embedded), words),
		graph.ReduceAllSum(graph.ConvertDType(words, embedded.DType())))
}

func (d *tokenEmbeddings) finalize() {
	d.outputs.Finalize()
	d.inner.Finalize()
}

func (d *tokenEmbeddings) measure(ctx context.Context, p *runs.Point) error {
	if !stats.Finite(p.Value("train_loss")) || !stats.Finite(p.Value("test_gc")) {
		return nil // A network that has diverged has no probabilities.
	}
	scale, err := d.measureInner(ctx, p)
	if err != nil {
		return fmt.Errorf("measuring the embeddings: %w", err)
	}
	logits, labels, err := d.logits(ctx, d.test, 0, nil)
	if err != nil {
		return fmt.Errorf("measuring the calibration: %w", err)
	}
	calibration, err := representation.CalibrationError(logits, d.classes, labels, CalibrationBins)
	if err != nil {
		return err
	}
	p.Values["test_calibration_error"] = runs.Number(calibration)
	if p.Step == d.last {
		for _, deviation := range d.noise {
			accuracy, err := d.noisyAccuracy(ctx, deviation*scale)
			if err != nil {
				return fmt.Errorf("measuring the effect of noise: %w", err)
			}
			p.Values[NoisyAccuracyName(deviation)] = runs.Number(accuracy)
		}
	}
	if d.train != nil {
		return d.measureMemory(ctx, p)
	}
	return nil
}

// measureInner returns the scale of the embeddings.
func (d *tokenEmbeddings) measureInner(ctx context.Context, p *runs.Point) (scale float64, err error) {
	var sums []float64
	n := 0
	for _, b := range d.gc {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		out, err := d.inner.Call(b.inputs)
		if err != nil {
			return 0, err
		}
		if sums == nil {
			sums = make([]float64, len(out))
		}
		for i, t := range out {
			weight := 1.0
			if i < len(out)-2 {
				weight = float64(b.n)
			}
			sums[i] += weight * readScalar(t)
		}
		n += b.n
	}
	blocks := len(sums) - 2
	for i, sum := range sums[:blocks] {
		p.Values[BlockGCName(i+1)] = runs.Number(sum / float64(n))
	}
	meanSquare := sums[blocks] / sums[blocks+1]
	p.Values["embedding_scale"] = runs.Number(math.Sqrt(meanSquare))
	p.Values["test_relative_gc"] = runs.Number(p.Value("test_gc") * meanSquare)
	return math.Sqrt(meanSquare), nil
}

// logits computes the logits of all texts, [texts, classes] in row-major order, with noise of a
// deviation on the embeddings, and their labels.
func (d *tokenEmbeddings) logits(ctx context.Context, batches []examples, deviation float64,
	random *rand.Rand) (logits []float64, labels []int64, err error) {
	for _, b := range batches {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		shape := shapes.Make(dtypes.Float32, append(slices.Clone(b.inputs.Shape().Dimensions), d.width)...)
		added := tensors.FromShape(shape) // Zeros.
		if deviation > 0 {
			added = normalNoise(shape, deviation, random)
		}
		out, err := d.outputs.Call(b.inputs, added)
		if err != nil {
			return nil, nil, err
		}
		values, err := numbers.Float64s(out[0])
		if err != nil {
			return nil, nil, err
		}
		own, err := numbers.Int64s(b.labels)
		if err != nil {
			return nil, nil, err
		}
		logits, labels = append(logits, values...), append(labels, own...)
	}
	return logits, labels, nil
}

// embeddingNoiseDraws is the number of draws over which an accuracy with noise is the mean.
const embeddingNoiseDraws = 4

// noisyAccuracy is the accuracy on the test texts over embeddingNoiseDraws draws of noise, always
// the same ones up to its deviation.
func (d *tokenEmbeddings) noisyAccuracy(ctx context.Context, deviation float64) (float64, error) {
	random := rand.New(rand.NewPCG(noiseSeed, 0))
	right, n := 0, 0
	for range embeddingNoiseDraws {
		logits, labels, err := d.logits(ctx, d.test, deviation, random)
		if err != nil {
			return 0, err
		}
		decisions, err := representation.Decisions(logits, d.classes)
		if err != nil {
			return 0, err
		}
		for i, decision := range decisions {
			if decision == labels[i] {
				right++
			}
		}
		n += len(labels)
	}
	return float64(right) / float64(n), nil
}

// measureMemory adds what the network decides for the wrongly labelled training texts.
func (d *tokenEmbeddings) measureMemory(ctx context.Context, p *runs.Point) error {
	logits, labels, err := d.logits(ctx, d.train, 0, nil)
	if err != nil {
		return fmt.Errorf("measuring the wrongly labelled texts: %w", err)
	}
	decisions, err := representation.Decisions(logits, d.classes)
	if err != nil {
		return err
	}
	var wrong, memorized, recovered float64
	for i, decision := range decisions {
		if truth := int64(d.trueLabels[i]); truth != labels[i] {
			wrong++
			switch decision {
			case labels[i]:
				memorized++
			case truth:
				recovered++
			}
		}
	}
	p.Values["memorized"], p.Values["recovered"] = runs.Number(memorized/wrong), runs.Number(recovered/wrong)
	return nil
}
