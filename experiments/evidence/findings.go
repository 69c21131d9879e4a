package evidence

import (
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// Findings is the content of an experiment's report.
type Findings struct {
	Claims  []Claim
	Tables  []Table
	Figures []NamedFigure
}

// NamedFigure is a figure with the base name of its files.
type NamedFigure struct {
	Name   string
	Figure plots.Figure
}
