package datasets_test

import (
	"fmt"
	"log"

	"github.com/gomlx/compute/dtypes"

	"example.com/geometric-complexity/datasets"
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
	// unknown data set "fashion-minst", did you mean "fashion-mnist"? (known: fashion-mnist-subset, fashion-mnist, mnist, cifar10)
}

// A training run that was interrupted after 1000 steps goes on where it was.
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
