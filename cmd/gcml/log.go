package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// warnings is a log handler that prints the messages of warnings and errors, a line each, and drops
// the rest.
type warnings struct{ w io.Writer }

var _ slog.Handler = warnings{}

// Enabled implements slog.Handler.
func (warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (l warnings) Handle(_ context.Context, r slog.Record) error {
	_, err := fmt.Fprintf(l.w, "gcml: %s\n", r.Message)
	return err
}

// WithAttrs implements slog.Handler.
func (l warnings) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l warnings) WithGroup(string) slog.Handler { return l }
