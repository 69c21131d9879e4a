package regularizers_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// squaredSigma returns the square of the largest singular value of a [rows, columns] matrix.
func squaredSigma(t testing.TB, rows, columns int, values []float64) float64 {
	t.Helper()
	var svd mat.SVD
	if !svd.Factorize(mat.NewDense(rows, columns, values), mat.SVDNone) {
		t.Fatal("gonum's SVD failed")
	}
	s := svd.Values(nil)[0]
	return s * s
}

// modelWithKernel returns a model with a kernel of this value on which its output does not depend,
// so that the penalty's gradient is the whole gradient.
func modelWithKernel(kernel *tensors.Tensor) func(*model.Scope, *graph.Node) *graph.Node {
	return func(scope *model.Scope, x *graph.Node) *graph.Node {
		w := scope.VariableWithValue("kernel", kernel).NodeValue(x)
		return graph.Add(x, graph.ConvertDType(graph.MulScalar(graph.ReduceAllSum(graph.StopGradient(w)), 0), x.DType()))
	}
}

func sumLoss(_, predictions []*graph.Node) *graph.Node { return graph.ReduceAllSum(predictions[0]) }

func TestSpectralAgainstSVD(t *testing.T) {
	cases := []struct {
		dims []int
		runs int // Training steps before the value is compared.
	}{
		{[]int{1, 1}, 1},
		{[]int{7, 1}, 1},
		{[]int{1, 7}, 1},
		{[]int{5, 9}, 3},
		{[]int{40, 30}, 3},
		{[]int{64, 64}, 3},
		{[]int{3, 3, 4, 8}, 3},    // A convolution as the matrix [36, 8].
		{[]int{3, 5, 2, 2, 6}, 3}, // In three dimensions: [60, 6].
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, tc := range cases {
			t.Run(fmt.Sprint(tc.dims), func(t *testing.T) {
				store := seeded(t, map[string]any{regularizers.ParamSpectral: 1.0})
				p := newProbe(t, b, store, regularizers.Spectral(modelWithKernel(gaussian(3, tc.dims...))), sumLoss, true)
				var got step
				for range tc.runs {
					got = p.call(t, gaussian(1, 2))
				}
				columns := tc.dims[len(tc.dims)-1]
				kernel := values(t, store, "/kernel")
				rows := len(kernel) / columns
				want := squaredSigma(t, rows, columns, kernel)
				gctest.AssertClose(t, []float64{got.penalty}, []float64{want}, 1e-3, 0, "σ²")
			})
		}
	})
}

// With a tight tolerance the gradient equals central differences of σ² from an SVD.
func TestSpectralGradient(t *testing.T) {
	const c = 0.3
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dims := range [][]int{{6, 4}, {4, 6}, {3, 3, 2, 3}} {
			t.Run(fmt.Sprint(dims), func(t *testing.T) {
				store := seeded(t, map[string]any{
					regularizers.ParamSpectral:           c,
					regularizers.ParamSpectralIterations: 2000,
					regularizers.ParamSpectralTolerance:  1e-11,
				})
				p := newProbe(t, b, store, regularizers.Spectral(modelWithKernel(gaussian(5, dims...))), sumLoss, true)
				got := p.call(t, gaussian(1, 2))
				columns := dims[len(dims)-1]
				kernel := values(t, store, "/kernel")
				want := gctest.CentralDifference(func(w []float64) float64 {
					return c * squaredSigma(t, len(w)/columns, columns, w)
				}, kernel, 1e-5)
				gctest.AssertClose(t, got.gradient, want, 1e-7, 0, "gradient of c·σ²")
			})
		}
	})
}

