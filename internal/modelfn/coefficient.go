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

	"github.com/geometric-complexity/toolkit/schedule"
)

// coefficientScope is where the variables that hold coefficients live: under it the scope of the
// regularizer, then the name of the hyperparameter.
const coefficientScope = "/regularizers/coefficients"

// Coefficient is the weight of one regularizer in the training loss: a hyperparameter of the
// regularizer's scope, times the factor of a schedule.
//
// The training graph reads the hyperparameter through a variable, a float64 scalar that no
// optimizer trains. The variable is only a copy of the hyperparameter: building a training graph
// and [Coefficient.Set] overwrite it, so that its value in a checkpoint does not matter.
type Coefficient struct {
	// Param is the name of the hyperparameter.
	Param string

	// Max is the largest valid value; 0 means no limit.
	Max float64

	// Schedule returns a factor of the coefficient at each step; nil is the factor 1.
	Schedule schedule.Func

	chosen *float64
	order  uint64 // The time of the call of Choose, by the clock.
}

// clock orders the calls that choose a coefficient: the last one wins.
var clock atomic.Uint64

// Choose makes value the coefficient: the first training graph built after it sets the
// hyperparameter of its store to value, unless [Coefficient.Set] was called for that store in
// between. It panics if the value is out of range.
func (c *Coefficient) Choose(value float64) {
	if err := c.check(value); err != nil {
		panic(err)
	}
	c.chosen, c.order = &value, clock.Add(1)
}

// check returns an error if the value is not a finite number from 0 to Max.
func (c *Coefficient) check(value float64) error {
	if !(value >= 0) || math.IsInf(value, 1) {
		return errors.Errorf("invalid coefficient: hyperparameter %q is %g, want a finite number >= 0", c.Param, value)
	}
	if c.Max > 0 && value > c.Max {
		return errors.Errorf("invalid coefficient: hyperparameter %q is %g, want at most %g", c.Param, value, c.Max)
	}
	return nil
}

// Node returns the coefficient in the training graph g, a float64 scalar, for the regularizer that
// is called with this scope. It is nil in graphs that are not for training, and where neither
// Choose nor a hyperparameter gives the coefficient. For a coefficient of 0 it is not nil, because
// Set may change the coefficient before the next step.
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
			exceptions.Panicf("scope %q: the hyperparameter %q has a schedule but no value that the schedule multiplies: "+
				"set the hyperparameter, or give the option WithCoefficient", scope.Scope(), c.Param)
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

// read returns the hyperparameter in the scope, and whether it is set. GoMLX regards a
// hyperparameter of nil as not set.
func (c *Coefficient) read(scope *model.Scope) (value float64, configured bool) {
	given, found := scope.GetParam(c.Param)
	return model.GetParamOr(scope, c.Param, 0.0), found && given != nil
}

// factor returns the schedule's factor at this step, a float64 scalar.
func (c *Coefficient) factor(scope *model.Scope, g *graph.Graph) *graph.Node {
	step := graph.ConvertDType(optimizer.GetGlobalStepVar(scope).NodeValue(g), dtypes.Float64)
	factor := c.Schedule(step)
	if !factor.IsScalar() || !factor.DType().IsFloat() {
		exceptions.Panicf("the schedule for the hyperparameter %q returns %s, but the factor must be a scalar of a float dtype",
			c.Param, factor.Shape())
	}
	return graph.ConvertDType(factor, dtypes.Float64)
}

// reading is a hyperparameter as a regularizer read it.
type reading struct {
	value      float64
	configured bool
}

// mustAgree panics if two regularizers of one graph read different values of one hyperparameter,
// because the later one has chosen its own value.
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

// write sets the variable's value, unless the variable has this value already.
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

// Set sets the hyperparameter in the scope, or in the root scope of a store, for training graphs
// compiled before and after. It returns an error, and changes nothing, if the value is out of range
// or if the newest training graph was built without the regularizer. It also returns an error if
// every regularizer below the scope reads the hyperparameter from a scope of its own.
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
		return errors.Errorf("the training graph was built without the regularizer of %q, because its coefficient was not set: set the "+
			"coefficient before the first step (to 0, if need be), or call Trainer.ResetComputationGraphs and set the hyperparameter", path)
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
		return errors.Errorf("every regularizer below scope %[2]q reads the hyperparameter %[1]q from a scope of its own: set it there",
			c.Param, scope.Scope())
	}
	return nil
}

// within reports whether the path is below the scope.
func within(path, scope string) bool {
	return scope == model.RootScopePath || strings.HasPrefix(path, scope+model.ScopeSeparator)
}

// storeState holds what a store's hyperparameters do not say about its coefficients. The
// keys are the paths of the hyperparameters in the regularizers' scopes.
type storeState struct {
	mu     sync.Mutex
	chosen map[string]uint64 // The time of the last Choose or Set, by the clock.
	bare   map[string]bool   // Whether the newest training graph lacks the regularizer.
}

var (
	statesMu sync.Mutex
	// states is not kept in the stores, because checkpoints would save it. Its entries go when
	// their stores are garbage collected.
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

// choose reports whether a choice made at this time is the latest, and if so remembers its time.
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

// without looks in the scope for a regularizer that the newest training graph lacks. It returns the
// path of its hyperparameter, or "" if there is none.
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
