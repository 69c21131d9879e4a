// Package backend opens the GoMLX backend that is the fastest one here, with the settings that make
// it fast and its numbers right.
//
//	b, info, err := backend.Open()
//
// # Which backend
//
// In this order:
//
//  1. $GOMLX_BACKEND, if it is set and not empty. It is obeyed: where it cannot be opened that is
//     an error, never a silent switch to something else.
//  2. XLA on CUDA, where both an NVIDIA device and a CUDA plugin are present.
//  3. XLA on the CPU, where a plugin is present.
//  4. Pure Go, which needs nothing.
//
// FindPlugin says where plugins are looked for. Nothing is ever downloaded here: in this repository
// `make xla` and `make cuda` put the plugins in place. [OpenConfig] opens a backend that the
// program chooses.
//
// # What opening sets
//
// For XLA, go-xla's installer is switched off for the process. For XLA on the CPU:
//
//   - XLA_FLAGS has the flags of the file PLUGIN.xla_flags beside the plugin while the plugin is
//     opened, and is afterwards as it was. They have XLA compute convolutions by oneDNN and sums by
//     YNNPACK. A flag that XLA_FLAGS has already keeps its value; without the file there are none.
//   - The CPU is one device, where the plugin knows the option: it shows four otherwise, with the
//     threads for each.
//
// For XLA on CUDA:
//
//   - TF32 is off, so that products and convolutions in float32 keep 24 bits (TF32 keeps 11): by
//     go-xla's option tf32=false, and by NVIDIA_TF32_OVERRIDE=0 in the environment unless the
//     variable is set. The configuration "xla:cuda,tf32=true" leaves both alone.
//   - NVIDIA's libraries are loaded from the wheels beside the plugin, where they are.
//     --xla_gpu_cuda_data_dir, unless XLA_FLAGS has it, is then added with the first CUDA toolkit
//     that holds libdevice: of the wheels, of $CUDA_HOME or $CUDA_PATH, of nvcc on $PATH, or
//     /usr/local/cuda. GOPJRT_CUDA_CHECKS=no silences go-xla's search for the same libraries.
//   - Memory of the GPU is taken as it is needed, as go-xla does by default, so that several
//     processes can share one.
//
// A program that wants none of this opens its backend by GoMLX's compute.New. The numbers of
// package gcml are right there too; see its comment for what importing it changes.
//
// # What importing sets
//
// It registers the backends "go" and, in a program with cgo and without the build tag noxla, "xla"
// (whose package sets TF_CPP_MIN_LOG_LEVEL=3 unless it is set); and, as gcml does, it has graphs of
// the backend "go" see changed variables. Nothing else. Package keepmemory, beside this one, is
// imported for a setting of the C library that saves XLA's training time.
package backend
