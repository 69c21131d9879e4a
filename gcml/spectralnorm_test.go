package gcml_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

// squaresThenMatrix is f(x) = A·(x∘x), whose Jacobian is A·diag(2x).
func squaresThenMatrix(a *mat.Dense, x *Node) *Node {
	k, d := a.Dims()
	flat := make([]float64, 0, k*d)
	for j := range d {
		flat = append(flat, mat.Col(nil, j, a)...)
	}
	w := Reshape(ConstAsDType(x.Graph(), x.DType(), flat), d, k)
	return Dot(Square(x), w).Product()
}

// oracleSpectrum returns the largest singular value and the stable rank of A·diag(2x) for every row
// x, by gonum's SVD.
func oracleSpectrum(a *mat.Dense, points [][]float64) (norms, stableRanks []float64) {
	for _, x := range points {
		var svd mat.SVD
		if !svd.Factorize(scaledColumns(a, x), mat.SVDNone) {
			panic("no SVD")
		}
		values := svd.Values(nil)
		norms = append(norms, values[0])
		rank := 0.0
		for _, s := range values {
			if values[0] > 0 {
				rank += s * s / (values[0] * values[0])
			}
		}
		stableRanks = append(stableRanks, rank)
	}
	return norms, stableRanks
}

// scaledColumns returns A·diag(2x).
func scaledColumns(a *mat.Dense, x []float64) *mat.Dense {
	scaled := make([]float64, len(x))
	for i, v := range x {
		scaled[i] = 2 * v
	}
	var j mat.Dense
	j.Mul(a, mat.NewDiagDense(len(x), scaled))
	return &j
}

func randomMatrix(rng *rand.Rand, rows, columns int) *mat.Dense {
	a := mat.NewDense(rows, columns, nil)
	for i := range rows {
		for j := range columns {
			a.Set(i, j, rng.NormFloat64())
		}
	}
	return a
}

// withSingularValues returns U·diag(values)·Vᵀ for random orthogonal U and V.
func withSingularValues(rng *rand.Rand, rows, columns int, values ...float64) *mat.Dense {
	orthogonal := func(n int) *mat.Dense {
		var qr mat.QR
		qr.Factorize(randomMatrix(rng, n, n))
		var q mat.Dense
		qr.QTo(&q)
		return &q
	}
	s := mat.NewDense(rows, columns, nil)
	for i, v := range values {
		s.Set(i, i, v)
	}
	var a mat.Dense
	a.Product(orthogonal(rows), s, orthogonal(columns).T())
	return &a
}

func constantPoint(d int, v float64) []float64 {
	x := make([]float64, d)
	for i := range x {
		x[i] = v
	}
	return x
}

