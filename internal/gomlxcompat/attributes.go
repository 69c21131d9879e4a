package gomlxcompat

import (
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"
)

// This file reads the static parameters of graph nodes: strides, paddings, axes and so on.
//
// GoMLX's registry of gradients (graph.VJPRegistration) is public and meant to be extended, but the
// parameters that a rule needs are in unexported structs. This file reads them by reflection,
// read-only and without package unsafe. Every accessor returns false for a node of another type. If
// a future GoMLX renames a field, it panics with one line that names the field.

// DotGeneralAttributes holds the axes of a generalized product, see graph.DotGeneral. The output's
// axes are the batch axes, then the remaining axes of lhs, then the remaining axes of rhs.
type DotGeneralAttributes struct {
	LHSContracting, LHSBatch []int
	RHSContracting, RHSBatch []int
}

// DotGeneralOf returns the axes of n; the operands are n.Inputs()[0] (lhs) and n.Inputs()[1] (rhs).
func DotGeneralOf(n *graph.Node) (DotGeneralAttributes, bool) {
	p, ok := parametersOf(n, graph.NodeTypeDotGeneral)
	if !ok {
		return DotGeneralAttributes{}, false
	}
	return DotGeneralAttributes{
		LHSContracting: p.ints("lhsContractingAxes"),
		LHSBatch:       p.ints("lhsBatchAxes"),
		RHSContracting: p.ints("rhsContractingAxes"),
		RHSBatch:       p.ints("rhsBatchAxes"),
	}, true
}

// TransposeOf returns the permutation of a Transpose: output axis i is input axis permutation[i].
func TransposeOf(n *graph.Node) (permutation []int, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypeTranspose)
	if !ok {
		return nil, false
	}
	return p.ints("permutation"), true
}

// BroadcastInDimOf returns, for every axis of the input, the axis of the output that it becomes.
func BroadcastInDimOf(n *graph.Node) (broadcastAxes []int, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypeBroadcastInDim)
	if !ok {
		return nil, false
	}
	return p.ints("broadcastAxes"), true
}

// SliceAttributes holds, for every axis, the first index, the limit (exclusive) and the stride.
type SliceAttributes struct {
	Starts, Limits, Strides []int
}

// SliceOf returns the parameters of a (static) Slice.
func SliceOf(n *graph.Node) (SliceAttributes, bool) {
	p, ok := parametersOf(n, graph.NodeTypeSlice)
	if !ok {
		return SliceAttributes{}, false
	}
	s := SliceAttributes{Starts: p.ints("starts"), Limits: p.ints("limits"), Strides: p.ints("strides")}
	if len(s.Strides) == 0 {
		s.Strides = repeat(1, len(s.Starts))
	}
	return s, true
}

// PadOf returns the padding of every axis of the input; n.Inputs()[1] is the scalar fill value.
func PadOf(n *graph.Node) (axes []compute.PadAxis, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypePad)
	if !ok {
		return nil, false
	}
	config := p.field("axesConfig", reflect.Slice)
	axes = make([]compute.PadAxis, config.Len())
	for i := range axes {
		axis := parameters{node: n, value: config.Index(i)}
		axes[i] = compute.PadAxis{Start: axis.int("Start"), End: axis.int("End"), Interior: axis.int("Interior")}
	}
	return axes, true
}

// ReduceOf returns the axes that a ReduceSum, ReduceMax, ReduceMin or ReduceProduct removes. They
// are empty only if the input is a scalar.
func ReduceOf(n *graph.Node) (axes []int, ok bool) {
	switch n.Type() {
	case graph.NodeTypeReduceSum, graph.NodeTypeReduceMax, graph.NodeTypeReduceMin, graph.NodeTypeReduceProduct:
	default:
		return nil, false
	}
	p, _ := parametersOf(n, n.Type())
	axes = p.ints("axes")
	if len(axes) == 0 { // GoMLX's shorthand for all axes.
		for axis := range n.Inputs()[0].Rank() {
			axes = append(axes, axis)
		}
	}
	return axes, true
}

// ConvAttributes holds the parameters of a convolution, see graph.ConvGeneral. The slices have one
// entry per spatial axis; ConvOf replaces missing ones by their defaults (stride 1, padding 0,
// dilation 1).
type ConvAttributes struct {
	Axes                               graph.ConvolveAxesConfig
	Strides                            []int
	Paddings                           [][2]int
	InputDilations, KernelDilations    []int
	ChannelGroupCount, BatchGroupCount int
}

