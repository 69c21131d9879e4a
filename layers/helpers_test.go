package layers

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/ml/model"
)

func makeShape(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }

func trainableParameters(store *model.Store) (n int) {
	for v := range store.IterVariables() {
		if v.Trainable {
			n += v.Shape().Size()
		}
	}
	return n
}
