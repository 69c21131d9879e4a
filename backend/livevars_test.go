package backend

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// A graph that was compiled before a variable changed must see the change.
func TestGraphsSeeChangedVariables(t *testing.T) {
	b, _, err := OpenConfig("go")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	store := model.NewStore()
	variable := func(scope *model.Scope) *model.Variable { return scope.VariableWithValue("w", float32(1)) }
	read := model.MustNewExec(b, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return graph.Mul(x, variable(scope).NodeValue(x.Graph()))
	})
	grow := model.MustNewExec(b, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
		w := variable(scope)
		w.SetNodeValue(graph.Add(w.NodeValue(x.Graph()), x))
		return x
	})
	for want := float32(1); want < 4; want++ {
		if got := tensors.ToScalar[float32](read.MustCall1(float32(1))); got != want {
			t.Errorf("read %g, want %g", got, want)
		}
		grow.MustCall1(float32(1))
	}
}
