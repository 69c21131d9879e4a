package onnxmodel

import (
	"encoding/binary"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/onnx-gomlx/onnx"
)

func isHalf(dtype int32) bool {
	return dtype == int32(protos.TensorProto_FLOAT16) || dtype == int32(protos.TensorProto_BFLOAT16)
}

// typeAttributes name the type of an output.
var typeAttributes = []string{"to", "dtype", "output_dtype", "output_datatype"}

// widen makes a network of 16-bit floats one of float32: its weights are those of the file, and
// what it computes from them is not rounded to 16 bits, which would make differences of it noise.
func widen(g *protos.GraphProto, folder *dataFolder) error {
	for _, w := range g.Initializer {
		if err := widenTensor(w, folder); err != nil {
			return err
		}
	}
	for _, list := range [][]*protos.ValueInfoProto{g.Input, g.Output, g.ValueInfo} {
		for _, v := range list {
			if t := v.GetType().GetTensorType(); t != nil && isHalf(t.ElemType) {
				t.ElemType = int32(protos.TensorProto_FLOAT)
			}
		}
	}
	for _, n := range g.Node {
		for _, a := range n.Attribute {
			if a.G != nil {
				if err := widen(a.G, folder); err != nil {
					return err
				}
			}
			for _, t := range []*protos.TensorProto{a.T, a.SparseTensor.GetValues()} {
				if t == nil {
					continue
				}
				if err := widenTensor(t, folder); err != nil {
					return err
				}
			}
			if slices.Contains(typeAttributes, a.Name) && isHalf(int32(a.I)) {
				a.I = int64(protos.TensorProto_FLOAT)
			}
		}
	}
	return nil
}

func widenTensor(t *protos.TensorProto, folder *dataFolder) error {
	if !isHalf(t.DataType) {
		return nil
	}
	v := validator{folder: folder}
	if err := v.tensor(t); err != nil {
		return err
	}
	raw := t.RawData
	if len(t.ExternalData) > 0 {
		count, _ := elements(t.Dims)
		location, offset, _, err := externalData(t)
		if err != nil {
			return err
		}
		raw = make([]byte, 2*count)
		if err := folder.ReadInto(onnx.ExternalDataInfo{Location: location, Offset: offset, Length: 2 * count},
			raw); err != nil {
			return err
		}
		t.ExternalData, t.DataLocation = nil, protos.TensorProto_DEFAULT
	}
	bits := make([]uint16, 0, len(raw)/2+len(t.Int32Data))
	for ; len(raw) >= 2; raw = raw[2:] {
		bits = append(bits, binary.LittleEndian.Uint16(raw))
	}
	for _, x := range t.Int32Data {
		bits = append(bits, uint16(x))
	}
	t.FloatData = make([]float32, len(bits))
	for i, b := range bits {
		if t.DataType == int32(protos.TensorProto_FLOAT16) {
			t.FloatData[i] = float16.Float16(b).Float32()
		} else {
			t.FloatData[i] = bfloat16.BFloat16(b).Float32()
		}
	}
	t.RawData, t.Int32Data, t.DataType = nil, nil, int32(protos.TensorProto_FLOAT)
	return nil
}
