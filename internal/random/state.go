package random

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
)

// statePath is the path of the variable with a store's random state.
var statePath = model.JoinPath(model.ScopeSeparator, model.RNGStateVariableName)

// ReplaceState replaces the store's random state by the node while a graph is built, so that the
// graph draws from it and the store's own state does not change. restore restores the store's
// state, and returns the replaced state after the draws. It panics as GoMLX's draws do if a store
// without a random state cannot get one.
func ReplaceState(store *model.Store, state *graph.Node) (restore func() *graph.Node) {
	if v := store.GetVariable(statePath); v == nil || !v.HasValue() {
		if err := store.ResetRNGState(); err != nil { // What the store's first draw would do.
			panic(errors.WithMessage(err, "setting up the random state"))
		}
	}
	v := store.GetVariable(statePath)
	own := v.NodeValue(state)
	v.SetNodeValue(state)
	return func() *graph.Node {
		drawn := v.NodeValue(state)
		v.SetNodeValue(own)
		return drawn
	}
}

// KeepState is called before a graph is built that may draw from the store's random state, and
// restore after it: the graph then leaves the state as it was, and every execution draws the same
// numbers.
func KeepState(store *model.Store, g *graph.Graph) (restore func()) {
	v := store.GetVariable(statePath)
	if v == nil || !v.HasValue() { // The first draw takes it from the operating system.
		return func() {}
	}
	own := v.NodeValue(g)
	return func() {
		if v.NodeValue(g) != own {
			v.SetNodeValue(own)
		}
	}
}
