package training

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	mllayers "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/random"
	"github.com/geometric-complexity/toolkit/layers"
)

// EmbeddedNode is the alias of a transformer's token embeddings, [batch, length, width], which its
// GC is taken with respect to: tokens have no derivative.
const EmbeddedNode = "/embedded"

// blockNode returns the alias of the output of a transformer's block, counted from 1: [batch,
// length, width].
func blockNode(block int) string { return fmt.Sprintf("/block_%d", block) }

// Transformer is a small encoder of texts with a mean over the words: tokens [batch, length] to
// logits. Its blocks normalize before attention and before the dense layers, as Xiong et al. (arXiv
// 2002.04745) advise. Padding is masked: it is neither attended to nor part of the mean.
func Transformer(blocks, width, heads, vocabulary, length int) Network {
	return Network{Kind: KindTransformer, HiddenLayers: blocks, Width: width, Heads: heads, Vocabulary: vocabulary,
		Length: length, Activation: "gelu", Initialization: layers.InitStandard.String()}
}

func (n Network) checkTransformer() (activation.Type, error) {
	switch {
	case n.HiddenLayers < 1 || n.Width < 1 || n.Heads < 1 || n.Width%n.Heads != 0:
		return 0, fmt.Errorf("invalid transformer: hidden_layers is %d, want 1 or more blocks; width is %d, want a multiple of "+
			"the heads, %d", n.HiddenLayers, n.Width, n.Heads)
	case n.Vocabulary < 3 || n.Length < 1:
		return 0, fmt.Errorf("invalid transformer: vocabulary is %d, want 3 or more; length is %d, want 1 or more",
			n.Vocabulary, n.Length)
	case n.NoBias || n.Dropout != 0:
		return 0, fmt.Errorf("invalid transformer: no_bias is %t and dropout is %g, but only an MLP has them; leave them out",
			n.NoBias, n.Dropout)
	}
	return n.activation()
}

// hookedFn is a network of tokens that passes the value of each named node through a hook: the
// embeddings and the outputs of the blocks, each [batch, length, width]. A nil hook leaves them as
// they are.
type hookedFn func(scope *model.Scope, tokens *graph.Node, hook func(alias string, x *graph.Node) *graph.Node) (
	logits *graph.Node)

// logits is the network without a hook.
func (fn hookedFn) logits(scope *model.Scope, tokens *graph.Node) *graph.Node {
	return fn(scope, tokens, nil)
}

// transformer returns the network's function in a floating-point dtype.
func (n Network) transformer(outputs int, initialization layers.Initialization, dtype dtypes.DType) (hookedFn, error) {
	act, err := n.checkTransformer()
	if err != nil {
		return nil, err
	}
	return func(scope *model.Scope, tokens *graph.Node, hook func(string, *graph.Node) *graph.Node) *graph.Node {
		named := func(alias string, x *graph.Node) *graph.Node {
			if x = x.WithAlias(alias); hook == nil {
				return x
			}
			return hook(alias, x)
		}
		scope = scope.In(ModelScope)
		scope = scope.WithInitializer(initialization.Initializer(scope))
		// Vectors of words and of positions have a mean squared norm of 1.
		table := scope.WithInitializer(normalOf(scope, 1/math.Sqrt(float64(n.Width))))
		x := mllayers.Embedding(table.In("words"), tokens, dtype, n.Vocabulary, n.Width)
		x = named(EmbeddedNode, x)
		positions := table.In("positions").VariableWithShape("embeddings", shapes.Make(dtype, n.Length, n.Width))
		x = graph.Add(x, graph.InsertAxes(positions.NodeValue(x.Graph()), 0))
		words := isWord(tokens)
		for i := range n.HiddenLayers {
			x = named(blockNode(i+1), n.block(scope.In("block_%d", i+1), x, words, act))
		}
		x = norm.LayerNorm(scope.In("norm"), x, -1).Done()
		x = graph.MaskedReduceMean(x, words, 1)
		return mllayers.Dense(scope.In("outputs"), x, true, outputs)
	}, nil
}

// isWord is true for tokens that are no padding.
func isWord(tokens *graph.Node) *graph.Node {
	return graph.NotEqual(tokens, graph.Scalar(tokens.Graph(), tokens.DType(), datasets.TokenPadding))
}

// block is a block of a transformer: x [batch, length, width] plus attention, plus two dense layers
// at each position.
func (n Network) block(scope *model.Scope, x, words *graph.Node, act activation.Type) *graph.Node {
	normalized := norm.LayerNorm(scope.In("attention_norm"), x, -1).Done()
	attended := attention.SelfAttention(scope.In("attention"), normalized, n.Heads, n.Width/n.Heads).
		WithKeyMask(words).Done()
	x = graph.Add(x, attended)
	hidden := norm.LayerNorm(scope.In("dense_norm"), x, -1).Done()
	hidden = activation.Apply(act, mllayers.Dense(scope.In("hidden"), hidden, true, 4*n.Width))
	return graph.Add(x, mllayers.Dense(scope.In("dense"), hidden, true, n.Width))
}

// normalOf draws normal values of a standard deviation.
func normalOf(scope *model.Scope, deviation float64) initializer.VariableInitializer {
	return func(g *graph.Graph, shape shapes.Shape) *graph.Node {
		return graph.MulScalar(random.Normal(scope, g, shape), deviation)
	}
}

// tokenizer is how the network takes texts. The vocabulary is that of all training texts, whichever
// of them a run trains on.
func (n Network) tokenizer() (datasets.Tokenizer, error) {
	all, err := datasets.GoDocs(datasets.Train)
	if err != nil {
		return datasets.Tokenizer{}, err
	}
	v, err := datasets.NewVocabulary(all, n.Vocabulary)
	return datasets.Tokenizer{Vocabulary: v, Length: n.Length}, err
}
