package autodiff

import (
	"maps"
	"os"
	"reflect"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
)

// stockRules are GoMLX's, as they were before Register.
var stockRules map[NodeType]VJP

func TestMain(m *testing.M) {
	stockRules = maps.Clone(VJPRegistration)
	Register()
	os.Exit(m.Run())
}

// TestStockRule checks that every rule that Register replaced is remembered.
func TestStockRule(t *testing.T) {
	code := func(rule VJP) uintptr { return reflect.ValueOf(rule).Pointer() }
	changed := 0
	for nodeType, rule := range VJPRegistration {
		stock, had := stockRules[nodeType]
		if had && code(rule) == code(stock) {
			continue
		}
		changed++
		if got := StockRule(nodeType); (got != nil) != had || had && code(got) != code(stock) {
			t.Errorf("the stock rule of %s was not remembered", nodeType)
		}
	}
	if changed == 0 {
		t.Error("Register changed nothing")
	}
	if StockRule(NodeTypeAdd) != nil {
		t.Error("Add has a stock rule, although Register left it")
	}
}
