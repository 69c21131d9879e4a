package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/onnxmodel"
)

// inputFiles finds the file for each input of a network among words FILE or NAME=FILE. A single
// archive (.npz) has the arrays of all inputs.
func inputFiles(network *onnxmodel.Model, words []string) ([]string, error) {
	inputs := network.Inputs()
	names := make([]string, len(inputs))
	for i, in := range inputs {
		names[i] = in.Name
	}
	// isNamed says whether a word is NAME=FILE. The = of a file's path is no such thing.
	isNamed := func(word string) bool {
		name, _, found := strings.Cut(word, "=")
		return found && (slices.Contains(names, name) || !isFile(word))
	}
	if len(words) == 1 && !isNamed(words[0]) {
		if len(inputs) > 1 && !strings.HasSuffix(strings.ToLower(words[0]), ".npz") {
			return nil, usagef("the network has %d inputs (%s): "+
				"give --inputs NAME=FILE for each, or one .npz file with all of them", len(inputs), strings.Join(names, ", "))
		}
		return slices.Repeat(words, len(inputs)), nil
	}
	files := make([]string, len(inputs))
	for _, word := range words {
		name, file, _ := strings.Cut(word, "=")
		i := slices.Index(names, name)
		switch {
		case !isNamed(word) && len(inputs) == 1:
			i, file = 0, word
		case !isNamed(word):
			return nil, usagef("--inputs %s: with several inputs, write NAME=FILE", word)
		case i < 0:
			return nil, unknownWord("input", name, names)
		}
		if files[i] != "" {
			return nil, usagef("--inputs: input %s has two files", names[i])
		}
		files[i] = file
	}
	for i, file := range files {
		if file == "" {
			return nil, usagef("--inputs: input %s has no file", names[i])
		}
	}
	return files, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// noAxis stands for an input that holds for all examples.
const noAxis = -1

// batchAxes are the axes of the examples: in the inputs and nodes named, in all others, and in the
// output.
type batchAxes struct {
	byName   map[string]int
	fallback int
	output   int
}

// parseBatchAxes reads words AXIS, NAME=AXIS or, for an input that holds for all examples,
// NAME=none.
func parseBatchAxes(network *onnxmodel.Model, words []string) (batchAxes, error) {
	axes := batchAxes{byName: make(map[string]int)}
	given := false // The axis of all others.
	var names []string
	for _, in := range network.Inputs() {
		names = append(names, in.Name)
	}
	names = append(names, network.OutputName())
	for _, word := range words {
		name, number, named := strings.Cut(word, "=")
		if !named {
			number = word
		}
		axis, err := strconv.Atoi(number)
		if named && number == "none" {
			axis, err = noAxis, nil
		} else if err != nil || axis < 0 {
			return axes, usagef("--batch-axis %s: want the number of an axis, counted from 0, NAME=AXIS or NAME=none", word)
		}
		_, again := axes.byName[name]
		if again = again || !named && given; again {
			return axes, usagef("--batch-axis %s: an axis is given twice", word)
		}
		switch {
		case !named:
			axes.fallback, given = axis, true
		case !slices.Contains(names, name):
			return axes, unknownWord("input or output", name, names)
		case axis == noAxis && (name == network.OutputName() || name == network.InputName()):
			return axes, usagef("--batch-axis %s: the examples are on an axis of %s: say on which", word, name)
		default:
			axes.byName[name] = axis
		}
	}
	axes.output = axes.of(network.OutputName())
	return axes, nil
}

// isDefault reports whether all axes are the first ones.
func (a batchAxes) isDefault() bool { return a.fallback == 0 && len(a.byName) == 0 }

func (a batchAxes) of(name string) int {
	if axis, ok := a.byName[name]; ok {
		return axis
	}
	return a.fallback
}

// asNetworkHas moves the axis of the examples of each input from the front to its place in the
// network.
func (a batchAxes) asNetworkHas(network *onnxmodel.Model, inputs []*graph.Node) []*graph.Node {
	moved := slices.Clone(inputs)
	for i, in := range network.Inputs() {
		if axis := a.of(in.Name); axis > 0 && !inputs[i].IsScalar() {
			moved[i] = moveAxis(inputs[i], 0, axis)
		}
	}
	return moved
}

func (a batchAxes) outputBatchFirst(output *graph.Node) *graph.Node {
	if a.output == 0 {
		return output
	}
	return moveAxis(output, a.output, 0)
}

// moveAxis moves one axis and keeps the order of the others.
func moveAxis(x *graph.Node, from, to int) *graph.Node {
	if from >= x.Rank() || to >= x.Rank() {
		panic(fmt.Errorf("--batch-axis: a value of shape %s has no axis %d", x.Shape(), max(from, to)))
	}
	var perm []int
	for axis := range x.Rank() {
		if axis != from {
			perm = append(perm, axis)
		}
	}
	return graph.TransposeAllAxes(x, slices.Insert(perm, to, from)...)
}
