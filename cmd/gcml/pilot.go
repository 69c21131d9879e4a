package main

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/pace"
)

// pilotExamples is the most examples of the small batch from whose time that of a measurement is
// estimated, unless the network takes batches of one size only.
const pilotExamples = 4

// pilotSize returns the size of the small batch, at most a tenth of the examples, and 0 if none is
// worth its time.
func pilotSize(s subject, products float64) int {
	size := min(pilotExamples, s.examples/10)
	if s.batch > 0 {
		size = s.batch
	}
	short := products*float64(s.store.NumParameters()) < pilotFrom && products*s.bytes < pilotBytesFrom
	if short || s.examples < 10*size {
		return 0
	}
	return size
}

// modelFn is the form of a model that is measured.
type modelFn = func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node

// timeOfAll estimates the time to measure all examples, without that to compile, from the time of a
// small batch of up to the given size. It returns the size of that batch, too.
func timeOfAll(ctx context.Context, b compute.Backend, s subject, fn modelFn, size int,
	opts []gcml.Option) (time.Duration, int, error) {
	m, err := gcml.NewMeasurer(b, s.store, fn, opts...)
	if err != nil {
		return 0, 0, err
	}
	defer m.Finalize()
	few := firstExamples{Dataset: s.ds, count: size}
	if _, err := m.Measure(ctx, few); err != nil { // Compiles.
		return 0, 0, err
	}
	result, err := m.Measure(ctx, few)
	if err != nil {
		return 0, 0, err
	}
	share := float64(result.Examples) / float64(s.examples)
	return time.Duration(result.Seconds / share * float64(time.Second)), result.Examples, nil
}

// estimateTime prints how long work takes, if it is long, from the time of a small batch. The work
// and the part of it that a measurement with the options is are numbers of products or evaluations.
func (a *app) estimateTime(ctx context.Context, b compute.Backend, s subject, fn modelFn, opts []gcml.Option,
	work, part float64) error {
	left, size, err := a.timeOfWork(ctx, b, s, fn, opts, work, part)
	if err == nil && size > 0 {
		fmt.Fprintf(a.stderr, "estimate: about %s after compiling, from the time of %d examples\n", pace.Text(left), size)
	}
	return err
}

// timeOfWork is the time that estimateTime prints, with the number of examples from which it is, 0
// if the work is not long. It says when it begins, because a large network takes minutes for these,
// too.
func (a *app) timeOfWork(ctx context.Context, b compute.Backend, s subject, fn modelFn, opts []gcml.Option,
	work, part float64) (left time.Duration, size int, err error) {
	if size = pilotSize(s, work); size == 0 {
		return 0, 0, nil
	}
	fmt.Fprintf(a.stderr, "compiling %s and timing a few of the %d examples\n", filepath.Base(s.name), s.examples)
	left, size, err = timeOfAll(ctx, b, s, fn, size, opts)
	if ctx.Err() != nil {
		return 0, 0, interruption("interrupted; nothing was measured")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", s.name, err)
	}
	return time.Duration(float64(left) * work / part), size, nil
}

// firstExamples is a data set of one batch, the first count examples of another's first batch.
type firstExamples struct {
	train.Dataset
	count int
}

// Iter implements train.Dataset.
func (d firstExamples) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range d.Dataset.Iter() {
			if err != nil {
				yield(batch, err)
				return
			}
			few, err := part(batch, 0, d.count)
			if finalizeErr := batch.Finalize(); err == nil {
				err = finalizeErr
			}
			yield(few, err)
			return
		}
	}
}
