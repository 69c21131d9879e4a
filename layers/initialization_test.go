package layers

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestInitializationNames(t *testing.T) {
	for i := InitStandard; i <= InitHeUniform; i++ {
		parsed, err := ParseInitialization(i.String())
		if err != nil || parsed != i {
			t.Errorf("ParseInitialization(%q) = %v, %v, want %v", i.String(), parsed, err, i)
		}
	}
	if _, err := ParseInitialization("xavier"); err == nil {
		t.Error(`ParseInitialization("xavier") gave no error`)
	}
}

// TestUnknownSchemes: a number that is none of the constants is no other scheme.
func TestUnknownSchemes(t *testing.T) {
	scope := model.NewStore().RootScope()
	for name, fn := range map[string]func(){
		`unknown initialization Initialization(99): use one of ["standard"`: func() { Initialization(99).Initializer(scope) },
		`unknown initialization Initialization(-1): use one of ["standard"`: func() { Initialization(-1).Variance(1, 1) },
		`unknown normalization Norm(7): use one of ["batch"`:                func() { Norm(7).apply(scope, nil) },
	} {
		if err := exceptions.TryCatch[error](fn); err == nil || !strings.HasPrefix(err.Error(), "layers: "+name) {
			t.Errorf("error %v, want %s", err, name)
		}
	}
}

func TestFans(t *testing.T) {
	for _, test := range []struct {
		dims          []int
		fanIn, fanOut int
	}{
		{[]int{5, 7}, 5, 7},
		{[]int{3, 3, 16, 32}, 144, 288},
		{[]int{2, 4, 3, 6}, 24, 48},
	} {
		fanIn, fanOut := fans(shapes.Make(dtypes.Float32, test.dims...))
		if fanIn != test.fanIn || fanOut != test.fanOut {
			t.Errorf("fans(%v) = %d, %d, want %d, %d", test.dims, fanIn, fanOut, test.fanIn, test.fanOut)
		}
	}
}

// TestInitializationMoments compares the sample's mean, variance, fourth moment and largest value
// with those of the distribution. The fourth moment distinguishes normal, truncated and uniform
// distributions.
func TestInitializationMoments(t *testing.T) {
	const fanIn, fanOut = 300, 500
	// Kurtosis of the normal, the normal truncated at ±2, and the uniform distribution.
	const normal, truncated, uniform = 3, 2.3660, 1.8
	// Bounds in standard deviations; the largest of 150,000 normal values is almost surely below 6.
	kurtosis := map[Initialization]float64{
		InitStandard: truncated, InitLeCunNormal: normal, InitLeCunUniform: uniform, InitGlorotNormal: normal,
		InitGlorotUniform: uniform, InitHeNormal: normal, InitHeUniform: uniform,
	}
	bound := map[float64]float64{normal: 6, truncated: 2 / truncatedNormalStd, uniform: math.Sqrt(3)}
	variance := map[Initialization]float64{
		InitStandard: 1. / 300, InitLeCunNormal: 1. / 300, InitLeCunUniform: 1. / 300, InitGlorotNormal: 2. / 800,
		InitGlorotUniform: 2. / 800, InitHeNormal: 2. / 300, InitHeUniform: 2. / 300,
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for init := InitStandard; init <= InitHeUniform; init++ {
			t.Run(init.String(), func(t *testing.T) {
				values := sampleWeights(t, b, init, fanIn, fanOut)
				std := math.Sqrt(variance[init])
				var m1, m2, m4, largest float64
				for _, v := range values {
					z := v / std
					m1 += z
					m2 += z * z
					m4 += z * z * z * z
					largest = max(largest, math.Abs(z))
				}
				n := float64(len(values))
				// Five standard errors: those of z², z⁴ are below sqrt(2/n) and sqrt(96/n).
				gctest.AssertClose(t, []float64{m1 / n}, []float64{0}, 0, 5/math.Sqrt(n), "mean")
				gctest.AssertClose(t, []float64{m2 / n}, []float64{1}, 0, 5*math.Sqrt(2/n), "variance over the scheme's")
				gctest.AssertClose(t, []float64{m4 / n}, []float64{kurtosis[init]}, 0, 5*math.Sqrt(96/n), "kurtosis")
				if limit := bound[kurtosis[init]] * (1 + 1e-5); largest > limit {
					t.Errorf("the largest value is %g standard deviations, want at most %g", largest, limit)
				}
			})
		}
	})
}

