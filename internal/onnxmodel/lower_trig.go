package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Inverse trigonometric, hyperbolic and rounding functions, which the importer does not have.
var _ = register(map[string]rewrite{
	"Sinh": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.finish(n, l.half(n.Input[0], "Sub"))
	},
	"Cosh": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.finish(n, l.half(n.Input[0], "Add"))
	},
	"Tan": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.finish(n, l.op("Div", l.op("Sin", n.Input[0]), l.op("Cos", n.Input[0])))
	},
	"Atan": func(l *lowering, n *protos.NodeProto) (bool, error) { return l.finish(n, l.arctan(n.Input[0])) },
	"Asin": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x, one := n.Input[0], l.scalar(n.Input[0], 1)
		// A product, because 1 - x² loses digits if x is near 1.
		cosine := l.op("Sqrt", l.op("Mul", l.op("Sub", one, x), l.op("Add", one, x)))
		return l.finish(n, l.arctan(l.op("Div", x, cosine)))
	},
	"Acos": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x, one := n.Input[0], l.scalar(n.Input[0], 1)
		half := l.op("Sqrt", l.op("Div", l.op("Sub", one, x), l.op("Add", one, x)))
		return l.finish(n, l.op("Mul", l.arctan(half), l.scalar(x, 2)))
	},
	"Asinh": func(l *lowering, n *protos.NodeProto) (bool, error) {
		// Of -x where x < 0, to avoid a difference of nearly equal numbers.
		x := n.Input[0]
		z := l.negative(x, l.op("Neg", x), x)
		y := l.op("Log", l.op("Add", z, l.op("Sqrt", l.op("Add", l.op("Mul", z, z), l.scalar(x, 1)))))
		return l.finish(n, l.negative(x, l.op("Neg", y), y))
	},
	"Acosh": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		return l.finish(n, l.op("Log", l.op("Add", x, l.op("Sqrt", l.op("Sub", l.op("Mul", x, x), l.scalar(x, 1))))))
	},
	"Atanh": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x, one := n.Input[0], l.scalar(n.Input[0], 1)
		y := l.op("Log", l.op("Div", l.op("Add", one, x), l.op("Sub", one, x)))
		return l.finish(n, l.op("Mul", y, l.scalar(x, 0.5)))
	},
	"Round": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.finish(n, l.rounded(n.Input[0]))
	},
	"Floor": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if !isFloat(l.dtypes[n.Input[0]]) {
			return false, nil
		}
		return l.finish(n, l.floor(n.Input[0]))
	},
	"Ceil": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if !isFloat(l.dtypes[n.Input[0]]) {
			return false, nil
		}
		return l.finish(n, l.op("Neg", l.floor(l.op("Neg", n.Input[0]))))
	},
})

// arctan halves the angle twice by tan(a/2) = t/(1 + sqrt(1 + t²)), which brings t = tan(a) of any
// size below 0.42, and takes the rational function of Cephes' atan.c, of an error below 2e-16 up to
// 0.66. Larger numbers than 1e18, whose squares float32 may not hold, are taken for 1e18.
func (l *lowering) arctan(x string) string {
	constant := func(v float64) string { return l.cast(l.double(v), l.floatType(x)) }
	one := constant(1)
	t := l.op("Clip", x, constant(-1e18), constant(1e18))
	for range 2 {
		t = l.op("Div", t, l.op("Add", one, l.op("Sqrt", l.op("Add", one, l.op("Mul", t, t)))))
	}
	z := l.op("Mul", t, t)
	polynomial := func(value string, coefficients ...float64) string {
		for _, c := range coefficients {
			value = l.op("Add", l.op("Mul", value, z), constant(c))
		}
		return value
	}
	p := polynomial(constant(-8.750608600031904122785e-1), -1.615753718733365076637e1, -7.500855792314704667340e1,
		-1.228866684490136173410e2, -6.485021904942025371773e1)
	q := polynomial(one, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
		4.853903996359136964868e2, 1.945506571482613964425e2)
	angle := l.op("Add", t, l.op("Mul", t, l.op("Mul", z, l.op("Div", p, q))))
	return l.op("Mul", angle, constant(4))
}

// half is half the sum or difference of exp(x) and exp(-x).
func (l *lowering) half(x, op string) string {
	return l.op("Mul", l.op(op, l.op("Exp", x), l.op("Exp", l.op("Neg", x))), l.scalar(x, 0.5))
}

// floor converts to integers and back. Derivatives through integers are 0, as those of floor are
// almost everywhere.
func (l *lowering) floor(x string) string {
	whole := l.cast(l.cast(x, protos.TensorProto_INT64), l.floatType(x))
	whole = l.op("Sub", whole, l.cast(l.op("Less", x, whole), l.floatType(x)))
	// So large a number has no fraction, and may not fit into an integer.
	return l.op("Where", l.op("Less", l.op("Abs", x), l.scalar(x, 1e18)), whole, x)
}

// rounded takes halves to the even neighbor.
func (l *lowering) rounded(x string) string {
	up := l.floor(l.op("Add", x, l.scalar(x, 0.5)))
	tie := l.op("Equal", l.op("Sub", up, x), l.scalar(x, 0.5))
	odd := l.op("Equal", l.opWith("Mod", nil, up, l.scalar(x, 2)), l.scalar(x, 1))
	return l.op("Where", l.op("And", tie, odd), l.op("Sub", up, l.scalar(x, 1)), up)
}

// Notes says which operators between the inputs and the output are constant almost everywhere, so
// that derivatives do not go through them.
func (m *Model) Notes() []string {
	var notes []string
	for _, n := range ancestors(m.graph, m.output) {
		origin := m.lowered.origins[n.Output[0]]
		if origin == nil || !slices.Contains(n.Output, origin.Output[0]) || !m.dependsOnInput(n) {
			continue
		}
		switch {
		case m.isStepwise(origin):
			notes = append(notes,
				fmt.Sprintf("operator %s is constant almost everywhere: derivatives through it are 0", nodeName(origin)))
		case origin.OpType == "GridSample" && stringOr(origin, "mode", "") == "nearest" &&
			m.dependsOnInput(&protos.NodeProto{Input: origin.Input[1:]}):
			notes = append(notes,
				fmt.Sprintf("operator %s takes the nearest values: derivatives through its grid are 0", nodeName(origin)))
		}
	}
	return notes
}

// isStepwise reports whether a node rounds, takes signs, or converts floats to integers.
func (m *Model) isStepwise(n *protos.NodeProto) bool {
	switch n.OpType {
	case "Floor", "Ceil", "Round", "Sign":
		return true
	case "Cast":
		to := int32(intOr(n, "to", 0))
		return isFloat(m.lowered.types[n.Input[0]]) && !isFloat(to) && to != int32(protos.TensorProto_BOOL)
	}
	return false
}
