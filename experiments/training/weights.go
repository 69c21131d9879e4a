package training

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// mlpWeights gives the matrices [in, out] and the biases of the layers of an MLP under a scope of
// the store ("/" or "/model/"), in their order and in double precision. A layer without biases has
// none: nil.
func mlpWeights(store *model.Store, scope string, hidden int) (weights []*mat.Dense, biases [][]float64, err error) {
	for i := range hidden + 1 {
		layer := fmt.Sprintf("%sfnn_hidden_layer_%d/", scope, i)
		if i == hidden {
			layer = scope + "fnn_output_layer/"
		}
		w := store.GetVariable(layer + "weights")
		if w == nil {
			return nil, nil, fmt.Errorf("the network has no weights in %s", layer)
		}
		values, err := numbers.Float64s(w.MustValue())
		if err != nil {
			return nil, nil, fmt.Errorf("%sweights: %w", layer, err)
		}
		dims := w.Shape().Dimensions
		weights = append(weights, mat.NewDense(dims[0], dims[1], values))
		var bias []float64
		if b := store.GetVariable(layer + "biases"); b != nil {
			if bias, err = numbers.Float64s(b.MustValue()); err != nil {
				return nil, nil, fmt.Errorf("%sbiases: %w", layer, err)
			}
		}
		biases = append(biases, bias)
	}
	return weights, biases, nil
}

// weightsDigest is the SHA-256 of the network's variables: their paths, shapes and bytes, in the
// order of their paths.
func weightsDigest(store *model.Store) (string, error) {
	variables := make(map[string]*model.Variable)
	for v := range store.IterVariables() {
		if strings.HasPrefix(v.Path(), "/"+ModelScope+"/") {
			variables[v.Path()] = v
		}
	}
	hash := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(variables)) {
		value, err := variables[path].Value()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %s\n", path, value.Shape())
		if err := value.ConstBytes(func(data []byte) { hash.Write(data) }); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
