package layers

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/random"
)

// Initialization is a scheme for random weights of mean 0. Biases (anything of rank 1 or less)
// start at 0.
//
// With fan_in the number of inputs that one output sums over (for a convolution: input channels
// times the kernel's area) and fan_out the number of outputs that one input contributes to, the
// variance is
//
//	standard, LeCun   1/fan_in
//	Glorot            2/(fan_in+fan_out)
//	He                2/fan_in
//
// The paper's Figure 2 compares the standard scheme with Glorot's.
type Initialization int

const (
	// InitStandard is a normal distribution truncated at two standard deviations, with variance
	// 1/fan_in after the truncation. It is the zero value. (Haiku's Linear has 1/fan_in before the
	// truncation, which leaves 0.774/fan_in.)
	InitStandard Initialization = iota
	// InitLeCunNormal is a normal distribution of variance 1/fan_in.
	InitLeCunNormal
	// InitLeCunUniform is a uniform distribution of variance 1/fan_in.
	InitLeCunUniform
	// InitGlorotNormal is a normal distribution of variance 2/(fan_in+fan_out).
	InitGlorotNormal
	// InitGlorotUniform is a uniform distribution of variance 2/(fan_in+fan_out).
	InitGlorotUniform
	// InitHeNormal is a normal distribution of variance 2/fan_in.
	InitHeNormal
	// InitHeUniform is a uniform distribution of variance 2/fan_in.
	InitHeUniform
)

var initializationNames = []string{
	InitStandard:      "standard",
	InitLeCunNormal:   "lecun_normal",
	InitLeCunUniform:  "lecun_uniform",
	InitGlorotNormal:  "glorot_normal",
	InitGlorotUniform: "glorot_uniform",
	InitHeNormal:      "he_normal",
	InitHeUniform:     "he_uniform",
}

// ParseInitialization is the inverse of Initialization.String: "standard", "lecun_normal",
// "lecun_uniform", "glorot_normal", "glorot_uniform", "he_normal" or "he_uniform".
func ParseInitialization(name string) (Initialization, error) {
	i := slices.Index(initializationNames, name)
	if i < 0 {
		return 0, fmt.Errorf("unknown initialization %q: use one of %q", name, initializationNames)
	}
	return Initialization(i), nil
}

// String returns the name that ParseInitialization reads.
func (i Initialization) String() string {
	if i < 0 || int(i) >= len(initializationNames) {
		return fmt.Sprintf("Initialization(%d)", int(i))
	}
	return initializationNames[i]
}

// check panics if i is none of the constants.
func (i Initialization) check() {
	if i < 0 || int(i) >= len(initializationNames) {
		Panicf("layers: unknown initialization %s: use one of %q", i, initializationNames)
	}
}

// Variance returns the variance of one weight. It panics if i is none of the constants.
func (i Initialization) Variance(fanIn, fanOut int) float64 {
	i.check()
	switch i {
	case InitGlorotNormal, InitGlorotUniform:
		return 2 / float64(max(1, fanIn+fanOut))
	case InitHeNormal, InitHeUniform:
		return 2 / float64(max(1, fanIn))
	default: // Standard and LeCun.
		return 1 / float64(max(1, fanIn))
	}
}

// Initializer returns the scheme as an initializer for Scope.WithInitializer. It draws from the
// random state of the scope's store, so that the store's seed determines the weights.
//
// Shapes: weights of dense layers are [fan_in, fan_out], kernels [height, width, channels in,
// channels out]. It panics if i is none of the constants.
func (i Initialization) Initializer(scope *model.Scope) initializer.VariableInitializer {
	i.check()
	return func(g *Graph, shape shapes.Shape) *Node {
		if shape.Rank() <= 1 || !shape.DType.IsFloat() {
			return Zeros(g, shape)
		}
		std := math.Sqrt(i.Variance(fans(shape)))
		switch i {
		case InitLeCunNormal, InitGlorotNormal, InitHeNormal:
			return MulScalar(random.Normal(scope, g, shape), std)
		case InitLeCunUniform, InitGlorotUniform, InitHeUniform:
			// A uniform distribution on (-a, a) has variance a²/3.
			limit := std * math.Sqrt(3)
			return AddScalar(MulScalar(scope.RandomUniform(g, shape), 2*limit), -limit)
		default: // Standard.
			return MulScalar(truncatedNormal(scope.RandomUniform(g, shape)), std/truncatedNormalStd)
		}
	}
}

// fans returns fan_in and fan_out of weights [in, out] or of a kernel [spatial..., in, out].
func fans(shape shapes.Shape) (fanIn, fanOut int) {
	rank, area := shape.Rank(), 1
	for _, dim := range shape.Dimensions[:rank-2] {
		area *= dim
	}
	return area * shape.Dimensions[rank-2], area * shape.Dimensions[rank-1]
}

// truncatedNormalStd is the standard deviation of a standard normal variable truncated at ±2: the
// square root of 1 - 4·φ(2)/(2·Φ(2)-1).
const truncatedNormalStd = 0.87962566103423978

// truncatedNormal maps values that are uniform in [0, 1) to values of the standard normal
// distribution truncated at ±2, by the inverse of its distribution function: √2·erfinv(u) with u
// uniform in (-p, p) and p = erf(2/√2).
func truncatedNormal(uniform *Node) *Node {
	p := math.Erf(math.Sqrt2)
	u := AddScalar(MulScalar(uniform, 2*p), -p)
	return MulScalar(centralErfInv(u), math.Sqrt2)
}

// centralErfInv is the inverse error function for |u| < 0.99, to single precision: the central
// polynomial of M. Giles, "Approximating the erfinv function", GPU Computing Gems (2011), table 1.
func centralErfInv(u *Node) *Node {
	w := AddScalar(Neg(Log(OneMinus(Square(u)))), -2.5)
	coefficients := []float64{2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
		-0.00125372503, -0.00417768164, 0.246640727, 1.50140941}
	poly := Scalar(u.Graph(), u.DType(), coefficients[0])
	for _, c := range coefficients[1:] {
		poly = AddScalar(Mul(poly, w), c)
	}
	return Mul(poly, u)
}
