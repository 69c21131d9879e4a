package representation_test

import (
	"fmt"
	"log"

	"github.com/geometric-complexity/toolkit/representation"
)

// Two classes, each of two examples with two features.
func ExampleNewClasses() {
	features := []float64{0, 1, 0, -1, 10, 1, 10, -1}
	classes, err := representation.NewClasses(features, []int64{0, 0, 1, 1})
	if err != nil {
		log.Fatal(err)
	}
	collapse, err := classes.GeometricCollapse([]float64{4, 6}) // The GC of the features by class.
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("CDNV %.3f, geometric collapse %.3f, nearest mean right in %.0f %%\n",
		classes.CDNV(), collapse, 100*classes.NearestMeanAccuracy())
	// Output: CDNV 0.010, geometric collapse 0.050, nearest mean right in 100 %
}

func ExampleMargins() {
	margins, err := representation.Margins([]float64{2, 5, 4, 1, 0, 3}, 3, []int64{1, 0})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(margins)
	// Output: [1 -2]
}
