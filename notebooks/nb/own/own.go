// Package own stands for the variable own of the notebook your_own_model, which one cell declares
// and the others use. In a kernel that has not run that cell, for example after a restart, nothing
// declares the variable. The kernel adds missing imports to a cell before it compiles it, so it
// imports this package in place of the variable, and the cell says what to do instead of failing to
// compile.
package own

import (
	"fmt"
	"os"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/janpfeifer/gonb/gonbui"
)

// Model stands for the notebook's model.
func Model(*model.Scope, any, []*graph.Node) []*graph.Node { return nil }

// Fit stands for the notebook's training. It ends the cell with one line.
func Fit(string, train.ModelFn, float64, []metric.Interface, ...string) {
	fmt.Fprintln(os.Stderr, "gcml: run the notebook from the top: this cell uses the model and the training of an earlier one")
	gonbui.Sync()
	os.Exit(1)
}
