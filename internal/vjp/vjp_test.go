package vjp_test

import (
	"math"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/nn"

	"github.com/geometric-complexity/toolkit/internal/autodiff"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

func init() { autodiff.Register() }

// Every function maps [4, ...] to [4, ...] and does not mix examples. For each cotangent, Pull must
// therefore return the same as GoMLX's Gradient of Σ cotangent·output.
var functions = []struct {
	name    string
	dims    []int
	fn      func(scope *model.Scope, x *Node) *Node
	columns bool   // PreferColumns stores the adjoints as columns.
	only    string // The only backend to run on, if the other lacks the op or would only repeat the check.
}{
	{name: "product", dims: []int{4, 5}, columns: true,
		fn: func(s *model.Scope, x *Node) *Node { return DotProduct(x, weights(s, x, 5, 3)) }},
	{name: "product on the right", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		return Transpose(Dot(weights(s, x, 3, 5), x).General([]int{1}, nil, []int{1}, nil), 0, 1)
	}},
	{name: "product of several axes", dims: []int{4, 2, 3}, fn: func(s *model.Scope, x *Node) *Node {
		return Dot(x, weights(s, x, 6, 2, 3)).General([]int{1, 2}, nil, []int{1, 2}, nil)
	}},
	{name: "batched product", dims: []int{4, 3, 2}, fn: func(s *model.Scope, x *Node) *Node {
		return Dot(x, Sin(x)).General([]int{2}, []int{0}, []int{2}, []int{0})
	}},
	{name: "outer product of each example", dims: []int{4, 3}, fn: func(s *model.Scope, x *Node) *Node {
		return Dot(x, Sin(x)).General(nil, []int{0}, nil, []int{0})
	}},
	{name: "elementwise", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		y := Add(Exp(x), Mul(Sin(x), Cos(x)))
		y = Div(y, AddScalar(Square(x), 1.0))
		return Sub(Neg(Logistic(y)), Log1p(Abs(x)))
	}},
	{name: "more elementwise", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		positive := AddScalar(Square(x), 0.5)
		y := Add(Sqrt(positive), Add(Rsqrt(positive), Log(positive)))
		return Add(Add(y, Pow(positive, ConstAs(x, 1.7))), Add(Erf(x), Min(Max(x, ConstAs(x, -0.5)), ConstAs(x, 0.5))))
	}},
	{name: "broadcast operands", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		one := Slice(x, AxisRange(), AxisRange(0, 1)) // [4, 1]
		return Add(Mul(one, Sin(x)), Div(x, AddScalar(Square(one), 1.0)))
	}},
	{name: "where", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		return Where(GreaterThan(x, ZerosLike(x)), Exp(x), MulScalar(x, 3.0))
	}},
	{name: "reductions", dims: []int{4, 3, 5}, fn: func(s *model.Scope, x *Node) *Node {
		return Concatenate([]*Node{ReduceSum(x, 1), ReduceMax(x, 1), ReduceMin(x, 1), ReduceMean(x, 1)}, 1)
	}},
	{name: "moving axes", dims: []int{4, 2, 3}, fn: func(s *model.Scope, x *Node) *Node {
		y := TransposeAllAxes(x, 2, 0, 1)                 // [3, 4, 2]
		y = TransposeAllAxes(Reverse(Sin(y), 2), 1, 2, 0) // [4, 2, 3]
		y = Pad(y, ScalarZero(x.Graph(), x.DType()), PadAxis{}, PadAxis{Start: 1, End: 2}, PadAxis{Interior: 1})
		return Slice(y, AxisRange(), AxisRange(0, 5).Stride(2), AxisRange(1, 5))
	}},
	{name: "merged batch", dims: []int{4, 2, 3}, fn: func(s *model.Scope, x *Node) *Node {
		return Reshape(Tanh(DotProduct(Reshape(x, 8, 3), weights(s, x, 3, 5))), 4, 10)
	}},
	{name: "broadcast", dims: []int{4, 3}, fn: func(s *model.Scope, x *Node) *Node {
		return Mul(BroadcastToDims(InsertAxes(x, 1), 4, 2, 3), weights(s, x, 1, 2, 3))
	}},
	{name: "gather", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		y := Gather(Transpose(Square(x), 0, 1), Const(x.Graph(), [][]int32{{3}, {0}, {3}}))
		return Transpose(y, 0, 1)
	}},
	{name: "gather of every example", dims: []int{4, 3, 2}, fn: func(s *model.Scope, x *Node) *Node {
		own := Iota(x.Graph(), shapes.Make(dtypes.Int32, 4, 4, 1), 0)
		at := BroadcastToDims(Const(x.Graph(), [][][]int32{{{2}, {0}, {2}, {1}}}), 4, 4, 1)
		return Mul(Gather(Square(x), Concatenate([]*Node{own, at}, 2)), weights(s, x, 1, 4, 2))
	}},
	{name: "custom gradient", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		return IdentityWithCustomGradient(Square(x), func(x, v *Node) *Node { return Mul(v, AddScalar(x, 2.0)) })
	}},
	{name: "converted", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		return ConvertDType(Sin(ConvertDType(MulScalar(x, 2.0), dtypes.Float32)), x.DType())
	}},
	{name: "convolution", dims: []int{4, 6, 6, 2}, fn: func(s *model.Scope, x *Node) *Node {
		y := Convolve(x, weights(s, x, 3, 3, 2, 3)).PadSame().Done()
		return Convolve(y, weights(s.In("second"), x, 3, 3, 3, 2)).Strides(2).NoPadding().Done()
	}},
	{name: "pooling", dims: []int{4, 6, 6, 2}, fn: func(s *model.Scope, x *Node) *Node {
		y := Add(MaxPool(x).Window(2).Done(), MeanPool(x).Window(2).Done())
		return MaxPool(Square(y)).Window(2).Strides(1).Done()
	}},
	{name: "batch norm in evaluation", dims: []int{4, 5}, only: "xla", fn: func(s *model.Scope, x *Node) *Node {
		s.Store().SetTraining(x.Graph(), false)
		return norm.BatchNorm(s, Square(x), -1).Done()
	}},
	{name: "stock dense layers", dims: []int{4, 2, 5}, fn: func(s *model.Scope, x *Node) *Node {
		return layers.Dense(s.In("second"), Tanh(layers.Dense(s.In("first"), x, true, 3)), false, 2)
	}},
	{name: "fused activation", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		return nn.Dense(x, weights(s, x, 3, 5), weights(s, x, 3), compute.DenseLayoutOutputsInput, activation.TypeRelu)
	}},
	{name: "dense layers with the examples as weights", dims: []int{4, 3}, fn: func(s *model.Scope, x *Node) *Node {
		bias := weights(s, x, 4)
		rows := nn.Dense(weights(s, x, 2, 3), x, bias, compute.DenseLayoutOutputsInput)
		columns := nn.Dense(weights(s, x, 2, 3), Transpose(Sin(x), 0, 1), bias, compute.DenseLayoutInputOutputs)
		return Transpose(Mul(rows, columns), 0, 1)
	}},
	{name: "dense network", dims: []int{4, 2, 3}, columns: true, fn: denseNetwork},
	{name: "same for every example", dims: []int{4, 5}, fn: func(s *model.Scope, x *Node) *Node {
		return Add(Reshape(DotProduct(x, weights(s, x, 5, 6)), 4, 2, 3), ReduceAndKeep(InsertAxes(x, 1), ReduceSum, 2))
	}},
}

