// Package backend opens the fastest GoMLX backend of this machine, with the settings that make it
// fast and its numbers right.
//
//	b, info, err := backend.Open()
//
// # Which backend
//
// Open takes the first one that applies:
//
//  1. $GOMLX_BACKEND, if it is set and not empty. If that backend does not open, Open returns an
//     error and does not try another one.
//  2. XLA on CUDA, if an NVIDIA device and a CUDA plugin are present.
//  3. XLA on the CPU, if a plugin is present.
//  4. Pure Go, which needs nothing.
//
// [FindPlugin] lists the folders that are searched for plugins. This package downloads nothing: in
// this repository `make xla` and `make cuda` install the plugins. [OpenConfig] opens a backend that
// the program chooses.
//
// # What opening sets
//
// For "go": at most as many operations at a time as the program has processors (num_executors),
// unless the configuration has that option, parallelism or ops_sequential. With GoMLX's default of
// eight, products run in one thread on up to four processors, and take twice as long.
//
// For XLA, go-xla's installer is switched off for the process. For XLA on the CPU:
//
//   - While the plugin is opened, XLA_FLAGS also has the flags of the file PLUGIN.xla_flags beside
//     the plugin, if there is one. They make XLA compute convolutions by oneDNN and sums by
//     YNNPACK. A flag that XLA_FLAGS already has keeps its value. Afterwards XLA_FLAGS is restored.
//   - The CPU is one device, if the plugin knows the option. Otherwise it appears as four devices,
//     each with its own threads.
//
// For XLA on CUDA:
//
//   - TF32 is off, so that products and convolutions in float32 keep 24 bits (TF32 keeps 11):
//     go-xla's option tf32=false is set, and NVIDIA_TF32_OVERRIDE=0 in the environment unless the
//     variable is set. The configuration "xla:cuda,tf32=true" changes neither.
//   - If the wheels of NVIDIA's libraries are installed beside the plugin, the libraries are loaded
//     from there. XLA_FLAGS then gets --xla_gpu_cuda_data_dir, unless it has it, with the first
//     CUDA toolkit that has libdevice: in the wheels, in $CUDA_HOME or $CUDA_PATH, beside nvcc on
//     $PATH, or in /usr/local/cuda. GOPJRT_CUDA_CHECKS=no disables go-xla's search for the same
//     libraries.
//   - GPU memory is allocated as needed, which is go-xla's default, so that several processes can
//     share a GPU.
//
// To avoid these settings, open the backend by GoMLX's compute.New. The numbers of package gcml are
// right there too; its comment says what importing it changes.
//
// # What importing sets
//
// It registers the backends "go" and, in a program with cgo and without the build tag noxla, "xla"
// (whose package sets TF_CPP_MIN_LOG_LEVEL=3 unless it is set); and, like gcml, it makes graphs of
// the backend "go" read the current values of variables. It changes nothing else. Importing package
// keepmemory also replaces malloc and free on Linux: large blocks then come from a heap of its own,
// which makes training with XLA faster.
package backend
