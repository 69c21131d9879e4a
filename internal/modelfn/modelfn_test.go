package modelfn_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/modelfn"
)

type (
	scope = *model.Scope
	node  = *Node
)

func TestCoefficient(t *testing.T) {
	for value, ok := range map[any]bool{0.0: true, 1e-3: true, float32(0.5): true, 2: true, -1.0: false} {
		store := model.NewStore()
		store.SetParam("c", value)
		_, err := CallOnce(gctest.GoBackend(t), func(g *Graph) node {
			c := modelfn.Coefficient{Param: "c"}
			c.Node(store.RootScope(), g)
			return Zeros(g, shapes.Make(dtypes.Float32))
		})
		if (err == nil) != ok {
			t.Errorf("%v (%T): got error %v", value, value, err)
		}
	}
}
