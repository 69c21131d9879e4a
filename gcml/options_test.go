package gcml

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/schedule"
)

// optionSample is an option with a value that has to have an effect.
type optionSample struct {
	option Option
	with   []Option // Given with and without the option.
	// refused has functions that accept the option but refuse this value, and their reasons.
	refused map[string]string
	// other has the values for functions that need another one.
	other map[string]Option
}

// optionSamples has a sample of every option of the package.
func optionSamples() map[string]optionSample {
	return map[string]optionSample{
		"WithEstimator": {option: WithEstimator(Projection(1)),
			refused: map[string]string{inSquaredJacobianRowNorms: "the estimator projection:1 mixes the outputs"}},
		"WithCotangents": {option: WithCotangents(1)},
		"WithMemoryBudget": {option: WithMemoryBudget(1500), // Enough for one cotangent.
			other: map[string]Option{inSquaredJacobianColumnNorms: WithMemoryBudget(3000),
				inJacobianSpectralNorm: WithMemoryBudget(3000), inJacobianStableRank: WithMemoryBudget(3000)}},
		"WithoutClosedForm":   {option: WithoutClosedForm()},
		"WithLanczosSteps":    {option: WithLanczosSteps(1), with: []Option{WithSpectralNorm()}},
		"WithSpectralNorm":    {option: WithSpectralNorm()},
		"WithTransform":       {option: WithTransform(func(y *Node) *Node { return Softmax(y) })},
		"WithInput":           {option: WithInput(1)},
		"WithOutput":          {option: WithOutput(1)},
		"WithInputNode":       {option: WithInputNode("hidden")},
		"WithOutputNode":      {option: WithOutputNode("/hidden")},
		"WithCoefficient":     {option: WithCoefficient(0.5)},
		"WithSchedule":        {option: WithSchedule(schedule.WarmUp(3))},
		"WithGradientInParts": {option: WithGradientInParts(1)},
		"WithSeed":            {option: WithSeed(3), with: []Option{WithEstimator(Projection(1))}},
		"WithMaxExamples":     {option: WithMaxExamples(3)},
		"WithProgress":        {option: WithProgress(func(int) { optionCalls++ })},
		"WithPerOutput":       {option: WithPerOutput()},
		"WithPerExample":      {option: WithPerExample()},
		"WithPerClass":        {option: WithPerClass()},
		"WithLayers":          {option: WithLayers()},
		"WithJSONLines":       {option: WithJSONLines(optionFile)},
		"WithReport":          {option: WithReport(func(StepResult) error { optionCalls++; return nil })},
	}
}

var (
	optionCalls int // Calls of the function given to WithProgress and WithReport, and lines of optionFile.
	optionFile  = filepath.Join(os.TempDir(), fmt.Sprintf("gcml-options-%d.jsonl", os.Getpid()))
)

// TestEveryOption checks that each option has an effect in the functions that accept it, and that
// all others refuse it in one line that names both.
func TestEveryOption(t *testing.T) {
	samples := optionSamples()
	if known, exported := slices.Sorted(maps.Keys(applicable)), exportedOptions(t); !slices.Equal(known, exported) {
		t.Errorf("the table of options has %v, the package %v", known, exported)
	}
	functions := optionFunctions(t)
	for name := range applicable {
		for function, call := range functions {
			t.Run(name+" in "+function, func(t *testing.T) {
				sample, ok := samples[name]
				if !ok {
					t.Fatal("no sample")
				}
				if other, ok := sample.other[function]; ok {
					sample.option = other
				}
				var with []Option
				for _, o := range sample.with {
					if slices.Contains(applicable[o.name], function) {
						with = append(with, o)
					}
				}
				got, err := call(append(with[:len(with):len(with)], sample.option)...)
				want := sample.refused[function]
				if !slices.Contains(applicable[name], function) {
					want = fmt.Sprintf("gcml.%s: the option %s does not apply here: it is for %s",
						function, sample.option.name, strings.Join(applicable[name], ", "))
				}
				if want != "" {
					if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
						t.Errorf("got error %v, want one line with %q", err, want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				without, err := call(with...)
				if err != nil {
					t.Fatal(err)
				}
				if reflect.DeepEqual(got, without) {
					t.Errorf("no effect: with and without it the function gives %v", got)
				}
			})
		}
	}
}

// exportedOptions returns the names of the package's functions that return an Option.
func exportedOptions(t *testing.T) []string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Type.Results == nil || len(f.Type.Results.List) != 1 {
				continue
			}
			if result, ok := f.Type.Results.List[0].Type.(*ast.Ident); ok && result.Name == "Option" {
				names = append(names, f.Name.Name)
			}
		}
	}
	return slices.Sorted(slices.Values(names))
}

