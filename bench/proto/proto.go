// Package proto is the protocol between the benchmarks' harness and its workers, and the manifest
// of a fixture. Commands are JSON objects, one per line, on a worker's standard input; its answers
// are one JSON line each on its standard output. bench/peers/common.py is the Python side.
package proto

// Operations that a Request asks for.
const (
	OpVersions = "versions" // Return the versions of the libraries.
	OpVariants = "variants" // Return the worker's variants of a task.
	OpPrepare  = "prepare"  // Build, compile, run once from the fixture's state, and return the values to compare.
	OpTime     = "time"     // Run a prepared task, and return the times.
	OpRelease  = "release"  // Drop all prepared tasks.
	OpQuit     = "quit"     // End.
)

// Names of tasks. A "gc" task measures the geometric complexity of a batch. A "step" task takes one
// step of gradient descent on the cross-entropy, to which all but the plain one add coefficient*GC.
const (
	TaskForward        = "forward" // The mean square of the logits, so that every worker reads back one number.
	TaskGCExact        = "gc_exact"
	TaskGCDense        = "gc_dense" // With the closed form for dense networks; the peers run gc_exact.
	TaskGCProjection   = "gc_projection"
	TaskStepPlain      = "step_plain"
	TaskStepProjection = "step_projection"
	TaskStepExact      = "step_exact"
	TaskStepDense      = "step_dense" // With the gradient of the closed form; the peers run step_exact.
	// TaskLoop is one step of a training loop as users write it, on the plain loss: take a batch in
	// a new order from a data set in host memory, take the step, and read the loss back.
	TaskLoop = "loop"
)

// Request is a command to a worker.
type Request struct {
	Op           string  `json:"op"`
	ID           string  `json:"id,omitempty"`      // Name of a prepared task.
	Fixture      string  `json:"fixture,omitempty"` // Folder.
	Task         string  `json:"task,omitempty"`
	Variant      string  `json:"variant,omitempty"`
	Coefficient  float64 `json:"coefficient,omitempty"`
	LearningRate float64 `json:"learning_rate,omitempty"`
	Reps         int     `json:"reps,omitempty"`
	Warmup       int     `json:"warmup,omitempty"`
}

// Answer is a worker's answer. Error is set if the command failed; the worker still accepts
// commands.
type Answer struct {
	Error    string             `json:"error,omitempty"`
	Versions map[string]string  `json:"versions,omitempty"`
	Variants []string           `json:"variants,omitempty"`
	Values   map[string]float64 `json:"values,omitempty"` // "value", and for steps "update_norm", "next_loss".
	// FirstMS is the time to build, compile and run the task once; FirstCPUMS is the CPU time of
	// all threads in that time.
	FirstMS    float64   `json:"first_ms,omitempty"`
	FirstCPUMS float64   `json:"first_cpu_ms,omitempty"`
	TimesMS    []float64 `json:"times_ms,omitempty"`
	CPUMS      []float64 `json:"cpu_ms,omitempty"`  // CPU time of all threads, for each of TimesMS.
	Last       *float64  `json:"last,omitempty"`    // The value of the last timed run.
	PeakMiB    float64   `json:"peak_mb,omitempty"` // Peak resident memory while the task was prepared, in MiB.
}

// Manifest describes a fixture, a folder with manifest.json, x.npy, y.npy, directions.npy and one
// .npy file per parameter (the name with "/" as ".").
type Manifest struct {
	Model       string      `json:"model"` // "mlp" or "resnet18".
	Outputs     int         `json:"outputs"`
	Batch       int         `json:"batch"`
	Projections int         `json:"projections"`
	Layers      int         `json:"layers,omitempty"`  // mlp: number of dense layers.
	Width       int         `json:"width,omitempty"`   // mlp: units per hidden layer; resnet18: k.
	Norm        string      `json:"norm,omitempty"`    // resnet18: "" or "batch".
	Epsilon     float64     `json:"epsilon,omitempty"` // Of batch norm.
	Momentum    float64     `json:"momentum,omitempty"`
	Parameters  []Parameter `json:"parameters"`
}

// Parameter is one array of weights or of running statistics.
type Parameter struct {
	Name      string `json:"name"`
	Shape     []int  `json:"shape"`
	Trainable bool   `json:"trainable"`
}