func sampleWeights(t *testing.T, b compute.Backend, init Initialization, fanIn, fanOut int) []float64 {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(17); err != nil {
		t.Fatal(err)
	}
	weights := model.MustCallOnce(b, store, func(scope *model.Scope, g *Graph) *Node {
		scope = scope.WithInitializer(init.Initializer(scope))
		return scope.VariableWithShape("w", shapes.Make(dtypes.Float64, fanIn, fanOut)).NodeValue(g)
	})
	return gctest.Flat(weights)
}

func TestCentralErfInv(t *testing.T) {
	var u, want []float64
	for x := -0.9544; x < 0.9545; x += 0.01 {
		u, want = append(u, x), append(want, math.Erfinv(x))
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		got := gctest.Flat(MustExecOnce(b, centralErfInv, u))
		gctest.AssertClose(t, got, want, 2e-7, 0, "erfinv")
	})
}

// TestNetworksUseTheInitializer checks the variance of the first kernel of each network, for the
// default and for a scheme that differs from it by a factor of 2 or more.
func TestNetworksUseTheInitializer(t *testing.T) {
	image := []int{1, 32, 32, 3}
	for _, c := range []struct {
		name           string
		fanIn, fanOut  int
		initialization Initialization
		build          modelFn
	}{
		{"MLP", 3072, 50, InitStandard, func(s *model.Scope, x *Node) *Node {
			return MLP(s, x).Hidden(1, 50).Outputs(2).Done()
		}},
		{"MLP, He", 3072, 50, InitHeUniform, func(s *model.Scope, x *Node) *Node {
			return MLP(s, x).Hidden(1, 50).Outputs(2).Initializer(InitHeUniform).Done()
		}},
		{"Conv", 27, 576, InitHeNormal, func(s *model.Scope, x *Node) *Node {
			return Conv(s, x).Channels(64).KernelSize(3).Done()
		}},
		{"Conv, Glorot", 27, 576, InitGlorotNormal, func(s *model.Scope, x *Node) *Node {
			return Conv(s, x).Channels(64).KernelSize(3).Initializer(InitGlorotNormal).Done()
		}},
		{"ResNet18", 27, 576, InitHeNormal, func(s *model.Scope, x *Node) *Node { return ResNet18(s, x).Outputs(2).Done() }},
		{"ResNet18, Glorot", 27, 576, InitGlorotNormal, func(s *model.Scope, x *Node) *Node {
			return ResNet18(s, x).Outputs(2).Initializer(InitGlorotNormal).Done()
		}},
		{"VGG13", 27, 576, InitHeNormal, func(s *model.Scope, x *Node) *Node { return VGG13(s, x).Outputs(2).Done() }},
		{"VGG13, Glorot", 27, 576, InitGlorotNormal, func(s *model.Scope, x *Node) *Node {
			return VGG13(s, x).Outputs(2).Initializer(InitGlorotNormal).Done()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := model.NewStore()
			if err := store.SetRNGStateFromSeed(3); err != nil {
				t.Fatal(err)
			}
			exec := model.MustNewExec(gctest.GoBackend(t), store, func(scope *model.Scope, g *Graph) *Node {
				c.build(scope, Zeros(g, makeShape(image...)))
				return Const(g, 0.0) // Only the variables are wanted.
			})
			defer exec.Finalize()
			exec.MustCall()
			var squares float64
			kernels := 0
			for v := range store.IterVariables() {
				dims := v.Shape().Dimensions
				if len(dims) < 2 || v.Shape().Size() != c.fanIn*dims[len(dims)-1] {
					continue
				}
				kernels++
				for _, w := range gctest.Flat(v.MustValue()) {
					squares += w * w / float64(v.Shape().Size())
				}
			}
			if kernels != 1 {
				t.Fatalf("%d kernels of fan_in %d, want one", kernels, c.fanIn)
			}
			// Five standard errors of the mean of 1,728 squares or more.
			want := c.initialization.Variance(c.fanIn, c.fanOut)
			gctest.AssertClose(t, []float64{squares}, []float64{want}, 0.17, 0, "variance")
		})
	}
}
