package datasets

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/gomlx/ml/train"
)

// Batches is a train.Dataset over images. Each batch has one input, [batch, H, W, C] or [batch,
// H·W·C], and one label tensor, int32 [batch, 1].
//
// The batch of a step is a pure function of the images, the configuration and the step. So training
// that was interrupted after s steps continues with StartAt(s) as if it had not been interrupted,
// and every [Batches.Iter] yields the same batches. GoMLX's own dataset.InMemory cannot do this:
// its order depends on the number of iterations before, and it can reach a step only by producing
// all batches before it.
//
// [NewBatches] builds it. It is safe for concurrent use.
type Batches struct {
	images    *Images
	converter *converter
	config    BatchesConfig
}

// BatchesConfig configures a [Batches]; see [NewBatches].
type BatchesConfig struct {
	images    *Images
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

// Name replaces the name of the images as the name of the dataset.
func (c *BatchesConfig) Name(name string) *BatchesConfig { c.name = name; return c }

// Format sets dtype, shape and normalization of the inputs.
func (c *BatchesConfig) Format(format Format) *BatchesConfig { c.format = format; return c }

// Shuffle yields the images of each epoch in a random order that depends on the seed and the
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

// Done returns the dataset. It returns an error if there are no images or their fields contradict
// each other, if the batch size is below 1 or with DropLast above the number of images, if the
// start is negative, and if the format or the noise does not fit the images.
func (c *BatchesConfig) Done() (*Batches, error) {
	if err := c.images.check(); err != nil {
		return nil, err
	}
	if c.batchSize < 1 {
		return nil, fmt.Errorf("%s: batch size %d, want 1 or more", c.name, c.batchSize)
	}
	if c.dropLast && c.batchSize > c.images.N {
		return nil, fmt.Errorf("%s: batch size %d is larger than the %d images, and DropLast leaves no batch",
			c.name, c.batchSize, c.images.N)
	}
	if c.start < 0 {
		return nil, fmt.Errorf("%s: start step %d, want 0 or more", c.name, c.start)
	}
	if c.noise != 0 {
		if err := c.images.checkNoise(c.noise, c.noiseKind); err != nil {
			return nil, err
		}
	}
	converter, err := newConverter(c.images, c.format)
	if err != nil {
		return nil, err
	}
	config := *c
	config.batchSize = min(c.batchSize, c.images.N) // Sums with huge batch sizes would overflow.
	return &Batches{images: c.images, converter: converter, config: config}, nil
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

// NumExamples returns the number of images, including those of a short batch that is dropped.
func (b *Batches) NumExamples() int { return b.images.N }

// StepsPerEpoch returns the number of batches of one epoch.
func (b *Batches) StepsPerEpoch() int {
	if b.config.dropLast {
		return b.images.N / b.config.batchSize
	}
	return (b.images.N + b.config.batchSize - 1) / b.config.batchSize
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

// order returns the indices of the images in the order of an epoch.
func (b *Batches) order(epoch int) []int {
	if !b.config.shuffled {
		order := make([]int, b.images.N)
		for i := range order {
			order[i] = i
		}
		return order
	}
	// One generator seeds the next, so that the orders of (seed, epoch) and (seed+1, epoch-1) are
	// unrelated.
	rng := rand.New(rand.NewPCG(rand.NewPCG(b.config.seed, streamShuffle).Uint64(), uint64(epoch)))
	return rng.Perm(b.images.N)
}

func (b *Batches) batch(step int, indices []int) (train.Batch, error) {
	labels := make([]uint8, len(indices))
	for row, i := range indices {
		labels[row] = b.images.Labels[i]
	}
	if b.config.noise > 0 {
		b.addNoise(step, labels)
	}
	inputsT, labelsT, err := b.converter.tensors(indices, labels)
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
			labels[row] = b.config.noiseKind.draw(label, len(b.images.Classes), rng)
		}
	}
}