func TestJacobianSpectralNormAgainstSVD(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	randomPoints := func(n, d int) [][]float64 {
		points := make([][]float64, n)
		for i := range points {
			points[i] = make([]float64, d)
			for j := range points[i] {
				points[i][j] = rng.NormFloat64()
			}
		}
		return points
	}
	half := func(d int) [][]float64 { return [][]float64{constantPoint(d, 0.5)} } // The Jacobian is A.
	cases := []struct {
		name   string
		a      *mat.Dense
		points [][]float64
	}{
		{"wide", randomMatrix(rng, 3, 40), randomPoints(4, 40)},
		{"tall", randomMatrix(rng, 40, 3), randomPoints(4, 3)},
		{"square", randomMatrix(rng, 6, 6), randomPoints(3, 6)},
		{"one output", randomMatrix(rng, 1, 5), randomPoints(3, 5)},
		{"one input", randomMatrix(rng, 5, 1), randomPoints(3, 1)},
		{"rank two", withSingularValues(rng, 8, 7, 3, 1), half(7)},
		{"zero beside others", randomMatrix(rng, 4, 5), append(randomPoints(2, 5), constantPoint(5, 0))},
		{"equal singular values", withSingularValues(rng, 6, 9, 2, 2, 2, 2, 2, 2), half(9)},
		{"the two largest equal", withSingularValues(rng, 9, 6, 5, 5, 1, 0.5, 0.1), half(6)},
		{"the two largest close", withSingularValues(rng, 9, 6, 5, 5*(1-1e-6), 1, 0.5, 0.1), half(6)},
		{"tiny", withSingularValues(rng, 5, 4, 3e-25, 1e-25), half(4)},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for i, c := range cases {
			for _, dtype := range []dtypes.DType{dtypes.Float64, dtypes.Float32} {
				if b.Name() == "xla" && (i%3 > 0 || (i%2 == 0) != (dtype == dtypes.Float32)) {
					continue // Only some of them, because compiling on XLA takes long.
				}
				t.Run(fmt.Sprintf("%s/%s", c.name, dtype), func(t *testing.T) {
					norms, ranks := oracleSpectrum(c.a, c.points)
					k, d := c.a.Dims()
					exec := MustNewExec(b, func(x *Node) []*Node {
						x = ConvertDType(x, dtype)
						y := squaresThenMatrix(c.a, x)
						steps := gcml.WithLanczosSteps(min(k, d)) // With so many steps it is exact.
						return []*Node{
							gcml.JacobianSpectralNorm(y, x), gcml.JacobianSpectralNorm(y, x, gcml.WithCotangents(2)),
							gcml.JacobianSpectralNorm(y, x, steps),
							gcml.JacobianStableRank(y, x), gcml.JacobianStableRank(y, x, steps),
						}
					})
					defer exec.Finalize()
					out := exec.MustCall(tensors.FromValue(c.points))
					tolerance, tiny := 1e-10, 1e-40
					if dtype == dtypes.Float32 {
						tolerance = 1e-5
					}
					for i, name := range []string{"dense", "dense in parts", "Lanczos"} {
						assertEach(t, gctest.Flat(out[i]), norms, tolerance, tiny, "norm, "+name)
					}
					if dtype == dtypes.Float32 && c.name == "tiny" {
						return // The squared Frobenius norm underflows in float32.
					}
					assertEach(t, gctest.Flat(out[3]), ranks, 4*tolerance, tiny, "stable rank, dense")
					assertEach(t, gctest.Flat(out[4]), ranks, 4*tolerance, tiny, "stable rank, Lanczos")
				})
			}
		}
	})
}

// TestJacobianSpectralNormOfMixedDTypes compares a network that converts between dtypes with the
// SVD.
func TestJacobianSpectralNormOfMixedDTypes(t *testing.T) {
	a := randomMatrix(rand.New(rand.NewPCG(9, 10)), 3, 5)
	points := [][]float64{{1, -2, 0.5, 3, -1}, {0.25, 1, -1, 2, 0.5}}
	norms, ranks := oracleSpectrum(a, points)
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, dtypes := range [][2]dtypes.DType{{dtypes.Float64, dtypes.Float32}, {dtypes.Float32, dtypes.Float64}} {
			out := MustExecOnceN(b, func(x *Node) []*Node {
				x = ConvertDType(x, dtypes[0])
				y := ConvertDType(squaresThenMatrix(a, x), dtypes[1])
				steps := gcml.WithLanczosSteps(3)
				results := []*Node{gcml.JacobianSpectralNorm(y, x), gcml.JacobianSpectralNorm(y, x, steps),
					gcml.JacobianStableRank(y, x), gcml.JacobianStableRank(y, x, steps)}
				for _, r := range results {
					if r.DType() != dtypes[1] {
						t.Errorf("the result is %s, want the outputs' dtype %s", r.DType(), dtypes[1])
					}
				}
				return results
			}, tensors.FromValue(points))
			for i, want := range [][]float64{norms, norms, ranks, ranks} {
				assertEach(t, gctest.Flat(out[i]), want, 4e-5, 0, fmt.Sprintf("%s to %s, #%d", dtypes[0], dtypes[1], i))
			}
		}
	})
}

// TestJacobianSpectralNormBesideAnyName computes the norm in a graph whose parameters have short
// names: a loop in the graph cannot have them, too.
func TestJacobianSpectralNormBesideAnyName(t *testing.T) {
	a := randomMatrix(rand.New(rand.NewPCG(11, 12)), 3, 5)
	points := [][]float64{{1, -2, 0.5, 3, -1}, {0.25, 1, -1, 2, 0.5}}
	want, _ := oracleSpectrum(a, points)
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, name := range []string{"i", "p"} {
			g := NewGraph(b, "named")
			x := Parameter(g, name, shapes.Make(dtypes.Float64, 2, 5))
			if err := g.Compile(gcml.JacobianSpectralNorm(squaresThenMatrix(a, x), x)); err != nil {
				t.Fatalf("a parameter named %q: %v", name, err)
			}
			assertEach(t, gctest.Flat(g.Run(tensors.FromValue(points))[0]), want, 1e-9, 0, name)
			g.Finalize()
		}
	})
}

