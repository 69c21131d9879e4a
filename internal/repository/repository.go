// Package repository finds the folder of this repository.
package repository

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"golang.org/x/mod/modfile"
)

// Root returns the folder of this module's go.mod if the working directory is inside the
// repository.
func Root() (dir string, ok bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for !isOurModule(filepath.Join(dir, "go.mod")) {
		if dir == filepath.Dir(dir) {
			return "", false
		}
		dir = filepath.Dir(dir)
	}
	return dir, true
}

// here is a type of this package, for its path.
type here struct{}

// isOurModule says whether a go.mod is this module's. It takes the module's name from this
// package's path, so that renaming the module needs no change here.
func isOurModule(goMod string) bool {
	content, err := os.ReadFile(goMod)
	if err != nil {
		return false
	}
	module := strings.TrimSuffix(reflect.TypeFor[here]().PkgPath(), "/internal/repository")
	return modfile.ModulePath(content) == module
}
