package training

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/layers"
)

// Two texts of 5 tokens, of which the last ones are padding.
var paddedTexts = [][]int32{{5, 2, 3, 0, 0}, {4, 1, 6, 2, 0}}

const (
	tinyLength  = 5
	tinyWidth   = 4
	tinyOutputs = 3
)

// tinyTransformer has 2 blocks in float64.
func tinyTransformer(t *testing.T) hookedFn {
	t.Helper()
	fn, err := Transformer(2, tinyWidth, 2, 7, tinyLength).transformer(tinyOutputs, layers.InitStandard, dtypes.Float64)
	if err != nil {
		t.Fatal(err)
	}
	return fn
}

// compiledOn returns a graph function of tokens and another input, which is compiled once for each
// number of texts.
func compiledOn(t *testing.T, backend compute.Backend,
	build func(scope *model.Scope, tokens, x *graph.Node) []*graph.Node) func(tokens, x any) [][]float64 {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(11); err != nil {
		t.Fatal(err)
	}
	exec, err := model.NewExec(backend, store, build)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(exec.Finalize)
	return func(tokens, x any) (values [][]float64) {
		out, err := exec.Call(tokens, x)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out {
			values = append(values, gctest.Flat(v))
		}
		return values
	}
}

// namedNodes are those of the tiny transformer.
var namedNodes = []string{EmbeddedNode, blockNode(1), blockNode(2)}

// addTo is a hook that adds to the named nodes: added is [nodes, batch, length, width].
func addTo(added *graph.Node) func(string, *graph.Node) *graph.Node {
	return func(alias string, x *graph.Node) *graph.Node {
		own := graph.Slice(added, graph.AxisElem(slices.Index(namedNodes, alias)))
		return graph.Add(x, graph.Reshape(own, x.Shape().Dimensions...))
	}
}

// logitsAndGC are the logits and the squared Jacobian norms with respect to the named nodes.
func logitsAndGC(logits *graph.Node) []*graph.Node {
	out := []*graph.Node{logits}
	for _, alias := range namedNodes {
		out = append(out, gcml.SquaredJacobianNorm(logits, logits.Graph().GetNodeByAlias(alias)))
	}
	return out
}

// TestTransformerGC compares the GC with respect to the embeddings and to each block's output with
// central differences. All shifts of one text are one batch.
func TestTransformerGC(t *testing.T) {
	const h, size = 1e-4, tinyLength * tinyWidth
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		fn := tinyTransformer(t)
		got := compiledOn(t, backend, func(scope *model.Scope, tokens, _ *graph.Node) []*graph.Node {
			return logitsAndGC(fn.logits(scope, tokens))
		})(paddedTexts, 0.0)
		shifted := compiledOn(t, backend, func(scope *model.Scope, tokens, added *graph.Node) []*graph.Node {
			return []*graph.Node{fn(scope, tokens, addTo(added))}
		})
		for node, alias := range namedNodes {
			var want []float64
			for _, text := range paddedTexts {
				var batch [][]int32
				shifts := make([]float64, len(namedNodes)*2*size*size)
				own := shifts[node*2*size*size:]
				for i := range size {
					batch = append(batch, text, text)
					own[(2*i)*size+i], own[(2*i+1)*size+i] = h, -h
				}
				logits := shifted(batch,
					tensors.FromFlatDataAndDimensions(shifts, len(namedNodes), 2*size, tinyLength, tinyWidth))[0]
				var sum float64
				for i := range size {
					for k := range tinyOutputs {
						d := (logits[2*i*tinyOutputs+k] - logits[(2*i+1)*tinyOutputs+k]) / (2 * h)
						sum += d * d
					}
				}
				want = append(want, sum)
			}
			gctest.AssertClose(t, got[1+node], want, 1e-6, 0, alias)
		}
	})
}

