// Package programs describes small models as programs: lists of ops with integer parameters. A
// program has a text form, can be drawn at random and shrunk, and builds a GoMLX graph. An oracle
// computes its Jacobian by central differences, for comparison with fast implementations.
//
// The text form of a program names the dtype, the shape of the inputs with the batch size first,
// and the ops:
//
//	float32 3x4x2: dense 5; tanh; mha 2 1; mean 1
//
// Kind lists the parameters of each op; an axis is never the batch axis.
package programs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/pkg/errors"
)

// Program is a model that applies its ops to the inputs one after the other.
type Program struct {
	DType dtypes.DType // Of the inputs and the weights: Float32 or Float64.
	Shape []int        // Of the inputs, the batch size first.
	Ops   []Op
}

// Op is a Kind and its parameters.
type Op struct {
	Kind   *Kind
	Params []int
}

// String returns the text form of the op.
func (o Op) String() string {
	text := o.Kind.Name
	for _, p := range o.Params {
		text += " " + strconv.Itoa(p)
	}
	return text
}

// String returns the text form of the program.
func (p Program) String() string {
	dims := make([]string, len(p.Shape))
	for i, dim := range p.Shape {
		dims[i] = strconv.Itoa(dim)
	}
	ops := make([]string, len(p.Ops))
	for i, op := range p.Ops {
		ops[i] = op.String()
	}
	return fmt.Sprintf("%s %s: %s", strings.ToLower(p.DType.String()), strings.Join(dims, "x"), strings.Join(ops, "; "))
}

// Parse reads the text form of a program.
func Parse(text string) (Program, error) {
	head, body, ok := strings.Cut(text, ":")
	fields := strings.Fields(head)
	if !ok || len(fields) != 2 {
		return Program{}, errors.Errorf("program %q: want \"DTYPE BxDIMS: OP; OP; ...\"", text)
	}
	var p Program
	switch fields[0] {
	case "float32":
		p.DType = dtypes.Float32
	case "float64":
		p.DType = dtypes.Float64
	default:
		return Program{}, errors.Errorf("program %q: want float32 or float64, got %q", text, fields[0])
	}
	for _, field := range strings.Split(fields[1], "x") {
		dim, err := strconv.Atoi(field)
		if err != nil || dim < 1 {
			return Program{}, errors.Errorf("program %q: %q is not a dimension", text, field)
		}
		p.Shape = append(p.Shape, dim)
	}
	for _, field := range strings.Split(body, ";") {
		op, err := parseOp(field)
		if err != nil {
			return Program{}, errors.WithMessagef(err, "program %q", text)
		}
		p.Ops = append(p.Ops, op)
	}
	return p, nil
}

func parseOp(text string) (Op, error) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return Op{}, errors.New("an op is empty: remove a \";\" or name an op")
	}
	kind := Lookup(fields[0])
	if kind == nil {
		return Op{}, errors.Errorf("unknown op %q", fields[0])
	}
	op := Op{Kind: kind}
	for _, field := range fields[1:] {
		v, err := strconv.Atoi(field)
		if err != nil {
			return Op{}, errors.Errorf("op %q: %q is not a whole number", fields[0], field)
		}
		op.Params = append(op.Params, v)
	}
	if len(op.Params) != len(kind.Params) {
		return Op{}, errors.Errorf("op %q: got %d parameters, want %d", fields[0], len(op.Params), len(kind.Params))
	}
	return op, nil
}

// MustParse is Parse for texts in tests; it panics instead of returning an error.
func MustParse(text string) Program {
	p, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return p
}

// Has reports whether an op of the program meets the condition.
func (p Program) Has(condition func(k *Kind) bool) bool {
	return slices.ContainsFunc(p.Ops, func(o Op) bool { return condition(o.Kind) })
}

// WithBatch returns the program for another batch size.
func (p Program) WithBatch(batch int) Program {
	p.Shape = append([]int{batch}, p.Shape[1:]...)
	return p
}
