package gcml_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestLinear checks that GC is ‖A‖²_F on any data, times c² for c·f.
func TestLinear(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		got, err := model.CallOnceN(b, newStore(t, 1), func(scope *model.Scope, g *Graph) []*Node {
			x := scope.RandomNormal(g, shapes.Make(dtypes.Float64, 5, 30))
			a := scope.RandomNormal(g, shapes.Make(dtypes.Float64, 30, 4))
			y := AddScalar(DotProduct(x, a), 3.0)
			zero := DotProduct(x, ZerosLike(a))
			return []*Node{gcml.Complexity(y, x), ReduceAllSum(Square(a)),
				gcml.Complexity(MulScalar(y, -3.0), x), gcml.Complexity(zero, x), gcml.Complexity(y, x, gcml.WithoutClosedForm())}
		})
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float64, len(got))
		for i := range got {
			v[i] = gctest.Flat(got[i])[0]
		}
		gctest.AssertClose(t, []float64{v[0], v[2], v[4]}, []float64{v[1], 9 * v[1], v[1]}, 1e-12, 0, "linear")
		if v[3] != 0 {
			t.Errorf("the GC of a constant is %g", v[3])
		}
	})
}

// TestPiecewiseLinear checks that the GC of a ReLU network is the sum over its linear regions of
// the fraction of the examples in the region times ‖A_i‖²_F. Here f is 2·relu(x) - 3·relu(x-1),
// with slopes 0, 2 and -1.
func TestPiecewiseLinear(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x := tensors.FromFlatDataAndDimensions([]float64{-2, -1, 0.25, 0.5, 0.75, 1.5, 2, 3, 4, 5}, 10, 1)
		got := run(t, b, newStore(t, 1), func(_ *model.Scope, x *Node) *Node {
			y := Sub(MulScalar(MaxScalar(x, 0.0), 2.0), MulScalar(MaxScalar(SubScalar(x, 1.0), 0.0), 3.0))
			return gcml.Complexity(y, x)
		}, x)
		gctest.AssertClose(t, gctest.Flat(got), []float64{0.2*0 + 0.3*4 + 0.5*1}, 1e-14, 0, "GC")
	})
}

// relu is a random ReLU network with the values that the theorems are about.
type relu struct {
	widths     []int // Input, hidden..., output.
	bias       bool
	variance   func(fanIn, fanOut int) float64
	weights    []*Node // [in, out]
	biases     []*Node
	layerInput []*Node
	output     *Node
}

func (net *relu) build(scope *model.Scope, x *Node) {
	g := x.Graph()
	h := x
	for l := range len(net.widths) - 1 {
		in, out := net.widths[l], net.widths[l+1]
		w := MulScalar(scope.RandomNormal(g, shapes.Make(x.DType(), in, out)), math.Sqrt(net.variance(in, out)))
		net.weights, net.layerInput = append(net.weights, w), append(net.layerInput, h)
		h = DotProduct(h, w)
		if net.bias {
			bias := MulScalar(scope.RandomNormal(g, shapes.Make(x.DType(), 1, out)), 0.5)
			net.biases = append(net.biases, bias)
			h = Add(h, bias)
		}
		if l < len(net.widths)-2 {
			h = MaxScalar(h, 0)
		}
	}
	net.output = h
}

