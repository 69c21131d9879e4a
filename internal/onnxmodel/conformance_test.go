package onnxmodel

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"google.golang.org/protobuf/proto"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestConformance runs the cases of ONNX's own suite that scripts/onnx-conformance.py unpacked into
// the folder GCML_ONNX_SUITE, or the part of them in testdata/suite. Each gives the suite's values,
// or is refused in one line that names an operator and a node, or a value. The table of all goes to
// the file GCML_ONNX_TABLE, if that is set.
func TestConformance(t *testing.T) {
	suite := os.Getenv("GCML_ONNX_SUITE")
	whole := suite != ""
	if !whole {
		suite = testdata("suite")
	}
	models, err := filepath.Glob(filepath.Join(suite, "*", "model.onnx"))
	if err != nil || len(models) == 0 {
		t.Fatalf("no cases in %s (%v)", suite, err)
	}
	b := gctest.GoBackend(t)
	var table conformanceTable
	for _, path := range models {
		table.run(t, b, filepath.Dir(path))
	}
	t.Log(table.counts())
	if whole {
		for op := range allowed {
			if _, ok := table.verified[op]; !ok && !slices.Contains(heldToOthers, op) {
				t.Errorf("operator %s is allowed, but no case of the suite is verified", op)
			}
		}
	}
	if out := os.Getenv("GCML_ONNX_TABLE"); out != "" {
		if err := os.WriteFile(out, []byte(table.markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConformanceOnXLA runs the whole suite of GCML_ONNX_SUITE on XLA, or every twelfth case of
// testdata/suite, as each is compiled.
func TestConformanceOnXLA(t *testing.T) {
	suite, step := os.Getenv("GCML_ONNX_SUITE"), 1
	if suite == "" {
		suite, step = testdata("suite"), 12
	}
	models, err := filepath.Glob(filepath.Join(suite, "*", "model.onnx"))
	if err != nil || len(models) == 0 {
		t.Fatalf("no cases in %s (%v)", suite, err)
	}
	b := gctest.XLABackend(t)
	if b == nil {
		gctest.WithoutXLA(t)
	}
	var table conformanceTable
	for i := 0; i < len(models); i += step {
		table.run(t, b, filepath.Dir(models[i]))
	}
	t.Log(table.counts())
}

// heldToOthers has operators without a case in the suite, whose GC other tests hold to another
// implementation's.
var heldToOthers = []string{"GlobalLpPool", "SimplifiedLayerNormalization", "ai.onnx.ml.LinearClassifier",
	"ai.onnx.ml.LinearRegressor",
	"ai.onnx.ml.Normalizer", "ai.onnx.ml.Scaler", "com.microsoft.BiasGelu", "com.microsoft.FastGelu",
	"com.microsoft.Attention", "com.microsoft.EmbedLayerNormalization", "com.microsoft.FusedConv",
	"com.microsoft.FusedGemm", "com.microsoft.FusedMatMul", "com.microsoft.MultiHeadAttention",
	"com.microsoft.Gelu", "com.microsoft.QuickGelu", "com.microsoft.SkipLayerNormalization",
	"com.microsoft.SkipSimplifiedLayerNormalization"}

// refusal is how a message of what is not supported begins.
var refusal = regexp.MustCompile(`^(operator \S+ \(.+\)|(input|output|tensor) \S+)[: ]`)

// run adds a case to the table, and reports a wrong value or a message that does not name its
// cause.
func (c *conformanceTable) run(t *testing.T, b compute.Backend, dir string) {
	t.Helper()
	name := strings.TrimPrefix(filepath.Base(dir), "test_")
	op, version, err := runCase(b, dir)
	cause := ""
	if err != nil {
		cause = err.Error()
	}
	var wrong *wrongValue
	switch {
	case errors.As(err, &wrong):
		t.Errorf("%s (%s, opset %d): %s", name, op, version, cause)
	case err != nil && (!refusal.MatchString(cause) || strings.Contains(cause, "\n")):
		t.Errorf("%s (%s, opset %d): the message does not name the cause in one line: %q", name, op, version, cause)
	case err == nil:
		if c.verified == nil {
			c.verified = make(map[string]bool)
		}
		c.verified[op] = true
	}
	c.add(op, version, name, err)
}

// runCase returns the cause why a case is refused, a wrongValue, or nil if it is right.
func runCase(b compute.Backend, dir string) (op string, version int64, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "model.onnx"))
	var file protos.ModelProto
	if err == nil {
		err = proto.Unmarshal(raw, &file)
	}
	if err != nil {
		return "", 0, err
	}
	op, version = operatorKey(file.Graph.Node[0]), opset(&file)
	err = compareCase(b, dir, &file)
	return op, version, err
}

// compareCase computes the outputs of a case, whose inputs become Constant nodes: operators that
// want constant axes or shapes get them.
func compareCase(b compute.Backend, dir string, file *protos.ModelProto) error {
	g := file.Graph
	var constants []*protos.NodeProto
	for i, in := range g.Input {
		raw, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("input_%d.pb", i)))
		if err != nil {
			return err
		}
		var t protos.TensorProto
		if err := proto.Unmarshal(raw, &t); err != nil {
			return err
		}
		constants = append(constants, &protos.NodeProto{Name: in.Name, OpType: "Constant", Output: []string{in.Name},
			Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: &t}}})
	}
	outputs := slices.Clone(g.Output)
	g.Node, g.Input = append(constants, g.Node...), nil
	m := &Model{Store: model.NewStore()}
	if err := inline(file); err != nil {
		return err
	}
	if err := m.parse(file, nil); err != nil {
		return err
	}
	exec, err := model.NewExec(b, m.Store, func(scope *model.Scope, exec *graph.Graph) []*graph.Node {
		var values []*graph.Node
		for _, out := range outputs {
			values = append(values, m.values(scope, exec, nil, out.Name)...)
		}
		return values
	})
	var values []*tensors.Tensor
	if err == nil {
		values, err = exec.Exec()
	}
	if err != nil {
		var known *modelError
		if errors.As(err, &known) {
			return known
		}
		return err
	}
	for i := range outputs {
		want, err := wanted(b, dir, i)
		if err == nil {
			err = sameValues(values[i], want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wanted reads an output of a case by the importer, as the one Constant of a graph.
func wanted(b compute.Backend, dir string, i int) (*tensors.Tensor, error) {
	raw, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("output_%d.pb", i)))
	var t protos.TensorProto
	if err == nil {
		err = proto.Unmarshal(raw, &t)
	}
	if err != nil {
		return nil, err
	}
	file := &protos.ModelProto{Graph: &protos.GraphProto{Output: []*protos.ValueInfoProto{{Name: "want",
		Type: tensorOf(t.DataType)}},
		Node: []*protos.NodeProto{{Name: "want", OpType: "Constant", Output: []string{"want"},
			Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: &t}}}}}}
	m := &Model{Store: model.NewStore(), output: "want"}
	if err := m.parse(file, nil); err != nil {
		return nil, err
	}
	return model.CallOnce(b, m.Store,
		func(scope *model.Scope, g *graph.Graph) *graph.Node { return m.values(scope, g, nil, m.output)[0] })
}

