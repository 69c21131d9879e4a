package nb

import (
	"os"
	"path/filepath"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	_ "github.com/geometric-complexity/toolkit/backend/keepmemory" // XLA trains faster with it.
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/repository"
)

func init() {
	if gonbui.IsNotebook {
		findData()
		go endWithKernel(os.Getppid())
	}
}

// findData lets cells, which run in the notebook's folder, find the repository's data folder.
func findData() {
	root, ok := repository.Root()
	if !ok || os.Getenv(datasets.EnvData) != "" {
		return
	}
	data := filepath.Join(root, "data")
	if info, err := os.Stat(data); err == nil && info.IsDir() {
		Check(os.Setenv(datasets.EnvData, data))
	}
}

const (
	// kernelCheckEvery is the time after which a cell notices that its kernel has ended.
	kernelCheckEvery = time.Second
	// interruptPatience limits the time in which an interrupted cell saves what it did: as long as
	// GoNB lets it.
	interruptPatience = 5 * time.Second
)

// endWithKernel interrupts this program when the kernel that started it has ended, for example by a
// restart. By itself the program would go on until it prints.
func endWithKernel(kernel int) {
	for os.Getppid() == kernel {
		time.Sleep(kernelCheckEvery)
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil && self.Signal(os.Interrupt) == nil {
		time.Sleep(interruptPatience)
	}
	os.Exit(1)
}
