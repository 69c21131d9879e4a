package gcml

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// checkJacobian compares uᵀJd, for random cotangents u and directions d, and the GC.
func (c *checker) checkJacobian(report *DerivativeReport) error {
	p := &c.penalty
	m, err := c.newMovedModel()
	if err != nil {
		return err
	}
	defer m.exec.Finalize()
	note := ""
	if p.mixes != "" {
		note = fmt.Sprintf(" with values that mix examples held fixed, the first one %s", p.mixes)
	}
	for k := range checkedDirections {
		direction := scaled(c.normal(m.inputs), m.scale)
		slopes, spread, err := m.slopes(direction)
		if err != nil {
			return err
		}
		got, want := make([]float64, p.batch), make([]float64, p.batch)
		for b := range p.batch {
			got[b] = floats.Dot(ofExample(m.pulled, b, p.batch), ofExample(direction, b, p.batch))
			want[b] = floats.Dot(ofExample(slopes, b, p.batch), ofExample(m.cotangents, b, p.batch))
		}
		c.compare(report, fmt.Sprintf("Jacobian along direction %d%s", k+1, note), got, want, spread, 0)
	}
	if m.inputs/p.batch > checkedInputs {
		return nil
	}
	gc, spread, err := m.complexity()
	if err != nil {
		return err
	}
	c.compare(report, "GC"+note, p.values[0], []float64{gc}, spread, 0)
	return nil
}

// movedModel computes the outputs for moved inputs, with the values that mix examples held fixed.
type movedModel struct {
	*checker
	exec       *model.Exec
	inputs     int       // Values of the batch.
	cotangents []float64 // Random, [batch, outputs].
	pulled     []float64 // The product of the cotangents and the Jacobian, as gcml computes it.
	scale      float64   // The size of the inputs.
}

// newMovedModel builds a movedModel, whose exec the caller finalizes.
func (c *checker) newMovedModel() (*movedModel, error) {
	p := &c.penalty
	exec, err := model.NewExec(c.backend, c.store, func(scope *model.Scope, args []*Node) []*Node {
		j := c.build(scope, args)
		delta, cotangents := args[len(args)-2], args[len(args)-1]
		moved := rebuild(j.outputs, map[*Node]*Node{j.inputs: Add(j.inputs, delta)}, c.frozen(j))
		return []*Node{j.inputs, moved, j.pullback.Pull(cotangents)}
	})
	if err != nil {
		return nil, err
	}
	m := &movedModel{checker: c, exec: exec, inputs: p.batch, cotangents: c.normal(p.batch * p.outputs)}
	for _, d := range p.inputDims[1:] {
		m.inputs *= d
	}
	start, err := m.run(make([]float64, m.inputs))
	if err != nil {
		exec.Finalize()
		return nil, err
	}
	m.scale, m.pulled = rootMeanSquare(start[0]), start[2]
	return m, nil
}

// run returns the inputs, the outputs for inputs moved by delta, and the cotangents' product with
// the Jacobian.
func (m *movedModel) run(delta []float64) ([][]float64, error) {
	p := &m.penalty
	moved, err := numbers.Tensor(delta, p.inputDType, p.inputDims...)
	if err != nil {
		return nil, err
	}
	cotangents, err := numbers.Tensor(m.cotangents, p.outputDType, 1, p.batch, p.outputs)
	if err != nil {
		return nil, err
	}
	return m.checker.run(m.exec, moved, cotangents)
}

// slopes returns the derivatives of the outputs along a direction of the inputs, by differences,
// with the spread of difference.
func (m *movedModel) slopes(direction []float64) ([]float64, float64, error) {
	return difference(func(t float64) ([]float64, error) {
		out, err := m.run(scaled(direction, t))
		if err != nil {
			return nil, err
		}
		return out[1], nil
	}, m.step)
}

// complexity returns the GC by differences along each input, with its spread.
func (m *movedModel) complexity() (gc, spread float64, err error) {
	batch := m.penalty.batch
	perExample := m.inputs / batch
	for i := range perExample {
		direction := make([]float64, m.inputs)
		for b := range batch {
			direction[b*perExample+i] = m.scale
		}
		slopes, s, err := m.slopes(direction)
		if err != nil {
			return 0, 0, err
		}
		gc += floats.Dot(slopes, slopes) / m.scale / m.scale / float64(batch)
		spread = max(spread, s*rootMeanSquare(slopes)/m.scale/m.scale)
	}
	return gc, spread, nil
}

// ofExample returns the values of the b-th example of a batch.
func ofExample(values []float64, b, batch int) []float64 {
	n := len(values) / batch
	return values[b*n : (b+1)*n]
}
