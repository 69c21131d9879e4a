package main

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/numpy"

	"github.com/geometric-complexity/toolkit/backend"
	benchfixture "github.com/geometric-complexity/toolkit/bench/fixture"
	"github.com/geometric-complexity/toolkit/bench/proto"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

const coefficient = 0.1

// TestTasks runs every task on a tiny network, and compares the values with each other and with
// plain loops.
func TestTasks(t *testing.T) {
	p := benchfixture.Problem{Model: "mlp", Inputs: 40, Hidden: 2, Width: 6, Outputs: 3, Batch: 4}
	folder, err := p.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		s := &server{backend: b, tasks: map[string]*task{}}
		values := map[string]map[string]float64{}
		for _, name := range []string{proto.TaskForward, proto.TaskGCExact, proto.TaskGCDense, proto.TaskGCProjection,
			proto.TaskStepPlain, proto.TaskStepExact, proto.TaskStepDense, proto.TaskStepProjection} {
			request := proto.Request{Op: proto.OpPrepare, ID: name, Fixture: folder, Task: name,
				Coefficient: coefficient, LearningRate: 0.01}
			answer := s.answer(request)
			if answer.Error != "" {
				t.Fatalf("%s: %s", name, answer.Error)
			}
			values[name] = answer.Values
		}
		near := func(what string, got, want float64) {
			t.Helper()
			if !(math.Abs(got-want) <= 1e-5*math.Abs(want)) {
				t.Errorf("%s is %.8g, want %.8g", what, got, want)
			}
		}
		near("mean square of the logits", values[proto.TaskForward]["value"], plainForward(t, folder, p))
		gc := values[proto.TaskGCExact]["value"]
		near("GC by the closed form", values[proto.TaskGCDense]["value"], gc)
		plain := values[proto.TaskStepPlain]
		near("loss with the penalty", values[proto.TaskStepExact]["value"], plain["value"]+coefficient*gc)
		near("loss with the projected penalty", values[proto.TaskStepProjection]["value"],
			plain["value"]+coefficient*values[proto.TaskGCProjection]["value"])
		for key, want := range values[proto.TaskStepExact] {
			near("step_dense's "+key, values[proto.TaskStepDense][key], want)
		}
		if norm := values[proto.TaskStepExact]["update_norm"]; !(norm > 1.001*plain["update_norm"] ||
			norm < 0.999*plain["update_norm"]) {
			t.Errorf("the penalty did not change the update's norm %g", norm)
		}
		if !(plain["next_loss"] < plain["value"]) {
			t.Errorf("the loss went from %g to %g", plain["value"], plain["next_loss"])
		}
	})
}

// TestLoop compares a loop over a data set of one batch with plain steps on that batch.
func TestLoop(t *testing.T) {
	p := benchfixture.Problem{Model: "resnet18", Inputs: 8, Width: 2, Outputs: 3, Batch: 64, Norm: "batch", Pixels: true}
	folder, err := p.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{backend: gctest.GoBackend(t), tasks: map[string]*task{}}
	values := map[string]map[string]float64{}
	for _, name := range []string{proto.TaskStepPlain, proto.TaskLoop} {
		answer := s.answer(proto.Request{Op: proto.OpPrepare, ID: name, Fixture: folder, Task: name, LearningRate: 0.01})
		if answer.Error != "" {
			t.Fatalf("%s: %s", name, answer.Error)
		}
		values[name] = answer.Values
	}
	for key, want := range values[proto.TaskStepPlain] {
		if got := values[proto.TaskLoop][key]; !(math.Abs(got-want) <= 1e-4*math.Abs(want)) {
			t.Errorf("the loop's %s is %.8g, want %.8g", key, got, want)
		}
	}
}

