package gomlxcompat_test

import (
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	. "github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

type (
	scope = *model.Scope
	node  = *Node
)

// TestModelFn calls one function of each kind of signature, with the spec 7 and two inputs, and
// checks its outputs.
func TestModelFn(t *testing.T) {
	sum := func(spec any, nodes ...node) node {
		total := nodes[0]
		for _, n := range nodes[1:] {
			total = Add(total, n)
		}
		if spec != nil {
			total = AddScalar(total, float64(spec.(int)))
		}
		return total
	}
	cases := []struct {
		name string
		fn   train.ModelFn
		want []float64 // The inputs are 1 and 10.
	}{
		{"canonical", ModelFn(func(_ scope, spec any, in []node) []node { return []node{sum(spec, in...)} }), []float64{18}},
		{"named type", ModelFn(train.ModelFn(func(_ scope, spec any, in []node) []node { return in })), []float64{1, 10}},
		{"one node", ModelFn(func(_ scope, a node) node { return a }), []float64{1}},
		{"two nodes, spec", ModelFn(func(_ scope, spec any, a, b node) node { return sum(spec, a, b) }), []float64{18}},
		{"two results", ModelFn(func(_ scope, a, b node) (node, node) { return b, a }), []float64{10, 1}},
		{"three results", ModelFn(func(_ scope, in []node) (node, node, node) { return in[0], in[1], in[0] }),
			[]float64{1, 10, 1}},
		{"a slice", ModelFn(func(_ scope, a node) []node { return []node{a, a} }), []float64{1, 1}},
		{"a graph", ModelFn(func(_ scope, g *Graph) node { return Const(g, 5.0) }), []float64{5}},
		{"no result", ModelFn(func(_ scope, a node) {}), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []float64
			out, err := model.CallOnceN(goBackend(t), model.NewStore(), func(s scope, a, b node) []node {
				return append(c.fn(s, 7, []node{a, b}), a)
			}, 1.0, 10.0)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range out[:len(out)-1] {
				got = append(got, v.Value().(float64))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTooFewInputs(t *testing.T) {
	fn := ModelFn(func(_ scope, a, b, c node) node { return c })
	_, err := model.CallOnce(goBackend(t), model.NewStore(),
		func(s scope, a node) node { return fn(s, nil, []node{a})[0] }, 1.0)
	if err == nil || !strings.Contains(err.Error(), "takes at least 2 inputs, but the data set yields 1") {
		t.Errorf("got error %v", err)
	}
}
