package capacity_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/capacity"
)

// The loss ½w², of one weight and one example, at w = 2.
func ExampleNewLoss() {
	backend, err := gobackend.New("")
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Finalize()
	store := model.NewStore()
	store.VariableWithValue("/w", [][]float64{{2}})
	ds := rows{x: [][]float64{{1}}, y: [][]float64{{0}}, sizes: []int{1}}

	ctx := context.Background()
	loss, err := capacity.NewLoss(ctx, backend, store, linear, halfSquare, ds)
	if err != nil {
		log.Fatal(err)
	}
	defer loss.Finalize()
	gradient, err := loss.SquaredGradientNorm(ctx)
	if err != nil {
		log.Fatal(err)
	}
	sharpness, err := loss.Sharpness(ctx, capacity.SharpnessOptions{Draws: 1000})
	if err != nil {
		log.Fatal(err)
	}
	norm := capacity.SquaredNorm(loss.Weights())
	fmt.Printf("‖w‖² %g, ‖∂L/∂w‖² %g, sharpness %.2f\n", norm, gradient, sharpness.Value)
	// Output: ‖w‖² 4, ‖∂L/∂w‖² 4, sharpness 0.02
}

// The regular loss ½w² of one weight: the local learning coefficient is 1/2, half the number of
// weights.
func ExampleLoss_LearningCoefficient() {
	backend, err := gobackend.New("")
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Finalize()
	store := model.NewStore()
	store.VariableWithValue("/w", [][]float64{{0}})
	ds := rows{x: [][]float64{{1}}, y: [][]float64{{0}}, sizes: []int{1}}

	ctx := context.Background()
	loss, err := capacity.NewLoss(ctx, backend, store, linear, halfSquare, ds)
	if err != nil {
		log.Fatal(err)
	}
	defer loss.Finalize()
	const examples = 1000 // As if there were so many of the only example.
	coefficient, err := loss.LearningCoefficient(ctx, capacity.Langevin{
		InverseTemperature: examples / math.Log(examples),
		StepSize:           1e-3, Localization: 1, BurnIn: 100, Steps: 10000,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f\n", coefficient.Value)
	// Output: 0.5
}
