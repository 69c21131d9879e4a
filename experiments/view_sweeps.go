package experiments

// sweep names the runs of an axis.
func (a axis) sweep() Sweep { return Sweep{a.name, a.values, a.labels} }

func sweepsOf(axes ...axis) (sweeps []Sweep) {
	for _, a := range axes {
		sweeps = append(sweeps, a.sweep())
	}
	return sweeps
}

// Sweeps are those over the coefficients of the three penalties: L2, spectral,
// flatness.
func (c ExplicitRegularizationConfig) Sweeps() (sweeps []Sweep) {
	for _, p := range c.penalties() {
		sweeps = append(sweeps, Sweep{p.title, p.coefficients, labelled(p.coefficients, penaltyLabel(p.name))})
	}
	return sweeps
}

// Sweeps are those over label noise and over input noise.
func (c NoiseConfig) Sweeps() []Sweep {
	return []Sweep{{"label noise", c.LabelNoise, labelled(c.LabelNoise, noiseLabel("label"))},
		{"input noise", c.InputNoise, labelled(c.InputNoise, noiseLabel("input"))}}
}

// Sweeps are those over the coefficients of the penalty: of the MLP, and of the
// ResNet.
func (c GCRegularizerConfig) Sweeps() []Sweep {
	return sweepsOf(c.axis(nil, nil, coefficientLabel), c.ResNet.axis(nil, nil, resNetCoefficientLabel))
}

// Sweeps are those over the learning rate, over the batch size at equal numbers
// of steps, and at equal numbers of examples.
func (c ImplicitRegularizationConfig) Sweeps() []Sweep {
	return sweepsOf(c.rateAxis(nil, nil), c.batchAxis(c.equalSteps, nil, nil), c.batchAxis(c.equalExamples, nil, nil))
}

// Sweeps are those over the width: with label noise, and without.
func (c DoubleDescentConfig) Sweeps() (sweeps []Sweep) {
	for _, noise := range []float64{c.LabelNoise, 0} {
		sweeps = append(sweeps, Sweep{"width", asFloats(c.Widths), labelled(c.Widths, widthLabel(noise))})
	}
	return sweeps
}

// Sweeps are those of each optimizer in turn, plain gradient descent, momentum
// and Adam: over the learning rate, the batch size, and the coefficients of the
// L2, spectral, flatness and GC penalties.
func (c OptimizersConfig) Sweeps() (sweeps []Sweep) {
	for _, d := range descents {
		for _, a := range c.axes(d.id, nil, nil) {
			a.name = d.name + ": " + a.name
			sweeps = append(sweeps, a.sweep())
		}
	}
	return sweeps
}

// Sweeps is the pair of networks with and without biases, which counts as one
// over the number of biases of a unit.
func (c TransferConfig) Sweeps() []Sweep {
	return []Sweep{{"biases", []float64{1, 0}, []string{withBiases, withoutBiases}}}
}
