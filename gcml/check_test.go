package gcml_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	own "github.com/geometric-complexity/toolkit/layers"
)

// between returns a model with a layer under test between two dense ones.
func between(layer func(scope *model.Scope, h *Node) *Node) func(scope *model.Scope, x *Node) *Node {
	return func(scope *model.Scope, x *Node) *Node {
		h := Tanh(layers.Dense(scope.In("before"), x, true, 5))
		h = layer(scope.In("between"), h)
		return layers.Dense(scope.In("after"), h, true, 3)
	}
}

// gate is h·σ(h), with σ(h) constant in derivatives.
func gate(_ *model.Scope, h *Node) *Node { return Mul(h, StopGradient(Sigmoid(h)).WithAlias("gate")) }

func custom(rule func(x, v *Node) *Node) func(scope *model.Scope, h *Node) *Node {
	return func(_ *model.Scope, h *Node) *Node {
		return Sin(IdentityWithCustomGradient(h, rule).WithAlias("custom"))
	}
}

func TestCheckSecondDerivatives(t *testing.T) {
	inputs := []*tensors.Tensor{gctest.RandomTensor(rand.New(rand.NewPCG(21, 22)), 4, 6)}
	for _, c := range []struct {
		name  string
		layer func(scope *model.Scope, h *Node) *Node
		// wrong is the prefix of the quantity that is wrong, "" for none; right of one that is
		// right.
		wrong, right string
		suspect      []string // What the first suspect says.
	}{
		{"sound", func(scope *model.Scope, h *Node) *Node {
			h = norm.LayerNorm(scope, Mul(h, Sigmoid(h)), -1).Done()
			return Add(h, Softmax(MulScalar(h, 2)))
		}, "", "", nil},
		{"relu and dropout", func(scope *model.Scope, h *Node) *Node {
			return layers.DropoutStatic(scope, activation.Relu(h), 0.5)
		}, "", "", nil},
		{"custom gradient wrong", custom(func(_, v *Node) *Node { return MulScalar(v, 2) }),
			"evaluation, Jacobian along direction 1", "",
			[]string{"Identity with a custom gradient (Float64)[4, 5]", `alias "/custom"`, "scope /before", "check_test.go:",
				"its gradient is not the derivative of what it computes"}},
		{"custom gradient wrong at second order", custom(func(x, v *Node) *Node {
			return Mul(v, Exp(Sub(x, StopGradient(x))))
		}), "evaluation, gradient of GC along /before", "evaluation, GC",
			[]string{`alias "/custom"`, "the gradient of that is not its derivative"}},
		{"stopped", gate, "evaluation, Jacobian along direction 1", "", []string{`alias "/gate"`, "it stops gradients"}},
		{"statistics of the batch", func(scope *model.Scope, h *Node) *Node {
			return norm.BatchNorm(scope, h, -1).UseBackendInference(false).Done()
		}, "training, gradient of GC along /before", "training, GC", []string{"in training mode", "it stops gradients"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			forBackends := gctest.ForEachBackend
			if strings.HasPrefix(c.name, "custom") || strings.HasPrefix(c.name, "relu") {
				forBackends = func(t *testing.T, fn func(t *testing.T, b compute.Backend)) { fn(t, gctest.GoBackend(t)) }
			}
			forBackends(t, func(t *testing.T, b compute.Backend) {
				store := model.NewStore()
				store.SetParam("answer", 42)
				report, err := gcml.CheckSecondDerivatives(b, store, between(c.layer), inputs)
				if err != nil {
					t.Fatal(err)
				}
				if store.NumVariables() != 0 {
					t.Error("the store changed")
				}
				text := report.String()
				if report.DType != "Float64" || report.OK() != (c.wrong == "") || len(report.Checks) < 14 {
					t.Fatalf("OK is %v:\n%s", report.OK(), text)
				}
				for _, check := range report.Checks {
					line := check.Mode + ", " + check.Quantity
					if check.Status == "undecided" ||
						check.Status == "wrong" && (c.wrong == "" || c.right != "" && strings.HasPrefix(line, c.right)) {
						t.Errorf("%s is %s:\n%s", line, check.Status, text)
					}
				}
				if c.wrong == "" {
					return
				}
				found := false
				for _, check := range report.Checks {
					found = found || check.Status == "wrong" && strings.HasPrefix(check.Mode+", "+check.Quantity, c.wrong)
				}
				if !found || len(report.Nodes) == 0 {
					t.Fatalf("want %s to be wrong, and a suspect:\n%s", c.wrong, text)
				}
				for _, want := range c.suspect {
					if !strings.Contains(report.Nodes[0].String(), want) {
						t.Errorf("the first suspect is not one with %q:\n%s", want, text)
					}
				}
			})
		})
	}
}

