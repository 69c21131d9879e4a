package experiments

import (
	"path/filepath"
	"strings"
	"testing"
)

// fitRecord is the record of a run that learned f(x) = value, measured once.
func fitRecord(hash string, value float64) *Record {
	f := make([]Number, gridPoints)
	for i := range f {
		f[i] = Number(value)
	}
	return &Record{Hash: hash, Status: Complete, Points: []Point{{Step: 7,
		Values: map[string]Number{"interval_gc": 0.25, "train_loss": 0.5}, Arrays: map[string][]Number{"f": f}}}}
}

func TestResultRecords(t *testing.T) {
	out := t.TempDir()
	r := &Result{Name: "x"}
	for i, label := range []string{"fit", "other", "fit"} {
		kept := fitRecord("", float64(i))
		kept.Seed, kept.Task = int64(i), []byte("{}")
		var err error
		if kept.Hash, err = kept.address(); err != nil {
			t.Fatal(err)
		}
		r.Runs = append(r.Runs, RunSummary{Label: label, Hash: kept.Hash})
		if label == "fit" {
			if err := writeRecord(filepath.Join(out, runsDir, kept.Hash), kept); err != nil {
				t.Fatal(err)
			}
		}
	}
	records, err := r.Records(out, "fit")
	if err != nil || len(records) != 2 || records[0].Seed != 0 || records[1].Seed != 2 {
		t.Errorf("got %v, %v; want the records of seeds 0 and 2, as the result lists them", records, err)
	}
	for label, want := range map[string]string{"other": "run the experiment again", "none": `no run has the label "none"`} {
		t.Run(label, func(t *testing.T) {
			if _, err := r.Records(out, label); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one that says %q", err, want)
			}
		})
	}
}

func TestFunctionAt(t *testing.T) {
	cfg := SimplicityBiasConfig{Points: 10}
	f, err := cfg.FunctionAt(fitRecord("a", 3), 0)
	if err != nil {
		t.Fatal(err)
	}
	learned := f.Panels[0].Series[0]
	if len(learned.X) != gridPoints || learned.Y[0] != 3 || -learned.X[0] != learned.X[gridPoints-1] {
		t.Errorf("the figure draws %d points from x = %g to %g", len(learned.X), learned.X[0], learned.X[gridPoints-1])
	}
	for _, want := range []string{"GC over [-1, 1]: 0.25", "Training loss: 0.5"} {
		if !strings.Contains(f.Caption, want) {
			t.Errorf("caption %q does not say %q", f.Caption, want)
		}
	}
	if _, err := cfg.FunctionAt(fitRecord("a", 3), 1); err == nil {
		t.Error("a measurement that there is not gives no error")
	}
	without := fitRecord("a", 3)
	without.Points[0].Arrays = nil
	if _, err := cfg.FunctionAt(without, 0); err == nil || !strings.Contains(err.Error(), "kept no function") {
		t.Errorf("a run without its function gives %v", err)
	}
}

// The addresses of a result are a file's words: none leads out of its folder.
func TestRecordsStayInTheFolder(t *testing.T) {
	out := t.TempDir()
	r := &Result{Name: "stranger", Runs: []RunSummary{{Label: "a", Hash: "../../0123456789abcdef"}}}
	if _, err := r.Records(filepath.Join(out, "x"), "a"); err == nil || !strings.Contains(err.Error(), "is not the address of a run") {
		t.Errorf("error %v", err)
	}
}
