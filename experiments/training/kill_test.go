package training

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/layers"
)

// child describes a process that these tests start, and that is killed as by kill -9.
type child struct {
	Task  *Train
	Seed  int64
	Out   string
	Every time.Duration // as Env.CheckpointEvery
	// AtStep kills the process as soon as that step is done, before its checkpoint.
	AtStep int64
	// AtFile kills the process as soon as a file or folder below Out matches the pattern.
	AtFile string
	// Done is a file that the process makes once the run is complete; empty for none.
	Done string
}

// childVariable is the environment variable that passes the child to its process, as JSON.
const childVariable = "GCML_TEST_CHILD"

// TestChild is not a test: the processes that the tests start run it.
func TestChild(t *testing.T) {
	raw := os.Getenv(childVariable)
	if raw == "" {
		return
	}
	var v child
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	if v.AtFile != "" {
		go gctest.KillAtFile(filepath.Join(v.Out, v.AtFile))
	}
	env := runs.Env{Backend: gctest.GoBackend(t), Out: v.Out, CheckpointEvery: v.Every,
		Progress: &killAtStep{left: v.AtStep}}
	execute(t, env, v.run())
	if v.Done != "" {
		write(t, v.Done, "")
	}
}

func (v *child) run() runs.Run { return runs.Run{Label: "killed", Seed: v.Seed, Task: v.Task} }

type killAtStep struct {
	runs.NoProgress
	left int64
}

func (k *killAtStep) Add(n int64) {
	if k.left -= n; k.left == 0 {
		gctest.KillSelf()
	}
}

// start runs the process to its end, and returns whether it was killed.
func (v *child) start(t *testing.T) (killed bool) {
	t.Helper()
	output, err := v.command(t).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == -1) {
		t.Fatalf("the other process: %v\n%s", err, output)
	}
	return err != nil
}

// command returns the command that starts the process. If by is given, that program with its
// arguments, such as strace, starts it.
func (v *child) command(t *testing.T, by ...string) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	words := append(by, os.Args[0], "-test.run=^TestChild$")
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), childVariable+"="+string(raw))
	return cmd
}

// tasksToKill have every kind of state that a run can have: random numbers, variables of optimizers
// and penalties, running averages.
func tasksToKill() map[string]*Train {
	images := Data{Name: datasets.NameFashionMNISTSubset, Train: 100, Test: 50, Measure: 50}
	all := resumableTask()
	all.Optimizer, all.LearningRate, all.InputNoise, all.LabelNoise = OptimizerMomentum, 0.01, 0.1, 0.2
	all.Penalties = map[string]float64{PenaltyGC: 0.01, PenaltyL2: 1e-3, PenaltySpectral: 1e-3, PenaltyFlatness: 1e-3}
	adam := resumableTask()
	adam.Optimizer, adam.LearningRate = OptimizerAdam, 1e-3
	norm := &Train{Data: images, Network: ResNet18(1, layers.NormBatch), LearningRate: 0.01, BatchSize: 30, Steps: 12,
		Measurements: 3}
	norm.Network.Pool = 4
	return map[string]*Train{"random numbers": resumableTask(), "momentum, noises, penalties": all, "adam": adam,
		"batch norm": norm,
		"diverges":   divergingTask()}
}

// divergingTask has a loss that is not finite at step divergesAt.
func divergingTask() *Train {
	task := resumableTask()
	task.LearningRate = 50
	return task
}

const divergesAt = 7

// TestKilledBetweenCheckpoints checks that a run that is killed before its first checkpoint, and
// twice between two checkpoints, ends like an uninterrupted one.
func TestKilledBetweenCheckpoints(t *testing.T) {
	for name, task := range tasksToKill() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
			v := child{Task: task, Seed: 3, Out: env.Out}
			dir := runDir(t, env.Out, v.run())
			last := min(9, task.Steps)
			if name == "diverges" {
				last = divergesAt
			}
			for _, kill := range []struct {
				step       int64
				every      time.Duration
				checkpoint int64 // the newest one after the kill
			}{
				{step: 5, every: time.Hour, checkpoint: -1},
				{step: 6, every: time.Nanosecond, checkpoint: 5},
				{step: last, every: time.Nanosecond, checkpoint: last - 1},
			} {
				v.AtStep, v.Every = kill.step, kill.every
				if !v.start(t) {
					t.Fatalf("the run came to its end; want it killed at step %d", kill.step)
				}
				if step := newestCheckpoint(t, dir); step != kill.checkpoint {
					t.Fatalf("killed at step %d, the newest checkpoint is of step %d; want %d", kill.step, step, kill.checkpoint)
				}
			}
			got := execute(t, env, v.run())
			if got.Provenance.Starts != 4 {
				t.Errorf("%d starts; want 4", got.Provenance.Starts)
			}
			env.Out = t.TempDir()
			assertSameNumbers(t, got, execute(t, env, v.run()))
		})
	}
}

func TestKilledWhileACheckpointIsWritten(t *testing.T) {
	task := resumableTask()
	task.Network, task.Optimizer, task.LearningRate, task.Steps = MLP(1, 256), OptimizerAdam, 1e-3, 30
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	v := child{Task: task, Seed: 1, Out: env.Out, Every: time.Nanosecond}
	dir := runDir(t, env.Out, v.run())
	half := filepath.Join(runs.CheckpointDir, ".tmp-*", "*")
	relative, err := filepath.Rel(env.Out, dir)
	if err != nil {
		t.Fatal(err)
	}
	v.AtFile = filepath.Join(relative, half)
	hits := 0
	for hits < 2 {
		if !v.start(t) {
			t.Fatalf("the run came to its end after %d kills within a checkpoint; want 2", hits)
		}
		// If nothing is left, the checkpoint was complete at the time of the kill.
		if left, _ := filepath.Glob(filepath.Join(dir, half)); len(left) > 0 {
			hits++
		}
	}
	got := execute(t, env, v.run())
	env.Out = t.TempDir()
	assertSameNumbers(t, got, execute(t, env, v.run()))
	if left, _ := filepath.Glob(filepath.Join(dir, runs.CheckpointDir, ".tmp-*")); len(left) > 0 {
		t.Errorf("half-written checkpoints are left: %v", left)
	}
}
