//go:build cgo && !noxla

package docs

import (
	"testing"

	"github.com/gomlx/go-xla/pjrt"
)

// keepsPrograms says whether a compiled program can be written to a file.
func keepsPrograms() bool {
	_, ok := any((*pjrt.LoadedExecutable)(nil)).(interface{ Serialize() ([]byte, error) })
	return ok
}

// TestUpstreamPrograms runs the report's program. If it fails, go-xla can do it: delete the report,
// and let package compilecache keep programs in files.
func TestUpstreamPrograms(t *testing.T) {
	if keepsPrograms() {
		t.Error("go-xla serializes compiled programs; the report says that it does not")
	}
}
