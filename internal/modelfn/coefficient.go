package modelfn

import (
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"example.com/geometric-complexity/schedule"
)

// coefficientScope is where the variables that hold coefficients live: under it the scope of
// the regularizer, then the name of the hyperparameter.
const coefficientScope = "/regularizers/coefficients"

// Coefficient is how strongly one regularizer acts in training: a hyperparameter of its scope,
// times the factor of a schedule.
//
// The training graph reads the hyperparameter through a variable, a float64 scalar that no
// optimizer trains. The variable follows the hyperparameter and is never the source of anything:
// it is written whenever a training graph is built and by [Coefficient.Set], so that the copy
// of it in a checkpoint does not matter.
type Coefficient struct {
	// Param is the hyperparameter.
	Param string

	// Max is the largest value that makes sense; 0 for none.
	Max float64

	// Schedule is a factor of the coefficient; nil is 1.
	Schedule schedule.Func

	chosen *float64
	order  uint64 // When it was chosen.
}

// clock orders the calls that choose a coefficient: the last one holds.
var clock atomic.Uint64

// Choose makes value the coefficient in every store in which nobody calls [Coefficient.Set]
// after this: the training graph sets the hyperparameter to it when it is built for the first
// time. It panics if the value is out of range.
func (c *Coefficient) Choose(value float64) {
	if err := c.check(value); err != nil {
		panic(err)
	}
	c.chosen, c.order = &value, clock.Add(1)
}

// check returns a one-line error for a value that is no coefficient.
func (c *Coefficient) check(value float64) error {
	if !(value >= 0) || math.IsInf(value, 1) {
		return errors.Errorf("hyperparameter %q is %g, but it must be a finite number >= 0", c.Param, value)
	}
	if c.Max > 0 && value > c.Max {
		return errors.Errorf("hyperparameter %q is %g, but it must be at most %g", c.Param, value, c.Max)
	}
	return nil
}

// Node returns the coefficient in the training graph g, a float64 scalar, for the regularizer
// that is called with this scope. It is nil in graphs that are not for training, and where
// neither the program nor the hyperparameters say what the coefficient is. A coefficient of 0
// is one as any other: it may be another at the next step.
//
// It panics if the hyperparameter is out of range.
func (c *Coefficient) Node(scope *model.Scope, g *graph.Graph) *graph.Node {
	training := scope.IsTraining(g)
	path := model.JoinPath(scope.Scope(), c.Param)
	state := stateOf(scope.Store())
	if training && c.chosen != nil && state.choose(path, c.order) {
		scope.SetParam(c.Param, *c.chosen)
	}
	value, configured := c.read(scope)
	if err := c.check(value); err != nil {
		exceptions.Panicf("scope %q: %v", scope.Scope(), err)
	}
	if !training {
		return nil
	}
	c.mustAgree(g, path, reading{value, configured})
	state.built(path, configured)
	if !configured {
		if c.Schedule != nil {
			exceptions.Panicf("scope %q: there is a schedule for the hyperparameter %q but no value that it multiplies: "+
				"set it, or give the option WithCoefficient", scope.Scope(), c.Param)
		}
		return nil
	}
	v := scope.Store().VariableWithValue(model.JoinPath(coefficientScope, path), value).SetTrainable(false)
	if err := write(v, value); err != nil {
		panic(err)
	}
	node := v.NodeValue(g)
	if c.Schedule != nil {
		node = graph.Mul(node, c.factor(scope, g))
	}
	return node
}

// read returns the hyperparameter as the scope has it, and whether it is set. GoMLX takes one
// that is nil as not set.
func (c *Coefficient) read(scope *model.Scope) (value float64, configured bool) {
	given, found := scope.GetParam(c.Param)
	return model.GetParamOr(scope, c.Param, 0.0), found && given != nil
}

// factor is the schedule's at this step, a float64 scalar.
func (c *Coefficient) factor(scope *model.Scope, g *graph.Graph) *graph.Node {
	step := graph.ConvertDType(optimizer.GetGlobalStepVar(scope).NodeValue(g), dtypes.Float64)
	factor := c.Schedule(step)
	if !factor.IsScalar() || !factor.DType().IsFloat() {
		exceptions.Panicf("the schedule for the hyperparameter %q returns %s, but the factor must be a scalar of a float dtype",
			c.Param, factor.Shape())
	}
	return graph.ConvertDType(factor, dtypes.Float64)
}

// reading is what a regularizer found its hyperparameter to be.
type reading struct {
	value      float64
	configured bool
}