// TestStockVariants checks that the networks with GoMLX's own convolution compute the same as ours,
// and that GoMLX's gradient is registered only for the one variant that needs it.
func TestStockVariants(t *testing.T) {
	folder, err := benchfixture.Problem{Model: "resnet18", Inputs: 8, Width: 2, Outputs: 3, Batch: 2}.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{backend: gctest.GoBackend(t), info: backend.Info{Name: "go"}, tasks: map[string]*task{}}
	gradient := func() uintptr { return reflect.ValueOf(VJPRegistration[NodeTypeConvGeneral]).Pointer() }
	registered := gradient()
	for task, want := range map[string][]string{
		proto.TaskForward:   {variantOurs, variantStock},
		proto.TaskStepPlain: {variantOurs, variantStock, variantStockForward},
	} {
		request := proto.Request{Op: proto.OpVariants, Fixture: folder, Task: task, LearningRate: 0.01}
		if got := s.answer(request).Variants; !slices.Equal(got, want) {
			t.Errorf("%s has the variants %q, want %q", task, got, want)
		}
		var first map[string]float64
		for _, variant := range want {
			request.Op, request.ID, request.Variant = proto.OpPrepare, variant, variant
			answer := s.answer(request)
			if answer.Error != "" {
				t.Fatalf("%s by %s: %s", task, variant, answer.Error)
			}
			if first == nil {
				first = answer.Values
			}
			for key, value := range first {
				if got := answer.Values[key]; !(math.Abs(got-value) <= 1e-5*math.Abs(value)) {
					t.Errorf("%s of %s by %s is %.8g, want %.8g", key, task, variant, got, value)
				}
			}
		}
	}
	if gradient() != registered {
		t.Error("the registered gradient of convolutions is not back in place")
	}
	restore := useStockGradient()
	defer restore()
	if gradient() == registered {
		t.Error("GoMLX's gradient is not in place")
	}
}

// plainForward returns the mean square of the logits, computed by loops in float64.
func plainForward(t *testing.T, folder string, p benchfixture.Problem) float64 {
	t.Helper()
	read := func(name string) []float64 {
		tensor, err := numpy.FromNpyFile(filepath.Join(folder, name+".npy"))
		if err != nil {
			t.Fatal(err)
		}
		var flat []float64
		for _, v := range tensors.MustCopyFlatData[float32](tensor) {
			flat = append(flat, float64(v))
		}
		return flat
	}
	x, in := read("x"), p.Inputs
	for layer := range p.Hidden + 1 {
		weights, biases := read("layer"+string(rune('0'+layer))+".weights"), read("layer"+string(rune('0'+layer))+".biases")
		out := len(biases)
		y := make([]float64, p.Batch*out)
		for b := range p.Batch {
			for j := range out {
				sum := biases[j]
				for i := range in {
					sum += x[b*in+i] * weights[i*out+j]
				}
				if layer < p.Hidden {
					sum = max(sum, 0)
				}
				y[b*out+j] = sum
			}
		}
		x, in = y, out
	}
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return sum / float64(len(x))
}

func TestServe(t *testing.T) {
	folder, err := benchfixture.Problem{Model: "mlp", Inputs: 3, Hidden: 1, Width: 2, Outputs: 2,
		Batch: 2}.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var in, out bytes.Buffer
	for _, r := range []proto.Request{
		{Op: proto.OpVersions},
		{Op: proto.OpVariants, Fixture: folder, Task: proto.TaskForward},
		{Op: proto.OpTime, ID: "a", Reps: 1}, // Not prepared yet: an error, and the worker continues.
		{Op: proto.OpPrepare, ID: "a", Fixture: folder, Task: proto.TaskForward},
		{Op: proto.OpTime, ID: "a", Reps: 3, Warmup: 1},
		{Op: proto.OpRelease},
		{Op: proto.OpQuit},
		{Op: proto.OpVersions}, // No longer read.
	} {
		if err := json.NewEncoder(&in).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	s := &server{backend: gctest.GoBackend(t), tasks: map[string]*task{}}
	if err := s.serve(&in, &out); err != nil {
		t.Fatal(err)
	}
	var answers []proto.Answer
	for line := range strings.Lines(out.String()) {
		var a proto.Answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		answers = append(answers, a)
	}
	if len(answers) != 6 {
		t.Fatalf("%d answers, want 6", len(answers))
	}
	if !strings.Contains(answers[2].Error, "not prepared") {
		t.Errorf("timing before preparing: error %q", answers[2].Error)
	}
	if timed := answers[4]; timed.Error != "" || len(timed.TimesMS) != 3 || timed.Last == nil ||
		*timed.Last != answers[3].Values["value"] {
		t.Errorf("timed: %+v, want 3 times and the value %g", timed, answers[3].Values["value"])
	}
}
