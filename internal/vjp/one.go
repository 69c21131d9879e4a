package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// In a batch of one, a reshape may leave open which axis is the batch: after a reshape from [1] to
// [1, 1] either axis can be. Later nodes decide, because the batch has to end up as the first axis
// of the outputs. A reverse pass over the graph therefore finds the layouts that each node may
// have.

// alternative is one choice of layouts for a node's inputs, nil for inputs held constant, with the
// resulting layouts of its output.
type alternative struct {
	in  []*layout
	out layoutSet
}

// layoutSet is the set of layouts that a node may have. constant says whether the node may be held
// constant too.
type layoutSet struct {
	layouts  []layout
	constant bool
}

func (s layoutSet) has(l layout) bool { return slices.ContainsFunc(s.layouts, l.equal) }

func (s layoutSet) isEmpty() bool { return len(s.layouts) == 0 && !s.constant }

func (s layoutSet) intersect(other layoutSet) layoutSet {
	common := layoutSet{constant: s.constant && other.constant}
	for _, l := range s.layouts {
		if other.has(l) {
			common.layouts = append(common.layouts, l)
		}
	}
	return common
}

// allowedLayouts returns, in a batch of one, the layouts of the nodes that are compatible with
// outputs whose first axis is the batch. A node without an entry may have any layout.
func (s *Pullback) allowedLayouts(reached []*Node) map[*Node]layoutSet {
	if s.batch() != 1 {
		return nil
	}
	trial := newPullback(s.outputs, s.inputs)
	trial.constant = make(map[*Node]bool)
	alternatives := make(map[*Node][]alternative)
	for _, n := range reached {
		if n == s.inputs {
			trial.addInputs()
		} else if passes(n) && slices.ContainsFunc(edges(n), trial.isOnPath) {
			alternatives[n] = trial.tryAll(n)
		}
	}
	allowed := make(map[*Node]layoutSet)
	if dims := dimsOf(s.outputs); len(dims) > 0 {
		allowed[s.outputs] = layoutSet{layouts: []layout{batchFirst(dims).normal(1)}}
	}
	for _, n := range slices.Backward(reached) {
		if alternate := alternateOf(n); alternate != nil {
			if set, ok := allowed[n]; ok {
				narrow(allowed, alternate, set)
			}
			continue
		}
		for in, set := range allowedForInputs(n, alternatives[n], allowed) {
			narrow(allowed, in, set)
		}
	}
	return allowed
}

// tryAll records every layout of n that results from any choice of layouts for its inputs.
func (s *Pullback) tryAll(n *Node) []alternative {
	if alternate := alternateOf(n); alternate != nil {
		s.places[n], s.constant[n] = s.places[alternate], s.constant[alternate]
		s.add(n)
		return nil
	}
	if index, ok := gomlxcompat.SplitOf(n); ok {
		whole := n.Inputs()[0]
		if places := s.places[whole]; len(places[index]) > 0 {
			s.places[n], s.constant[n] = places[index:index+1], s.constant[whole]
			s.add(n)
		}
		return nil
	}
	var flows []flow
	var alternatives []alternative
	choices := s.choices(n)
	for _, in := range choices {
		f := flowFor(n, in, s.batch())
		if f.unknown != "" {
			continue
		}
		if f.mixes || !slices.ContainsFunc(f.outputs, func(places []layout) bool { return len(places) > 0 }) {
			s.constant[n] = true
			alternatives = append(alternatives, alternative{in, layoutSet{constant: true}})
			continue
		}
		flows = append(flows, f)
		alternatives = append(alternatives, alternative{in, layoutSet{layouts: f.outputs[0]}})
	}
	if len(flows) > 0 {
		s.places[n] = united(flows).outputs
		s.add(n)
	}
	if n.NumOutputs() > 1 || len(choices) == mostChoices {
		return nil // If some alternatives are missing, nothing is known about its inputs.
	}
	return alternatives
}

// allowedForInputs returns the layouts of n's inputs that give n an allowed layout.
func allowedForInputs(n *Node, alternatives []alternative, allowed map[*Node]layoutSet) map[*Node]layoutSet {
	wanted, ok := allowed[n]
	fits := func(a alternative) bool { return !ok || !a.out.intersect(wanted).isEmpty() }
	if !slices.ContainsFunc(alternatives, fits) {
		return nil
	}
	ofInputs := make(map[*Node]layoutSet)
	for _, a := range alternatives {
		if !fits(a) {
			continue
		}
		for i, in := range n.Inputs() {
			set := ofInputs[in]
			switch {
			case a.in[i] == nil:
				set.constant = true
			case !set.has(*a.in[i]):
				set.layouts = append(set.layouts, *a.in[i])
			}
			ofInputs[in] = set
		}
	}
	return ofInputs
}

// narrow restricts the layouts of n to the set, unless none would remain: the restrictions by nodes
// closer to the outputs take precedence.
func narrow(allowed map[*Node]layoutSet, n *Node, set layoutSet) {
	if before, ok := allowed[n]; ok {
		if set = before.intersect(set); set.isEmpty() {
			return
		}
	}
	allowed[n] = set
}

// dropLayouts drops the layouts of n that are not allowed, unless none would remain.
func (s *Pullback) dropLayouts(n *Node, allowed layoutSet) {
	if n.NumOutputs() > 1 {
		return
	}
	if common := (layoutSet{layouts: s.places[n][0]}).intersect(allowed); len(common.layouts) > 0 {
		s.places[n] = [][]layout{common.layouts}
	}
}
