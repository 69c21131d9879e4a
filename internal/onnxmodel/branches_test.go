package onnxmodel

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// branches is an If whose else_branch is the identity of x.
func branches(condition, output string, then *protos.GraphProto) *protos.NodeProto {
	otherwise := &protos.GraphProto{Node: []*protos.NodeProto{node("Identity", "x", "same")},
		Output: []*protos.ValueInfoProto{{Name: "same"}}}
	return node("If", condition, output,
		&protos.AttributeProto{Name: "then_branch", Type: protos.AttributeProto_GRAPH, G: then},
		&protos.AttributeProto{Name: "else_branch", Type: protos.AttributeProto_GRAPH, G: otherwise})
}

// TestBranchesOfTheSameNames: the branches of two nodes use the same names for other values.
func TestBranchesOfTheSameNames(t *testing.T) {
	times := func(factor float32) *protos.GraphProto {
		return &protos.GraphProto{
			Initializer: []*protos.TensorProto{{Name: "factor", DataType: int32(protos.TensorProto_FLOAT),
				FloatData: []float32{factor}}},
			Node:   []*protos.NodeProto{node("Mul", "x factor", "inner")},
			Output: []*protos.ValueInfoProto{{Name: "inner"}}}
	}
	yes := &protos.TensorProto{Name: "yes", DataType: int32(protos.TensorProto_BOOL), Int32Data: []int32{1}}
	m := load(t, network(t, []*protos.TensorProto{yes}, branches("yes", "a", times(2)), branches("yes", "b", times(5)),
		node("Sub", "b a", "y")))
	x := make([]float32, 12)
	want := make([]float64, 12)
	for i := range x {
		x[i], want[i] = float32(i), 3*float64(i)
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		y, err := model.CallOnce(b, m.Store, m.Forward, tensors.FromFlatDataAndDimensions(x, 1, 12))
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, gctest.Flat(y), want, 1e-6, 0, "5x - 2x")
	})
}

// formCase is an entry of forms.json.
func formCase(t *testing.T, name string) caseOf {
	t.Helper()
	cases := readCases(t, "cases/forms.json")
	i := slices.IndexFunc(cases, func(c caseOf) bool { return c.Model == "form_"+name+".onnx" })
	if i < 0 {
		t.Fatalf("no case %s", name)
	}
	return cases[i]
}

// insideBranch is the file of a case whose nodes are in a branch: before compute the condition from
// the constants one and rate.
func insideBranch(t *testing.T, tc caseOf, rate *protos.TensorProto, before ...*protos.NodeProto) string {
	t.Helper()
	return changed(t, "cases/"+tc.Model, func(file *protos.ModelProto) {
		g := file.Graph
		for _, n := range g.Node {
			// The default, which the importer's LSTM does not take.
			n.Attribute = slices.DeleteFunc(n.Attribute, func(a *protos.AttributeProto) bool { return a.Name == "activations" })
		}
		out := g.Output[0].Name
		then := &protos.GraphProto{Node: g.Node, Output: []*protos.ValueInfoProto{{Name: out}}}
		g.Output[0].Name = "chosen"
		g.Initializer = append(g.Initializer, &protos.TensorProto{Name: "one", DataType: int32(protos.TensorProto_INT64),
			Int64Data: []int64{1}})
		if rate.Int64Data != nil {
			g.Initializer = append(g.Initializer, rate)
		} else {
			scalar := tensorOf(rate.DataType)
			scalar.GetTensorType().Shape = dynamic(0)
			g.Input = append(g.Input, &protos.ValueInfoProto{Name: "rate", Type: scalar})
		}
		g.Node = append(before, branches("condition", "chosen", then))
	})
}

func TestRecurrentLayersInBranches(t *testing.T) {
	rate := &protos.TensorProto{Name: "rate", DataType: int32(protos.TensorProto_INT64), Int64Data: []int64{1}}
	input := &protos.TensorProto{Name: "rate", DataType: int32(protos.TensorProto_INT64)}
	gru, lstm := formCase(t, "GRU"), formCase(t, "LSTM")
	equal := node("Equal", "rate one", "condition")
	size := []*protos.NodeProto{node("Size", "x", "size"), node("Greater", "size one", "condition")}
	rank := []*protos.NodeProto{node("Shape", "x", "shape"), node("Size", "shape", "rank"), node("Add", "one one", "two"),
		node("Add", "two one", "three"), node("Equal", "rank three", "condition")}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, m := range map[string]*Model{
			"constants":       load(t, insideBranch(t, gru, rate, equal)),
			"a scalar input":  load(t, insideBranch(t, gru, input, equal)),
			"the rank":        load(t, insideBranch(t, gru, rate, rank...)),
			"computed shapes": load(t, insideBranch(t, lstm, rate, size...)),
		} {
			want := gru
			switch name {
			case "a scalar input":
				if err := m.SetConstant(1, tensors.FromScalar(int64(1))); err != nil {
					t.Fatal(err)
				}
			case "computed shapes":
				want = lstm
			}
			gc, err := want.measureModel(t, b, m)
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{gc}, []float64{want.GC}, want.Tolerance, 0, name)
		}
	})
	m := load(t, insideBranch(t, gru, rate, size...))
	_, _, err := m.Check(gctest.GoBackend(t), m.ForwardAll, []shapes.Shape{shapes.Make(dtypes.Float64, 3, 5, 4)}, 1<<30)
	if want := "it is inside of a branch that no constant chooses"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %q", err, want)
	}
}
