package docs

import (
	"os/signal"
	"syscall"
	"testing"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"
)

// saveToFullDisk saves a variable of 16 MiB where a file may have 8, and returns how many variables
// are in the checkpoint. The limit leaves room for the log of files that go test writes meanwhile.
func saveToFullDisk(dir string) (variables int, err error) {
	store := model.NewStore()
	store.RootScope().VariableWithValue("large", make([]float32, 4<<20))
	handler, err := checkpoint.Build(store).Dir(dir).WithCompression(checkpoint.BinUncompressed).Done()
	if err != nil {
		return 0, err
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return 0, err
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	full := syscall.Rlimit{Cur: 8 << 20, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return 0, err
	}
	saveErr := handler.Save()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return 0, err
	}
	if saveErr != nil {
		return 0, saveErr
	}
	loaded, err := checkpoint.Load(model.NewStore()).Dir(dir).Done()
	if err != nil {
		return 0, err
	}
	return len(loaded.LoadedVariables()), nil
}

// TestUpstreamCheckpoint runs the report's program. If it fails, the fault is mended upstream:
// delete the report, and checkSaved in experiments/runs/checkpoint.go.
func TestUpstreamCheckpoint(t *testing.T) {
	if n, err := saveToFullDisk(t.TempDir()); err != nil || n != 0 {
		t.Errorf("%d variables, error %v", n, err)
	}
}
