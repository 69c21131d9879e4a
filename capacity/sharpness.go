package capacity

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/stats"
)

// The defaults of SharpnessOptions.
const (
	DefaultSigma = 0.1
	DefaultDraws = 10
)

// SharpnessOptions say how a sharpness is estimated. The zero value is right for most.
type SharpnessOptions struct {
	// Sigma is the standard deviation of the noise in units of each weight; 0 selects DefaultSigma.
	Sigma float64
	// Draws is the number of noises, each of which is used with both signs; 0 selects DefaultDraws.
	Draws int
	Seed  uint64
}

// Estimate is a mean of random values.
type Estimate struct {
	Value float64
	// StdErr is the standard error of Value; NaN for a single value.
	StdErr float64
}

// Sharpness estimates how much the mean loss rises, on average, if each weight w_i is multiplied by
// 1 + σe_i with independent standard normal e_i: E[L(w·(1+σe))] - L(w), in the unit of the loss.
// Small noise adds about σ²/2·Σ w_i²·∂²L/∂w_i²: each noise is used with both signs, so that the
// part that is linear in it, which vanishes on average, adds no variance. Rescaling the weights
// into and out of a ReLU unit does not change it. Cancelling ctx stops between two batches and
// returns its error.
//
// It returns an error for a Sigma that is negative or not finite, for a negative number of draws,
// and for a loss that is not finite, ErrDiverged.
//
// Source: the magnitude-aware perturbations of Jiang et al. (arXiv 1912.02178, section 5), at a
// fixed size instead of the largest size that keeps the loss within a bound.
func (l *Loss) Sharpness(ctx context.Context, o SharpnessOptions) (Estimate, error) {
	if !(o.Sigma >= 0) || math.IsInf(o.Sigma, 1) || o.Draws < 0 {
		return Estimate{}, errors.Errorf("capacity: sharpness with Sigma %g and %d Draws: want finite numbers of 0 or more",
			o.Sigma, o.Draws)
	}
	o.Sigma, o.Draws = cmp.Or(o.Sigma, DefaultSigma), cmp.Or(o.Draws, DefaultDraws)
	rises := make([]float64, o.Draws)
	noise, noisy := make([]float64, len(l.center)), make([]float64, len(l.center))
	for i := range rises {
		rng := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		for k := range noise {
			noise[k] = o.Sigma * rng.NormFloat64()
		}
		for _, sign := range []float64{1, -1} {
			for k, w := range l.center {
				noisy[k] = w * (1 + sign*noise[k])
			}
			if err := l.set(noisy); err != nil {
				return Estimate{}, err
			}
			rise, err := l.rise(ctx)
			if err != nil {
				return Estimate{}, err
			}
			rises[i] += rise / 2
		}
		if !stats.Finite(rises[i]) {
			return Estimate{}, errors.WithMessagef(ErrDiverged, "capacity: noise of %g times the weights; take a smaller Sigma",
				o.Sigma)
		}
	}
	return estimateOf(rises), nil
}

func estimateOf(values []float64) Estimate {
	mean, std := stats.MeanStd(values)
	return Estimate{Value: mean, StdErr: std / math.Sqrt(float64(len(values)))}
}
