package vjp

import (
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// TestEveryTypeHasARule checks that every type of node in GoMLX has a rule, so that a new GoMLX
// cannot add one unnoticed.
func TestEveryTypeHasARule(t *testing.T) {
	types := append(slices.Clone(NodeTypeValues()), NodeTypeCall, NodeTypeIf, NodeTypeSort, NodeTypeWhile)
	for _, nodeType := range types {
		if rules[nodeType] == nil {
			t.Errorf("%s has no rule", nodeType)
		}
	}
	if len(rules) != len(types) {
		t.Errorf("%d rules for %d types of nodes", len(rules), len(types))
	}
}

// TestReshapedLayouts checks the layouts of batches of 4 and of 1 after reshapes that merge and
// split axes.
func TestReshapedLayouts(t *testing.T) {
	type dims = []int
	b := factor{4, 1}
	cases := []struct {
		name       string
		axes       [][]factor
		to         dims
		batch      int
		want       [][]factor // The likeliest layout, nil to skip the comparison.
		candidates int
	}{
		{"tokens merged", [][]factor{{b}, {{3, 0}}, {{5, 0}}}, dims{12, 5}, 4, [][]factor{{b, {3, 0}}, {{5, 0}}}, 1},
		{"tokens split again", [][]factor{{b, {3, 0}}, {{5, 0}}}, dims{4, 3, 5}, 4, [][]factor{{b}, {{3, 0}}, {{5, 0}}}, 1},
		{"tokens and values", [][]factor{{b}, {{3, 0}}, {{5, 0}}}, dims{4, 15}, 4, [][]factor{{b}, {{15, 0}}}, 1},
		{"ghost batches", [][]factor{{b}, {{5, 0}}}, dims{2, 2, 5}, 4, [][]factor{{{2, 2}}, {{2, 1}}, {{5, 0}}}, 1},
		{"ghost batches merged", [][]factor{{{2, 2}}, {{2, 1}}, {{5, 0}}}, dims{4, 5}, 4, [][]factor{{b}, {{5, 0}}}, 1},
		{"ghost batches with tokens", [][]factor{{b, {3, 0}}}, dims{2, 6}, 4, [][]factor{{{2, 2}}, {{2, 1}, {3, 0}}}, 1},
		{"batch last", [][]factor{{{3, 0}}, {b}}, dims{12}, 4, [][]factor{{{3, 0}, b}}, 1},
		{"as many tokens", [][]factor{{{4, 0}}, {b}}, dims{4, 2, 2}, 4, [][]factor{{{4, 0}}, {{2, 2}}, {{2, 1}}}, 1},
		{"garbled", [][]factor{{b}, {{6, 0}}}, dims{3, 8}, 4, nil, 0},
		{"one example's tokens merged", [][]factor{{{1, 1}}, {{3, 0}}, {{5, 0}}}, dims{3, 5}, 1,
			[][]factor{{{1, 1}, {3, 0}}, {{5, 0}}}, 1},
		{"and split again", [][]factor{{{1, 1}, {3, 0}}, {{5, 0}}}, dims{1, 3, 5}, 1,
			[][]factor{{{1, 1}}, {{3, 0}}, {{5, 0}}}, 1},
		{"one example, tokens first", [][]factor{{{3, 0}}, {{1, 1}}, {{5, 0}}}, dims{3, 5}, 1,
			[][]factor{{{3, 0}, {1, 1}}, {{5, 0}}}, 2},
		{"one example within", [][]factor{{{3, 0}}, {{1, 1}}, {{5, 0}}}, dims{15}, 1,
			[][]factor{{{3, 0}, {1, 1}, {5, 0}}}, 1},
		{"one example, an axis more", [][]factor{{{1, 1}}, {{5, 0}}}, dims{1, 1, 5}, 1,
			[][]factor{{{1, 1}}, nil, {{5, 0}}}, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := layout{axes: c.axes}.reshaped(c.to, c.batch)
			if len(got) != c.candidates {
				t.Fatalf("got %v", got)
			}
			if c.want != nil && !got[0].equal(layout{axes: c.want}) {
				t.Errorf("got %v, want %v", got[0], c.want)
			}
		})
	}
}

// TestSlicedLayouts compares the examples along a sliced axis with the example of every single
// element.
func TestSlicedLayouts(t *testing.T) {
	axes := [][]factor{
		{{6, 1}}, {{6, 0}}, {{6, -1}}, {{3, 2}, {2, 0}}, {{2, 0}, {3, 1}}, {{3, 2}, {2, 0}, {2, 1}}, {{2, 0}, {2, 6}, {3, 0}},
	}
	for _, factors := range axes {
		size := sizeOf(factors)
		for start := range size {
			for stride := 1; stride <= size; stride++ {
				for count := 1; start+(count-1)*stride < size; count++ {
					kept, moved, ok := sliced(factors, start, stride, count)
					if !ok {
						continue
					}
					if sizeOf(kept) != count {
						t.Fatalf("%v from %d by %d: %d elements are %v", factors, start, stride, count, kept)
					}
					for i := range count {
						if got, want := moved+exampleAt(kept, i), exampleAt(factors, start+i*stride); got != want {
							t.Fatalf("%v from %d by %d: element %d of %v is of example %d, want %d",
								factors, start, stride, i, kept, got, want)
						}
					}
				}
			}
		}
	}
}