// denseNetwork has every kind of node that supports adjoints as columns: layers with both layouts
// of weights, a branch, an activation, a bias, and two reshapes of the inputs.
func denseNetwork(s *model.Scope, x *Node) *Node {
	h := Add(DotProduct(Reshape(x, 4, 6), weights(s, x, 6, 5)), weights(s, x, 1, 5))
	h = Add(Tanh(h), Dot(Max(h, ZerosLike(h)), weights(s, x, 5, 5)).General([]int{1}, nil, []int{1}, nil))
	h = Add(h, DotProduct(Reshape(x, 4, 6), weights(s, x, 6, 5)))
	return DotProduct(Mul(Sin(h), h), weights(s, x, 5, 3))
}

// weights returns irregular numbers, others at every call. The nodes that draw random numbers would
// be most of what XLA has to compile.
func weights(_ *model.Scope, x *Node, dims ...int) *Node { return drawn(x.Graph(), x.DType(), dims...) }

// drawn returns normal numbers, seeded by how many nodes the graph has.
func drawn(g *Graph, dtype dtypes.DType, dims ...int) *Node {
	n := shapes.Make(dtype, dims...).Size()
	rng := rand.New(rand.NewPCG(uint64(len(g.Nodes())), uint64(n)))
	return ConvertDType(ConstTensor(g, gctest.RandomTensor(rng, dims...)), dtype)
}

