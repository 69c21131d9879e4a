package main

import (
	"fmt"
	"iter"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/machine"
	"github.com/geometric-complexity/toolkit/internal/rows"
)

// memoryLimited is a data set whose batches are divided if a whole batch would not fit into memory.
type memoryLimited struct {
	examples
	size int // of the parts; 0 leaves the batches whole
}

// largeBatch is the memory of a batch from which it is mentioned.
const largeBatch = 1e9

// fit divides the batches, of the given size, so that one takes at most half of the memory, given
// the memory of all values of the network for a whole batch. It returns a note if a batch is large.
func (m *memoryLimited) fit(b compute.Backend, values float64, batch int, memory int64) (note string) {
	needed, most := memoryFor(b, values), float64(memory)/2
	if needed > most {
		m.size = max(1, int(float64(batch)*most/needed))
		return fmt.Sprintf("batches of %d: one of %d takes about %s, and there are %s of memory; --batch sets the number",
			m.size, batch, machine.Bytes(needed), machine.Bytes(float64(memory)))
	}
	if needed > largeBatch {
		return fmt.Sprintf("a batch of %d takes about %s of memory", batch, machine.Bytes(needed))
	}
	return ""
}

// Iter implements train.Dataset.
func (m *memoryLimited) Iter() iter.Seq2[train.Batch, error] {
	if m.size == 0 {
		return m.examples.Iter()
	}
	return func(yield func(train.Batch, error) bool) {
		for batch, err := range m.examples.Iter() {
			if err != nil {
				yield(batch, err)
				return
			}
			count := batch.Inputs[0].Shape().Dimensions[0]
			for from := 0; from < count; from += m.size {
				piece, err := part(batch, from, min(from+m.size, count))
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
