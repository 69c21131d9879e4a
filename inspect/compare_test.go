package inspect_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/inspect"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// powers are networks f(x) = c·x^n of one input, whose squared norms are (c·n·x^(n-1))².
func powers(sizes ...int) (subjects []inspect.Subject, norms [][]float64) {
	data := rows{x: []float64{0.5, 1, 1.5, 2, 2.5}, dims: []int{1}, sizes: sizes}
	for _, p := range []struct {
		name string
		c, n float64
	}{{"square", 1, 2}, {"line", 1, 1}, {"steeper line", 1.5, 1}} {
		fn := func(_ *model.Scope, x *Node) *Node {
			y := x
			for range int(p.n) - 1 {
				y = Mul(y, x)
			}
			return MulScalar(y, p.c)
		}
		subjects = append(subjects, inspect.NewSubject(p.name, model.NewStore(), fn, data))
		var own []float64
		for _, x := range data.x {
			own = append(own, math.Pow(p.c*p.n*math.Pow(x, p.n-1), 2))
		}
		norms = append(norms, own)
	}
	return subjects, norms
}

func TestCompare(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, sizes := range [][]int{{5}, {3, 2}} {
			subjects, norms := powers(sizes...)
			c, err := inspect.Compare(t.Context(), b, subjects, inspect.CompareOptions{Scores: []float64{1, 3, 2}})
			if err != nil {
				t.Fatal(err)
			}
			order := []int{1, 2, 0}
			for i, k := range order {
				r := c.Ranked[i]
				own := stats.TInterval(norms[k], 0.95)
				if r.Name != subjects[k].Name || c.Examples != 5 {
					t.Fatalf("place %d has %+v", i, r)
				}
				gctest.AssertClose(t, []float64{float64(r.Low), float64(r.High)}, []float64{own.Lo, own.Hi}, 1e-9, 1e-9, r.Name)
				if want := []float64{1, 3, 2}[k]; *r.Score != want {
					t.Errorf("%s has the score %g, want %g", r.Name, *r.Score, want)
				}
				if i == 0 {
					if r.AboveBefore != nil || r.AboveFirst != nil {
						t.Errorf("the first is above another: %+v", r)
					}
					continue
				}
				for d, other := range map[*inspect.Difference]int{r.AboveBefore: order[i-1], r.AboveFirst: order[0]} {
					differences := floats.SubTo(make([]float64, 5), norms[k], norms[other])
					want := stats.TInterval(differences, 0.95)
					gctest.AssertClose(t, []float64{d.Mean, float64(d.Low), float64(d.High)},
						[]float64{floats.Sum(differences) / 5, want.Lo, want.Hi}, 1e-9, 1e-9, r.Name+", difference")
				}
			}
			// Two lines differ by the same at each example; the square varies too much for five.
			if !c.Ranked[1].AboveBefore.IsClear() || c.Ranked[2].AboveBefore.IsClear() {
				t.Errorf("clear: %t, %t; want true, false", c.Ranked[1].AboveBefore.IsClear(), c.Ranked[2].AboveBefore.IsClear())
			}
			if math.Abs(float64(c.Scores.Rho)+1) > 1e-12 || math.Abs(float64(c.Scores.P)-2.0/6) > 1e-12 {
				t.Errorf("correlation %+v, want -1 with p 1/3", c.Scores)
			}
		}
	})
}

func TestCompareErrors(t *testing.T) {
	b := gctest.GoBackend(t)
	two, _ := powers(5)
	for want, c := range map[string]struct {
		change  func([]inspect.Subject) []inspect.Subject
		options inspect.CompareOptions
	}{
		"1 networks to compare": {change: func(s []inspect.Subject) []inspect.Subject { return s[:1] }},
		"two networks are named \"line\"": {change: func(s []inspect.Subject) []inspect.Subject {
			s[0].Name = "line"
			return s
		}},
		"2 scores for 3 networks": {options: inspect.CompareOptions{Scores: []float64{1, 2}}},
		"the score NaN":           {options: inspect.CompareOptions{Scores: []float64{1, 2, math.NaN()}}},
		"line has 2 examples, but square has 5": {change: func(s []inspect.Subject) []inspect.Subject {
			s[1].Data = rows{x: []float64{1, 2}, dims: []int{1}, sizes: []int{2}}
			return s
		}},
	} {
		subjects := append([]inspect.Subject(nil), two...)
		if c.change != nil {
			subjects = c.change(subjects)
		}
		_, err := inspect.Compare(t.Context(), b, subjects, c.options)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got error %v, want one line with %q", err, want)
		}
	}
	if c, err := inspect.Compare(t.Context(), b, two, inspect.CompareOptions{}); err != nil || c.Scores != nil {
		t.Errorf("without scores: %+v, %v", c, err)
	}
}
