package training

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// spectrum measures what Train.Spectrum describes. GC is measured once more, by the measurement
// that has the singular values.
type spectrum struct {
	measurer *gcml.Measurer
	set      *datasets.Batches
}

func newSpectrum(backend compute.Backend, store *model.Store, t *Train, fn modelFn, data *loaded) (*spectrum, error) {
	if !data.classes {
		return nil, errors.New("spectrum: the data set has no images; leave it out")
	}
	set, err := inOrder(data.images.gc["train"], t.Network.format())
	if err != nil {
		return nil, err
	}
	measurer, err := gcml.NewMeasurer(backend, store, fn, gcml.WithSpectralNorm())
	return &spectrum{measurer, set}, err
}

func (d *spectrum) finalize() { d.measurer.Finalize() }

func (d *spectrum) measure(ctx context.Context, p *runs.Point) error {
	if !stats.Finite(p.Value("train_loss")) || !stats.Finite(p.Value("train_gc")) {
		return nil // The Jacobian of a network that has diverged has no singular values.
	}
	gc, err := d.measurer.Measure(ctx, d.set)
	if err != nil {
		return fmt.Errorf("measuring singular values: %w", err)
	}
	s := gc.Spectrum
	root, largest := math.Sqrt(gc.GC), math.Sqrt(float64(min(gc.Outputs, gc.Inputs)))*s.Largest
	p.Values["root_gc"], p.Values["stable_rank"] = runs.Number(root), runs.Number(s.StableRank)
	p.Values["lipschitz"], p.Values["lipschitz_max"] = runs.Number(s.Norm), runs.Number(s.Largest)
	if root > 0 {
		p.Values["lipschitz_bound_ratio"] = runs.Number(max(s.Norm/root, root/largest))
	}
	return nil
}