// TestTransformerPenaltyGradient compares a derivative of the GC, which takes second derivatives of
// every layer, with central differences: that in the logarithm of a factor on the embeddings.
func TestTransformerPenaltyGradient(t *testing.T) {
	const h = 3e-5
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		fn := tinyTransformer(t)
		gcAndSlope := compiledOn(t, backend, func(scope *model.Scope, tokens, log *graph.Node) []*graph.Node {
			logits := fn(scope, tokens, func(alias string, x *graph.Node) *graph.Node {
				if alias == EmbeddedNode {
					return graph.Mul(x, graph.Exp(log))
				}
				return x
			})
			gc := gcml.Complexity(logits, tokens.Graph().GetNodeByAlias(EmbeddedNode))
			return []*graph.Node{gc, graph.Gradient(gc, log)[0]}
		})
		slope := gcAndSlope(paddedTexts, 0.3)[1]
		above, below := gcAndSlope(paddedTexts, 0.3+h)[0], gcAndSlope(paddedTexts, 0.3-h)[0]
		gctest.AssertClose(t, slope, []float64{(above[0] - below[0]) / (2 * h)}, 1e-5, 0, "slope of GC")
	})
}

// TestPaddingHasNoInfluence changes the embeddings of padding by a lot, which changes neither the
// logits nor any GC, and by the same amount those of a word, which does.
func TestPaddingHasNoInfluence(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		fn := tinyTransformer(t)
		values := compiledOn(t, backend, func(scope *model.Scope, tokens, added *graph.Node) []*graph.Node {
			return logitsAndGC(fn(scope, tokens, addTo(added)))
		})
		changed := func(example, position int, amount float64) [][]float64 {
			added := make([]float64, len(namedNodes)*len(paddedTexts)*tinyLength*tinyWidth)
			for k := range tinyWidth {
				added[(example*tinyLength+position)*tinyWidth+k] = amount * float64(k-1)
			}
			return values(paddedTexts,
				tensors.FromFlatDataAndDimensions(added, len(namedNodes), len(paddedTexts), tinyLength, tinyWidth))
		}
		plain := changed(0, 0, 0)
		for _, at := range [][2]int{{0, 3}, {0, 4}, {1, 4}} {
			for i, got := range changed(at[0], at[1], 50) {
				gctest.AssertClose(t, got, plain[i], 1e-12, 0, "with other padding")
			}
		}
		for i, got := range changed(0, 2, 50) {
			if math.Abs(got[0]-plain[i][0]) < 1e-4*math.Abs(plain[i][0]) {
				t.Errorf("output %d does not change with a word: %g", i, got[0])
			}
		}
	})
}

// TestTransformerDependsOnOrder checks that positions are told apart.
func TestTransformerDependsOnOrder(t *testing.T) {
	fn := tinyTransformer(t)
	logits := compiledOn(t, gctest.GoBackend(t), func(scope *model.Scope, tokens, _ *graph.Node) []*graph.Node {
		return []*graph.Node{fn.logits(scope, tokens)}
	})([][]int32{{5, 2, 3, 0, 0}, {3, 2, 5, 0, 0}}, 0.0)[0]
	if math.Abs(logits[0]-logits[tinyOutputs]) < 1e-3 {
		t.Errorf("logits %v do not depend on the order of the words", logits)
	}
}

func TestWrongTransformers(t *testing.T) {
	for name, change := range map[string]func(*Network){
		"no block":       func(n *Network) { n.HiddenLayers = 0 },
		"uneven heads":   func(n *Network) { n.Heads = 3 },
		"no heads":       func(n *Network) { n.Heads = 0 },
		"no vocabulary":  func(n *Network) { n.Vocabulary = 2 },
		"no length":      func(n *Network) { n.Length = 0 },
		"dropout":        func(n *Network) { n.Dropout = 0.5 },
		"no bias":        func(n *Network) { n.NoBias = true },
		"activation":     func(n *Network) { n.Activation = "gelo" },
		"initialization": func(n *Network) { n.Initialization = "xavier" },
	} {
		n := Transformer(2, 4, 2, 7, 5)
		change(&n)
		if _, err := n.function(3); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