// TestInitializationFormula compares the mean GC of random ReLU networks without biases with
// E[GC] = d·k·v_1·v_out·n·(n·v_hid)^(H-1)·2^(-H), for H hidden layers of width n: Glorot and LeCun
// halve it per layer, He keeps it.
func TestInitializationFormula(t *testing.T) {
	const d, n, k, draws = 20, 24, 6, 300
	variances := map[string]func(in, out int) float64{
		"glorot": func(in, out int) float64 { return 2 / float64(in+out) },
		"lecun":  func(in, _ int) float64 { return 1 / float64(in) },
		"he":     func(in, _ int) float64 { return 2 / float64(in) },
	}
	perLayer := map[string]float64{"glorot": 0.5, "lecun": 0.5, "he": 1}
	for name, variance := range variances {
		expected := func(hidden int) float64 {
			return d * k * variance(d, n) * variance(n, k) * n * math.Pow(n*variance(n, n), float64(hidden-1)) * math.Pow(2,
				-float64(hidden))
		}
		for _, hidden := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("%s/%d", name, hidden), func(t *testing.T) {
				widths := []int{d}
				for range hidden {
					widths = append(widths, n)
				}
				exec, err := model.NewExec1(gctest.GoBackend(t), newStore(t, 11), func(scope *model.Scope, g *Graph) *Node {
					x := scope.RandomNormal(g, shapes.Make(dtypes.Float64, 4, d))
					net := relu{widths: append(widths, k), variance: variance}
					net.build(scope, x)
					return gcml.Complexity(net.output, x)
				})
				if err != nil {
					t.Fatal(err)
				}
				values := make([]float64, draws)
				for i := range values {
					out, err := exec.Call()
					if err != nil {
						t.Fatal(err)
					}
					values[i] = gctest.Flat(out)[0]
				}
				mean, deviation := stat.MeanStdDev(values, nil)
				if z := (mean - expected(hidden)) / stat.StdErr(deviation, draws); math.Abs(z) > 4 {
					t.Errorf("mean GC %g is %.1f standard errors from %g", mean, z, expected(hidden))
				}
			})
		}
		if got := expected(5) / expected(4); math.Abs(got-perLayer[name]) > 1e-12 {
			t.Errorf("%s changes GC by %g per layer, want %g", name, got, perLayer[name])
		}
	}
}

// TestTransferInequality checks, for random networks and single examples,
//
//	‖∇_x f‖² Σ_l (1+‖h_l‖²) / (‖W_l‖² ‖∇_x h_l‖²) ≤ ‖∇_θ f‖²
//
// with h_l the input of layer l, operator norms in the denominator, and without
// the 1 for networks without biases. Frobenius norms in the denominator would
// only weaken it.
func TestTransferInequality(t *testing.T) {
	b := gctest.GoBackend(t)
	for _, bias := range []bool{true, false} {
		for _, widths := range [][]int{{4, 1}, {4, 6, 3}, {5, 7, 6, 2}, {3, 8, 8, 8, 4}} {
			t.Run(fmt.Sprintf("bias %v widths %v", bias, widths), func(t *testing.T) {
				worst := 0.0
				store := newStore(t, 21)
				layers := len(widths) - 1
				exec, err := model.NewExec(b, store, func(scope *model.Scope, g *Graph) []*Node {
					x := scope.RandomNormal(g, shapes.Make(dtypes.Float64, 1, widths[0]))
					net := relu{widths: widths, bias: bias, variance: func(in, _ int) float64 { return 2 / float64(in) }}
					net.build(scope, x)
					results := []*Node{gcml.Complexity(net.output, x), parameterGradient(net)}
					for l := range layers {
						results = append(results, net.weights[l], net.layerInput[l])
						if l > 0 {
							results = append(results, jacobianOf(net.layerInput[l], x))
						}
					}
					return results
				})
				if err != nil {
					t.Fatal(err)
				}
				for range 150 {
					out, err := exec.Call()
					if err != nil {
						t.Fatal(err)
					}
					left, right := transferSides(t, out, layers, bias)
					if right > 0 {
						worst = max(worst, left/right)
					}
				}
				if worst > 1+1e-9 {
					t.Errorf("violated: left side is %.12g of the right", worst)
				}
				if layers == 1 && worst < 1-1e-9 {
					t.Errorf("one layer with one output should give equality, got a ratio of %.12g", worst)
				}
				if worst == 0 {
					t.Error("every network was dead, nothing was tested")
				}
			})
		}
	}
}

// parameterGradient is ‖∇_θ f‖² over all outputs.
func parameterGradient(net relu) *Node {
	total := ScalarZero(net.output.Graph(), dtypes.Float64)
	for k := range net.output.Shape().Dimensions[1] {
		for _, grad := range Gradient(Squeeze(Slice(net.output, AxisElem(0), AxisElem(k))),
			append(net.weights, net.biases...)...) {
			total = Add(total, ReduceAllSum(Square(grad)))
		}
	}
	return total
}