func TestPullEqualsGradient(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, f := range functions {
			if f.only != "" && f.only != path.Base(t.Name()) {
				continue
			}
			t.Run(f.name, func(t *testing.T) {
				for _, how := range []struct {
					uniform bool
					columns int
				}{{false, 0}, {true, 0}, {false, math.MaxInt}, {true, math.MaxInt}, {false, 2}, {true, 2}} {
					if how.columns > 0 && !f.columns {
						continue
					}
					store := model.NewStore()
					if err := store.SetRNGStateFromSeed(4); err != nil {
						t.Fatal(err)
					}
					inputs := gctest.RandomTensor(rand.New(rand.NewPCG(4, 0)), f.dims...)
					out, err := model.CallOnceN(b, store, func(scope *model.Scope, x *Node) []*Node {
						y := f.fn(scope, x)
						return pullAndGradient(y, x, how.uniform, how.columns)
					}, inputs)
					if err != nil {
						t.Fatal(err)
					}
					gctest.AssertClose(t, gctest.Flat(out[0]), gctest.Flat(out[1]), tolerance(f.name), 0, "adjoint of the inputs")
				}
			})
		}
	})
}

func tolerance(name string) float64 {
	if name == "converted" {
		return 1e-6 // It computes in float32.
	}
	return 1e-11
}

// pullAndGradient draws three cotangents, the same for every example if uniform. It returns the
// result of Pull for all of them, and GoMLX's gradient of each. If columns is positive and the
// network allows it, the result is put together from columns in blocks of so many units.
func pullAndGradient(y, x *Node, uniform bool, columns int) []*Node {
	const c = 3
	dims := append([]int{c}, y.Shape().Dimensions...)
	if uniform {
		dims[1] = 1
	}
	cotangents := drawn(x.Graph(), dtypes.Float64, dims...)
	var rows []*Node
	for i := range c {
		weighted := Mul(y, Squeeze(SliceAxis(cotangents, 0, AxisElem(i)), 0))
		rows = append(rows, Gradient(ReduceAllSum(weighted), x)[0])
	}
	s := vjp.New(y, x)
	if columns > 0 {
		s.PreferColumns()
	}
	v := s.Pull(cotangents)
	if p := s.Columns(v, columns); p != nil {
		v = Reshape(Transpose(Concatenate(p, 0), 0, 1), v.Shape().Dimensions...)
	}
	return []*Node{v, Stack(rows, 0)}
}

// TestColumns checks for which networks Pull stores adjoints as columns.
func TestColumns(t *testing.T) {
	store := model.NewStore()
	for _, f := range functions {
		if f.only == "xla" {
			continue
		}
		_, err := model.CallOnce(gctest.GoBackend(t), store, func(scope *model.Scope, g *Graph) *Node {
			x := scope.RandomNormal(g, shapes.Make(dtypes.Float64, f.dims...))
			y := f.fn(scope, x)
			s := vjp.New(y, x)
			cotangents := OnesLike(InsertAxes(y, 0))
			if s.Columns(s.Pull(cotangents), math.MaxInt) != nil {
				t.Errorf("%s: columns without PreferColumns", f.name)
			}
			s.PreferColumns()
			if got := s.Columns(s.Pull(cotangents), math.MaxInt) != nil; got != f.columns {
				t.Errorf("%s: columns stored: %v, want %v", f.name, got, f.columns)
			}
			return x
		})
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
	}
}

// TestClone clones every function to other inputs and back.
func TestClone(t *testing.T) {
	b := gctest.GoBackend(t)
	for _, f := range functions {
		if f.only == "xla" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			store := model.NewStore()
			if err := store.SetRNGStateFromSeed(4); err != nil {
				t.Fatal(err)
			}
			out, err := model.CallOnceN(b, store, func(scope *model.Scope, g *Graph) []*Node {
				x := scope.RandomNormal(g, shapes.Make(dtypes.Float64, f.dims...))
				y := f.fn(scope, x)
				moved := AddScalar(x, 0.25)
				clone := vjp.New(y, x).Clone(moved)
				back := vjp.New(clone, moved).Clone(x)
				return []*Node{y, clone, back}
			})
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, gctest.Flat(out[2]), gctest.Flat(out[0]), 1e-14, 0, "there and back")
			same := true
			for i, v := range gctest.Flat(out[1]) {
				same = same && v == gctest.Flat(out[0])[i]
			}
			if same {
				t.Error("other inputs gave the same outputs")
			}
		})
	}
}

