// Package proto holds what the harness of the benchmarks and its workers agree on: the commands,
// one JSON object a line on a worker's standard input, its answers, one JSON line each on its
// standard output, and the manifest of a fixture. The Python side of it is bench/peers/common.py.
package proto

// Operations that a Request asks for.
const (
	OpVersions = "versions" // Which libraries are at work.
	OpVariants = "variants" // How the worker can do a task.
	OpPrepare  = "prepare"  // Build, compile, run once from the fixture's state, and give the values to compare.
	OpTime     = "time"     // Run a prepared task, and give the times.
	OpRelease  = "release"  // Drop all prepared tasks.
	OpQuit     = "quit"     // End.
)

// Names of tasks. A "gc" task measures the geometric complexity of a batch; a "step" task takes one
// step of gradient descent on cross-entropy plus, but for the plain one, coefficient*GC.
const (
	TaskForward        = "forward" // The mean square of the logits, so that every worker reads back one number.
	TaskGCExact        = "gc_exact"
	TaskGCDense        = "gc_dense" // The closed form for dense networks; the peers do gc_exact.
	TaskGCProjection   = "gc_projection"
	TaskStepPlain      = "step_plain"
	TaskStepProjection = "step_projection"
	TaskStepExact      = "step_exact"
	TaskStepDense      = "step_dense" // With the closed form differentiated through; the peers do step_exact.
	// TaskLoop is one step of a training loop as users write it, the plain loss: a batch in a new
	// order from a data set in host memory, the step, and the loss read back.
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

// Answer is what a worker says. Error is set where the command failed; the worker then still
// serves.
type Answer struct {
	Error     string             `json:"error,omitempty"`
	Versions  map[string]string  `json:"versions,omitempty"`
	Variants  []string           `json:"variants,omitempty"`
	Values    map[string]float64 `json:"values,omitempty"` // "value", and for steps "update_norm", "next_loss".
	CompileMS float64            `json:"compile_ms,omitempty"`
	TimesMS   []float64          `json:"times_ms,omitempty"`
	CPUMS     []float64          `json:"cpu_ms,omitempty"`  // CPU time of all threads, beside each of TimesMS.
	Last      *float64           `json:"last,omitempty"`    // The last value a timed run gave.
	PeakMB    float64            `json:"peak_mb,omitempty"` // Peak of resident memory since the task was prepared.
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
