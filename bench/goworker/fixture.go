package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/numpy"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/bench/proto"
	"github.com/geometric-complexity/toolkit/layers"
)

// fixture is a network's weights and data, which the harness has written.
type fixture struct {
	proto.Manifest
	folder           string
	stock            bool // Build ResNet18 with GoMLX's own convolution.
	x, y, directions *tensors.Tensor
}

func readFixture(folder string) (*fixture, error) {
	data, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err != nil {
		return nil, err
	}
	f := &fixture{folder: folder}
	if err := json.Unmarshal(data, &f.Manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	for name, target := range map[string]**tensors.Tensor{"x": &f.x, "y": &f.y, "directions": &f.directions} {
		if *target, err = f.array(name); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fixture) array(name string) (*tensors.Tensor, error) {
	path := filepath.Join(f.folder, strings.ReplaceAll(name, "/", ".")+".npy")
	t, err := numpy.FromNpyFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// build makes the network's graph.
func (f *fixture) build(scope *model.Scope, x *Node) *Node {
	switch f.Model {
	case "mlp":
		return layers.MLP(scope, x).Hidden(f.Layers-1, f.Width).Outputs(f.Outputs).Done()
	case "resnet18":
		if f.stock {
			return stockResNet18(scope, x, f.Width, f.Outputs)
		}
		norm := layers.NormNone
		if f.Norm == "batch" {
			norm = layers.NormBatch
		}
		return layers.ResNet18(scope, x).Width(f.Width).Outputs(f.Outputs).Norm(norm).UseBias(false).Done()
	}
	panic(fmt.Errorf("unknown model %q", f.Model))
}

// path returns the path of the variable for a parameter of the fixture, as package layers names it.
func (f *fixture) path(parameter string) string {
	parts := strings.Split(parameter, "/")
	name, parts := parts[len(parts)-1], parts[:len(parts)-1]
	switch {
	case f.Model == "mlp" && parts[0] == fmt.Sprintf("layer%d", f.Layers-1):
		return "/fnn_output_layer/" + name
	case f.Model == "mlp":
		return "/fnn_hidden_layer_" + strings.TrimPrefix(parts[0], "layer") + "/" + name
	case parts[0] == "head":
		return "/head/dense/" + name
	}
	layer := map[string]string{"conv": "conv", "norm": "batch_normalization",
		"conv1": "first/conv", "norm1": "first/batch_normalization", "conv2": "second/conv",
		"norm2":    "second/batch_normalization",
		"shortcut": "shortcut/conv", "shortcut_norm": "shortcut/batch_normalization"}[parts[len(parts)-1]]
	if parts[0] == "stem" {
		return "/stem/" + layer + "/" + name
	}
	return "/stage_" + strings.TrimPrefix(parts[0], "stage") + "_block_" + strings.TrimPrefix(parts[1], "block") + "/" +
		layer + "/" + name
}

// store returns a store with the fixture's parameters as variables. The network finds them by their
// paths.
func (f *fixture) store() (*model.Store, error) {
	store := model.NewStore()
	for _, p := range f.Parameters {
		value, err := f.array(p.Name)
		if err != nil {
			return nil, err
		}
		v, err := store.CreateVariable(f.path(p.Name), value)
		if err != nil {
			return nil, err
		}
		v.SetTrainable(p.Trainable)
	}
	return store, nil
}

// checkVariables returns an error if the network has created a trainable variable that is not in
// the fixture: it would be another network than the peers'.
func (f *fixture) checkVariables(store *model.Store) error {
	known := map[string]bool{}
	for _, p := range f.Parameters {
		known[f.path(p.Name)] = true
	}
	for v := range store.IterVariables() {
		if v.Trainable && !known[v.Path()] {
			return fmt.Errorf("the network's variable %s is not in the fixture %s", v.Path(), f.folder)
		}
	}
	return nil
}

// distance returns the Euclidean distance of the trained parameters from the fixture's.
func (f *fixture) distance(store *model.Store) (float64, error) {
	total := 0.0
	for _, p := range f.Parameters {
		if !p.Trainable {
			continue
		}
		before, err := f.array(p.Name)
		if err != nil {
			return 0, err
		}
		after, err := store.GetVariable(f.path(p.Name)).Value()
		if err != nil {
			return 0, err
		}
		d, err := squaredDistance(before, after)
		if err != nil {
			return 0, err
		}
		total += d
	}
	return math.Sqrt(total), nil
}
