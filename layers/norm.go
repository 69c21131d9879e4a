package layers

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	. "github.com/gomlx/gomlx/support/exceptions"
)

// Norm is the normalization of a network's convolutions.
type Norm int

const (
	// NormBatch is batch normalization after every convolution. It is the zero value.
	NormBatch Norm = iota
	// NormNone leaves the normalization out; the convolutions get biases instead.
	NormNone
	// NormGroup is group normalization after every convolution, with the largest number of groups,
	// up to 32, that divides the channels.
	NormGroup
)

var normNames = []string{NormBatch: "batch", NormNone: "none", NormGroup: "group"}

// ParseNorm is the inverse of Norm.String: "batch", "none" or "group".
func ParseNorm(name string) (Norm, error) {
	i := slices.Index(normNames, name)
	if i < 0 {
		return 0, fmt.Errorf("unknown normalization %q: use one of %q", name, normNames)
	}
	return Norm(i), nil
}

// String returns the name that ParseNorm reads.
func (n Norm) String() string {
	if n < 0 || int(n) >= len(normNames) {
		return fmt.Sprintf("Norm(%d)", int(n))
	}
	return normNames[n]
}

// apply normalizes x. It panics if n is none of the constants.
func (n Norm) apply(scope *model.Scope, x *Node) *Node {
	switch n {
	case NormBatch:
		return BatchNorm(scope, x).Done()
	case NormNone:
		return x
	case NormGroup:
		channels := x.Shape().Dim(-1)
		groups := min(32, channels)
		for channels%groups != 0 {
			groups--
		}
		return GroupNorm(scope, x, groups)
	}
	Panicf("layers: unknown normalization %s: use one of %q", n, normNames)
	return nil
}
