package onnxmodel

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/onnx-gomlx/onnx/parser"
	"google.golang.org/protobuf/proto"

	"example.com/geometric-complexity/internal/gctest"
)

// TestConformance runs the cases of ONNX's own suite that scripts/onnx-conformance.py unpacked into
// the folder GCML_ONNX_SUITE, or the part of them in testdata/suite. Each gives the suite's values, or is refused. The table of all goes to
// the file GCML_ONNX_TABLE, if that is set.
func TestConformance(t *testing.T) {
	suite := os.Getenv("GCML_ONNX_SUITE")
	if suite == "" {
		suite = testdata("suite")
	}
	models, err := filepath.Glob(filepath.Join(suite, "*", "model.onnx"))
	if err != nil || len(models) == 0 {
		t.Fatalf("no cases in %s (%v)", suite, err)
	}
	b := gctest.GoBackend(t)
	var table conformanceTable
	for _, path := range models {
		name := strings.TrimPrefix(filepath.Base(filepath.Dir(path)), "test_")
		op, version, cause := runCase(b, filepath.Dir(path))
		table.add(op, version, name, cause)
		if strings.HasPrefix(cause, "WRONG") || strings.Contains(cause, "\n") {
			t.Errorf("%s (%s, opset %d): %s", name, op, version, cause)
		}
	}
	t.Log(table.counts())
	if out := os.Getenv("GCML_ONNX_TABLE"); out != "" {
		if err := os.WriteFile(out, []byte(table.markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// runCase returns the cause why a case is refused, "WRONG" with the difference, or "" if it is right.
func runCase(b compute.Backend, dir string) (op string, version int64, cause string) {
	raw, err := os.ReadFile(filepath.Join(dir, "model.onnx"))
	var file protos.ModelProto
	if err == nil {
		err = proto.Unmarshal(raw, &file)
	}
	if err != nil {
		return "", 0, err.Error()
	}
	op, version = file.Graph.Node[0].OpType, opset(&file)
	err = attempt(func() error { return compareCase(b, dir, &file) })
	if err != nil {
		cause = strings.SplitN(err.Error(), "\n", 2)[0]
	}
	return op, version, cause
}

// compareCase computes the outputs of a case, whose inputs become Constant nodes: operators that want
// constant axes or shapes get them. The outputs that the suite has are such nodes too.
func compareCase(b compute.Backend, dir string, file *protos.ModelProto) error {
	g := file.Graph
	var constants []*protos.NodeProto
	constant := func(name, from string) error {
		raw, err := os.ReadFile(filepath.Join(dir, from))
		if err != nil {
			return err
		}
		var t protos.TensorProto
		if err := proto.Unmarshal(raw, &t); err != nil {
			return err
		}
		constants = append(constants, &protos.NodeProto{Name: name, OpType: "Constant", Output: []string{name},
			Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: &t}}})
		return nil
	}
	for i, in := range g.Input {
		if err := constant(in.Name, fmt.Sprintf("input_%d.pb", i)); err != nil {
			return err
		}
	}
	var outputs, wanted []string
	for i, out := range g.Output {
		outputs, wanted = append(outputs, out.Name), append(wanted, "want."+out.Name)
		if err := constant(wanted[i], fmt.Sprintf("output_%d.pb", i)); err != nil {
			return err
		}
	}
	g.Node, g.Input = append(constants, g.Node...), nil
	if err := prepare(file); err != nil {
		return err
	}
	raw, err := proto.Marshal(file)
	if err != nil {
		return err
	}
	imported, err := parser.Parse(raw)
	if err != nil {
		return err
	}
	imported.DisableFusion()
	store := model.NewStore()
	if err := imported.VariablesToScope(store.RootScope()); err != nil {
		return err
	}
	exec, err := model.NewExec(b, store, func(scope *model.Scope, g *graph.Graph) []*graph.Node {
		return imported.CallGraph(scope, g, nil, append(slices.Clone(outputs), wanted...)...)
	})
	if err != nil {
		return err
	}
	values, err := exec.Exec()
	if err != nil {
		return err
	}
	for i := range outputs {
		if err := sameValues(values[i], values[i+len(outputs)]); err != nil {
			return err
		}
	}
	return nil
}

// sameValues holds the suite's own tolerances, widened for float16 and bfloat16.
func sameValues(got, want *tensors.Tensor) error {
	if !slices.Equal(got.Shape().Dimensions, want.Shape().Dimensions) {
		return fmt.Errorf("WRONG: shape %s; want %s", got.Shape(), want.Shape())
	}
	a, okA := float64s(got)
	w, okW := float64s(want)
	if !okA || !okW {
		return fmt.Errorf("values of type %s cannot be compared", want.DType())
	}
	relative := 1e-3
	if want.DType().Size() == 2 && want.DType().IsFloat() {
		relative = 1e-2
	}
	for i := range w {
		if a[i] == w[i] || math.IsNaN(a[i]) && math.IsNaN(w[i]) {
			continue
		}
		if !(math.Abs(a[i]-w[i]) <= 1e-5+relative*math.Abs(w[i])) {
			return fmt.Errorf("WRONG: value %d is %g; want %g", i, a[i], w[i])
		}
	}
	return nil
}

// conformanceTable counts cases by operator and opset.
type conformanceTable struct {
	rows map[string]map[int64][]caseResult
}

type caseResult struct{ name, cause string }

func (c *conformanceTable) add(op string, version int64, name, cause string) {
	if c.rows == nil {
		c.rows = make(map[string]map[int64][]caseResult)
	}
	if c.rows[op] == nil {
		c.rows[op] = make(map[int64][]caseResult)
	}
	c.rows[op][version] = append(c.rows[op][version], caseResult{name, cause})
}

func (c *conformanceTable) counts() string {
	var right, wrong, all int
	for _, versions := range c.rows {
		for _, results := range versions {
			for _, r := range results {
				all++
				switch {
				case r.cause == "":
					right++
				case strings.HasPrefix(r.cause, "WRONG"):
					wrong++
				}
			}
		}
	}
	return fmt.Sprintf("%d cases: %d verified, %d refused, %d wrong", all, right, all-right-wrong, wrong)
}

func (c *conformanceTable) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "# ONNX's conformance suite\n\nMade by `make onnx-conformance`; do not edit. Forward values on the Go backend. %s.\n\n"+
		"| operator | opset | verified | refused | wrong |\n|---|---|---|---|---|\n", c.counts())
	for _, op := range sortedKeys(c.rows) {
		for _, version := range sortedKeys(c.rows[op]) {
			var right, refused, wrong []string
			for _, r := range c.rows[op][version] {
				switch {
				case r.cause == "":
					right = append(right, r.name)
				case strings.HasPrefix(r.cause, "WRONG"):
					wrong = append(wrong, r.name)
				default:
					refused = append(refused, r.name)
				}
			}
			fmt.Fprintf(&s, "| %s | %d | %s | %s | %s |\n", op, version, strings.Join(right, ", "), strings.Join(refused, ", "), strings.Join(wrong, ", "))
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