// With one iteration per step the value reaches σ² only if the vector is kept between the steps.
func TestSpectralKeepsItsVector(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := seeded(t, map[string]any{regularizers.ParamSpectral: 1.0, regularizers.ParamSpectralIterations: 1})
		fn := regularizers.Spectral(modelWithKernel(gaussian(3, 40, 30)))
		p := newProbe(t, b, store, fn, sumLoss, true)
		first := p.call(t, gaussian(1, 2)).penalty
		want := squaredSigma(t, 40, 30, values(t, store, "/kernel"))
		if first > 0.9*want {
			t.Fatalf("one iteration gives %g of %g, which is too close to show that the vector is kept", first, want)
		}
		direction := store.GetVariable("/regularizers/spectral/kernel/direction")
		if direction == nil || direction.Trainable {
			t.Fatalf("the vector's variable is %v, want one that is not trainable", direction)
		}

		// An evaluation does not change it and has no penalty.
		before := tensors.MustCopyFlatData[float64](direction.MustValue())
		if eval := newProbe(t, b, store, fn, sumLoss, false).call(t, gaussian(1, 2)); eval.penalty != 0 {
			t.Errorf("the penalty in evaluation is %g", eval.penalty)
		}
		gctest.AssertClose(t, tensors.MustCopyFlatData[float64](direction.MustValue()), before, 0, 0,
			"vector after an evaluation")

		previous, last := 0.0, first
		for range 60 {
			previous, last = last, p.call(t, gaussian(1, 2)).penalty
			if last < previous*(1-1e-12) {
				t.Fatalf("the value fell from %g to %g", previous, last)
			}
		}
		gctest.AssertClose(t, []float64{last}, []float64{want}, 1e-3, 0, "σ² after 61 steps of one iteration")
	})
}

// Descent on the penalty lowers the largest singular value below the next, again and again. The
// penalty must follow whichever is the largest, although the vector of the one before still solves
// the eigenvalue equation.
func TestSpectralFollowsTheLargestValue(t *testing.T) {
	const rate = 0.005
	kernels := map[string][]float64{
		"diagonal":       {2, 0, 0, 1.5},
		"three values":   {2, 0, 0, 0, 1.5, 0, 0, 0, 1},
		"rotated":        {1.7, 0.5, -0.4, 1.3},
		"already passed": {1, 0, 0, 0, 2, 0, 0, 0, 1.9},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, kernel := range kernels {
			n := 2
			if len(kernel) == 9 {
				n = 3
			}
			store := seeded(t, map[string]any{regularizers.ParamSpectral: 1.0})
			start := tensors.FromFlatDataAndDimensions(kernel, n, n)
			p := newProbe(t, b, store, regularizers.Spectral(modelWithKernel(start)), sumLoss, true)
			for i := range 250 {
				got := p.call(t, gaussian(1, 2))
				w := values(t, store, "/kernel")
				if want := squaredSigma(t, n, n, w); got.penalty < 0.9*want {
					t.Fatalf("%s: the penalty is %g in step %d, but σ² is %g", name, got.penalty, i, want)
				}
				for k, g := range got.gradient {
					w[k] -= rate * g
				}
				setParameters(t, store, w)
			}
		}
	})
}

// σ² and its gradient are right wherever float32 has σ², also in steps that follow one in which σ²
// overflowed, and with a kept vector that such a step of an older version has set to 0.
func TestSpectralFloat32Scales(t *testing.T) {
	const direction = "/regularizers/spectral/kernel/direction"
	kernel := func(s float32) *tensors.Tensor { return tensors.FromValue([][]float32{{0, s}, {3 * s, 0}}) }
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := seeded(t, map[string]any{regularizers.ParamSpectral: 1.0, regularizers.ParamSpectralTolerance: 1e-5})
		p := newProbe(t, b, store, regularizers.Spectral(modelWithKernel(kernel(1))), sumLoss, true)
		p.call(t, gaussian(1, 2))
		for _, s := range []float32{1e-16, 1e-9, 1, 1e10, 1e18, 1e30, 1} {
			setValue(t, store.GetVariable("/kernel"), kernel(s))
			got := p.call(t, gaussian(1, 2))
			if size := float64(s); s < 1e19 {
				gctest.AssertClose(t, []float64{got.penalty / size / size}, []float64{9}, 1e-5, 0, "σ² in units of the scale")
				gradient := make([]float64, len(got.gradient))
				for i, g := range got.gradient {
					gradient[i] = g / size
				}
				gctest.AssertClose(t, gradient, []float64{0, 0, 6, 0}, 1e-4, 1e-2, "gradient in units of the scale")
			} else if !math.IsInf(got.penalty, 1) {
				t.Errorf("scale %g: the penalty is %g, want Inf", s, got.penalty)
			}
		}
		setValue(t, store.GetVariable(direction), tensors.FromValue([]float32{0, 0}))
		got := p.call(t, gaussian(1, 2))
		gctest.AssertClose(t, []float64{got.penalty}, []float64{9}, 1e-5, 0, "σ² from a vector of zeros")
	})
}