func TestCoupling(t *testing.T) {
	b := gctest.GoBackend(t)
	cases := []struct {
		name             string
		fn               func(x *Node) *Node
		couples, depends bool
	}{
		{"apart", func(x *Node) *Node { return Sin(x) }, false, true},
		{"centred on the batch", func(x *Node) *Node { return Sub(x, ReduceAndKeep(x, ReduceMean, 0)) }, true, true},
		{"centred after a transpose", func(x *Node) *Node {
			y := Transpose(x, 0, 1)
			return Transpose(Sub(y, ReduceAndKeep(y, ReduceMean, 1)), 0, 1)
		}, true, true},
		{"merged with another axis", func(x *Node) *Node {
			y := Reshape(x, 8, 3)
			return Reshape(Sub(y, ReduceAndKeep(y, ReduceMean, 0)), 4, 6)
		}, true, true},
		{"contracted", func(x *Node) *Node { return DotProduct(x, Dot(x, x).General([]int{0}, nil, []int{0}, nil)) }, true,
			true},
		{"only the mean", func(x *Node) *Node { return BroadcastToDims(ReduceAndKeep(x, ReduceMean, 0), 4, 6) }, true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := CallOnce(b, func(x *Node) *Node {
				s := vjp.New(c.fn(x), x)
				if got := len(s.Coupling()) > 0; got != c.couples {
					t.Errorf("couples: got %v, want %v", got, c.couples)
				}
				if s.Depends() != c.depends {
					t.Errorf("depends: got %v, want %v", s.Depends(), c.depends)
				}
				return x
			}, tensors.FromShape(shapes.Make(dtypes.Float64, 4, 6)))
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestFirstLinear(t *testing.T) {
	b := gctest.GoBackend(t)
	w := func(x *Node, dims ...int) *Node { return Ones(x.Graph(), shapes.Make(x.DType(), dims...)) }
	cases := []struct {
		name              string
		fn                func(x *Node) *Node
		found, transposed bool
	}{
		{"dense", func(x *Node) *Node { return Tanh(DotProduct(Reshape(x, 4, 6), w(x, 6, 3))) }, true, false},
		{"transposed weights", func(x *Node) *Node {
			return Tanh(Dot(Reshape(x, 4, 6), w(x, 3, 6)).General([]int{1}, nil, []int{1}, nil))
		}, true, true},
		{"stock dense layer", func(x *Node) *Node {
			return nn.Dense(Reshape(x, 4, 6), w(x, 6, 3), w(x, 3), compute.DenseLayoutInputOutputs)
		}, true, false},
		{"stock dense layer, other layout", func(x *Node) *Node {
			return nn.Dense(Reshape(x, 4, 6), w(x, 3, 6), w(x, 3), compute.DenseLayoutOutputsInput)
		}, true, true},
		{"two ways in", func(x *Node) *Node {
			y := Reshape(x, 4, 6)
			return Add(DotProduct(y, w(x, 6, 6)), y)
		}, false, false},
		{"nonlinear first", func(x *Node) *Node { return DotProduct(Sin(Reshape(x, 4, 6)), w(x, 6, 3)) }, false, false},
		{"not flat", func(x *Node) *Node { return Dot(x, w(x, 3, 2)).General([]int{2}, nil, []int{0}, nil) }, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := CallOnce(b, func(x *Node) *Node {
				first, found := vjp.New(c.fn(x), x).FirstLinear()
				if found != c.found || first.Transposed != c.transposed {
					t.Errorf("got found %v, transposed %v", found, first.Transposed)
				}
				return x
			}, tensors.FromShape(shapes.Make(dtypes.Float64, 4, 2, 3)))
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAdviceNamesTheOp(t *testing.T) {
	_, err := CallOnce(gctest.GoBackend(t), func(x *Node) *Node {
		return vjp.New(Floor(x), x).Pull(InsertAxes(x, 0))
	}, [][]float64{{1, 2}})
	if err == nil || !strings.Contains(err.Error(), "Floor has no gradient in GoMLX: it is constant almost everywhere") {
		t.Errorf("got error %v", err)
	}
}
