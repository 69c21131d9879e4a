package gcml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
)

// Distribution is the distribution of a Hutchinson estimator's cotangents.
type Distribution int

// The distributions: entries of ±1 with equal probability, or standard normal.
// Rademacher has the smaller variance.
const (
	Rademacher Distribution = iota
	Gaussian
)

// String returns "rademacher" or "gaussian".
func (d Distribution) String() string {
	switch d {
	case Rademacher:
		return string(kindRademacher)
	case Gaussian:
		return string(kindGaussian)
	}
	return fmt.Sprintf("Distribution(%d)", int(d))
}

// Estimator says how the squared Jacobian norm of an example is computed. All estimators except
// ForwardNoise are unbiased. The zero value is Exact.
type Estimator struct {
	kind    estimatorKind
	samples int
	sigma   float64
}

type estimatorKind string

const (
	kindExact      estimatorKind = "exact"
	kindProjection estimatorKind = "projection"
	kindRademacher estimatorKind = "rademacher"
	kindGaussian   estimatorKind = "gaussian"
	kindNoise      estimatorKind = "noise"
)

var estimatorKinds = []estimatorKind{kindExact, kindProjection, kindRademacher, kindGaussian, kindNoise}

// The range of sigma for which σ² and 1/σ² are far from the ends of float32.
const smallestSigma, largestSigma = 1e-15, 1e15

// Exact computes the norm by one vector-Jacobian product per output, computing as many together as
// memory allows (see WithCotangents), or by the closed form of a dense first layer.
func Exact() Estimator { return Estimator{kind: kindExact} }

// Projection estimates the norm from p random orthonormal directions v_i of the K outputs, drawn
// independently for each example: K/p Σ_i ‖v_iᵀJ‖². It is unbiased for every p and exact for p = K.
// With p = 1 it is the estimator of Hoffman, Roberts and Yaida (arXiv 1908.02729), without their
// factor 1/2.
func Projection(p int) Estimator { return Estimator{kind: kindProjection, samples: p} }

// Hutchinson estimates the norm by the mean over samples of ‖vᵀJ‖², with the entries of v drawn
// from d, independently for each example. It is unbiased.
func Hutchinson(samples int, d Distribution) Estimator {
	return Estimator{kind: estimatorKind(d.String()), samples: samples} // check refuses unknown distributions.
}

// ForwardNoise estimates the norm by the mean over samples of ‖f(x+σe)-f(x)‖²/σ², with e standard
// normal. It needs no derivative with respect to the input, so a penalty with it is differentiated
// only once. It is unbiased for linear f. Otherwise its bias is of order σ² for smooth f, and of
// order σ for f with kinks, such as a ReLU network. Masks that f makes by comparing values keep
// those of x, so a step of f does not count, as in its derivative. σ is in the units of the inputs:
// for inputs in [0, 1], rounding requires about 0.001 or more in float32, 0.01 in float16, and 0.1
// in bfloat16.
func ForwardNoise(sigma float64, samples int) Estimator {
	return Estimator{kind: kindNoise, samples: samples, sigma: sigma}
}

// Samples returns the number of e's directions, or of its draws of noise; 0 for Exact.
func (e Estimator) Samples() int { return e.samples }

// String returns the form that ParseEstimator reads, for example "projection:3".
func (e Estimator) String() string {
	switch e.kind {
	case "", kindExact:
		return string(kindExact)
	case kindNoise:
		return fmt.Sprintf("%s:%s:%d", e.kind, strconv.FormatFloat(e.sigma, 'g', -1, 64), e.samples)
	}
	return fmt.Sprintf("%s:%d", e.kind, e.samples)
}

// ParseEstimator reads "exact", "projection:P", "rademacher:N", "gaussian:N" or "noise:SIGMA:N".
// The default of P and N is 1, and of SIGMA 0.01.
func ParseEstimator(s string) (Estimator, error) {
	fields := strings.Split(strings.TrimSpace(s), ":")
	kind := estimatorKind(fields[0])
	if !slices.Contains(estimatorKinds, kind) {
		return Estimator{}, errors.Errorf("unknown estimator %q: want exact, projection:P, rademacher:N, gaussian:N or "+
			"noise:SIGMA:N", s)
	}
	e := Estimator{kind: kind}
	fields = fields[1:]
	if kind == kindNoise {
		e.sigma = 0.01
		if len(fields) > 0 {
			sigma, err := strconv.ParseFloat(fields[0], 64)
			if err != nil {
				return Estimator{}, errors.Errorf("estimator %q: %q is not a number", s, fields[0])
			}
			e.sigma, fields = sigma, fields[1:]
		}
	}
	if kind != kindExact {
		e.samples = 1
		if len(fields) > 0 {
			n, err := strconv.Atoi(fields[0])
			if err != nil {
				return Estimator{}, errors.Errorf("estimator %q: %q is not a whole number", s, fields[0])
			}
			e.samples, fields = n, fields[1:]
		}
	}
	if len(fields) > 0 {
		return Estimator{}, errors.Errorf("estimator %q: unexpected text after %q", s, e)
	}
	return e, e.check()
}

// check returns an error for invalid counts, sigmas and distributions.
func (e Estimator) check() error {
	switch {
	case e.isAlwaysExact():
		return nil
	case !slices.Contains(estimatorKinds, e.kind):
		return errors.Errorf("gcml.Hutchinson: unknown distribution %s, want gcml.Rademacher or gcml.Gaussian", e.kind)
	case e.samples < 1:
		return errors.Errorf("estimator %s: want at least one sample, got %d", e, e.samples)
	case e.kind == kindNoise && !(e.sigma > 0):
		return errors.Errorf("estimator %s: want sigma > 0, got %g", e, e.sigma)
	case e.kind == kindNoise && !(e.sigma >= smallestSigma && e.sigma <= largestSigma):
		return errors.Errorf("estimator %s: want a sigma from %g to %g, got %g", e, smallestSigma, largestSigma, e.sigma)
	}
	return nil
}

// mustFit panics if e is invalid for the number of outputs.
func (e Estimator) mustFit(outputs int) {
	if err := e.check(); err != nil {
		panic(err)
	}
	if e.kind == kindProjection && e.samples > outputs {
		exceptions.Panicf("estimator %s: %d orthonormal directions do not exist for %d outputs, use at most %d or exact",
			e, e.samples, outputs, outputs)
	}
}

// scale returns the factor of the sum of the squared norms over e's cotangents.
func (e Estimator) scale(outputs int) float64 {
	switch e.kind {
	case kindProjection:
		return float64(outputs) / float64(e.samples)
	case kindRademacher, kindGaussian:
		return 1 / float64(e.samples)
	case kindNoise:
		return 1 / (e.sigma * e.sigma * float64(e.samples))
	}
	return 1
}

// isAlwaysExact says whether e is exact for every number of outputs.
func (e Estimator) isAlwaysExact() bool { return e.kind == "" || e.kind == kindExact }

// isExact says whether e is exact for the number of outputs.
func (e Estimator) isExact(outputs int) bool {
	return e.isAlwaysExact() || e.kind == kindProjection && e.samples == outputs
}
