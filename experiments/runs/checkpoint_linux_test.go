package runs

import (
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/gomlx/gomlx/ml/model"
)

// Saving a checkpoint returns an error if a variable no longer fits on the disk. GoMLX itself
// returns none, and omits the variable from the file.
func TestCheckpointThatIsNotWhole(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // Writing then fails instead.
	defer signal.Reset(syscall.SIGXFSZ)
	for _, c := range []struct {
		name   string
		values int // Of the variable, of 4 bytes each.
		want   string
	}{
		{"all of it", 1 << 20, ""},
		{"not written", 4 << 20, "variable /large could not be written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := model.NewStore()
			store.RootScope().VariableWithValue("large", make([]float32, c.values))
			store.RootScope().VariableWithValue("small", float32(1))
			// Enough for the log of files that go test writes meanwhile.
			limited := syscall.Rlimit{Cur: 8 << 20, Max: before.Max}
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
				t.Fatal(err)
			}
			err := saveStore(store, t.TempDir())
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
				t.Fatal(err)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
	}
}
