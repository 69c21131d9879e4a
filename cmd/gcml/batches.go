package main

import (
	"fmt"
	"iter"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/machine"
	"github.com/geometric-complexity/toolkit/internal/platform"
	"github.com/geometric-complexity/toolkit/internal/rows"
)

// fitting is a data set whose batches are divided, if a whole batch would not fit into memory.
type fitting struct {
	examples
	size int // of the parts; 0 leaves the batches whole
}

// memoryFor estimates the memory to measure a batch, given that of all values of the network. It
// comes from two networks of convolutions, a text recognizer (2.5 GB of values, 50 examples) and a
// detector (0.37 GB, 30 examples), by one projection: on the Go backend the peak grew by 1.2 and
// 0.9 of the values, on XLA on a CPU, which computes most elementwise values again, by 0.2 and 0.4.
// On an accelerator it is 0, unknown.
func memoryFor(b compute.Backend, values float64) float64 {
	switch platform.Of(b) {
	case platform.Go:
		return 1.25 * values
	case platform.XLACPU:
		return 0.4 * values
	}
	return 0
}

// largeBatch is the memory of a batch from which it is mentioned.
const largeBatch = 1e9

// fit divides the batches, of the given size, so that one takes at most half of the memory, given
// the memory of all values of the network for a whole batch. It returns a note if a batch is large.
func (f *fitting) fit(b compute.Backend, values float64, batch int, memory int64) (note string) {
	needed, most := memoryFor(b, values), float64(memory)/2
	if needed > most {
		f.size = max(1, int(float64(batch)*most/needed))
		return fmt.Sprintf("batches of %d: one of %d takes about %s, and there are %s of memory; --batch sets the number",
			f.size, batch, machine.Bytes(needed), machine.Bytes(float64(memory)))
	}
	if needed > largeBatch {
		return fmt.Sprintf("a batch of %d takes about %s of memory", batch, machine.Bytes(needed))
	}
	return ""
}

// Iter implements train.Dataset.
func (f *fitting) Iter() iter.Seq2[train.Batch, error] {
	if f.size == 0 {
		return f.examples.Iter()
	}
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range f.examples.Iter() {
			if err != nil {
				yield(batch, err)
				return
			}
			count := batch.Inputs[0].Shape().Dimensions[0]
			for from := 0; from < count; from += f.size {
				piece, err := part(batch, from, min(from+f.size, count))
				if !yield(piece, err) || err != nil {
					_ = batch.Finalize()
					return
				}
			}
			if err := batch.Finalize(); err != nil {
				yield(train.Batch{}, err)
				return
			}
		}
	}
}

// part returns a copy of the examples from, from+1, ... up to the one before to, or the last.
func part(batch train.Batch, from, to int) (train.Batch, error) {
	piece := train.Batch{Spec: batch.Spec}
	for _, values := range []struct {
		from []*tensors.Tensor
		to   *[]*tensors.Tensor
	}{{batch.Inputs, &piece.Inputs}, {batch.Labels, &piece.Labels}} {
		for _, x := range values.from {
			y, err := rows.Slice(x, from, min(to, x.Shape().Dimensions[0]))
			if err != nil {
				return piece, err
			}
			*values.to = append(*values.to, y)
		}
	}
	return piece, nil
}