// ConvOf returns the parameters of a ConvGeneral; its inputs are the images and the kernel.
func ConvOf(n *graph.Node) (ConvAttributes, bool) {
	p, ok := parametersOf(n, graph.NodeTypeConvGeneral)
	if !ok {
		return ConvAttributes{}, false
	}
	axes := parameters{node: n, value: p.field("axes", reflect.Struct)}
	spatial := n.Rank() - 2
	return ConvAttributes{
		Axes: graph.ConvolveAxesConfig{
			InputBatch:           axes.int("InputBatch"),
			InputChannels:        axes.int("InputChannels"),
			InputSpatial:         axes.ints("InputSpatial"),
			KernelInputChannels:  axes.int("KernelInputChannels"),
			KernelOutputChannels: axes.int("KernelOutputChannels"),
			KernelSpatial:        axes.ints("KernelSpatial"),
			OutputBatch:          axes.int("OutputBatch"),
			OutputChannels:       axes.int("OutputChannels"),
			OutputSpatial:        axes.ints("OutputSpatial"),
		},
		Strides:           orRepeat(p.ints("strides"), 1, spatial),
		Paddings:          orNoPadding(p.pairs("paddings"), spatial),
		InputDilations:    orRepeat(p.ints("inputDilations"), 1, spatial),
		KernelDilations:   orRepeat(p.ints("kernelDilations"), 1, spatial),
		ChannelGroupCount: max(1, p.int("channelGroupCount")),
		BatchGroupCount:   max(1, p.int("batchGroupCount")),
	}, true
}

// ReduceWindowAttributes holds the parameters of a pooling, one entry per axis of the input, batch
// and channels included. ReduceWindowOf replaces missing ones by their defaults.
type ReduceWindowAttributes struct {
	Reduction                       graph.ReduceOpType
	Window, Strides                 []int
	InputDilations, WindowDilations []int
	Paddings                        [][2]int
}

// ReduceWindowOf returns the parameters of a ReduceWindow.
func ReduceWindowOf(n *graph.Node) (ReduceWindowAttributes, bool) {
	p, ok := parametersOf(n, graph.NodeTypeReduceWindow)
	if !ok {
		return ReduceWindowAttributes{}, false
	}
	window := p.ints("windowDimensions")
	rank := len(window)
	return ReduceWindowAttributes{
		Reduction:       graph.ReduceOpType(p.int("reductionType")),
		Window:          window,
		Strides:         orCopy(p.ints("strides"), window), // GoMLX's default: adjacent windows.
		InputDilations:  orRepeat(p.ints("inputDilations"), 1, rank),
		WindowDilations: orRepeat(p.ints("windowDilations"), 1, rank),
		Paddings:        orNoPadding(p.pairs("paddings"), rank),
	}, true
}

// ConcatenateOf returns the axis along which the inputs are concatenated.
func ConcatenateOf(n *graph.Node) (axis int, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypeConcatenate)
	if !ok {
		return 0, false
	}
	return p.int("axis"), true
}

// ReverseOf returns the axes that a Reverse reverses.
func ReverseOf(n *graph.Node) (axes []int, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypeReverse)
	if !ok {
		return nil, false
	}
	return p.ints("axes"), true
}

// FusedDenseAttributes holds the parameters of a fused dense layer. The inputs of the node are x,
// the weights and, if HasBias, the bias.
type FusedDenseAttributes struct {
	HasBias      bool
	Activation   compute.ActivationType
	WeightLayout compute.DenseLayout
}

// FusedDenseOf returns the parameters of a FusedDense.
func FusedDenseOf(n *graph.Node) (FusedDenseAttributes, bool) {
	p, ok := parametersOf(n, graph.NodeTypeFusedDense)
	if !ok {
		return FusedDenseAttributes{}, false
	}
	options := parameters{node: n, value: p.field("options", reflect.Struct)}
	activation := parameters{node: n, value: options.field("Activation", reflect.Struct)}
	return FusedDenseAttributes{
		HasBias:      !p.field("bias", reflect.Pointer).IsNil(),
		Activation:   compute.ActivationType(activation.int("Type")),
		WeightLayout: compute.DenseLayout(options.int("WeightLayout")),
	}, true
}

// FusedActivationOf returns the activation of a FusedActivation, whose only input is x.
func FusedActivationOf(n *graph.Node) (compute.ActivationType, bool) {
	p, ok := parametersOf(n, graph.NodeTypeFusedActivation)
	if !ok {
		return 0, false
	}
	cfg := parameters{node: n, value: p.field("cfg", reflect.Struct)}
	return compute.ActivationType(cfg.int("Type")), true
}

// BatchNormAttributes holds the parameters of GoMLX's batch normalization ops.
type BatchNormAttributes struct {
	Epsilon     float64
	FeatureAxis int
}