func tensorOf(dtype int32) *protos.TypeProto {
	return &protos.TypeProto{Value: &protos.TypeProto_TensorType{TensorType: &protos.TypeProto_Tensor{ElemType: dtype}}}
}

// wrongValue is a value that differs from the suite's.
type wrongValue struct{ text string }

func (w *wrongValue) Error() string { return w.text }

// sameValues holds the suite's own tolerances, widened for float16 and bfloat16.
func sameValues(got, want *tensors.Tensor) error {
	if !slices.Equal(got.Shape().Dimensions, want.Shape().Dimensions) {
		return &wrongValue{fmt.Sprintf("shape %s; want %s", got.Shape(), want.Shape())}
	}
	a, okA := float64s(got)
	w, okW := float64s(want)
	if !okA || !okW {
		return fmt.Errorf("values of type %s cannot be compared", want.DType())
	}
	relative := 1e-3
	switch want.DType() {
	case dtypes.Float16:
		relative = 1e-2
	case dtypes.BFloat16: // Of 8 bits: some units in the last place.
		relative = 2e-2
	}
	for i := range w {
		if a[i] == w[i] || math.IsNaN(a[i]) && math.IsNaN(w[i]) {
			continue
		}
		if !(math.Abs(a[i]-w[i]) <= 1e-5+relative*math.Abs(w[i])) {
			return &wrongValue{fmt.Sprintf("value %d is %g; want %g", i, a[i], w[i])}
		}
	}
	return nil
}

