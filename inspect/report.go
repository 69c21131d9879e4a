package inspect

import (
	"encoding/json"
	"io"
	"math"

	"github.com/geometric-complexity/toolkit/gcml"
)

// Report is what Measure found. It is JSON as it stands; Page renders it.
type Report struct {
	// Name and Dataset are those of the subject, Backend that of the GoMLX backend.
	Name    string `json:"name"`
	Dataset string `json:"dataset"`
	Backend string `json:"backend"`
	// GC has the geometric complexity with the squared norm of every example, by class if there are
	// labels, and the largest singular values with that of every example.
	GC gcml.Result `json:"gc"`
	// TopTenth is the share, from 0 to 1, of the sum of the squared norms that the tenth of the
	// examples with the largest has, rounded up to whole examples.
	TopTenth float64 `json:"top_tenth"`
	// Layers has the GC of the named inner nodes, in order from the input, by LayersEstimator.
	Layers          []Layer `json:"layers,omitempty"`
	LayersEstimator string  `json:"layers_estimator,omitempty"`
	// Margin is nil unless the outputs are those of a classifier, [batch, two classes or more].
	Margin *Margin `json:"margin,omitempty"`
	// Noise has the effect of noise on the inputs by its σ, ascending.
	Noise []Noise `json:"noise,omitempty"`
	// Collapse is nil without labels of two classes or more.
	Collapse *Collapse `json:"collapse,omitempty"`
	// Shown are the most and the least sensitive examples.
	Shown []Example `json:"shown"`
	// Readings say what to make of each number.
	Readings []Reading `json:"readings"`
	// Notes say what was left out, and why.
	Notes []string `json:"notes,omitempty"`
	// Seconds is the time that it took, compilation included.
	Seconds float64 `json:"seconds"`
}

// Layer is the GC of the values of an inner node.
type Layer struct {
	Name   string             `json:"name"`
	GC     float64            `json:"gc"`
	StdErr gcml.StandardError `json:"stderr"`
	// Size is the number of values of the node for each example.
	Size int `json:"size"`
}

// Margin describes by how much a classifier prefers one output to the others.
type Margin struct {
	// Labelled says whether the margins are those of the labels, see representation.Margins. Else
	// they are those of the decisions, see representation.DecisionMargins.
	Labelled bool `json:"labelled"`
	// Mean and Quantiles are over the examples.
	Mean      float64        `json:"mean"`
	Quantiles gcml.Quantiles `json:"quantiles"`
	// Accuracy is the fraction of the examples whose largest output is that of the label. It is
	// null without labels.
	Accuracy Number `json:"accuracy"`
	// GCOverMargin is GC/Mean, the diagnostic of arXiv:2405.18590, in the unit of an output over
	// the square of that of an input. RootGCOverMargin is √GC/Mean, which does not change if the
	// outputs are scaled. Both are null if the mean is not positive.
	GCOverMargin     Number `json:"gc_over_margin"`
	RootGCOverMargin Number `json:"root_gc_over_margin"`
	// Distance has the quantiles of margin/(√2·σ₁) over the examples, with the margin of the
	// decision and the largest singular value σ₁ of the Jacobian: no smaller change of the input
	// changes the decision of the network's linear approximation at the example.
	Distance gcml.Quantiles `json:"distance"`
}

// Noise is the effect of normal noise on the inputs, of standard deviation Sigma in each value.
type Noise struct {
	Sigma float64 `json:"sigma"`
	// Predicted is σ·√GC, the root mean square change of the outputs of a linear network.
	Predicted float64 `json:"predicted"`
	// Drawn is the root mean square change ‖f(x+σe) - f(x)‖ for Draws drawn noises e of each
	// example, and Low and High the 95 % interval over the examples.
	Drawn float64 `json:"drawn"`
	Low   Number  `json:"low"`
	High  Number  `json:"high"`
	Draws int     `json:"draws"`
	// Flipped is the fraction of the draws that change the index of the largest output. It is null
	// unless the network is a classifier.
	Flipped Number `json:"flipped"`
}

// Collapse describes how far the features of each class have collapsed to a point, see
// representation.Classes.
type Collapse struct {
	// Features is the name of the features, and Size the number of values that an example has.
	Features string `json:"features"`
	Size     int    `json:"size"`
	Classes  int    `json:"classes"`
	// GC is that of the features, and Estimator is how it was computed.
	GC        float64            `json:"gc"`
	StdErr    gcml.StandardError `json:"stderr"`
	Estimator string             `json:"estimator"`
	// These are null where representation.Classes has no finite value for them.
	CDNV                Number `json:"cdnv"`
	GeometricCollapse   Number `json:"geometric_collapse"`
	NC1                 Number `json:"nc1"`
	NormVariation       Number `json:"norm_variation"`
	AngleDeviation      Number `json:"angle_deviation"`
	NearestMeanAccuracy Number `json:"nearest_mean_accuracy"`
}

// Example is one of the examples that are shown.
type Example struct {
	// Index counts from 0 in the order of the data set.
	Index int `json:"index"`
	// Most says that it is one of the most sensitive examples, else of the least.
	Most bool `json:"most"`
	// SquaredNorm is ‖J‖²_F and SpectralNorm the largest singular value of its Jacobian J.
	SquaredNorm  float64 `json:"squared_norm"`
	SpectralNorm float64 `json:"spectral_norm"`
	// Label is nil without labels, Decision and Margin are nil unless the network is a classifier.
	Label    *int64   `json:"label,omitempty"`
	Decision *int64   `json:"decision,omitempty"`
	Margin   *float64 `json:"margin,omitempty"`
	// Sensitive are the values of the input that the outputs are most sensitive to.
	Sensitive []Value `json:"sensitive,omitempty"`

	image, sensitivity []byte // PNG files, if the input is an image.
}

// Value is the sensitivity to one value of an example's input.
type Value struct {
	// Index has the position in the input, without the axis of the examples.
	Index []int `json:"index"`
	// Norm is the norm of the derivatives of all outputs with respect to the value, not squared.
	Norm float64 `json:"norm"`
}

// Reading is one number with what to make of it.
type Reading struct {
	// Section is the part of the report that it belongs to.
	Section string `json:"section"`
	Name    string `json:"name"`
	Value   string `json:"value"`
	// Meaning is one sentence.
	Meaning string `json:"meaning"`
}

// Number is a number that JSON has as null if it is NaN or infinite.
type Number float64

// IsFinite says whether n is neither NaN nor infinite.
func (n Number) IsFinite() bool { return !math.IsNaN(float64(n)) && !math.IsInf(float64(n), 0) }

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.IsFinite() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON implements json.Unmarshaler; null becomes NaN.
func (n *Number) UnmarshalJSON(data []byte) error {
	value := math.NaN()
	if string(data) != "null" {
		if err := json.Unmarshal(data, &value); err != nil {
			return err
		}
	}
	*n = Number(value)
	return nil
}

// JSON writes the report as indented JSON.
func (r *Report) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
