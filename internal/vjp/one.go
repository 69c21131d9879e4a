package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// In a batch of one, a reshape may leave open where the batch is: from [1] to [1, 1], on either
// axis. What comes later decides: in the end the batch is the first axis of the outputs.

// alternative is one choice of layouts for a node's inputs, nil for those held constant, and the
// layouts of its output by that choice.
type alternative struct {
	in  []*layout
	out wish
}

// wish has the layouts that a node may have, and whether it may be constant.
type wish struct {
	places   []layout
	constant bool
}

func (w wish) has(place layout) bool { return slices.ContainsFunc(w.places, place.equal) }

func (w wish) isEmpty() bool { return len(w.places) == 0 && !w.constant }

// both returns what two wishes have in common.
func (w wish) both(other wish) wish {
	common := wish{constant: w.constant && other.constant}
	for _, place := range w.places {
		if other.has(place) {
			common.places = append(common.places, place)
		}
	}
	return common
}

// wishes returns, in a batch of one, the layouts of the nodes that fit outputs whose first axis is
// the batch. A node that is not in it may have any.
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

// tryAll gives n every layout that any choice of layouts for its inputs leads to.
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
		return nil // Then nothing follows for its inputs.
	}
	return alternatives
}

// wishesForInputs returns the layouts of n's inputs by which n fits.
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

// narrow takes a further wish for n into account, unless it contradicts those of nodes that are
// closer to the outputs.
func narrow(fitting map[*Node]wish, n *Node, w wish) {
	if before, ok := fitting[n]; ok {
		if w = before.both(w); w.isEmpty() {
			return
		}
	}
	fitting[n] = w
}

// keep drops the layouts of n that do not fit, unless none does.
func (s *Pullback) keep(n *Node, w wish) {
	if n.NumOutputs() > 1 {
		return
	}
	if common := (wish{places: s.places[n][0]}).both(w); len(common.places) > 0 {
		s.places[n] = [][]layout{common.places}
	}
}
