package nb

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/layers"
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
