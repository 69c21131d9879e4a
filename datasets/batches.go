package datasets

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
)

// Batches is a train.Dataset over images or texts. Each batch has one input, [batch, H, W, C] or
// [batch, H·W·C] for images and int32 tokens [batch, length] for texts, and one label tensor, int32
// [batch, 1].
//
// The batch of a step is a pure function of the examples, the configuration and the step. So
// training that was interrupted after s steps continues with StartAt(s) as if it had not been
// interrupted, and every [Batches.Iter] yields the same batches. GoMLX's own dataset.InMemory
// cannot do this: its order depends on the number of iterations before, and it can reach a step
// only by producing all batches before it.
//
// [NewBatches] and [NewTextBatches] build it. It is safe for concurrent use.
type Batches struct {
	labels  []uint8
	classes int
	// tensors returns the examples with the indices, and the labels, one for each.
	tensors func(indices []int, labels []uint8) (inputs, labelTensor *tensors.Tensor, err error)
	config  BatchesConfig
}

// BatchesConfig configures a [Batches]; see [NewBatches].
type BatchesConfig struct {
	images    *Images
	texts     *Texts // In the place of images, with a tokenizer in the place of a format.
	tokenizer Tokenizer
	batchSize int
	name      string
	format    Format
	shuffled  bool
	seed      uint64
	dropLast  bool
	infinite  bool
	start     int
	noise     float64
	noiseKind NoiseKind
	noiseSeed uint64
}

// NewBatches starts the configuration of a dataset that yields the images in batches. By default
// the dataset yields each image once, in order, with a short last batch if batchSize does not
// divide their number. Finish with Done:
//
//	ds, err := datasets.NewBatches(images, 128).Shuffle(seed).DropLast().Infinite().Done()
func NewBatches(images *Images, batchSize int) *BatchesConfig {
	c := &BatchesConfig{images: images, batchSize: batchSize}
	if images != nil {
		c.name = images.Name
	}
	return c
}

// NewTextBatches is NewBatches for texts, as tokens. A format does not apply to them.
func NewTextBatches(texts *Texts, batchSize int, z Tokenizer) *BatchesConfig {
	if texts == nil {
		texts = &Texts{}
	}
	return &BatchesConfig{texts: texts, tokenizer: z, batchSize: batchSize, name: texts.Name}
}

// Name replaces the name of the images or texts as the name of the dataset.
func (c *BatchesConfig) Name(name string) *BatchesConfig { c.name = name; return c }

// Format sets dtype, shape and normalization of the inputs.
func (c *BatchesConfig) Format(format Format) *BatchesConfig { c.format = format; return c }

// Shuffle yields the examples of each epoch in a random order that depends on the seed and the
// epoch's number.
//
// Without Infinite every Iter repeats epoch 0, or the epoch of StartAt: for a different order in
// each epoch use Infinite with train.Loop's RunSteps instead of RunEpochs.
func (c *BatchesConfig) Shuffle(seed uint64) *BatchesConfig {
	c.shuffled, c.seed = true, seed
	return c
}

// DropLast omits the last batch of an epoch if it is short, so that all batches have the same
// shape.
func (c *BatchesConfig) DropLast() *BatchesConfig { c.dropLast = true; return c }

// Infinite yields epoch after epoch without end, as train.Loop.RunSteps needs it.
func (c *BatchesConfig) Infinite() *BatchesConfig { c.infinite = true; return c }

// StartAt makes Iter begin with the batch of this step, counted from 0 over all epochs, in constant
// time. Without Infinite, Iter ends at the end of the step's epoch.
func (c *BatchesConfig) StartAt(step int) *BatchesConfig { c.start = step; return c }

// FreshLabelNoise replaces each yielded label with this probability, by random numbers that depend
// on the seed and the step: the label noise of stochastic-gradient theory (Blanc et al. 2020).
// [Images.WithLabelNoise] is for noise that stays the same during training.
func (c *BatchesConfig) FreshLabelNoise(probability float64, kind NoiseKind, seed uint64) *BatchesConfig {
	c.noise, c.noiseKind, c.noiseSeed = probability, kind, seed
	return c
}

// Done returns the dataset. It returns an error if there are no examples or their fields contradict
// each other, if the batch size is below 1 or with DropLast above the number of examples, if the
// start is negative, and if the format or the noise does not fit the examples.
func (c *BatchesConfig) Done() (*Batches, error) {
	b, err := c.examples()
	if err != nil {
		return nil, err
	}
	if c.batchSize < 1 {
		return nil, fmt.Errorf("%s: batch size %d, want 1 or more", c.name, c.batchSize)
	}
	if c.dropLast && c.batchSize > len(b.labels) {
		return nil, fmt.Errorf("%s: batch size %d is larger than the number of examples, %d, and DropLast leaves no batch",
			c.name, c.batchSize, len(b.labels))
	}
	if c.start < 0 {
		return nil, fmt.Errorf("%s: start step %d, want 0 or more", c.name, c.start)
	}
	if c.noise != 0 {
		if err := checkNoise(c.name, b.classes, c.noise, c.noiseKind); err != nil {
			return nil, err
		}
	}
	b.config = *c
	b.config.batchSize = min(c.batchSize, len(b.labels)) // Sums with huge batch sizes would overflow.
	return b, nil
}