// conformanceTable counts cases by operator and opset.
type conformanceTable struct {
	rows     map[string]map[int64][]caseResult
	verified map[string]bool // operators
}

type caseResult struct {
	name string
	err  error
}

func (c *conformanceTable) add(op string, version int64, name string, err error) {
	if c.rows == nil {
		c.rows = make(map[string]map[int64][]caseResult)
	}
	if c.rows[op] == nil {
		c.rows[op] = make(map[int64][]caseResult)
	}
	c.rows[op][version] = append(c.rows[op][version], caseResult{name, err})
}

func (c *conformanceTable) counts() string {
	var right, wrong, all int
	for _, versions := range c.rows {
		for _, results := range versions {
			for _, r := range results {
				all++
				if _, isWrong := r.err.(*wrongValue); isWrong {
					wrong++
				} else if r.err == nil {
					right++
				}
			}
		}
	}
	return fmt.Sprintf("%d cases: %d verified, %d refused, %d wrong", all, right, all-right-wrong, wrong)
}

func (c *conformanceTable) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "# Which forms of ONNX operators are verified\n\nFor those whose ONNX model is refused, or might be: "+
		"every case of ONNX's conformance suite, by operator. A case is verified if the Go backend computes its values. %s. "+
		"Made by `make onnx-conformance`; do not edit. It runs the suite on XLA, too, and fails if a value is wrong; there some "+
		"slices without elements are refused.\n\n"+
		"An operator that is neither in this table nor in [onnx.md](onnx.md#operators) is refused. So are other forms of "+
		"the operators in it: other attributes, optional inputs and outputs.\n\n"+
		"| operator | opset | verified | refused | wrong |\n|---|---|---|---|---|\n", c.counts())
	for _, op := range sortedKeys(c.rows) {
		for _, version := range sortedKeys(c.rows[op]) {
			var right, refused, wrong []string
			for _, r := range c.rows[op][version] {
				if _, isWrong := r.err.(*wrongValue); isWrong {
					wrong = append(wrong, r.name)
				} else if r.err == nil {
					right = append(right, r.name)
				} else {
					refused = append(refused, r.name)
				}
			}
			fmt.Fprintf(&s, "| %s | %d | %s | %s | %s |\n", op, version, strings.Join(right, ", "), strings.Join(refused, ", "),
				strings.Join(wrong, ", "))
		}
	}
	return s.String()
}

func sortedKeys[K int64 | string, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// float64s is the values of a tensor, converted by the backend's own conversion.
func float64s(t *tensors.Tensor) ([]float64, bool) {
	var values []float64
	ok := true
	t.ConstFlatData(func(flat any) {
		switch v := flat.(type) {
		case []float16.Float16:
			for _, x := range v {
				values = append(values, float64(x.Float32()))
			}
		case []bfloat16.BFloat16:
			for _, x := range v {
				values = append(values, float64(x.Float32()))
			}
		case []float32:
			values = converted(v)
		case []float64:
			values = converted(v)
		case []int8:
			values = converted(v)
		case []int16:
			values = converted(v)
		case []int32:
			values = converted(v)
		case []int64:
			values = converted(v)
		case []uint8:
			values = converted(v)
		case []uint16:
			values = converted(v)
		case []uint32:
			values = converted(v)
		case []uint64:
			values = converted(v)
		case []bool:
			for _, x := range v {
				if x {
					values = append(values, 1)
				} else {
					values = append(values, 0)
				}
			}
		default:
			ok = false
		}
	})
	return values, ok
}

func converted[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64](v []T) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
