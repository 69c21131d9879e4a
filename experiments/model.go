package experiments

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"example.com/geometric-complexity/layers"
)

// Network describes the network of a run.
type Network struct {
	Kind           string `json:"kind"`           // "mlp"
	HiddenLayers   int    `json:"hidden_layers"`  // number of hidden layers
	Width          int    `json:"width"`          // units of each
	Activation     string `json:"activation"`     // GoMLX's name, such as "relu"
	Initialization string `json:"initialization"` // see layers.ParseInitialization
}

// MLP is a ReLU network with the paper's initialization: a normal distribution
// cut off at two standard deviations, of variance 1/fan_in, and zero biases.
func MLP(hiddenLayers, width int) Network {
	return Network{Kind: "mlp", HiddenLayers: hiddenLayers, Width: width, Activation: "relu",
		Initialization: layers.InitStandard.String()}
}

// modelScope is where the network's variables are in the store.
const modelScope = "model"

// modelFn is a network as GoMLX takes it: inputs [batch, ...] to logits [batch, outputs].
type modelFn = func(scope *model.Scope, x *graph.Node) *graph.Node

// function returns the network's model function.
func (n Network) function(outputs int) (modelFn, error) {
	if n.Kind != "mlp" {
		return nil, unknown("network", n.Kind, []string{"mlp"})
	}
	if n.HiddenLayers < 0 || (n.HiddenLayers > 0 && n.Width < 1) {
		return nil, fmt.Errorf("a network of %d hidden layers of %d units cannot be", n.HiddenLayers, n.Width)
	}
	initialization, err := layers.ParseInitialization(n.Initialization)
	if err != nil {
		return nil, err
	}
	act, err := activation.TypeString(n.Activation)
	if err != nil {
		var known []string
		for _, name := range activation.TypeStrings() {
			known = append(known, strings.ToLower(name))
		}
		return nil, unknown("activation", n.Activation, known)
	}
	return func(scope *model.Scope, x *graph.Node) *graph.Node {
		return layers.MLP(scope.In(modelScope), x).Hidden(n.HiddenLayers, n.Width).Outputs(outputs).
			Activation(act).Initializer(initialization).Done()
	}, nil
}
