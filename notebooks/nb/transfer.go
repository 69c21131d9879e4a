package nb

import (
	"fmt"

	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/representation"
)

// The classes that Transfer trains on (source), and the others (target).
var (
	sourceClasses = []int{0, 1, 2, 3, 4, 5}
	targetClasses = []int{6, 7, 8, 9}
)

// Transfer measures how well a network that was trained on some classes separates others.
const (
	transferShots    = 5
	transferEpisodes = 100
)

// Transferred says how the embedding of a network groups images by class. GC is that of the
// embedding on the training images. CDNV is the class-distance normalized variance: of the classes
// trained on, and of the others. FewShot is the accuracy on the others of a classifier by the
// nearest mean that knows five images of each class.
type Transferred struct{ GC, CDNV, TargetCDNV, FewShot float64 }

// String returns a summary in one line.
func (t Transferred) String() string {
	return fmt.Sprintf("GC of the embedding %6.3g, CDNV %.3f, on new classes %.3f, 5-shot accuracy there %.3f", t.GC,
		t.CDNV, t.TargetCDNV, t.FewShot)
}

// Transfer trains a model that returns logits and an embedding, [batch, 6] and [batch, features],
// on the classes 0 to 5, and measures its embedding on images of these and of the classes 6 to 9.
// It ends the cell on an error.
func Transfer[F train.ModelFnCompatible](modelFn F, t Training) Transferred {
	transferred, err := transfer(modelFn, t)
	Check(err)
	return transferred
}

func transfer[F train.ModelFnCompatible](modelFn F, t Training) (result Transferred, err error) {
	t = t.withDefaults()
	source, err := firstOfClasses(datasets.Train, sourceClasses, t.Images)
	if err != nil {
		return result, err
	}
	target, err := firstOfClasses(datasets.Test, targetClasses, t.Images)
	if err != nil {
		return result, err
	}
	device, store := GoBackend(), Store()
	defer device.Finalize()
	if _, err := trainOn(device, store, modelFn, batchesOfImages(source), t); err != nil {
		return result, err
	}
	once, err := flat(source, 100).Done()
	if err != nil {
		return result, err
	}
	gc, err := gcml.Measure(Context(), device, store, modelFn, once, gcml.WithOutput(1))
	if err != nil {
		return result, err
	}
	network := representation.NewEvaluator(device, store, modelFn)
	defer network.Finalize()
	_, known, err := embed(network, source)
	if err != nil {
		return result, err
	}
	evaluated, unknown, err := embed(network, target)
	if err != nil {
		return result, err
	}
	fewShot, err := representation.FewShotAccuracy(evaluated.Outputs[1].Values, evaluated.Labels, transferShots,
		transferEpisodes, 1)
	return Transferred{GC: float64(gc.GC), CDNV: known.CDNV(), TargetCDNV: unknown.CDNV(), FewShot: fewShot}, err
}

// embed computes the outputs of a network for images, and groups its embedding, the second of them,
// by class.
func embed(network *representation.Evaluator, images *datasets.Images) (*representation.Evaluation,
	*representation.Classes, error) {
	once, err := flat(images, 100).Done()
	if err != nil {
		return nil, nil, err
	}
	evaluated, err := network.Evaluate(Context(), once)
	if err != nil {
		return nil, nil, err
	}
	classes, err := representation.NewClasses(evaluated.Outputs[1].Values, evaluated.Labels)
	return evaluated, classes, err
}

// firstOfClasses returns the first n images of some classes of Fashion-MNIST.
func firstOfClasses(split datasets.Split, classes []int, n int) (*datasets.Images, error) {
	all, err := datasets.Load(datasets.NameFashionMNISTSubset, split)
	if err != nil {
		return nil, err
	}
	images, err := all.OfClasses(classes...)
	if err != nil {
		return nil, err
	}
	return images.First(min(n, images.N))
}
