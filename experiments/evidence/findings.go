package evidence

import (
	"example.com/geometric-complexity/internal/plots"
)

// Findings is what an experiment's report gives.
type Findings struct {
	Claims  []Claim
	Tables  []Table
	Figures []NamedFigure
}

// NamedFigure is a figure with the name of its files.
type NamedFigure struct {
	Name   string
	Figure plots.Figure
}