// The iteration stops when the residual is below the tolerance, in units of σ²: neither earlier for
// small kernels nor later for large ones.
func TestSpectralTolerance(t *testing.T) {
	const rows, columns, tolerance = 40, 30, 1e-3
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, scale := range []float64{1e-3, 1e3} {
			kernel := gctest.Flat(gaussian(3, rows, columns))
			for i := range kernel {
				kernel[i] *= scale
			}
			store := seeded(t, map[string]any{regularizers.ParamSpectral: 1.0, regularizers.ParamSpectralIterations: 10_000,
				regularizers.ParamSpectralTolerance: tolerance})
			model := modelWithKernel(tensors.FromFlatDataAndDimensions(kernel, rows, columns))
			newProbe(t, b, store, regularizers.Spectral(model), sumLoss, true).call(t, gaussian(1, 2))
			v := mat.NewVecDense(columns, values(t, store, "/regularizers/spectral/kernel/direction"))
			w := mat.NewDense(rows, columns, kernel)
			var image, rest mat.VecDense
			image.MulVec(w, v)
			quotient := mat.Dot(&image, &image)
			rest.MulVec(w.T(), &image)
			rest.AddScaledVec(&rest, -quotient, v)
			if residual := mat.Norm(&rest, 2) / quotient; residual > tolerance || residual < tolerance/10 {
				t.Errorf("kernel times %g: the relative residual is %g, want a little below %g", scale, residual, tolerance)
			}
		}
	})
}

func TestSpectralDTypesAndZero(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		t.Run("float32", func(t *testing.T) {
			double := gaussian(3, 20, 30)
			flat := tensors.MustCopyFlatData[float64](double)
			single := make([]float32, len(flat))
			for i := range flat {
				single[i] = float32(flat[i])
			}
			store := seeded(t, map[string]any{regularizers.ParamSpectral: 1.0})
			p := newProbe(t, b, store, regularizers.Spectral(modelWithKernel(tensors.FromFlatDataAndDimensions(single, 20, 30))),
				sumLoss,
				true)
			p.call(t, gaussian(1, 2))
			got := p.call(t, gaussian(1, 2))
			gctest.AssertClose(t, []float64{got.penalty}, []float64{squaredSigma(t, 20, 30, flat)}, 1e-3, 0, "σ²")
			if d := store.GetVariable("/regularizers/spectral/kernel/direction").DType(); d != dtypes.Float32 {
				t.Errorf("the vector has dtype %s, want Float32", d)
			}
		})
		t.Run("zero matrix", func(t *testing.T) {
			store := seeded(t, map[string]any{regularizers.ParamSpectral: 1.0})
			p := newProbe(t, b, store,
				regularizers.Spectral(modelWithKernel(tensors.FromFlatDataAndDimensions(make([]float64, 6), 2, 3))), sumLoss, true)
			got := p.call(t, gaussian(1, 2))
			if got.penalty != 0 {
				t.Errorf("σ² is %g, want 0", got.penalty)
			}
			gctest.AssertClose(t, got.gradient, make([]float64, 6), 0, 0, "gradient")

			// The kept vector must still work when the matrix is no longer 0.
			setParameters(t, store, []float64{1, 2, 3, 4, 5, 6})
			got = p.call(t, gaussian(1, 2))
			gctest.AssertClose(t, []float64{got.penalty}, []float64{squaredSigma(t, 2, 3, []float64{1, 2, 3, 4, 5, 6})}, 1e-3, 0,
				"σ² afterwards")
		})
	})
}

