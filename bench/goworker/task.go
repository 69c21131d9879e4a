package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"example.com/geometric-complexity/bench/proto"
	"example.com/geometric-complexity/gcml"
)

// variantOurs is the one way in which a task is done here: the package's defaults.
const variantOurs = "gcml"

func variantsOf(proto.Request) ([]string, error) { return []string{variantOurs}, nil }

// task is a compiled graph with its inputs on the device.
type task struct {
	fixture  *fixture
	store    *model.Store
	exec     *model.Exec
	inputs   []any
	stepping bool
}

// newTask builds the task from the fixture's state. The graph is compiled at its first run.
func newTask(b compute.Backend, request proto.Request) (*task, error) {
	f, err := readFixture(request.Fixture)
	if err != nil {
		return nil, err
	}
	t := &task{fixture: f, stepping: strings.HasPrefix(request.Task, "step_")}
	if t.store, err = f.store(); err != nil {
		return nil, err
	}
	for _, input := range []*tensors.Tensor{f.x, f.y, f.directions} {
		if err := input.ToDevice(b, 0); err != nil {
			return nil, err
		}
		t.inputs = append(t.inputs, input)
	}
	t.exec, err = model.NewExec(b, t.store, func(scope *model.Scope, x, y, directions *Node) *Node {
		return buildGraph(scope, f, request, x, y, directions)
	})
	return t, err
}

// buildGraph gives the one number that the task reads back, and for a step updates the variables.
func buildGraph(scope *model.Scope, f *fixture, request proto.Request, x, y, directions *Node) *Node {
	g := x.Graph()
	kind, stepping := strings.CutPrefix(request.Task, "step_")
	scope.SetTraining(g, stepping)
	logits := f.build(scope, x)
	if request.Task == proto.TaskForward {
		return ReduceAllMean(Square(logits))
	}
	if !stepping {
		return complexity(strings.TrimPrefix(request.Task, "gc_"), logits, x, directions)
	}
	total := ReduceAllMean(loss.SparseCategoricalCrossEntropyLogits([]*Node{InsertAxes(y, -1)}, []*Node{logits}))
	if kind != "plain" {
		total = Add(total, MulScalar(complexity(kind, logits, x, directions), request.Coefficient))
	}
	optimizer.StochasticGradientDescent().WithLearningRate(request.LearningRate).WithDecay(false).Done().
		UpdateGraph(scope, g, total)
	return total
}

func complexity(kind string, logits, x, directions *Node) *Node {
	switch kind {
	case "exact": // Generic differentiation, as the peers do it.
		return gcml.Complexity(logits, x, gcml.WithoutClosedForm())
	case "dense":
		return gcml.Complexity(logits, x)
	case "projection":
		// One direction: the squared Jacobian norm of the output along it.
		along := ReduceAndKeep(Mul(logits, Squeeze(directions, 1)), ReduceSum, -1)
		return MulScalar(gcml.Complexity(along, x, gcml.WithoutClosedForm()), float64(logits.Shape().Dim(-1)))
	}
	panic(fmt.Errorf("unknown kind of geometric complexity %q", kind))
}

// run executes the task once and waits for the number it gives.
func (t *task) run() (float64, error) {
	outputs, err := t.exec.Exec(t.inputs...)
	if err != nil {
		return 0, err
	}
	value := float64(tensors.ToScalar[float32](outputs[0]))
	return value, outputs[0].FinalizeAll()
}

// check runs the task from the fixture's state, and for a step once more, and gives the values to compare.
func (t *task) check() (map[string]float64, error) {
	value, err := t.run()
	if err != nil {
		return nil, err
	}
	values := map[string]float64{"value": value}
	if !t.stepping {
		return values, nil
	}
	if values["update_norm"], err = t.fixture.distance(t.store); err != nil {
		return nil, err
	}
	values["next_loss"], err = t.run()
	return values, err
}

func (t *task) finalize() {
	t.exec.Finalize()
	t.store.Finalize()
}

// squaredDistance of two float32 tensors, summed in float64.
func squaredDistance(a, b *tensors.Tensor) (sum float64, err error) {
	err = a.ConstFlatData(func(flatA any) {
		err := b.ConstFlatData(func(flatB any) {
			valuesB := flatB.([]float32)
			for i, v := range flatA.([]float32) {
				sum += math.Pow(float64(v)-float64(valuesB[i]), 2)
			}
		})
		if err != nil {
			sum = math.NaN() // Never equal to a peer's, so that the harness stops.
		}
	})
	return sum, err
}
