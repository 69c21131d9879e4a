// Package nb has what the notebooks need beside the packages they show: a backend, an output
// folder, progress in place, and figures and tables that a saved notebook keeps and an untrusted
// view still shows (PNG and plain HTML, no scripts).
//
// It is for cells of GoNB, where every cell is a program of its own: results pass from one to the
// next through the output folder. Unlike the libraries it prints, and it ends the cell on an error,
// with one line that says why. Outside of a notebook it runs as well, and shows nothing.
package nb

import (
	"context"
	"fmt"
	"html"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/gomlx/compute"
	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/repository"
)

// The scales, as cells name them.
const (
	Smoke  = experiment.Smoke
	Laptop = experiment.Laptop
	Desk   = experiment.Desk
	Paper  = experiment.Paper
)

// scaleVariable overrides the scale that a notebook asks for.
const scaleVariable = "GCML_SCALE"

// Scale returns the scale to run at: that of the variable GCML_SCALE, which the tests set to smoke,
// else the given one.
func Scale(chosen experiment.Scale) experiment.Scale {
	if name := os.Getenv(scaleVariable); name != "" {
		scale, err := experiment.ParseScale(name)
		Check(err)
		return scale
	}
	return chosen
}

// Interactive reports whether a browser is connected. A notebook that is executed headless, as in
// the tests, has nobody to move a slider.
func Interactive() bool { return os.Getenv(protocol.GONB_JUPYTER_KERNEL_ID_ENV) != "" }

// Backend opens the fastest backend there is, and says which one it took. It stays open until the
// cell ends.
func Backend() compute.Backend {
	b, info, err := backend.Open()
	Check(err)
	fmt.Println(describe(info))
	return b
}

// GoBackend opens the pure Go backend, which Look runs on. It stays open until the cell ends.
func GoBackend() compute.Backend {
	b, _, err := backend.OpenConfig("go")
	Check(err)
	return b
}

// describe names the backend, without the path of its plugin: notebooks are passed on. On the slow
// one it says how to get a faster one.
func describe(info backend.Info) string {
	if info.Name == "go" {
		return info.Why
	}
	return fmt.Sprintf("backend %s on %s", info.Name, info.Device)
}

// Check ends the cell with one line on an error.
func Check(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "gcml:", err)
	gonbui.Sync()
	os.Exit(1)
}

// Context is cancelled when the cell is interrupted.
func Context() context.Context {
	// The process ends with the cell, so there is nothing to release.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	return ctx
}

// outFolder is the folder out/NAME of the repository: where the command puts its results, too. A
// notebook that was moved out of it has its own.
func outFolder(name string) (string, error) {
	root, ok := repository.Root()
	if !ok {
		var err error
		if root, err = os.Getwd(); err != nil {
			return "", err
		}
	}
	return filepath.Join(root, "out", name), nil
}

// shorten returns a path relative to the repository, for messages.
func shorten(path string) string {
	return filepath.Join("out", filepath.Base(path))
}

// showHTML shows, or shows anew, the output of an id. Texts must be escaped.
func showHTML(id, format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = html.EscapeString(text)
		}
	}
	gonbui.UpdateHTML(id, fmt.Sprintf(format, args...))
}