// optionOutcome is everything that a caller can observe.
type optionOutcome struct {
	values []float64
	text   string
	nodes  int // Of the graph.
	calls  int
}

// optionFunctions has a call of every function that takes options. The model has two outputs and
// two inputs, the first of which enters through a dense layer with a closed form. The data set has
// two batches.
func optionFunctions(t *testing.T) map[string]func(opts ...Option) (optionOutcome, error) {
	rng := rand.New(rand.NewPCG(41, 42))
	b := gctest.GoBackend(t)
	weights, other := gctest.RandomTensor(rng, 40, 5), gctest.RandomTensor(rng, 5, 3)
	x, z := gctest.RandomTensor(rng, 8, 40), gctest.RandomTensor(rng, 8, 3)
	var graph *Graph
	nodes := 0 // Of the graph.
	clone := func() *tensors.Tensor {
		c, err := weights.LocalClone()
		if err != nil {
			panic(err)
		}
		return c
	}
	fn := func(scope *model.Scope, x, z *Node) (y, second *Node) {
		graph = x.Graph()
		w := scope.VariableWithValue("w", clone()).NodeValue(graph) // Training frees it.
		h := Tanh(Dot(x, w).Product()).WithAlias("hidden")
		y = Add(Dot(h, ConstTensor(graph, other)).Product(), Sin(z))
		return y, MulScalar(y, 2)
	}
	store := func() *model.Store {
		s := model.NewStore()
		if err := s.SetRNGStateFromSeed(1); err != nil {
			t.Fatal(err)
		}
		s.SetParam(ParamCoefficient, 1.0)
		return s
	}
	inGraph := func(build func(y, x *Node) *Node) (optionOutcome, error) {
		out, err := model.CallOnce(b, store(), func(scope *model.Scope, x, z *Node) *Node {
			y, _ := fn(scope, x, z)
			result := build(y, x)
			nodes = len(graph.Nodes())
			return result
		}, x, z)
		if err != nil {
			return optionOutcome{}, oneLine(err)
		}
		return optionOutcome{values: gctest.Flat(out), nodes: nodes}, nil
	}
	measured := func(measure func(opts ...Option) (Result, error), opts []Option) (optionOutcome, error) {
		optionCalls = 0
		r, err := measure(opts...)
		if err != nil {
			return optionOutcome{}, err
		}
		r.Seconds = 0
		text, err := json.Marshal(r)
		return optionOutcome{text: string(text), nodes: nodes, calls: optionCalls}, err
	}
	watch := func(ds train.Dataset, opts ...Option) (optionOutcome, error) {
		optionCalls = 0
		noLoss := func(_, predictions []*Node) *Node { return ReduceAllMean(Square(predictions[0])) }
		loop := train.NewLoop(train.NewTrainer(b, store(), fn, noLoss, optimizer.StochasticGradientDescent().Done(), nil,
			nil))
		w, err := Watch(loop, EveryNSteps(1), fn, ds, opts...)
		if err != nil {
			return optionOutcome{}, err
		}
		defer w.Finalize()
		if _, err := loop.RunSteps(ds, 2); err != nil {
			return optionOutcome{}, err
		}
		results := w.Results()
		for i := range results {
			results[i].Seconds = 0
		}
		text, err := json.Marshal(results)
		if lines, err := os.ReadFile(optionFile); err == nil {
			optionCalls += strings.Count(string(lines), "\n")
		}
		if err == nil {
			err = os.RemoveAll(optionFile)
		}
		return optionOutcome{text: string(text), nodes: nodes, calls: optionCalls}, err
	}
	ds := optionData{x, z, func() { nodes = len(graph.Nodes()) }}
	return map[string]func(opts ...Option) (optionOutcome, error){
		inSquaredJacobianNorm: func(opts ...Option) (optionOutcome, error) {
			return inGraph(func(y, x *Node) *Node { return SquaredJacobianNorm(y, x, opts...) })
		},
		inSquaredJacobianRowNorms: func(opts ...Option) (optionOutcome, error) {
			return inGraph(func(y, x *Node) *Node { return SquaredJacobianRowNorms(y, x, opts...) })
		},
		inSquaredJacobianColumnNorms: func(opts ...Option) (optionOutcome, error) {
			return inGraph(func(y, x *Node) *Node { return SquaredJacobianColumnNorms(y, x, opts...) })
		},
		inComplexity: func(opts ...Option) (optionOutcome, error) {
			return inGraph(func(y, x *Node) *Node { return Complexity(y, x, opts...) })
		},
		inJacobianSpectralNorm: func(opts ...Option) (optionOutcome, error) {
			return inGraph(func(y, x *Node) *Node { return JacobianSpectralNorm(y, x, opts...) })
		},
		inJacobianStableRank: func(opts ...Option) (optionOutcome, error) {
			return inGraph(func(y, x *Node) *Node { return JacobianStableRank(y, x, opts...) })
		},
		inRegularize: func(opts ...Option) (optionOutcome, error) {
			out, err := model.CallOnce(b, store(), func(scope *model.Scope, x, z *Node) *Node {
				scope.SetTraining(x.Graph(), true)
				Regularize(fn, opts...)(scope, nil, []*Node{x, z})
				nodes = len(graph.Nodes())
				return train.GetRegularizationLoss(x.Graph())
			}, x, z)
			if err != nil {
				return optionOutcome{}, oneLine(err)
			}
			return optionOutcome{values: gctest.Flat(out), nodes: nodes}, nil
		},
		inMeasure: func(opts ...Option) (optionOutcome, error) {
			return measured(func(opts ...Option) (Result, error) { return Measure(t.Context(), b, store(), fn, ds, opts...) },
				opts)
		},
		inWatch: func(opts ...Option) (optionOutcome, error) { return watch(ds, opts...) },
		inCheckSecondDerivatives: func(opts ...Option) (optionOutcome, error) {
			var graphs []*Graph
			report, err := CheckSecondDerivatives(b, store(), func(scope *model.Scope, x, z *Node) (y, second *Node) {
				if len(graphs) == 1 {
					nodes = len(graphs[0].Nodes()) // Of the penalty and its gradients.
				}
				graphs = append(graphs, x.Graph())
				return fn(scope, x, z)
			}, []*tensors.Tensor{x, z}, opts...)
			if err != nil {
				return optionOutcome{}, err
			}
			return optionOutcome{text: report.String(), nodes: nodes}, nil
		},
		inNewMeasurer: func(opts ...Option) (optionOutcome, error) {
			return measured(func(opts ...Option) (Result, error) {
				m, err := NewMeasurer(b, store(), fn, opts...)
				if err != nil {
					return Result{}, err
				}
				defer m.Finalize()
				return m.Measure(t.Context(), ds)
			}, opts)
		},
	}
}

// oneLine removes the lines that GoMLX puts before the panic of a graph function.
func oneLine(err error) error { return errors.New(errors.Cause(err).Error()) }

// optionData is a data set of two batches with labels. It calls a function after the last one.
type optionData struct {
	x, z *tensors.Tensor
	done func()
}

func (d optionData) Name() string { return "options" }

func (d optionData) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for range 2 {
			x, err := d.x.LocalClone()
			if err != nil {
				yield(train.Batch{}, err)
				return
			}
			z, err := d.z.LocalClone()
			if err != nil {
				yield(train.Batch{}, err)
				return
			}
			labels := tensors.FromFlatDataAndDimensions([]int32{0, 1, 0, 1, 1, 1, 0, 2}, 8, 1)
			more := yield(train.Batch{Inputs: []*tensors.Tensor{x, z}, Labels: []*tensors.Tensor{labels}}, nil)
			d.done()
			if !more {
				return
			}
		}
	}
}
