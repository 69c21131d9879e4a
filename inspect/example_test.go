package inspect_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/inspect"
)

// network doubles its inputs twice.
func network(_ *model.Scope, x *Node) *Node {
	features := MulScalar(x, 2).WithAlias("features")
	return MulScalar(features, 2)
}

func ExampleMeasure() {
	ctx := context.Background()
	backend, err := compute.NewWithConfig("go")
	if err != nil {
		log.Fatal(err)
	}
	images, err := dataset.InMemoryFromData(backend, "points", []any{[][]float64{{1, 0}, {0, 1}, {2, 2.5}, {3, 2}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	images.BatchSize(2, false)
	store := model.NewStore()

	subject := inspect.NewSubject("my network", store, network, images)
	subject.Features = "features" // A node that the network names by WithAlias.
	report, err := inspect.Measure(ctx, backend, subject, inspect.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, reading := range report.Readings[:2] {
		fmt.Printf("%s: %s. %s\n", reading.Name, reading.Value, reading.Meaning)
	}
	// Output:
	// Geometric complexity (GC): 32, 95 % interval 32 to 32. A small step of length d in a random direction of the input changes the outputs by about 4·d in the root mean square, so compare GC only between networks whose inputs and outputs have the same units.
	// Share of the steepest tenth of the examples: 25 %. An even share would be 25 %; here the mean describes most examples (median 32).
}