// examples returns the dataset without its configuration.
func (c *BatchesConfig) examples() (*Batches, error) {
	if c.texts != nil {
		if c.format != (Format{}) {
			return nil, fmt.Errorf("%s: a format of images does not apply to texts; leave it out", c.name)
		}
		if err := c.tokenizer.check(c.texts); err != nil {
			return nil, err
		}
		return &Batches{labels: c.texts.Labels, classes: len(c.texts.Classes),
			tensors: func(indices []int, labels []uint8) (inputs, labelTensor *tensors.Tensor, err error) {
				return c.tokenizer.tensors(c.texts, indices, labels)
			}}, nil
	}
	if err := c.images.check(); err != nil {
		return nil, err
	}
	converter, err := newConverter(c.images, c.format)
	if err != nil {
		return nil, err
	}
	return &Batches{labels: c.images.Labels, classes: len(c.images.Classes), tensors: converter.tensors}, nil
}

var (
	_ train.Dataset      = (*Batches)(nil)
	_ train.HasShortName = (*Batches)(nil)
)

// Name implements train.Dataset.
func (b *Batches) Name() string { return b.config.name }

// ShortName implements train.HasShortName: the part of the name after its first slash, as "test" of
// "mnist/test", or else its first three bytes.
func (b *Batches) ShortName() string {
	if _, split, ok := strings.Cut(b.config.name, "/"); ok {
		return split
	}
	return b.config.name[:min(3, len(b.config.name))]
}

// NumExamples returns the number of examples, including those of a short batch that is dropped.
func (b *Batches) NumExamples() int { return len(b.labels) }

// StepsPerEpoch returns the number of batches of one epoch.
func (b *Batches) StepsPerEpoch() int {
	if b.config.dropLast {
		return len(b.labels) / b.config.batchSize
	}
	return (len(b.labels) + b.config.batchSize - 1) / b.config.batchSize
}

// StartingAt returns the same dataset with another start step; see [BatchesConfig.StartAt].
func (b *Batches) StartingAt(step int) (*Batches, error) {
	config := b.config
	return config.StartAt(step).Done()
}

// Iter implements train.Dataset. The caller owns the tensors. All iterations over a dataset yield
// the same batches.
func (b *Batches) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		perEpoch := b.StepsPerEpoch()
		epoch := b.config.start / perEpoch
		order := b.order(epoch)
		for step := b.config.start; ; step++ {
			if current := step / perEpoch; current != epoch {
				if !b.config.infinite {
					return
				}
				epoch = current
				order = b.order(epoch)
			}
			first := step % perEpoch * b.config.batchSize
			batch, err := b.batch(step, order[first:min(first+b.config.batchSize, len(order))])
			if !yield(batch, err) || err != nil {
				return
			}
		}
	}
}

// order returns the indices of the examples in the order of an epoch.
func (b *Batches) order(epoch int) []int {
	if !b.config.shuffled {
		return allOf(len(b.labels))
	}
	// One generator seeds the next, so that the orders of (seed, epoch) and (seed+1, epoch-1) are
	// unrelated.
	rng := rand.New(rand.NewPCG(rand.NewPCG(b.config.seed, streamShuffle).Uint64(), uint64(epoch)))
	return rng.Perm(len(b.labels))
}

func (b *Batches) batch(step int, indices []int) (train.Batch, error) {
	labels := make([]uint8, len(indices))
	for row, i := range indices {
		labels[row] = b.labels[i]
	}
	if b.config.noise > 0 {
		b.addNoise(step, labels)
	}
	inputsT, labelsT, err := b.tensors(indices, labels)
	if err != nil {
		return train.Batch{}, err
	}
	return train.Batch{Inputs: tensorList(inputsT), Labels: tensorList(labelsT)}, nil
}

// addNoise replaces some of the labels of a step.
func (b *Batches) addNoise(step int, labels []uint8) {
	rng := rand.New(rand.NewPCG(rand.NewPCG(b.config.noiseSeed, streamFreshNoise).Uint64(), uint64(step)))
	for row, label := range labels {
		if rng.Float64() < b.config.noise {
			labels[row] = b.config.noiseKind.draw(label, b.classes, rng)
		}
	}
}