// mustAgree panics where two regularizers of one graph find one hyperparameter to be different:
// a later one has chosen its own value.
func (c *Coefficient) mustAgree(g *graph.Graph, path string, r reading) {
	var readings map[string]reading
	if known, found := model.GetGraphParam(g, coefficientScope); found {
		readings = known.(map[string]reading)
	} else {
		readings = map[string]reading{}
		model.SetGraphParam(g, coefficientScope, readings)
	}
	if before, found := readings[path]; found && before != r {
		exceptions.Panicf("two regularizers share the hyperparameter %q, and WithCoefficient(%g) holds for one of them only: "+
			"give it to both, and to one also WithSchedule(schedule.Constant(...)) as a factor", path, r.value)
	}
	readings[path] = r
}

// write sets the variable's value, unless it has it.
func write(v *model.Variable, value float64) error {
	if v.HasValue() {
		t, err := v.Value()
		if err != nil {
			return err
		}
		if old, ok := t.Value().(float64); ok && old == value {
			return nil
		}
	}
	return v.SetValue(tensors.FromScalar(value))
}

// Set sets the hyperparameter in the scope, or in the root scope of a store, for the training
// graphs that are compiled already and for those to come. It returns an error, and changes
// nothing, if the value is out of range or if a training graph would not see it.
func (c *Coefficient) Set(scopeOrStore model.StoreProvider, value float64) error {
	if err := c.check(value); err != nil {
		return err
	}
	store := scopeOrStore.Store()
	scope, ok := scopeOrStore.(*model.Scope)
	if !ok {
		scope = store.RootScope()
	}
	state := stateOf(store)
	if path := state.without(scope.Scope(), c.Param); path != "" {
		return errors.Errorf("the training graph was built without the regularizer of %q, whose coefficient was not set: set it "+
			"before the first step (to 0, if need be), or call Trainer.ResetComputationGraphs and set the hyperparameter", path)
	}
	scope.SetParam(c.Param, value)
	state.choose(model.JoinPath(scope.Scope(), c.Param), clock.Add(1))
	readers, followers := 0, 0
	for v := range store.IterVariables() {
		path, ok := strings.CutPrefix(v.Path(), coefficientScope)
		if !ok || v.Name() != c.Param || !within(path, scope.Scope()) {
			continue
		}
		at, _ := model.SplitPath(path)
		current, _ := c.read(store.Scope(at))
		if err := write(v, current); err != nil {
			return err
		}
		readers++
		if current == value {
			followers++
		}
	}
	if readers > 0 && followers == 0 {
		return errors.Errorf("every regularizer with the hyperparameter %q below scope %q has it set in a scope of its own: set it there",
			c.Param, scope.Scope())
	}
	return nil
}

// within tells whether the path is in the scope or in one below it.
func within(path, scope string) bool {
	return scope == model.RootScopePath || strings.HasPrefix(path, scope+model.ScopeSeparator)
}

// storeState is what is known about the coefficients of a store beside its hyperparameters,
// by the path of the hyperparameter in the regularizer's scope.
type storeState struct {
	mu     sync.Mutex
	chosen map[string]uint64 // When the program last chose it.
	bare   map[string]bool   // Whether the newest training graph is without the regularizer.
}

var (
	statesMu sync.Mutex
	// states is no part of the stores, because checkpoints would keep it. It forgets a store that
	// nobody uses any more.
	states = map[weak.Pointer[model.Store]]*storeState{}
)

func stateOf(store *model.Store) *storeState {
	statesMu.Lock()
	defer statesMu.Unlock()
	key := weak.Make(store)
	state := states[key]
	if state == nil {
		state = &storeState{chosen: map[string]uint64{}, bare: map[string]bool{}}
		states[key] = state
		runtime.AddCleanup(store, func(key weak.Pointer[model.Store]) {
			statesMu.Lock()
			defer statesMu.Unlock()
			delete(states, key)
		}, key)
	}
	return state
}

// choose tells whether a choice made at this time is the latest, and remembers it then.
func (s *storeState) choose(path string, order uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if order <= s.chosen[path] {
		return false
	}
	s.chosen[path] = order
	return true
}

func (s *storeState) built(path string, configured bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bare[path] = !configured
}

// without returns the path of the hyperparameter of a regularizer in the scope that the newest
// training graph is without, or "".
func (s *storeState) without(scope, param string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path, bare := range s.bare {
		if _, name := model.SplitPath(path); bare && name == param && within(path, scope) {
			return path
		}
	}
	return ""
}
