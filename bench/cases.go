package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/geometric-complexity/toolkit/bench/fixture"
	"github.com/geometric-complexity/toolkit/bench/proto"
)

// benchCase is one comparison: a problem, our task, and the peers' task of the same value.
type benchCase struct {
	Name         string // Group/task.
	Problem      fixture.Problem
	Task         string
	Coefficient  float64
	LearningRate float64

	// GoApart leaves pure Go out of a run with peers: all together take more memory than most
	// machines have.
	GoApart bool
	// Cold means that the case times a process from its start to the first GC value.
	Cold bool
}

// peerTask returns the task of JAX and PyTorch for the case. They have no closed form for dense
// networks, and compute the same value without it.
func (c benchCase) peerTask() string {
	switch c.Task {
	case proto.TaskGCDense:
		return proto.TaskGCExact
	case proto.TaskStepDense:
		return proto.TaskStepExact
	}
	return c.Task
}

// flopBound returns how many forward passes the task costs at least by generic differentiation:
// every vector-Jacobian product costs one, and its gradient two more. It returns 0 for a task
// without such a bound.
func (c benchCase) flopBound() float64 {
	k, p := float64(c.Problem.Outputs), float64(fixture.Projections)
	switch c.Task {
	case proto.TaskForward:
		return 1
	case proto.TaskGCExact, proto.TaskGCDense:
		return 1 + k
	case proto.TaskGCProjection:
		return 1 + p
	case proto.TaskStepPlain, proto.TaskLoop:
		return 3
	case proto.TaskStepExact, proto.TaskStepDense:
		return 3 + 3*k
	case proto.TaskStepProjection:
		return 3 + 3*p
	}
	return 0
}

// pace gives the growth cases a third of the time, because they are many and need only show a
// trend.
func (c benchCase) pace(p pacing) pacing {
	if strings.HasPrefix(c.Name, "growth/") {
		p.Budget /= 3
	}
	return p
}

// tolerance is wider for loops, whose examples come in a new order at each step. With PyTorch's own
// batch norm and channels last, its update changes by 3e-4 with that order.
func (c benchCase) tolerance(o options) float64 {
	if c.Task == proto.TaskLoop {
		return max(o.tolerance(), 1e-3)
	}
	return o.tolerance()
}

func (c benchCase) group() string { return path.Dir(c.Name) }

var (
	mlpTasks = []string{proto.TaskForward, proto.TaskGCExact, proto.TaskGCDense, proto.TaskStepPlain,
		proto.TaskStepProjection, proto.TaskStepExact, proto.TaskStepDense}
	resnetTasks = []string{proto.TaskForward, proto.TaskStepPlain, proto.TaskGCExact, proto.TaskGCProjection,
		proto.TaskStepProjection, proto.TaskStepExact}
)

// allCases in the order they run: short ones first.
func allCases() []benchCase {
	var cases []benchCase
	add := func(group string, p fixture.Problem, coefficient, learningRate float64, tasks ...string) {
		for _, task := range tasks {
			cases = append(cases, benchCase{Name: group + "/" + task, Problem: p, Task: task,
				Coefficient: coefficient, LearningRate: learningRate})
		}
	}
	mlp := fixture.Problem{Model: "mlp", Inputs: 784, Hidden: 3, Width: 500, Outputs: 10, Batch: 512}
	mlp3072 := mlp
	mlp3072.Inputs = 3072
	// Each coefficient makes the gradients of the penalty and of the loss comparable in length, so
	// that the check of the values detects a mistake in either. With batch norm in training mode
	// the coefficient and the learning rate are smaller: its Jacobian amplifies the rounding of the
	// convolutions so much that the second loss would differ by more than the tolerance.
	add("mlp", mlp, 0.1, 0.01, mlpTasks...)
	add("mlp3072", mlp3072, 0.1, 0.01, mlpTasks...)

	// Each growth case changes one size of the base (growth/outputs-10). The bound needs the
	// forward pass.
	base := mlp
	base.Batch = 128
	grow := func(axis string, values []int, set func(p *fixture.Problem, v int)) {
		for _, v := range values {
			p := base
			set(&p, v)
			add(fmt.Sprintf("growth/%s-%d", axis, v), p, 0, 0, proto.TaskForward, proto.TaskGCExact, proto.TaskGCDense)
		}
	}
	grow("outputs", []int{10, 100, 1000}, func(p *fixture.Problem, v int) { p.Outputs = v })
	grow("inputs", []int{3072, 12288}, func(p *fixture.Problem, v int) { p.Inputs = v })
	grow("batch", []int{32, 512}, func(p *fixture.Problem, v int) { p.Batch = v })
	grow("width", []int{250, 1000}, func(p *fixture.Problem, v int) { p.Width = v })

	cases = append(cases, benchCase{Name: "cold/gc_exact", Problem: mlp, Task: proto.TaskGCExact, Cold: true})

	resnet := fixture.Problem{Model: "resnet18", Inputs: 32, Width: 64, Outputs: 10, Batch: 32}
	resnetBN := resnet
	resnetBN.Norm = "batch"
	add("resnet18", resnet, 10, 1e-3, resnetTasks...)
	add("resnet18bn", resnetBN, 0.02, 3e-4, resnetTasks...)
	small := resnet
	small.Width, small.Batch = 16, 16
	add("resnet18k16", small, 10, 1e-3, resnetTasks...)
	// A narrow network with as many outputs as ImageNet has classes.
	many := resnet
	many.Width, many.Outputs, many.Batch = 8, 1000, 16
	add("resnet18k8c1000", many, 0.01, 1e-3, proto.TaskForward, proto.TaskGCExact, proto.TaskGCProjection,
		proto.TaskStepProjection, proto.TaskStepExact)
	cases[len(cases)-1].GoApart = true // Pure Go takes 9 GB, and the peers 16.
	for _, size := range []int{16, 32} {
		for _, width := range []int{8, 16} {
			p := fixture.Problem{Model: "resnet18", Inputs: size, Width: width, Outputs: 10, Batch: 128, Norm: "batch",
				Pixels: true}
			cases = append(cases, benchCase{Name: fmt.Sprintf("loop/resnet18k%dbn-%d", width, size), Problem: p,
				Task: proto.TaskLoop, LearningRate: 0.01})
		}
	}
	return cases
}

// selectCases returns the cases whose name matches one of the comma-separated patterns of
// path.Match ("mlp/*", "*/gc_exact"; a pattern without a slash is a group). It adds the forward
// passes of their groups, which the bound needs.
func selectCases(all []benchCase, patterns string) ([]benchCase, error) {
	wanted := map[string]bool{}
	for pattern := range strings.SplitSeq(patterns, ",") {
		found := false
		for _, c := range all {
			ok, err := matches(strings.TrimSpace(pattern), c.Name)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", pattern, err)
			}
			if ok {
				found = true
				wanted[c.Name], wanted[c.group()+"/"+proto.TaskForward] = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no case matches %q; `go run ./bench list` shows them", pattern)
		}
	}
	var selected []benchCase
	for _, c := range all {
		if wanted[c.Name] {
			selected = append(selected, c)
		}
	}
	return selected, nil
}

func matches(pattern, name string) (bool, error) {
	if pattern == "" || pattern == "all" {
		return true, nil
	}
	if ok, err := path.Match(pattern, name); ok || err != nil {
		return ok, err
	}
	return name == pattern || strings.HasPrefix(name, strings.TrimSuffix(pattern, "/*")+"/"), nil
}
