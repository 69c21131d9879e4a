package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/bench/proto"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/numbers"
)

const (
	// variantOurs runs a task with the defaults of this repository's packages.
	variantOurs = "gcml"
	// variantStock is ResNet18 with GoMLX's own convolution and its gradients. It counts as a peer
	// on the Go backend.
	variantStock = "gomlx_stock_conv"
	// variantStockForward has GoMLX's own convolution in the forward pass and our gradients of it,
	// as in programs that import gcml.
	variantStockForward = "gomlx_conv_our_gradients"
)

// variantsOf returns our variant and, for a network that is small enough, those with GoMLX's own
// convolution.
func (s *server) variantsOf(request proto.Request) ([]string, error) {
	f, err := readFixture(request.Fixture)
	if err != nil {
		return nil, err
	}
	if s.info.Name == "go" && f.Model == "resnet18" && f.Width <= 16 && f.Norm == "" {
		switch request.Task {
		case proto.TaskForward:
			return []string{variantOurs, variantStock}, nil
		case proto.TaskStepPlain:
			return []string{variantOurs, variantStock, variantStockForward}, nil
		} // These two show the difference; GoMLX's own convolution takes too long for the others.
	}
	return []string{variantOurs}, nil
}

// task is a compiled graph with its inputs on the device.
type task struct {
	fixture  *fixture
	store    *model.Store
	exec     *model.Exec
	inputs   []any
	stepping bool
	loop     *loop // Instead of exec and inputs, of proto.TaskLoop.
}

// newTask builds the task with the fixture's weights. Its first run compiles the graph.
func newTask(b compute.Backend, request proto.Request) (*task, error) {
	f, err := readFixture(request.Fixture)
	if err != nil {
		return nil, err
	}
	f.stock = request.Variant == variantStock || request.Variant == variantStockForward
	t := &task{fixture: f, stepping: request.Task == proto.TaskLoop || strings.HasPrefix(request.Task, "step_")}
	if t.store, err = f.store(); err != nil {
		return nil, err
	}
	if request.Task == proto.TaskLoop {
		t.loop, err = newLoop(b, t.store, f, request.LearningRate)
		return t, err
	}
	for _, input := range []*tensors.Tensor{f.x, f.y, f.directions} {
		if err := input.ToDevice(b, 0); err != nil {
			return nil, err
		}
		t.inputs = append(t.inputs, input)
	}
	t.exec, err = model.NewExec(b, t.store, func(scope *model.Scope, x, y, directions *Node) *Node {
		if request.Variant == variantStock {
			defer useStockGradient()()
		}
		return buildGraph(scope, f, request, x, y, directions)
	})
	return t, err
}

// buildGraph returns the number that the task reads back, and updates the variables if the task is
// a step.
func buildGraph(scope *model.Scope, f *fixture, request proto.Request, x, y, directions *Node) *Node {
	g := x.Graph()
	kind, stepping := strings.CutPrefix(request.Task, "step_")
	scope.SetTraining(g, stepping)
	if stepping {
		return buildStep(scope, f, request, kind, x, y, directions)
	}
	logits := f.build(scope, x)
	if kind == proto.TaskForward {
		return ReduceAllMean(Square(logits))
	}
	options, transform := complexityOptions(strings.TrimPrefix(kind, "gc_"), directions)
	return gcml.Complexity(transform(logits), x, options...)
}

// buildStep builds a training step with the penalty of gcml.Regularize, as users do.
func buildStep(scope *model.Scope, f *fixture, request proto.Request, kind string, x, y, directions *Node) *Node {
	network := func(scope *model.Scope, _ any, inputs []*Node) []*Node {
		return []*Node{f.build(scope, inputs[0])}
	}
	if kind != "plain" {
		scope.SetParam(gcml.ParamCoefficient, request.Coefficient)
		options, transform := complexityOptions(kind, directions)
		network = gcml.Regularize(network, append(options, gcml.WithTransform(transform))...)
	}
	logits := network(scope, nil, []*Node{x})
	total := ReduceAllMean(loss.SparseCategoricalCrossEntropyLogits([]*Node{InsertAxes(y, -1)}, logits))
	if penalty := train.GetRegularizationLoss(x.Graph()); penalty != nil {
		total = Add(total, penalty)
	}
	optimizer.StochasticGradientDescent().WithLearningRate(request.LearningRate).WithDecay(false).Done().
		UpdateGraph(scope, x.Graph(), total)
	return total
}

// complexityOptions returns the options for a kind of GC, and the transform of the logits whose GC
// is measured.
//
// Projections use the fixture's directions, so that all workers get the same value. The GC of the
// single output sqrt(outputs) * direction·logits is the estimate that gcml.Projection(1) makes with
// a direction that it draws itself.
func complexityOptions(kind string, directions *Node) (options []gcml.Option, transform func(logits *Node) *Node) {
	transform = func(logits *Node) *Node { return logits }
	switch kind {
	case "exact": // By generic differentiation, as the peers do.
		return []gcml.Option{gcml.WithoutClosedForm()}, transform
	case "dense":
		return nil, transform
	case "projection":
		return nil, func(logits *Node) *Node {
			scale := math.Sqrt(float64(logits.Shape().Dim(-1)))
			return MulScalar(ReduceAndKeep(Mul(logits, Squeeze(directions, 1)), ReduceSum, -1), scale)
		}
	}
	panic(fmt.Errorf("unknown kind of geometric complexity %q", kind))
}

// run executes the task once, waits for its number, and returns it.
func (t *task) run() (float64, error) {
	if t.loop != nil {
		return t.loop.step()
	}
	outputs, err := t.exec.Exec(t.inputs...)
	if err != nil {
		return 0, err
	}
	values, err := numbers.Float64s(outputs[0]) // tensors.ToScalar waits for another thread to copy the number.
	if err != nil {
		return 0, err
	}
	return values[0], outputs[0].FinalizeAll()
}

// check returns the values to compare, given the value of the first run, from the fixture's state.
// It runs the task once more if it is a step.
func (t *task) check(value float64) (values map[string]float64, err error) {
	if err := t.fixture.checkVariables(t.store); err != nil {
		return nil, err
	}
	values = map[string]float64{"value": value}
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
	if t.loop != nil {
		t.loop.trainer.ResetComputationGraphs()
	} else {
		t.exec.Finalize()
	}
	t.store.Finalize()
}

// squaredDistance returns that of two float32 tensors, summed in float64.
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
