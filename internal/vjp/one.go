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
	out wish
}

// wish is the set of layouts that a node may have, and whether it may be constant.
type wish struct {
	places   []layout
	constant bool
}

func (w wish) has(place layout) bool { return slices.ContainsFunc(w.places, place.equal) }

func (w wish) isEmpty() bool { return len(w.places) == 0 && !w.constant }

// both returns the intersection of two wishes.
func (w wish) both(other wish) wish {
	common := wish{constant: w.constant && other.constant}
	for _, place := range w.places {
		if other.has(place) {
			common.places = append(common.places, place)
		}
	}
	return common
}

// wishes returns, in a batch of one, the layouts of the nodes that are compatible with outputs
// whose first axis is the batch. A node without an entry may have any layout.
func (s *Pullback) wishes(reached []*Node) map[*Node]wish {
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
	fitting := make(map[*Node]wish)
	if dims := dimsOf(s.outputs); len(dims) > 0 {
		fitting[s.outputs] = wish{places: []layout{batchFirst(dims).normal(1)}}
	}
	for _, n := range slices.Backward(reached) {
		if alternate := alternateOf(n); alternate != nil {
			if w, ok := fitting[n]; ok {
				narrow(fitting, alternate, w)
			}
			continue
		}
		for in, w := range wishesForInputs(n, alternatives[n], fitting) {
			narrow(fitting, in, w)
		}
	}
	return fitting
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
			alternatives = append(alternatives, alternative{in, wish{constant: true}})
			continue
		}
		flows = append(flows, f)
		alternatives = append(alternatives, alternative{in, wish{places: f.outputs[0]}})
	}
	if len(flows) > 0 {
		s.places[n] = united(flows).outputs
		s.add(n)
	}
	if n.NumOutputs() > 1 || len(choices) == mostChoices {
		return nil // Without all alternatives nothing follows for its inputs.
	}
	return alternatives
}

// wishesForInputs returns the layouts of n's inputs that give n a layout that fits.
func wishesForInputs(n *Node, alternatives []alternative, fitting map[*Node]wish) map[*Node]wish {
	wanted, ok := fitting[n]
	fits := func(a alternative) bool { return !ok || !a.out.both(wanted).isEmpty() }
	if !slices.ContainsFunc(alternatives, fits) {
		return nil
	}
	wishes := make(map[*Node]wish)
	for _, a := range alternatives {
		if !fits(a) {
			continue
		}
		for i, in := range n.Inputs() {
			w := wishes[in]
			switch {
			case a.in[i] == nil:
				w.constant = true
			case !w.has(*a.in[i]):
				w.places = append(w.places, *a.in[i])
			}
			wishes[in] = w
		}
	}
	return wishes
}

// narrow restricts n to a further wish, unless the wish contradicts those of nodes closer to the
// outputs.
func narrow(fitting map[*Node]wish, n *Node, w wish) {
	if before, ok := fitting[n]; ok {
		if w = before.both(w); w.isEmpty() {
			return
		}
	}
	fitting[n] = w
}

// keep drops the layouts of n that do not fit, unless that would drop all.
func (s *Pullback) keep(n *Node, w wish) {
	if n.NumOutputs() > 1 {
		return
	}
	if common := (wish{places: s.places[n][0]}).both(w); len(common.places) > 0 {
		s.places[n] = [][]layout{common.places}
	}
}