// The penalty draws no random numbers, so it does not change a model's initial weights.
func TestSpectralLeavesTheInitialWeights(t *testing.T) {
	b := gctest.GoBackend(t)
	weights := func(c float64) []float64 {
		store := seeded(t, map[string]any{regularizers.ParamSpectral: c})
		newProbe(t, b, store, regularizers.Spectral(mlp), sumLoss, true).call(t, gaussian(1, 2, 4))
		return parameters(store)
	}
	with, without := weights(1), weights(0)
	gctest.AssertClose(t, with, without, 0, 0, "initial weights")
	if math.Abs(with[0]) == 0 {
		t.Error("the initial weights are zero, so this test shows nothing")
	}
}

func TestSpectralConvolutionOperator(t *testing.T) {
	cases := []struct {
		name   string
		kernel []int
		op     regularizers.ConvolutionOperator
	}{
		{"3x3 same", []int{3, 3, 2, 3},
			regularizers.ConvolutionOperator{InputSize: []int{5, 4}, Paddings: regularizers.PadSame(3, 3)}},
		{"3x3 valid", []int{3, 3, 2, 3}, regularizers.ConvolutionOperator{InputSize: []int{5, 6}}},
		{"3x3 stride 2 same", []int{3, 3, 3, 2}, regularizers.ConvolutionOperator{InputSize: []int{6, 5},
			Strides: []int{2, 2}, Paddings: regularizers.PadSame(3, 3)}},
		{"1x1 stride 2", []int{1, 1, 3, 4}, regularizers.ConvolutionOperator{InputSize: []int{5, 6}, Strides: []int{2, 2}}},
		{"even kernel, uneven padding", []int{2, 4, 2, 2},
			regularizers.ConvolutionOperator{InputSize: []int{4, 5}, Strides: []int{1, 3}, Paddings: [][2]int{{0, 2}, {3, 1}}}},
		{"one axis", []int{3, 2, 2}, regularizers.ConvolutionOperator{InputSize: []int{7}, Paddings: [][2]int{{1, 1}}}},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				store := seeded(t, map[string]any{
					regularizers.ParamSpectral:           1.0,
					regularizers.ParamSpectralIterations: 5000,
					regularizers.ParamSpectralTolerance:  1e-11,
				})
				operators := regularizers.WithConvolutions(func(v *model.Variable) (regularizers.ConvolutionOperator, bool) {
					return tc.op, v.Name() == "kernel"
				})
				p := newProbe(t, b, store, regularizers.Spectral(modelWithKernel(gaussian(9, tc.kernel...)), operators), sumLoss,
					true)
				got := p.call(t, gaussian(1, 2))

				kernel := values(t, store, "/kernel")
				sigma := func(w []float64) float64 {
					rows, columns, m := explicitConvolution(tc.kernel, w, tc.op)
					return squaredSigma(t, rows, columns, m)
				}
				want := sigma(kernel)
				gctest.AssertClose(t, []float64{got.penalty}, []float64{want}, 1e-9, 0, "σ² of the operator")
				// If the two were equal, the reshaped kernel would pass too.
				last := tc.kernel[len(tc.kernel)-1]
				if reshaped := squaredSigma(t, len(kernel)/last, last, kernel); tc.name != "1x1 stride 2" &&
					math.Abs(reshaped-want) < 0.01*want {
					t.Errorf("the operator's σ² %g is close to that of the reshaped kernel, %g, so this case shows nothing",
						want, reshaped)
				}
				gctest.AssertClose(t, got.gradient, gctest.CentralDifference(sigma, kernel, 1e-5), 1e-6, 0, "gradient")
			})
		}
	})
}

