package nb

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	mllayers "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/layers"
	"github.com/geometric-complexity/toolkit/representation"
)

// A line that fits points on a line has their slope, and its square for its GC.
func TestFit(t *testing.T) {
	points, err := datasets.NewCurve([]float64{-1, 0, 1}, []float64{-1, 2, 5})
	if err != nil {
		t.Fatal(err)
	}
	line := func(scope *model.Scope, x *graph.Node) *graph.Node {
		return layers.MLP(scope, x).Hidden(0, 1).Outputs(1).Done()
	}
	fitted := Fit(line, points, 0.1, 0, 300)
	if len(fitted) != 2 || fitted[0].Step != 0 || fitted[1].Step != 300 {
		t.Fatalf("measured at %+v, want steps 0 and 300", fitted)
	}
	if end := fitted[1]; end.Loss > 1e-6 || math.Abs(end.GC-9) > 1e-3 {
		t.Errorf("the fit ends at a squared error of %g and a GC of %g, want 0 and 9", end.Loss, end.GC)
	}
	if fitted[0].Loss < 1 {
		t.Errorf("before the first step the squared error is %g already", fitted[0].Loss)
	}
}

// The same training gives the same result, wrong labels raise the training loss, and the penalty on
// GC lowers GC.
func TestTrain(t *testing.T) {
	network := func(scope *model.Scope, images *graph.Node) *graph.Node {
		return layers.MLP(scope, images).Hidden(1, 16).Outputs(10).Done()
	}
	short := Training{Steps: 60, Images: 100}
	plain := Train(network, short)
	if again := Train(network, short); again != plain {
		t.Errorf("the second time %v, the first time %v", again, plain)
	}
	if plain.TestAccuracy < 0.3 {
		t.Errorf("it has not learned: %v", plain)
	}
	noisy := short
	noisy.LabelNoise = 0.5
	if got := Train(network, noisy); got.TrainLoss < plain.TrainLoss+0.1 {
		t.Errorf("with half of the labels wrong %v, without %v", got, plain)
	}
	if got := Train(gcml.Regularize(network, gcml.WithCoefficient(0.1)), short); got.GC > plain.GC/2 {
		t.Errorf("with the penalty %v, without %v", got, plain)
	}
}

// The embedding tells classes apart better after training than before, those it was not trained on
// too, and the penalty on its GC lowers that. An embedding that is its input has as many features,
// each with a derivative of 1, and the same CDNV as the images.
func TestTransfer(t *testing.T) {
	network := func(scope *model.Scope, images *graph.Node) (logits, embedding *graph.Node) {
		embedding = activation.Relu(layers.MLP(scope.In("embedding"), images).Outputs(16).Done())
		return layers.MLP(scope.In("head"), embedding).Outputs(6).Done(), embedding
	}
	short := Training{Steps: 60, Images: 100}
	plain := Transfer(network, short)
	if again := Transfer(network, short); again != plain {
		t.Errorf("the second time %v, the first time %v", again, plain)
	}
	barely := Transfer(network, Training{Steps: 1, Rate: 1e-6, Images: 100})
	if plain.CDNV > barely.CDNV/2 || plain.FewShot < 0.4 {
		t.Errorf("trained %v, not trained %v", plain, barely)
	}
	penalized := gcml.Regularize(network, gcml.WithOutput(1), gcml.WithCoefficient(0.1))
	if got := Transfer(penalized, short); got.GC > plain.GC/2 {
		t.Errorf("with the penalty %v, without %v", got, plain)
	}

	const pixels = 28 * 28
	same := func(scope *model.Scope, images *graph.Node) (logits, embedding *graph.Node) {
		return layers.MLP(scope, images).Outputs(6).Done(), graph.Identity(images)
	}
	images, err := firstOfClasses(datasets.Test, targetClasses, 100)
	if err != nil {
		t.Fatal(err)
	}
	var features []float64
	var labels []int64
	for i := range images.N {
		for _, pixel := range images.Image(i) {
			features = append(features, float64(pixel)/255)
		}
		labels = append(labels, int64(images.Labels[i]))
	}
	classes, err := representation.NewClasses(features, labels)
	if err != nil {
		t.Fatal(err)
	}
	if got := Transfer(same, short); math.Abs(got.GC-pixels) > 1e-3 || math.Abs(got.TargetCDNV/classes.CDNV()-1) > 1e-5 {
		t.Errorf("the images themselves give %v, want GC %d and CDNV %g of the target", got, pixels, classes.CDNV())
	}
}

// The same training on texts gives the same result, and the penalty on the GC of the embeddings
// lowers it.
func TestTrainOnTexts(t *testing.T) {
	network := func(scope *model.Scope, tokens *graph.Node) *graph.Node {
		x := mllayers.Embedding(scope.In("words"), tokens, dtypes.Float32, Vocabulary, 8).WithAlias(EmbeddedTokens)
		return layers.MLP(scope, graph.ReduceMean(x, 1)).Hidden(1, 8).Outputs(Areas).Done()
	}
	plain := TrainOnTexts(network)
	if again := TrainOnTexts(network); again != plain {
		t.Errorf("the second time %v, the first time %v", again, plain)
	}
	if plain.TestAccuracy < 0.18 || !(plain.CalibrationError > 0 && plain.CalibrationError < 1) {
		t.Errorf("it has not learned: %v", plain)
	}
	penalized := gcml.Regularize(network, gcml.WithInputNode(EmbeddedTokens), gcml.WithCoefficient(0.1))
	if got := TrainOnTexts(penalized); got.GC > plain.GC/2 {
		t.Errorf("with the penalty %v, without %v", got, plain)
	}
}
