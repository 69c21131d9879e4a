package experiments_test

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments"
)

func ExampleFind() {
	e, err := experiments.Find("5")
	fmt.Println(e.Info().Number, e.Info().Name, err)
	_, err = experiments.Find("simplicity-bais")
	fmt.Println(err)
	// Output:
	// 05 gc-regularizer <nil>
	// unknown experiment "simplicity-bais"; did you mean "simplicity-bias"?
}

func ExampleAll() {
	first := experiments.All()[0].Info()
	fmt.Println(first.Number, first.Title)
	fmt.Println(first.Claims[0].Text)
	// Output:
	// 00 The measure: closed forms and bounds
	// the GC of a linear map is its squared Frobenius norm
}