// jacobianOf is ∂h/∂x for a batch of one, [values of h, values of x].
func jacobianOf(h, x *Node) *Node {
	var rows []*Node
	for k := range h.Shape().Dimensions[1] {
		rows = append(rows, Gradient(Squeeze(Slice(h, AxisElem(0), AxisElem(k))), x)[0])
	}
	return Concatenate(rows, 0)
}

func transferSides(t *testing.T, out []*tensors.Tensor, layers int, bias bool) (left, right float64) {
	t.Helper()
	right = gctest.Flat(out[1])[0]
	sum := 0.0
	next := 2
	for l := range layers {
		w, h := out[next], gctest.Flat(out[next+1])
		next += 2
		slope := 1.0 // Of the first layer's input with respect to itself.
		if l > 0 {
			slope = operatorNorm(t, out[next])
			next++
		}
		numerator := 0.0
		if bias {
			numerator = 1
		}
		for _, v := range h {
			numerator += v * v
		}
		if norm := operatorNorm(t, w); slope > 0 && norm > 0 {
			sum += numerator / (norm * norm * slope * slope)
		}
	}
	return gctest.Flat(out[0])[0] * sum, right
}

func operatorNorm(t *testing.T, x *tensors.Tensor) float64 {
	t.Helper()
	dims := x.Shape().Dimensions
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(dims[0], dims[1], gctest.Flat(x)), mat.SVDNone) {
		t.Fatal("SVD failed")
	}
	return svd.Values(nil)[0]
}

// TestBounds checks GC ≤ min(k,d)·Lip², where Lip is the largest operator norm of the Jacobian on
// the data, and GC ≤ ((1/l)·Σ‖W_i‖²_F)^l for l layers.
func TestBounds(t *testing.T) {
	const batch = 4
	b := gctest.GoBackend(t)
	for _, widths := range [][]int{{5, 3}, {3, 6, 5}, {5, 6, 6, 2}, {1, 8, 8, 1}} {
		t.Run(fmt.Sprint(widths), func(t *testing.T) {
			layers := len(widths) - 1
			exec, err := model.NewExec(b, newStore(t, 31), func(scope *model.Scope, g *Graph) []*Node {
				x := scope.RandomNormal(g, shapes.Make(dtypes.Float64, batch, widths[0]))
				net := relu{widths: widths, variance: func(in, out int) float64 { return 2 / float64(in) }}
				net.build(scope, x)
				norms := ScalarZero(g, dtypes.Float64)
				for _, w := range net.weights {
					norms = Add(norms, ReduceAllSum(Square(w)))
				}
				results := []*Node{gcml.Complexity(net.output, x), norms}
				for i := range batch {
					var rows []*Node
					for k := range widths[layers] {
						grad := Gradient(Squeeze(Slice(net.output, AxisElem(i), AxisElem(k))), x)[0]
						rows = append(rows, Slice(grad, AxisElem(i)))
					}
					results = append(results, Concatenate(rows, 0))
				}
				return results
			})
			if err != nil {
				t.Fatal(err)
			}
			tightest := math.Inf(1)
			for range 100 {
				out, err := exec.Call()
				if err != nil {
					t.Fatal(err)
				}
				gc, squares := gctest.Flat(out[0])[0], gctest.Flat(out[1])[0]
				lip := 0.0
				for _, jacobian := range out[2:] {
					lip = max(lip, operatorNorm(t, jacobian))
				}
				rank := float64(min(widths[0], widths[layers]))
				if gc > rank*lip*lip*(1+1e-9) {
					t.Errorf("GC %g exceeds min(k,d)·Lip² = %g", gc, rank*lip*lip)
				}
				if bound := math.Pow(squares/float64(layers), float64(layers)); gc > bound*(1+1e-9) {
					t.Errorf("GC %g exceeds the bound %g by the weights' norms", gc, bound)
				}
				tightest = min(tightest, rank*lip*lip/max(gc, 1e-300))
			}
			if math.IsInf(tightest, 1) {
				t.Error("GC was 0 every time, nothing was tested")
			}
		})
	}
}
