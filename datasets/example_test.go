package datasets_test

import (
	"fmt"
	"log"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/datasets"
)

func ExampleLoad() {
	images, err := datasets.Load("fashion-mnist-subset", datasets.Train)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(images.N, "images of", images.H, "×", images.W, "×", images.C)
	fmt.Println(images.Classes[:3], images.Counts())
	// Output:
	// 5000 images of 28 × 28 × 1
	// [T-shirt/top Trouser Pullover] [500 500 500 500 500 500 500 500 500 500]
}

func ExampleLocate() {
	source, err := datasets.Locate("fashion-mnist-subset")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(source)
	_, err = datasets.Locate("fashion-minst")
	fmt.Println(err)
	// Output:
	// fashion-mnist-subset: embedded
	// unknown data set "fashion-minst"; did you mean "fashion-mnist"?
}

// A training run that was interrupted after 1000 steps continues with the next batch.
func ExampleNewBatches() {
	images, err := datasets.Load("fashion-mnist-subset", datasets.Train)
	if err != nil {
		log.Fatal(err)
	}
	norm, err := datasets.Standardization(images)
	if err != nil {
		log.Fatal(err)
	}
	ds, err := datasets.NewBatches(images, 128).
		Shuffle(42).DropLast().Infinite().StartAt(1000).
		Format(datasets.Format{Flat: true, Normalization: norm}).
		Done()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ds.Name(), ds.StepsPerEpoch())
	for batch, err := range ds.Iter() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(batch.Inputs[0].Shape(), batch.Labels[0].Shape())
		break
	}
	// Output:
	// fashion-mnist-subset/train 39
	// (Float32)[128, 784] (Int32)[128, 1]
}

func ExampleImages_WithLabelNoise() {
	images, err := datasets.Load("fashion-mnist-subset", datasets.Train)
	if err != nil {
		log.Fatal(err)
	}
	noisy, err := images.WithLabelNoise(0.2, datasets.OtherClass, 7)
	if err != nil {
		log.Fatal(err)
	}
	wrong := 0
	for i := range noisy.Labels {
		if noisy.Labels[i] != images.Labels[i] {
			wrong++
		}
	}
	fmt.Println(wrong, "of", noisy.N, "labels are wrong")
	// Output:
	// 1000 of 5000 labels are wrong
}

func ExampleParabola() {
	curve, err := datasets.Parabola(10)
	if err != nil {
		log.Fatal(err)
	}
	inputs, targets, err := curve.Tensors(dtypes.Float32)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(inputs.Shape(), targets.Shape())
	fmt.Printf("%.4f\n", curve.DirichletEnergy())
	// Output:
	// (Float32)[10, 1] (Float32)[10, 1]
	// 1.3169
}

// Other training sets from one set: fewer images, with the same number for each class, or all
// images with random labels.
func ExampleImages_Balanced() {
	images, err := datasets.Load("fashion-mnist-subset", datasets.Train)
	if err != nil {
		log.Fatal(err)
	}
	few, err := images.Balanced(20, 1)
	if err != nil {
		log.Fatal(err)
	}
	random, err := images.RandomLabels(1)
	if err != nil {
		log.Fatal(err)
	}
	right := 0
	for i := range random.Labels {
		if random.Labels[i] == images.Labels[i] {
			right++
		}
	}
	fmt.Println(few.N, "images,", few.Counts()[0], "of the first class")
	fmt.Println(right, "of", random.N, "random labels are right by chance")
	// Output:
	// 200 images, 20 of the first class
	// 538 of 5000 random labels are right by chance
}

// At each step, other labels are wrong.
func ExampleBatchesConfig_FreshLabelNoise() {
	images, err := datasets.Load("fashion-mnist-subset", datasets.Test)
	if err != nil {
		log.Fatal(err)
	}
	ds, err := datasets.NewBatches(images, images.N).FreshLabelNoise(0.2, datasets.OtherClass, 1).Infinite().Done()
	if err != nil {
		log.Fatal(err)
	}
	step := 0
	for batch, err := range ds.Iter() {
		if err != nil {
			log.Fatal(err)
		}
		wrong := 0
		for i, label := range tensors.MustCopyFlatData[int32](batch.Labels[0]) {
			if int(label) != int(images.Labels[i]) {
				wrong++
			}
		}
		fmt.Println(wrong, "of", images.N, "labels are wrong")
		if step++; step == 2 {
			break
		}
	}
	// Output:
	// 207 of 1000 labels are wrong
	// 210 of 1000 labels are wrong
}

// All images of a split at once, flat, each channel with mean 0 and variance 1.
func ExampleImages_Tensors() {
	images, err := datasets.Load("fashion-mnist-subset", datasets.Test)
	if err != nil {
		log.Fatal(err)
	}
	normalization, err := datasets.Standardization(images)
	if err != nil {
		log.Fatal(err)
	}
	inputs, labels, err := images.Tensors(datasets.Format{DType: dtypes.Float64, Flat: true, Normalization: normalization})
	if err != nil {
		log.Fatal(err)
	}
	mean, variance := stat.PopMeanVariance(tensors.MustCopyFlatData[float64](inputs), nil)
	fmt.Printf("%s %s, mean %.3f, variance %.3f\n", inputs.Shape(), labels.Shape(), math.Abs(mean), variance)
	// Output: (Float64)[1000, 784] (Int32)[1000, 1], mean 0.000, variance 1.000
}

// Your own regression set.
func ExampleNewCurve() {
	curve, err := datasets.NewCurve([]float64{0, 1, 3}, []float64{0, 2, 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("at 0.5:", curve.At(0.5))
	fmt.Printf("mean squared slope: %.4f\n", curve.DirichletEnergy()) // (4·1 + 0·2)/3
	// Output:
	// at 0.5: 1
	// mean squared slope: 1.3333
}