// assertEach compares every value with a tolerance relative to that value.
func assertEach(t *testing.T, got, want []float64, relTol, absTol float64, what string) {
	t.Helper()
	for i := range want {
		if math.IsNaN(got[i]) || math.Abs(got[i]-want[i]) > absTol+relTol*math.Abs(want[i]) {
			t.Errorf("%s: example %d is %.12g, want %.12g", what, i, got[i], want[i])
		}
	}
}

// TestJacobianSpectralNormOfNetworks compares the norms of networks with central differences.
func TestJacobianSpectralNormOfNetworks(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	weights := [][]*mat.Dense{
		{randomMatrix(rng, 30, 4), randomMatrix(rng, 4, 3)},
		{randomMatrix(rng, 3, 7), randomMatrix(rng, 7, 5)},
		{randomMatrix(rng, 30, 4), randomMatrix(rng, 4, 9)}, // More outputs than units.
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, w := range weights {
			d, _ := w[0].Dims()
			network := func(x *Node) *Node {
				rows := func(m *mat.Dense) *Node {
					r, c := m.Dims()
					return Reshape(Const(x.Graph(), m.RawMatrix().Data), r, c)
				}
				return Dot(Tanh(Dot(x, rows(w[0])).Product()), rows(w[1])).Product()
			}
			points := gctest.RandomTensor(rng, 2, d)
			jacobians := differenceJacobians(t, b, network, points)
			var want []float64
			for _, j := range jacobians {
				var svd mat.SVD
				svd.Factorize(j, mat.SVDNone)
				want = append(want, svd.Values(nil)[0])
			}
			exec := MustNewExec(b, func(x *Node) []*Node {
				y := network(x)
				return []*Node{gcml.JacobianSpectralNorm(y, x), gcml.JacobianSpectralNorm(y, x, gcml.WithLanczosSteps(9))}
			})
			for i, out := range exec.MustCall(points) {
				assertEach(t, gctest.Flat(out), want, 1e-7, 0, fmt.Sprintf("%d inputs, method %d", d, i))
			}
			exec.Finalize()
		}
	})
}

// differenceJacobians returns the Jacobian of each example, [outputs, inputs], by central
// differences.
func differenceJacobians(t *testing.T, b compute.Backend, f func(x *Node) *Node, points *tensors.Tensor) []*mat.Dense {
	t.Helper()
	exec := MustNewExec(b, f)
	defer exec.Finalize()
	n, d := points.Shape().Dimensions[0], points.Shape().Dimensions[1]
	const h = 1e-5
	var jacobians []*mat.Dense
	for i := range d {
		direction := tensors.FromFlatDataAndDimensions(make([]float64, n*d), n, d)
		direction.MustMutableFlatData(func(flat any) {
			for e := range n {
				flat.([]float64)[e*d+i] = 1
			}
		})
		up := gctest.Flat(exec.MustCall(gctest.Moved(points, h, direction))[0])
		down := gctest.Flat(exec.MustCall(gctest.Moved(points, -h, direction))[0])
		k := len(up) / n
		for e := range n {
			if i == 0 {
				jacobians = append(jacobians, mat.NewDense(k, d, nil))
			}
			for row := range k {
				jacobians[e].Set(row, i, (up[e*k+row]-down[e*k+row])/(2*h))
			}
		}
	}
	return jacobians
}

// TestJacobianSpectralNormGradient compares the gradient of the norm with respect to a parameter
// with central differences, for both methods. At a Jacobian of zeros it has to be 0, not NaN.
func TestJacobianSpectralNormGradient(t *testing.T) {
	a := randomMatrix(rand.New(rand.NewPCG(9, 10)), 4, 3)
	points := [][]float64{{1, -0.5, 2}, {0.3, 0.7, -1}, {0, 0, 0}}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, opts := range [][]gcml.Option{nil, {gcml.WithLanczosSteps(3)}} {
			exec := MustNewExec(b, func(x, w *Node) []*Node {
				y := Mul(squaresThenMatrix(a, Mul(x, InsertAxes(w, 0))), Sin(ReduceAndKeep(x, ReduceSum, 1)))
				sum := ReduceAllSum(gcml.JacobianSpectralNorm(y, x, opts...))
				return []*Node{sum, Gradient(sum, w)[0]}
			})
			w := []float64{0.9, 1.4, -0.6}
			value := func(w []float64) float64 {
				return gctest.Flat(exec.MustCall(points, w)[0])[0]
			}
			got := gctest.Flat(exec.MustCall(points, w)[1])
			gctest.AssertClose(t, got, gctest.CentralDifference(value, w, 1e-5), 1e-7, 0, "gradient")
			exec.Finalize()
		}
	})
}

