package autodiff

import (
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// stockRules are GoMLX's own rules, copied before Register.
var stockRules map[NodeType]VJP

func TestMain(m *testing.M) {
	stockRules = maps.Clone(VJPRegistration)
	Register()
	os.Exit(m.Run())
}

// TestStockRule checks that StockRule returns every rule that Register replaced, and that the
// documentation of gcml names its op.
func TestStockRule(t *testing.T) {
	documentation, err := os.ReadFile("../../gcml/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	code := func(rule VJP) uintptr { return reflect.ValueOf(rule).Pointer() }
	changed := 0
	for nodeType, rule := range VJPRegistration {
		stock, had := stockRules[nodeType]
		if had && code(rule) == code(stock) {
			continue
		}
		changed++
		if !strings.Contains(string(documentation), " "+nodeType.String()) {
			t.Errorf("the documentation of gcml does not say that the rule of %s changes", nodeType)
		}
		if got := StockRule(nodeType); (got != nil) != had || had && code(got) != code(stock) {
			t.Errorf("StockRule(%s) is not GoMLX's own rule", nodeType)
		}
	}
	if changed == 0 {
		t.Error("Register changed nothing")
	}
	if StockRule(NodeTypeAdd) != nil {
		t.Error("Add has a stock rule, although Register did not replace its rule")
	}
}
