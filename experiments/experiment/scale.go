package experiment

import "github.com/geometric-complexity/toolkit/internal/nearest"

// Scale is the size at which an experiment runs.
type Scale string

const (
	Smoke  Scale = "smoke"  // seconds on the pure-Go backend: for tests
	Laptop Scale = "laptop" // minutes on two cores: what a notebook shows
	Desk   Scale = "desk"   // the paper's data and networks, as far as two cores take them in a night
	Paper  Scale = "paper"  // the paper's sizes as far as they are known: for a GPU or a cluster
)

// Nearest stands for the scale that a configuration is nearest to.
const Nearest Scale = ""

// Scales lists the scales, the smallest first.
func Scales() []Scale { return []Scale{Smoke, Laptop, Desk, Paper} }

// ParseScale is the inverse of the conversion to string. Its error names the nearest scale.
func ParseScale(s string) (Scale, error) {
	var names []string
	for _, scale := range Scales() {
		if string(scale) == s {
			return scale, nil
		}
		names = append(names, string(scale))
	}
	return "", nearest.Unknown("scale", s, names)
}

// Caveat returns a warning about verdicts at the scale; it is empty if they count in full.
func (s Scale) Caveat() string {
	switch s {
	case Smoke:
		return "too small for a verdict"
	case Laptop:
		return "a first look"
	}
	return ""
}

// Decides says whether verdicts at the scale are shown as such.
func (s Scale) Decides() bool { return s != Smoke }