// TestSpectralNormProducts has sizes on both sides of the largest one without Lanczos steps.
func TestSpectralNormProducts(t *testing.T) {
	network := func(_ *model.Scope, x *Node) *Node { return Square(x) }
	for n, products := range map[int]int{128: 128, 129: 72} {
		ds := batches{flat: make([]float64, n), features: n, sizes: []int{1}}
		got, err := gcml.Measure(t.Context(), gctest.GoBackend(t), model.NewStore(), network, ds, gcml.WithSpectralNorm())
		if err != nil {
			t.Fatal(err)
		}
		taken := n
		if steps := got.Spectrum.LanczosSteps; steps > 0 {
			taken = 3 * steps
		}
		if said := gcml.SpectralNormProducts(n, n); taken != products || said != products {
			t.Errorf("size %d: %d products, %d taken, want %d", n, said, taken, products)
		}
	}
}

// TestMeasureSpectralNorm compares Measure with gonum's SVD, over batches of several sizes and for
// only the first examples. GC has to be that without the option, and JacobianStableRank has to
// accept an estimator.
func TestMeasureSpectralNorm(t *testing.T) {
	a := randomMatrix(rand.New(rand.NewPCG(11, 12)), 4, 5)
	points := [][]float64{{1, 2, 0, -1, 0.5}, {0.1, 0, 0, 0, 0}, {2, 1, 1, 1, 1}, {0, 0, 0, 0, 0}, {1, -1, 1, -1, 2}}
	norms, ranks := oracleSpectrum(a, points)
	network := func(_ *model.Scope, x *Node) *Node { return squaresThenMatrix(a, x) }
	flat := slices.Concat(points...)
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range []struct {
			name  string
			opts  []gcml.Option
			n     int
			steps int
		}{
			{"dense", nil, 5, 0},
			{"Lanczos", []gcml.Option{gcml.WithLanczosSteps(4)}, 5, 4},
			{"first three", []gcml.Option{gcml.WithMaxExamples(3)}, 3, 0},
			{"all directions", []gcml.Option{gcml.WithEstimator(gcml.Projection(4))}, 5, 0},
		} {
			ds := batches{flat: flat, features: 5, sizes: []int{2, 2, 1}}
			plain, err := gcml.Measure(t.Context(), b, model.NewStore(), network, ds, gcml.WithMaxExamples(c.n))
			if err != nil {
				t.Fatal(err)
			}
			got, err := gcml.Measure(t.Context(), b, model.NewStore(), network, ds,
				append(c.opts, gcml.WithSpectralNorm(), gcml.WithPerExample())...)
			if err != nil {
				t.Fatal(err)
			}
			s := got.Spectrum
			mean, deviation := stat.MeanStdDev(norms[:c.n], nil)
			rank, rankDeviation := stat.MeanStdDev(ranks[:c.n], nil)
			root := math.Sqrt(float64(c.n))
			gctest.AssertClose(t, []float64{got.GC, s.Norm, float64(s.NormStdErr), s.Largest, s.Quantiles.Max, s.StableRank,
				float64(s.StableRankStdErr)},
				[]float64{plain.GC, mean, deviation / root, slices.Max(norms[:c.n]), slices.Max(norms[:c.n]), rank,
					rankDeviation / root}, 1e-10, 0, c.name)
			gctest.AssertClose(t, s.PerExample, norms[:c.n], 1e-10, 0, c.name+", per example")
			if s.LanczosSteps != c.steps || s.Residual > 1e-6 {
				t.Errorf("%s: %d steps with the residual %g, want %d and almost none", c.name, s.LanczosSteps, s.Residual, c.steps)
			}
		}
	})
	_, err := gcml.Measure(t.Context(), gctest.GoBackend(t), model.NewStore(), network,
		batches{flat: flat, features: 5, sizes: []int{5}},
		gcml.WithLanczosSteps(3))
	if want := "gcml.Measure: WithLanczosSteps(3) has no effect without WithSpectralNorm"; err == nil ||
		err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}
