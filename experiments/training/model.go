package training

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	mllayers "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/nearest"
	"github.com/geometric-complexity/toolkit/layers"
)

// Network describes the network of a run.
type Network struct {
	Kind         string `json:"kind"`                    // "mlp", "resnet18" or "transformer"
	HiddenLayers int    `json:"hidden_layers,omitempty"` // of an MLP; blocks of a transformer
	// Width is units of each hidden layer, channels of a ResNet's first stage, or features of each
	// token in a transformer.
	Width          int    `json:"width"`
	Activation     string `json:"activation,omitempty"` // of an MLP or transformer: GoMLX's name, such as "relu"
	Initialization string `json:"initialization"`       // see layers.ParseInitialization
	NoBias         bool   `json:"no_bias,omitempty"`    // of an MLP
	// Dropout is the probability that an activation of an MLP's hidden layers is 0 in a training
	// step; the others are divided by 1 - Dropout. Networks with it have no embedding to measure.
	Dropout float64 `json:"dropout,omitempty"`
	Norm    string  `json:"norm,omitempty"` // of a ResNet: see layers.ParseNorm
	// Pool lets a ResNet average squares of Pool × Pool pixels first; 0 and 1 do not. The images,
	// and so what GC is taken with respect to, stay as they are.
	Pool int `json:"pool,omitempty"`
	// Heads of a transformer's attention; the number of its tokens, with the padding and the
	// unknown one; and the number of tokens of each text, with padding.
	Heads      int `json:"heads,omitempty"`
	Vocabulary int `json:"vocabulary,omitempty"`
	Length     int `json:"length,omitempty"`
}

// The kinds of networks.
const (
	KindMLP         = "mlp"
	KindResNet18    = "resnet18"
	KindTransformer = "transformer"
)

// MLP is a ReLU network with the paper's initialization: a normal distribution cut off at two
// standard deviations, of variance 1/fan_in, and zero biases.
func MLP(hiddenLayers, width int) Network {
	return Network{Kind: KindMLP, HiddenLayers: hiddenLayers, Width: width, Activation: "relu",
		Initialization: layers.InitStandard.String()}
}

// ResNet18 is the residual network for small images with k = width channels in its first stage,
// initialized as He et al. do. A norm is one of layers.ParseNorm.
func ResNet18(width int, norm layers.Norm) Network {
	return Network{Kind: KindResNet18, Width: width, Norm: norm.String(), Initialization: layers.InitHeNormal.String()}
}

// format is how the network takes images.
func (n Network) format() datasets.Format { return datasets.Format{Flat: n.Kind == KindMLP} }

// checkInputs returns an error for a data set that is no input of the network.
func (n Network) checkInputs(dataset string) error {
	if (n.Kind == KindTransformer) != (dataset == datasets.NameGoDocs) {
		return fmt.Errorf("data set %s with a network of kind %q: a transformer takes texts (%s), and no other network does",
			dataset, n.Kind, datasets.NameGoDocs)
	}
	return nil
}

// ModelScope is where the network's variables are in the store.
const ModelScope = "model"

// modelFn is a network as GoMLX takes it: inputs [batch, ...], images or tokens, to logits [batch,
// outputs].
type modelFn = func(scope *model.Scope, x *graph.Node) *graph.Node

// function returns the network's model function.
func (n Network) function(outputs int) (modelFn, error) {
	initialization, err := layers.ParseInitialization(n.Initialization)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case KindMLP:
		return n.mlp(outputs, initialization)
	case KindResNet18:
		fn, err := n.resNet18(outputs, initialization)
		return fn.logits, err
	case KindTransformer:
		fn, err := n.transformer(outputs, initialization, dtypes.Float32)
		return fn.logits, err
	}
	return nil, nearest.Unknown("network", n.Kind, []string{KindMLP, KindResNet18, KindTransformer})
}

// embeddingFn is a network with its embedding, the activations of its last hidden layer: inputs
// [batch, ...] to logits [batch, outputs] and embedding [batch, features].
type embeddingFn func(scope *model.Scope, x *graph.Node) (logits, embedding *graph.Node)

// logits is the network without its embedding as an output.
func (fn embeddingFn) logits(scope *model.Scope, x *graph.Node) *graph.Node {
	logits, _ := fn(scope, x)
	return logits
}

// withEmbedding returns the network's model function with the embedding as second output. An MLP
// has its variables under other names than that of function.
func (n Network) withEmbedding(outputs int) (embeddingFn, error) {
	initialization, err := layers.ParseInitialization(n.Initialization)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case KindMLP:
		return n.mlpWithEmbedding(outputs, initialization)
	case KindResNet18:
		return n.resNet18(outputs, initialization)
	}
	return nil, nearest.Unknown("network", n.Kind, []string{KindMLP, KindResNet18})
}

