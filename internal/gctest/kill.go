package gctest

import (
	"os"
	"path/filepath"
)

// KillSelf kills this process with SIGKILL. It does not return.
func KillSelf() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// KillAtFile kills this process as soon as a file or folder matches the pattern.
func KillAtFile(pattern string) {
	for {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			KillSelf()
		}
	}
}
