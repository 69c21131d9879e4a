//go:build linux && cgo && !noxla

package backend

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
import "C"

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"
)

const (
	// tf32Override is NVIDIA's switch for TF32 in its libraries. go-xla's option covers only matrix
	// products; convolutions have default precision, for which cuDNN may use TF32.
	tf32Override = "NVIDIA_TF32_OVERRIDE"
	cudaDataDir  = "--xla_gpu_cuda_data_dir"
	// goxlaChecks disables go-xla's warning that it finds no NVIDIA libraries. It searches one
	// folder above the plugin, where pip does not install them.
	goxlaChecks = "GOPJRT_CUDA_CHECKS"
	// libdevice is the file of a CUDA toolkit, relative to its folder, that XLA needs to compile
	// functions such as exp and tanh.
	libdevice = "nvvm/libdevice/libdevice.10.bc"
)

// systemCUDA is the folder in which NVIDIA's installers and images put the toolkit.
var systemCUDA = "/usr/local/cuda"

// cudaLibraries are the libraries under the folder nvidia that XLA's CUDA plugin opens by name, in
// the order in which JAX loads them (jax_plugins/xla_cuda13/__init__.py of jax-cuda13-pjrt
// 0.12.0.1).
var cudaLibraries = []string{
	"cu13/lib/libcudart.so.13", "cu13/lib/libnvrtc.so.13", "cu13/lib/libcublas.so.13", "cu13/lib/libcublasLt.so.13",
	"nccl/lib/libnccl.so.2", "cu13/lib/libcupti.so.13", "cu13/lib/libcusparse.so.12", "cu13/lib/libcusolver.so.12",
	"cu13/lib/libcufft.so.12", "nvshmem/lib/libnvshmem_host.so.3", "cudnn/lib/libcudnn.so.9",
}

// beforeCUDA prepares the process for a CUDA plugin, as JAX does for the same plugin: it loads
// NVIDIA's libraries from the wheels beside the plugin, so that later look-ups by name find these,
// and tells XLA the folder of libdevice and ptxas. It returns the libraries that it loaded. If
// there are no wheels beside the plugin, it only sets TF32.
func beforeCUDA(r resolvedPlugin) (loaded []string) {
	if _, set := os.LookupEnv(tf32Override); !set && !r.wantsTF32() {
		_ = os.Setenv(tf32Override, "0") // Fails for malformed names only.
	}
	// pip installs the wheels as jax_plugins/xla_cuda13/xla_cuda_plugin.so, with nvidia beside
	// jax_plugins.
	nvidia := filepath.Join(filepath.Dir(r.plugin), "..", "..", "nvidia")
	toolkit := filepath.Join(nvidia, "cu13")
	if _, err := os.Stat(toolkit); err != nil {
		return nil
	}
	if _, set := os.LookupEnv(goxlaChecks); !set {
		_ = os.Setenv(goxlaChecks, "no")
	}
	if flags := os.Getenv(xlaFlags); !strings.Contains(flags, cudaDataDir) {
		if dir, ok := cudaToolkit(toolkit); ok {
			_ = os.Setenv(xlaFlags, strings.TrimSpace(flags+" "+cudaDataDir+"="+dir))
		}
	}
	for _, library := range cudaLibraries {
		name := C.CString(filepath.Join(nvidia, library))
		// If a library does not load, the plugin reports it when it needs it.
		if C.dlopen(name, C.RTLD_LAZY|C.RTLD_LOCAL) != nil {
			loaded = append(loaded, library)
		}
		C.free(unsafe.Pointer(name))
	}
	return loaded
}

// cudaToolkit returns the first CUDA toolkit that has libdevice: the wheels', which lack it if
// nvidia-nvvm is not installed, those in CUDA_HOME and CUDA_PATH, nvcc's on PATH, and the system's.
// If ok is false, XLA searches by itself.
func cudaToolkit(wheels string) (dir string, ok bool) {
	candidates := []string{wheels, os.Getenv("CUDA_HOME"), os.Getenv("CUDA_PATH")}
	if nvcc, err := exec.LookPath("nvcc"); err == nil {
		candidates = append(candidates, filepath.Dir(filepath.Dir(nvcc)))
	}
	for _, dir := range append(candidates, systemCUDA) {
		if _, err := os.Stat(filepath.Join(dir, libdevice)); dir != "" && err == nil {
			return dir, true
		}
	}
	return "", false
}
