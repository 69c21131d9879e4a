package gcml

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

const (
	// checkedInputs is the largest number of inputs per example for which the GC is compared.
	checkedInputs = 256
	// checkedDirections is the number of random directions along which the Jacobian is compared.
	checkedDirections = 3
)

// penaltyGraph is the graph of the exact GC and its gradients, with properties of the model that
// its builder found.
type penaltyGraph struct {
	exec           *model.Exec
	variables      []*model.Variable
	inputDims      []int
	inputDType     dtypes.DType
	outputDType    dtypes.DType
	batch, outputs int
	mixes          string // The first node that mixes examples.
	values         [][]float64
}

// build calls the model in a graph.
func (c *checker) build(scope *model.Scope, args []*Node) *jacobian {
	scope.Store().SetTraining(args[0].Graph(), c.mode == "training")
	inputs := args[:len(c.inputs)]
	output, input := c.options.pick(c.fn(scope, nil, inputs), inputs)
	return newJacobian(output, input, c.options)
}

// run runs a graph from the same random state each time; exec builds it on the first call.
func (c *checker) run(exec *model.Exec, extra ...any) ([][]float64, error) {
	if err := c.store.SetRNGStateFromSeed(c.options.seed); err != nil {
		return nil, err
	}
	args := make([]any, 0, len(c.inputs)+len(extra))
	for _, in := range c.inputs {
		args = append(args, in)
	}
	results, err := exec.Call(append(args, extra...)...)
	if err != nil {
		return nil, errors.New(errors.Cause(err).Error()) // Removes GoMLX's text around a panic of a graph function.
	}
	values := make([][]float64, len(results))
	for i, r := range results {
		if values[i], err = numbers.Float64s(r); err != nil {
			return nil, err
		}
		if err := r.FinalizeAll(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// buildPenalty builds and runs the graph of the GC and its gradients.
func (c *checker) buildPenalty() error {
	p := &c.penalty
	exec, err := model.NewExec(c.backend, c.store, func(scope *model.Scope, args []*Node) []*Node {
		j := c.build(scope, args)
		p.batch, p.outputs, p.inputDims, p.inputDType = j.plan.batch, j.plan.outputs, j.inputs.Shape().Dimensions,
			j.inputs.DType()
		p.outputDType = j.outputs.DType()
		if mixing := j.pullback.Coupling(); len(mixing) > 0 {
			p.mixes = fmt.Sprintf("%s of %s", mixing[0].Type(), mixing[0].Inputs()[0].Shape())
		}
		c.precision = shortestDType(j.pullback.Nodes())
		p.variables = nil
		var nodes []*Node
		for v := range scope.Store().IterVariables() {
			if v.Trainable && v.InUseByGraph(j.inputs.Graph()) && v.DType().IsFloat() {
				p.variables, nodes = append(p.variables, v), append(nodes, v.NodeValue(j.inputs.Graph()))
			}
		}
		o := c.options
		o.forGradient, o.variables = true, nodes
		gc := complexity(j.outputs, j.inputs, o)
		if len(nodes) == 0 {
			return []*Node{gc}
		}
		mustDifferentiateTwice(gc, nodes)
		return append([]*Node{gc}, Gradient(gc, nodes...)...)
	})
	if err != nil {
		return err
	}
	p.exec = exec.WithName("gcml.CheckSecondDerivatives")
	for range 2 { // The first run may draw variables first, which changes the later draws.
		if p.values, err = c.run(p.exec); err != nil {
			p.exec.Finalize()
			return err
		}
	}
	return nil
}

// frozen returns the nodes that mix examples, which the Jacobian holds fixed. They include those
// behind a StopGradient, where the pullback does not search.
func (c *checker) frozen(j *jacobian) []*Node {
	frozen := slices.Clone(j.pullback.Coupling())
	for _, n := range ancestors(j.outputs, (*Node).Inputs) {
		if !n.StopGradient() || len(n.Inputs()) != 1 {
			continue
		}
		if err := exceptions.TryCatch[error](func() {
			frozen = append(frozen, vjp.New(n.Inputs()[0], j.inputs).Coupling()...)
		}); err != nil {
			frozen = append(frozen, n) // The examples cannot be followed through it.
		}
	}
	return frozen
}

// scalarDType returns the dtype of the step t in the checks of nodes.
func (c *checker) scalarDType() dtypes.DType {
	if c.precision == dtypes.Float64 {
		return dtypes.Float64
	}
	return dtypes.Float32
}

// shortestDType returns the shortest float dtype of the nodes.
func shortestDType(nodes []*Node) dtypes.DType {
	shortest := dtypes.Float64
	for _, n := range nodes {
		if n.NumOutputs() == 1 && n.DType().IsFloat() && n.DType().Size() < shortest.Size() {
			shortest = n.DType()
		}
	}
	return shortest
}

// check makes all comparisons, and searches for faulty nodes if one fails.
func (c *checker) check(report *DerivativeReport) error {
	defer c.penalty.exec.Finalize()
	before := len(report.Checks)
	if err := c.checkJacobian(report); err != nil {
		return err
	}
	for i := range c.penalty.variables {
		if err := c.checkVariable(report, i); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(report.Checks[before:], func(k DerivativeCheck) bool { return k.Status == statusWrong }) {
		return c.checkNodes(report)
	}
	return nil
}

// checkVariable compares the gradient of the GC with respect to the i-th variable, along a random
// direction.
func (c *checker) checkVariable(report *DerivativeReport, i int) error {
	v, gradient := c.penalty.variables[i], c.penalty.values[1+i]
	kept, err := v.Value()
	if err != nil {
		return err
	}
	kept, err = kept.LocalClone()
	if err != nil {
		return err
	}
	values, err := numbers.Float64s(kept)
	if err != nil {
		return err
	}
	direction := scaled(c.normal(len(values)), rootMeanSquare(values))
	want, spread, err := difference(func(t float64) ([]float64, error) {
		moved := scaled(direction, t)
		for k, x := range values {
			moved[k] += x
		}
		value, err := numbers.Tensor(moved, v.DType(), v.Shape().Dimensions...)
		if err != nil {
			return nil, err
		}
		if err := v.SetValue(value); err != nil {
			return nil, err
		}
		out, err := c.run(c.penalty.exec)
		if err != nil {
			return nil, err
		}
		return out[0], nil
	}, c.step)
	if err != nil {
		return err
	}
	if err := v.SetValue(kept); err != nil {
		return err
	}
	// A direction as large as the values changes the GC by about its own size.
	c.compare(report, "gradient of GC along "+v.Path(), []float64{floats.Dot(gradient, direction)}, want, spread,
		1e-3*math.Abs(c.penalty.values[0][0]))
	return nil
}

// normal returns n values of the standard normal distribution.
func (c *checker) normal(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = c.rng.NormFloat64()
	}
	return values
}

// rebuild returns a copy of value with nodes replaced, except the frozen ones. It copies the
// unfused alternative of a fused node, because GoMLX's copy of a fused attention is wrong: it is
// one of its operands (v0.28.16).
func rebuild(value *Node, replaced map[*Node]*Node, frozen []*Node) *Node {
	for _, n := range frozen {
		if replaced[n] == nil {
			replaced[n] = n
		}
	}
	for _, n := range ancestors(value, differentiated) {
		if replaced[n] != nil {
			continue
		}
		if alternate := alternateOf(n); alternate != nil {
			replaced[n] = replaced[alternate] // nil if nothing changed.
			continue
		}
		inputs, changed := slices.Clone(n.Inputs()), false
		for i, in := range inputs {
			if r := replaced[in]; r != nil && r != in {
				inputs[i], changed = r, true
			}
		}
		if changed {
			replaced[n] = n.CloneWithInputs(inputs...)
		}
	}
	if r := replaced[value]; r != nil {
		return r
	}
	return value
}

// alternateOf returns the unfused node by which GoMLX differentiates n if n is a fused node or an
// output of one, else nil.
func alternateOf(n *Node) *Node {
	index := 0
	if i, ok := gomlxcompat.SplitOf(n); ok {
		n, index = n.Inputs()[0], i
	}
	if alternates := gomlxcompat.AlternateOutputs(n); alternates != nil {
		return alternates[index]
	}
	return nil
}
