package training

import (
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

func TestAddress(t *testing.T) {
	task := &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(3, 300), LearningRate: 0.02, Steps: 100,
		Measurements: 5}
	base := runs.Run{Seed: 1, Task: task}
	address := func(r runs.Run, backend string) string {
		a, err := r.Address(backend)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if got, want := address(base, "go"), "f2953f722d0de6c2"; got != want {
		t.Errorf("address %s; want %s (a change of Train's JSON form or Revision, or of recordFormat, explains it)", got,
			want)
	}
	other := *task
	other.StopLoss = 0.1
	for name, a := range map[string]string{
		"seed": address(runs.Run{Seed: 2, Task: task}, "go"), "backend": address(base, "xla:cpu"),
		"task": address(runs.Run{Seed: 1, Task: &other}, "go"),
	} {
		if a == address(base, "go") {
			t.Errorf("another %s has the same address", name)
		}
	}
	if address(runs.Run{Label: "a label", Seed: 1, Task: task}, "go") != address(base, "go") {
		t.Error("the label changes the address")
	}
}
