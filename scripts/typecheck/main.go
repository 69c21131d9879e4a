// Typecheck finds the type errors of the packages of this module, with their tests, under other
// settings of the environment:
//
//	go run ./scripts/typecheck GOOS=darwin GOARCH=arm64
//	go run ./scripts/typecheck GOFLAGS=-tags=noxla
//
// It reads the source of all imports instead of compiling them, which takes `go vet` a minute for
// another platform.
package main

import (
	"fmt"
	"os"

	"golang.org/x/tools/go/packages"
)

func main() {
	if err := check(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "typecheck:", err)
		os.Exit(1)
	}
}

// check prints the errors under the settings NAME=VALUE.
func check(settings []string) error {
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedDeps | packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax,
		Env:   append(os.Environ(), settings...),
		Tests: true,
	}, "./...")
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no packages in this folder")
	}
	if n := packages.PrintErrors(all); n > 0 {
		return fmt.Errorf("%d errors with %v", n, settings)
	}
	return nil
}
