//go:build cgo && !noxla

package program

import (
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/stablehlo"
)

// Text returns the StableHLO text of the computation that an XLA builder has built so far, with
// the outputs that Main().Return set. It returns ok = false for other backends' builders, and for
// computations that cannot be written as text yet.
func Text(b compute.Builder) (text []byte, ok bool) {
	x, ok := b.(*xla.Builder)
	if !ok {
		return nil, false
	}
	field := reflect.ValueOf(x).Elem().FieldByName("builder")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*stablehlo.Builder]() {
		panic("gomlxcompat/program: xla.Builder has no field builder of type *stablehlo.Builder; this go-xla is not supported")
	}
	text, err := (*stablehlo.Builder)(field.UnsafePointer()).Build()
	return text, err == nil
}
