package upstream

import (
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// readAfterChange reads a variable, sets it to 2 and reads it again.
func readAfterChange(backend compute.Backend) (before, after float32) {
	store := model.NewStore()
	w := store.RootScope().VariableWithValue("w", float32(1))
	read := model.MustNewExec(backend, store, func(scope *model.Scope, x *Node) *Node {
		return Mul(x, scope.GetVariable("w").NodeValue(x.Graph()))
	})
	before = tensors.ToScalar[float32](read.MustCall1(float32(1)))
	if err := w.SetValue(tensors.FromValue(float32(2))); err != nil {
		panic(err)
	}
	after = tensors.ToScalar[float32](read.MustCall1(float32(1)))
	return before, after
}

// TestUpstreamVariables runs the program of the report in docs/upstream.md without this module. If
// it fails, GoMLX has fixed the fault: delete the report and gomlxcompat/variables.go.
func TestUpstreamVariables(t *testing.T) {
	if before, after := readAfterChange(goBackend(t)); before != 1 || after != 1 {
		t.Errorf("the graph reads the variable as %g and %g, want 1 and 1 as long as GoMLX has the fault", before, after)
	}
}
