package gcml_test

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestMisusePanics checks that every misuse panics with one line that says what is wrong.
func TestMisusePanics(t *testing.T) {
	float := func(g *Graph, dims ...int) *Node { return Zeros(g, shapes.Make(dtypes.Float32, dims...)) }
	cases := []struct {
		name, want string
		build      func(g *Graph) *Node
	}{
		{"inputs that do not matter", "do not depend on inputs", func(g *Graph) *Node {
			return gcml.Complexity(float(g, 4, 2), float(g, 4, 3))
		}},
		{"behind a stop gradient", "do not depend on inputs", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(StopGradient(Sin(x)), x)
		}},
		{"only through the batch", "mix the examples", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(BroadcastToDims(ReduceAndKeep(x, ReduceMean, 0), 4, 3), x)
		}},
		{"a scalar", "no batch axis", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(ReduceAllSum(x), x)
		}},
		{"batch sizes", "batch size 2, but inputs (Float32)[4, 3] have 4", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(Slice(x, AxisRange(0, 2)), x)
		}},
		{"integers", "derivatives need a float dtype", func(g *Graph) *Node {
			x := Zeros(g, shapes.Make(dtypes.Int32, 4, 3))
			return gcml.Complexity(ConvertDType(x, dtypes.Float32), x)
		}},
		{"no projections", "at least one sample", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(Sin(x), x, gcml.WithEstimator(gcml.Projection(0)))
		}},
		{"more projections than outputs", "use at most 3", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(Sin(x), x, gcml.WithEstimator(gcml.Projection(4)))
		}},
		{"sigma", "sigma > 0", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(Sin(x), x, gcml.WithEstimator(gcml.ForwardNoise(0, 1)))
		}},
		{"no random state", "no model.Store", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(Sin(x), x, gcml.WithEstimator(gcml.Projection(1)))
		}},
		{"rows of an estimate", "mixes the outputs", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.SquaredJacobianRowNorms(Sin(x), x, gcml.WithEstimator(gcml.Projection(1)))
		}},
		{"columns by noise", "moves all values of the input at once", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.SquaredJacobianColumnNorms(Sin(x), x, gcml.WithEstimator(gcml.ForwardNoise(0.1, 1)))
		}},
		{"cotangents", "the number of cotangents is -1, want 1 or more", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(Sin(x), x, gcml.WithCotangents(-1))
		}},
		{"no gradient", "Atan2 has no gradient", func(g *Graph) *Node {
			x := float(g, 4, 3)
			return gcml.Complexity(Atan2(x, OnesLike(x)), x)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := CallOnce(gctest.GoBackend(t), c.build)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %q, want one line with %q", err, c.want)
			}
		})
	}
}

func TestRegularizeMisuse(t *testing.T) {
	named := func(_ *model.Scope, x *Node) *Node {
		y := Sin(Neg(x).WithAlias("embedding"))
		x.Graph().PushAliasScope("a")
		defer x.Graph().PopAliasScope()
		return y.WithAlias("logits")
	}
	cases := []struct {
		name, want string
		params     map[string]any
		opts       []gcml.Option
		model      func(scope *model.Scope, x *Node) *Node
	}{
		{name: "negative coefficient", want: "finite number >= 0", params: map[string]any{gcml.ParamCoefficient: -1.0}},
		{name: "estimator", want: `unknown estimator "exakt"`, params: map[string]any{gcml.ParamEstimator: "exakt"}},
		{name: "input", want: "no input #1", opts: []gcml.Option{gcml.WithInput(1)}},
		{name: "two numbers of cotangents", want: "options WithCotangents(2) and WithGradientInParts(1) exclude each other",
			opts: []gcml.Option{gcml.WithCotangents(2), gcml.WithGradientInParts(1), gcml.WithCoefficient(1)}},
		{name: "noise in parts", want: "WithGradientInParts(1) does not apply to the estimator noise:0.1:1",
			opts: []gcml.Option{gcml.WithEstimator(gcml.ForwardNoise(0.1, 1)), gcml.WithGradientInParts(1),
				gcml.WithCoefficient(1)}},
		{name: "output", want: "no output #2", opts: []gcml.Option{gcml.WithOutput(2)}},
		{name: "no alias at all", want: `no node "/embedding", and no node with any alias`,
			opts: []gcml.Option{gcml.WithInputNode("embedding")}},
		{name: "input alias",
			want: `WithInputNode: the model has no node "/embeding"; it has the aliases /a/logits, /embedding`,
			opts: []gcml.Option{gcml.WithInputNode("embeding")}, model: named},
		{name: "output alias",
			want: `WithOutputNode: the model has no node "/logits"; it has the aliases /a/logits, /embedding`,
			opts: []gcml.Option{gcml.WithOutputNode("logits")}, model: named},
		{name: "differentiated once only", want: "cannot be differentiated twice, because GoMLX has no gradient for Floor",
			params: map[string]any{gcml.ParamCoefficient: 1.0},
			model: func(scope *model.Scope, x *Node) *Node {
				w := scope.VariableWithValue("w", []float32{1, 2, 3}).NodeValue(x.Graph())
				return IdentityWithCustomGradient(Mul(x, InsertAxes(w, 0)), func(x, v *Node) *Node { return Mul(v, Floor(x)) })
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			store := newStore(t, 1)
			store.SetParams(c.params)
			if c.model == nil {
				c.model = func(_ *model.Scope, x *Node) *Node { return Sin(x) }
			}
			fn := gcml.Regularize(c.model, c.opts...)
			_, err := model.CallOnce(gctest.GoBackend(t), store, func(scope *model.Scope, x *Node) *Node {
				scope.Store().SetTraining(x.Graph(), true)
				return fn(scope, nil, []*Node{x})[0]
			}, [][]float32{{1, 2, 3}})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %v, want one line with %q", err, c.want)
			}
		})
	}
}