// mlpWithEmbedding builds the MLP of two, because GoMLX's network does not give its hidden layers.
func (n Network) mlpWithEmbedding(outputs int, initialization layers.Initialization) (embeddingFn, error) {
	act, err := n.checkMLP()
	if err != nil {
		return nil, err
	}
	if n.Dropout > 0 {
		return nil, errors.New("invalid MLP: dropout does not go with measuring the embedding; leave one of the two out")
	}
	if n.HiddenLayers < 1 {
		return nil, fmt.Errorf("invalid MLP: hidden_layers is %d, but an embedding needs 1 or more", n.HiddenLayers)
	}
	return func(scope *model.Scope, x *graph.Node) (logits, embedding *graph.Node) {
		scope = scope.In(ModelScope)
		embedding = layers.MLP(scope.In("embedding"), x).Hidden(n.HiddenLayers-1, n.Width).Outputs(n.Width).
			Activation(act).Initializer(initialization).UseBias(!n.NoBias).Done()
		embedding = activation.Apply(act, embedding)
		logits = layers.MLP(scope.In("head"), embedding).Outputs(outputs).Initializer(initialization).
			UseBias(!n.NoBias).Done()
		return logits, embedding
	}, nil
}

func (n Network) resNet18(outputs int, initialization layers.Initialization) (embeddingFn, error) {
	if n.Width < 1 || n.Pool < 0 {
		return nil, fmt.Errorf("invalid ResNet18: width is %d, want 1 or more; pool is %d, want 0 or more", n.Width, n.Pool)
	}
	if n.Dropout != 0 {
		return nil, fmt.Errorf("invalid ResNet18: dropout is %g, but only an MLP has it; leave it out", n.Dropout)
	}
	norm, err := layers.ParseNorm(n.Norm)
	if err != nil {
		return nil, err
	}
	return func(scope *model.Scope, x *graph.Node) (logits, embedding *graph.Node) {
		if n.Pool > 1 {
			x = graph.MeanPool(x).Window(n.Pool).Done()
		}
		return layers.ResNet18(scope.In(ModelScope), x).Outputs(outputs).Width(n.Width).Norm(norm).
			Initializer(initialization).DoneWithFeatures()
	}, nil
}

// checkMLP returns the activation of an MLP, and an error for invalid settings.
func (n Network) checkMLP() (activation.Type, error) {
	if n.HiddenLayers < 0 || (n.HiddenLayers > 0 && n.Width < 1) {
		return 0, fmt.Errorf("invalid MLP: hidden_layers is %d, want 0 or more; width is %d, want 1 or more",
			n.HiddenLayers, n.Width)
	}
	if !(n.Dropout >= 0 && n.Dropout < 1) || n.Dropout > 0 && n.HiddenLayers == 0 {
		return 0, fmt.Errorf("invalid MLP: dropout is %g with %d hidden layers, want 0, or less than 1 with hidden layers",
			n.Dropout, n.HiddenLayers)
	}
	return n.activation()
}

func (n Network) activation() (activation.Type, error) {
	act, err := activation.TypeString(n.Activation)
	if err != nil {
		var known []string
		for _, name := range activation.TypeStrings() {
			known = append(known, strings.ToLower(name))
		}
		return 0, nearest.Unknown("activation", n.Activation, known)
	}
	return act, nil
}

func (n Network) mlp(outputs int, initialization layers.Initialization) (modelFn, error) {
	act, err := n.checkMLP()
	if err != nil {
		return nil, err
	}
	if n.Dropout > 0 {
		return n.mlpWithDropout(outputs, act, initialization), nil
	}
	return func(scope *model.Scope, x *graph.Node) *graph.Node {
		return layers.MLP(scope.In(ModelScope), x).Hidden(n.HiddenLayers, n.Width).Outputs(outputs).
			Activation(act).Initializer(initialization).UseBias(!n.NoBias).Done()
	}, nil
}

// mlpWithDropout builds the MLP layer by layer, because the dropout of GoMLX's network also drops
// inputs.
func (n Network) mlpWithDropout(outputs int, act activation.Type, initialization layers.Initialization) modelFn {
	return func(scope *model.Scope, x *graph.Node) *graph.Node {
		scope = scope.In(ModelScope)
		linear := func(scope *model.Scope, x *graph.Node, units int) *graph.Node {
			return layers.MLP(scope, x).Outputs(units).Initializer(initialization).UseBias(!n.NoBias).Done()
		}
		for i := range n.HiddenLayers {
			hidden := scope.In("hidden_%d", i)
			x = activation.Apply(act, linear(hidden, x, n.Width))
			x = mllayers.DropoutStatic(hidden, x, n.Dropout)
		}
		return linear(scope.In("outputs"), x, outputs)
	}
}
