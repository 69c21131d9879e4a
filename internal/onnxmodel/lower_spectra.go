package onnxmodel

import (
	"math"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Windows and the weights of mel bands are constants, computed when the file is read.
var _ = register(map[string]rewrite{
	"HannWindow":      window,
	"HammingWindow":   window,
	"BlackmanWindow":  window,
	"MelWeightMatrix": melWeights,
})

// cosines has the terms a of windows a[0] - a[1]·cos(x) + a[2]·cos(2x).
var cosines = map[string][]float64{
	"HannWindow":     {0.5, 0.5},
	"HammingWindow":  {25. / 46, 21. / 46},
	"BlackmanWindow": {0.42, 0.5, 0.08},
}

// mostComputed limits the elements of a constant that is computed when a file is read.
const mostComputed = 1 << 24

func window(l *lowering, n *protos.NodeProto) (bool, error) {
	size, ok := l.constant(n.Input[0])
	if !ok || len(size) != 1 || size[0] < 1 || size[0] > mostComputed {
		return refused(n, "its size is not constant, or not from 1 to %d", mostComputed)
	}
	period := float64(size[0])
	if intOr(n, "periodic", 1) == 0 {
		period--
	}
	if period == 0 {
		return refused(n, "the attribute periodic is 0 for the size 1, where its definition divides 0 by 0")
	}
	values := make([]float64, size[0])
	for i := range values {
		sign := 1.0
		for j, a := range cosines[n.OpType] {
			values[i] += sign * a * math.Cos(2*math.Pi*float64(j*i)/period)
			sign = -sign
		}
	}
	return l.finishNumbers(n, values, size[0])
}

// finishNumbers makes the output of a node constant numbers of the type that the node states.
func (l *lowering) finishNumbers(n *protos.NodeProto, values []float64, dims ...int64) (bool, error) {
	t := &protos.TensorProto{Name: l.fresh(), Dims: dims,
		DataType: int32(intOr(n, "output_datatype", int64(protos.TensorProto_FLOAT)))}
	switch dtype := protos.TensorProto_DataType(t.DataType); dtype {
	case protos.TensorProto_DOUBLE:
		t.DoubleData = values
	case protos.TensorProto_FLOAT:
		for _, v := range values {
			t.FloatData = append(t.FloatData, float32(v))
		}
	default:
		return refused(n, "the attribute output_datatype is %s", dtype)
	}
	return l.finish(n, l.weight(t))
}

// melWeights is the matrix [frequencies, bands] of triangles whose corners are at equal distances
// in mels, and at whole frequencies.
func melWeights(l *lowering, n *protos.NodeProto) (bool, error) {
	var whole [3]int64
	for i := range whole {
		values, ok := l.constant(n.Input[i])
		if !ok || !isSize(values) {
			return refused(n, "its num_mel_bins, dft_length or sample_rate is not constant, or not 1 or more")
		}
		whole[i] = values[0]
	}
	lowest, okLowest := l.number(n.Input[3])
	highest, okHighest := l.number(n.Input[4])
	if !okLowest || !okHighest || !(0 <= lowest && lowest <= highest) {
		return refused(n, "its edges are not constant, or not in order from 0 Hz on")
	}
	bands, length, rate := whole[0], whole[1], float64(whole[2])
	rows := length/2 + 1
	if rows*bands > mostComputed {
		return refused(n, "it has more than %d elements", mostComputed)
	}
	mel := func(hertz float64) float64 { return 2595 * math.Log10(1+hertz/700) }
	corners := make([]int64, bands+2)
	for i := range corners {
		at := mel(lowest) + float64(i)*(mel(highest)-mel(lowest))/float64(bands+2)
		hertz := 700 * (math.Pow(10, at/2595) - 1)
		// A frequency that is whole must not become the one below by the last bits of the powers.
		corner := math.Floor(float64(length+1)*hertz/rate + 1e-9)
		if corner > float64(rows) || corner == float64(rows) && int64(i) <= bands {
			return refused(n, "its upper edge is beyond half of its sample_rate")
		}
		corners[i] = int64(corner)
	}
	weights := make([]float64, rows*bands)
	for band := range bands {
		left, center, right := corners[band], corners[band+1], corners[band+2]
		for at := left; at < center; at++ {
			weights[at*bands+band] = float64(at-left) / float64(center-left)
		}
		weights[center*bands+band] = 1
		for at := center; at < right; at++ {
			weights[at*bands+band] = float64(right-at) / float64(right-center)
		}
	}
	return l.finishNumbers(n, weights, rows, bands)
}

// number is the value of a constant of floats that has one.
func (l *lowering) number(name string) (float64, bool) {
	t := l.tensor(name)
	if t == nil || len(t.ExternalData) > 0 {
		return 0, false
	}
	values, ok := floatsOf(t)
	if !ok || len(values) != 1 {
		return 0, false
	}
	return values[0], true
}