// explicitConvolution returns the matrix of a convolution by its definition: y[p, o] = Σ_{k,c}
// x[p·stride + k - padding, c]·W[k, c, o].
func explicitConvolution(dims []int, w []float64,
	op regularizers.ConvolutionOperator) (rows, columns int, m []float64) {
	rank := len(dims) - 2
	cin, cout := dims[rank], dims[rank+1]
	strides, paddings := op.Strides, op.Paddings
	if strides == nil {
		strides = []int{1, 1, 1}[:rank]
	}
	if paddings == nil {
		paddings = make([][2]int, rank)
	}
	output := make([]int, rank)
	rows, columns = cout, cin
	for i := range rank {
		output[i] = (op.InputSize[i]+paddings[i][0]+paddings[i][1]-dims[i])/strides[i] + 1
		rows *= output[i]
		columns *= op.InputSize[i]
	}
	m = make([]float64, rows*columns)
	forEachIndex(output, func(position int, p []int) {
		forEachIndex(dims[:rank], func(tap int, k []int) {
			pixel := 0
			for i := range rank {
				coordinate := p[i]*strides[i] + k[i] - paddings[i][0]
				if coordinate < 0 || coordinate >= op.InputSize[i] {
					return
				}
				pixel = pixel*op.InputSize[i] + coordinate
			}
			for c := range cin {
				for o := range cout {
					m[(position*cout+o)*columns+pixel*cin+c] += w[(tap*cin+c)*cout+o]
				}
			}
		})
	})
	return rows, columns, m
}

// forEachIndex calls f with every index below the sizes, in row-major order.
func forEachIndex(sizes []int, f func(flat int, index []int)) {
	total := 1
	for _, n := range sizes {
		total *= n
	}
	index := make([]int, len(sizes))
	for flat := range total {
		rest := flat
		for i := len(sizes) - 1; i >= 0; i-- {
			index[i] = rest % sizes[i]
			rest /= sizes[i]
		}
		f(flat, index)
	}
}

func TestSpectralSelection(t *testing.T) {
	b := gctest.GoBackend(t)
	store := seeded(t, map[string]any{regularizers.ParamSpectral: 2.0, regularizers.ParamSpectralTolerance: 1e-9,
		regularizers.ParamSpectralIterations: 1000})
	only := func(path string) train.ModelFn {
		return regularizers.Spectral(mlp,
			regularizers.WithVariables(func(v *model.Variable) bool { return v.Path() == path }))
	}
	x := gaussian(1, 2, 4)
	all := newProbe(t, b, store, regularizers.Spectral(mlp), sumLoss, true).call(t, x).penalty
	hidden := newProbe(t, b, store, only("/hidden/dense/weights"), sumLoss, true).call(t, x).penalty
	out := newProbe(t, b, store, only("/out/dense/weights"), sumLoss, true).call(t, x).penalty
	gctest.AssertClose(t, []float64{hidden, out},
		[]float64{2 * squaredSigma(t, 4, 5, values(t, store, "/hidden/dense/weights")),
			2 * squaredSigma(t, 5, 3, values(t, store, "/out/dense/weights"))},
		1e-8, 0, "one kernel each")
	gctest.AssertClose(t, []float64{all}, []float64{hidden + out}, 1e-8, 0, "both kernels")
}

// PadSame agrees with GoMLX's PadSame, for even kernels and with strides too.
func TestPadSameAgreesWithGoMLX(t *testing.T) {
	b := gctest.GoBackend(t)
	dims := []int{2, 3, 2, 2}
	op := regularizers.ConvolutionOperator{InputSize: []int{5, 4}, Strides: []int{2, 1},
		Paddings: regularizers.PadSame(2, 3)}
	x, w := gaussian(1, 1, 5, 4, 2), gaussian(2, dims...)
	input, kernel := tensors.MustCopyFlatData[float64](x), tensors.MustCopyFlatData[float64](w)
	got := graph.MustExecOnce(b, func(x, w *graph.Node) *graph.Node {
		return graph.Convolve(x, w).StridePerAxis(2, 1).PadSame().Done()
	}, x, w)
	rows, columns, m := explicitConvolution(dims, kernel, op)
	var want mat.VecDense
	want.MulVec(mat.NewDense(rows, columns, m), mat.NewVecDense(columns, input))
	gctest.AssertClose(t, tensors.MustCopyFlatData[float64](got), want.RawVector().Data, 1e-12, 0, "convolution")
}