// BatchNormOf returns the parameters of a BatchNormForTraining (inputs: operand, scale, offset), a
// BatchNormForInference (inputs: operand, scale, offset, mean, variance) or a BatchNormGradient
// (inputs: operand, scale, mean, variance, gradient of the output).
func BatchNormOf(n *graph.Node) (BatchNormAttributes, bool) {
	switch n.Type() {
	case graph.NodeTypeBatchNormForTraining, graph.NodeTypeBatchNormForInference, graph.NodeTypeBatchNormGradient:
	default:
		return BatchNormAttributes{}, false
	}
	p, _ := parametersOf(n, n.Type())
	return BatchNormAttributes{
		Epsilon:     p.field("epsilon", reflect.Float32).Float(),
		FeatureAxis: p.int("featureAxis"),
	}, true
}

// SplitOf returns the index of the output that a SplitNode takes from its input, a node with
// several outputs.
func SplitOf(n *graph.Node) (index int, ok bool) {
	p, ok := parametersOf(n, graph.NodeTypeSplitNode)
	if !ok {
		return 0, false
	}
	return p.int("index"), true
}

// AlternateOutputs returns the nodes of primitive ops that GoMLX differentiates in place of a fused
// op: one per output, nil if the node has none. The alternates come before the node in the graph.
func AlternateOutputs(n *graph.Node) []*graph.Node {
	pointers := nodeField(n, "vjpAlternateOutputs", reflect.Slice)
	if pointers.Len() == 0 {
		return nil
	}
	alternates := make([]*graph.Node, pointers.Len())
	earlier := n.Graph().Nodes()[:n.Id()]
	for i := range alternates {
		address := pointers.Index(i).Pointer()
		if address == 0 {
			continue
		}
		for j := len(earlier) - 1; j >= 0 && alternates[i] == nil; j-- {
			if reflect.ValueOf(earlier[j]).Pointer() == address {
				alternates[i] = earlier[j]
			}
		}
		if alternates[i] == nil {
			Panicf("gomlxcompat: the alternate output #%d of node %s is not an earlier node of its graph", i, n)
		}
	}
	return alternates
}

// parameters is a struct in a node; its methods read fields by name.
type parameters struct {
	node  *graph.Node
	value reflect.Value
}

// parametersOf returns the parameters of n, or false if n is not of the wanted type.
func parametersOf(n *graph.Node, wanted graph.NodeType) (parameters, bool) {
	if n.Type() != wanted {
		return parameters{}, false
	}
	inputs := nodeField(n, "inputs", reflect.Interface).Elem()
	if inputs.Kind() == reflect.Pointer {
		inputs = inputs.Elem()
	}
	if inputs.Kind() != reflect.Struct {
		Panicf("gomlxcompat: the parameters of node %s are a %s, not a struct: this version of GoMLX is not supported",
			n, inputs.Kind())
	}
	return parameters{node: n, value: inputs}, true
}

// nodeField returns an unexported field of the node itself.
func nodeField(n *graph.Node, name string, kind reflect.Kind) reflect.Value {
	return parameters{node: n, value: reflect.ValueOf(n).Elem()}.field(name, kind)
}

// field returns the field with this name, and panics if there is none or if it is of another kind.
func (p parameters) field(name string, kind reflect.Kind) reflect.Value {
	f := p.value.FieldByName(name)
	if !f.IsValid() {
		Panicf("gomlxcompat: %s has no field %q (in node %s): this version of GoMLX is not supported",
			p.value.Type(), name, p.node)
	}
	if f.Kind() != kind {
		Panicf("gomlxcompat: field %s.%s is a %s, want a %s (in node %s): this version of GoMLX is not supported",
			p.value.Type(), name, f.Kind(), kind, p.node)
	}
	return f
}

func (p parameters) int(name string) int { return int(p.field(name, reflect.Int).Int()) }

// ints returns a copy of a field of type []int.
func (p parameters) ints(name string) []int {
	f := p.field(name, reflect.Slice)
	values := make([]int, f.Len())
	for i := range values {
		values[i] = int(f.Index(i).Int())
	}
	return values
}

// pairs returns a copy of a field of type [][2]int.
func (p parameters) pairs(name string) [][2]int {
	f := p.field(name, reflect.Slice)
	values := make([][2]int, f.Len())
	for i := range values {
		values[i] = [2]int{int(f.Index(i).Index(0).Int()), int(f.Index(i).Index(1).Int())}
	}
	return values
}

func repeat(value, n int) []int {
	values := make([]int, n)
	for i := range values {
		values[i] = value
	}
	return values
}

func orRepeat(values []int, value, n int) []int {
	if len(values) == 0 {
		return repeat(value, n)
	}
	return values
}

func orCopy(values, otherwise []int) []int {
	if len(values) == 0 {
		return append([]int(nil), otherwise...)
	}
	return values
}

func orNoPadding(values [][2]int, n int) [][2]int {
	if len(values) == 0 {
		return make([][2]int, n)
	}
	return values
}
