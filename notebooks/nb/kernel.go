package nb

import (
	"os"
	"path/filepath"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/backend"
	_ "github.com/geometric-complexity/toolkit/backend/keepmemory" // XLA trains faster with it.
	"github.com/geometric-complexity/toolkit/datasets"
)

func init() {
	if gonbui.IsNotebook {
		findData()
		go endWithKernel(os.Getppid())
	}
}

// findData lets a cell, which runs in the notebook's folder, find the data that a command finds,
// which runs in the repository's.
func findData() {
	root, ok := backend.RepositoryRoot()
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

// endWithKernel interrupts this program when the kernel that started it is gone, after a restart
// say: GoNB leaves that to the next time the program prints.
func endWithKernel(kernel int) {
	for os.Getppid() == kernel {
		time.Sleep(kernelCheckEvery)
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil && self.Signal(os.Interrupt) == nil {
		time.Sleep(interruptPatience)
	}
	os.Exit(1)
}