// TestCheckOrdinaryModels checks that models of ordinary layers are right: convolutions, pools and
// norms, fused and multi-output nodes, an inner node as input.
func TestCheckOrdinaryModels(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	classify := func(scope *model.Scope, h *Node) *Node {
		return layers.Dense(scope.In("classify"), Reshape(h, h.Shape().Dimensions[0], -1), true, 3)
	}
	for _, c := range []struct {
		name  string
		input *tensors.Tensor
		model func(scope *model.Scope, x *Node) *Node
		opts  []gcml.Option
	}{
		{"convolution", gctest.RandomTensor(rng, 3, 8, 8, 2), func(scope *model.Scope, x *Node) *Node {
			h := layers.Convolution(scope.In("convolution"), x).Channels(4).KernelSize(3).PadSame().Done()
			h = activation.Relu(own.BatchNorm(scope.In("norm"), h).Done())
			return classify(scope, MaxPool(h).Window(2).Done())
		}, nil},
		{"attention", gctest.RandomTensor(rng, 2, 5, 6), func(scope *model.Scope, x *Node) *Node {
			h := attention.SelfAttention(scope.In("attention"), x, 2, 3).UseQKVProjection().Done()
			return classify(scope, Add(h, x))
		}, nil},
		{"embedding", tensors.FromValue([][]int32{{1, 2, 3}, {4, 0, 1}}), func(scope *model.Scope, x *Node) *Node {
			return classify(scope, Sin(layers.Embedding(scope.In("words"), x, dtypes.Float64, 10, 4).WithAlias("embedded")))
		}, []gcml.Option{gcml.WithInputNode("embedded")}},
	} {
		report, err := gcml.CheckSecondDerivatives(gctest.GoBackend(t), model.NewStore(), c.model, []*tensors.Tensor{c.input},
			c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range report.Checks {
			if check.Status != "right" {
				t.Errorf("%s: %s is %s:\n%s", c.name, check.Quantity, check.Status, report)
			}
		}
	}
}

// TestCheckSuspectsNoHarmlessStop checks that Softmax is not a suspect beside a layer that is one:
// it holds the maximum that it subtracts constant, which changes no derivative.
func TestCheckSuspectsNoHarmlessStop(t *testing.T) {
	inputs := []*tensors.Tensor{gctest.RandomTensor(rand.New(rand.NewPCG(23, 24)), 3, 4)}
	report, err := gcml.CheckSecondDerivatives(gctest.GoBackend(t), model.NewStore(),
		between(func(scope *model.Scope, h *Node) *Node { return gate(scope, Softmax(MulScalar(h, 2))) }), inputs)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range report.Nodes {
		if n.Alias != "/gate" {
			t.Errorf("%s is a suspect, but does nothing wrong", n)
		}
	}
}

// TestCheckInFloat32 checks that a model of a shorter dtype is compared as exactly as that allows.
func TestCheckInFloat32(t *testing.T) {
	values := gctest.Flat(gctest.RandomTensor(rand.New(rand.NewPCG(25, 26)), 3, 6))
	single := make([]float32, len(values))
	for i, v := range values {
		single[i] = float32(v)
	}
	inputs := []*tensors.Tensor{tensors.FromFlatDataAndDimensions(single, 3, 6)}
	for name, dtype := range map[string]dtypes.DType{"Float64": dtypes.InvalidDType, "Float32": dtypes.Float32} {
		for _, sound := range []bool{true, false} {
			layer := func(_ *model.Scope, h *Node) *Node { return Sin(h) }
			if !sound {
				layer = gate
			}
			fn := func(scope *model.Scope, x *Node) *Node {
				if dtype != dtypes.InvalidDType {
					x = ConvertDType(x, dtype)
				}
				return between(layer)(scope, x)
			}
			store := model.NewStore()
			if _, err := model.CallOnce(gctest.GoBackend(t), store, fn, inputs[0]); err != nil { // Variables of float32.
				t.Fatal(err)
			}
			before := weightsOf(t, store)
			report, err := gcml.CheckSecondDerivatives(gctest.GoBackend(t), store, fn, inputs)
			if err != nil {
				t.Fatal(err)
			}
			if report.DType != name || report.OK() != sound {
				t.Errorf("%s, sound %v:\n%s", name, sound, report)
			}
			if !reflect.DeepEqual(weightsOf(t, store), before) {
				t.Error("the variables changed")
			}
		}
	}
}

func TestCheckErrors(t *testing.T) {
	x := gctest.RandomTensor(rand.New(rand.NewPCG(27, 28)), 3, 6)
	sound := between(func(_ *model.Scope, h *Node) *Node { return h })
	for _, c := range []struct {
		name   string
		fn     func(scope *model.Scope, x *Node) *Node
		inputs []*tensors.Tensor
		opts   []gcml.Option
		want   string
	}{
		{"no inputs", sound, nil, nil, "there are no inputs"},
		{"option", sound, []*tensors.Tensor{x}, []gcml.Option{gcml.WithLayers()}, "WithLayers does not apply"},
		{"input", sound, []*tensors.Tensor{x}, []gcml.Option{gcml.WithInput(1)},
			"in evaluation mode: gcml.WithInput: there is no input #1"},
		{"all stopped", between(func(_ *model.Scope, h *Node) *Node { return StopGradient(h) }), []*tensors.Tensor{x}, nil,
			"do not depend on inputs"},
	} {
		_, err := gcml.CheckSecondDerivatives(gctest.GoBackend(t), model.NewStore(), c.fn, c.inputs, c.opts...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v, want one line with %q", c.name, err, c.want)
		}
	}
}
