package vjp_test

import (
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// TestKnownValues compares values that are computed while a graph is built with those of the
// backend that runs it.
func TestKnownValues(t *testing.T) {
	count := func(g *Graph, axis int, dims ...int) *Node { return Iota(g, shapes.Make(dtypes.Int64, dims...), axis) }
	for _, c := range []struct {
		name string
		fn   func(g *Graph) *Node
	}{
		{"every other column of a table", func(g *Graph) *Node {
			table := Add(MulScalar(count(g, 0, 4, 5), 10), count(g, 1, 4, 5))
			return Slice(table, AxisRange(1, 4), AxisRange(0, 5).Stride(2))
		}},
		{"a row and a column", func(g *Graph) *Node { return Sub(count(g, 0, 3, 1), count(g, 1, 1, 4)) }},
		{"side by side", func(g *Graph) *Node {
			return Concatenate([]*Node{count(g, 1, 2, 3), Const(g, [][]int64{{7}, {-8}}), count(g, 0, 2, 2)}, 1)
		}},
		{"counted from the end", func(g *Graph) *Node {
			places := Const(g, []int64{-1, 0, 2, -3})
			return Where(LessThan(places, ScalarZero(g, dtypes.Int64)), AddScalar(places, 5), places)
		}},
		{"turned and spread", func(g *Graph) *Node {
			return BroadcastToDims(Reshape(Transpose(count(g, 1, 2, 3), 0, 1), 3, 1, 2), 3, 2, 2)
		}},
		{"the larger and the smaller", func(g *Graph) *Node {
			a := count(g, 0, 6)
			return Add(Max(a, Const(g, int64(2))), MulScalar(Min(a, Const(g, int64(4))), 10))
		}},
		{"comparisons", func(g *Graph) *Node {
			a, b := count(g, 0, 3, 3), count(g, 1, 3, 3)
			digits := []*Node{Equal(a, b), NotEqual(a, b), LessThan(a, b), LessOrEqual(a, b), GreaterThan(a, b),
				GreaterOrEqual(a, b)}
			sum := ZerosLike(a)
			for _, d := range digits {
				sum = Add(MulScalar(sum, 2), Where(d, OnesLike(a), ZerosLike(a)))
			}
			return sum
		}},
		{"of 32 bits", func(g *Graph) *Node {
			return ConvertDType(Iota(g, shapes.Make(dtypes.Int32, 4), 0), dtypes.Int64)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var values []int
			var known bool
			out := MustNewExec(gctest.GoBackend(t), func(g *Graph) *Node {
				n := c.fn(g)
				values, known = vjp.ValuesOf(n)
				return n
			}).MustCall()[0]
			var want []int
			for _, v := range tensors.MustCopyFlatData[int64](out) {
				want = append(want, int(v))
			}
			if !known || !slices.Equal(values, want) {
				t.Errorf("values %v (known: %t), the backend computes %v", values, known, want)
			}
		})
	}
}

// TestUnknownValues tests that no values are made up for what rounds, wraps around, or depends on
// what a program is given.
func TestUnknownValues(t *testing.T) {
	for name, fn := range map[string]func(x *Node) *Node{
		"a parameter":    func(x *Node) *Node { return ConvertDType(x, dtypes.Int32) },
		"a parameter, 2": func(x *Node) *Node { return Add(ConvertDType(x, dtypes.Int32), Const(x.Graph(), int32(1))) },
		"rounded": func(x *Node) *Node {
			return ConvertDType(MulScalar(Iota(x.Graph(), shapes.Make(dtypes.Float32, 4), 0), 0.4), dtypes.Int32)
		},
		"of 8 bits": func(x *Node) *Node { return MulScalar(Iota(x.Graph(), shapes.Make(dtypes.Int8, 4), 0), 100) },
	} {
		t.Run(name, func(t *testing.T) {
			MustNewExec(gctest.GoBackend(t), func(x *Node) *Node {
				if values, known := vjp.ValuesOf(fn(x)); known {
					t.Errorf("values %v", values)
				}
				return x
			}).MustCall(float32(1))
		})
	}
}
