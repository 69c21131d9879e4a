package nb

import (
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
)

// fitRecord is the record of a run that learned f(x) = value, measured once.
func fitRecord(hash string, value float64) *runs.Record {
	f := make([]runs.Number, training.GridPoints)
	for i := range f {
		f[i] = runs.Number(value)
	}
	return &runs.Record{Hash: hash, Status: runs.Complete, Points: []runs.Point{{Step: 7,
		Values: map[string]runs.Number{"interval_gc": 0.25, "train_loss": 0.5}, Arrays: map[string][]runs.Number{"f": f}}}}
}

func TestFunctionAt(t *testing.T) {
	cfg := experiments.SimplicityBiasConfig{Points: 10}
	f, err := FunctionAt(cfg, fitRecord("a", 3), 0)
	if err != nil {
		t.Fatal(err)
	}
	learned := f.Panels[0].Series[0]
	if len(learned.X) != training.GridPoints || learned.Y[0] != 3 || -learned.X[0] != learned.X[training.GridPoints-1] {
		t.Errorf("the figure draws %d points from x = %g to %g", len(learned.X), learned.X[0],
			learned.X[training.GridPoints-1])
	}
	for _, want := range []string{"GC over [-1, 1]: 0.25", "Training loss: 0.5"} {
		if !strings.Contains(f.Caption, want) {
			t.Errorf("caption %q does not say %q", f.Caption, want)
		}
	}
	if _, err := FunctionAt(cfg, fitRecord("a", 3), 1); err == nil {
		t.Error("a measurement that there is not gives no error")
	}
	without := fitRecord("a", 3)
	without.Points[0].Arrays = nil
	if _, err := FunctionAt(cfg, without, 0); err == nil || !strings.Contains(err.Error(), "kept no function") {
		t.Errorf("a run without its function gives %v", err)
	}
}
