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
	// tf32Override is NVIDIA's switch for TF32 in its libraries. go-xla's option covers matrix
	// products alone: convolutions are built with default precision, for which cuDNN may take TF32.
	tf32Override = "NVIDIA_TF32_OVERRIDE"
	cudaDataDir  = "--xla_gpu_cuda_data_dir"
	// goxlaChecks switches off go-xla's warning that it finds no NVIDIA libraries beside the
	// plugin: it looks one folder above, where pip does not put them.
	goxlaChecks = "GOPJRT_CUDA_CHECKS"
	// libdevice is what XLA needs of a CUDA toolkit to compile exp, tanh and the like, relative to
	// the toolkit's folder.
	libdevice = "nvvm/libdevice/libdevice.10.bc"
)

// systemCUDA is where NVIDIA's own installers and images put the toolkit.
var systemCUDA = "/usr/local/cuda"

// cudaLibraries are what XLA's CUDA plugin opens by name, under the folder nvidia, and in the order
// in which JAX loads them (jax_plugins/xla_cuda13/__init__.py of jax-cuda13-pjrt 0.12.0.1).
var cudaLibraries = []string{
	"cu13/lib/libcudart.so.13", "cu13/lib/libnvrtc.so.13", "cu13/lib/libcublas.so.13", "cu13/lib/libcublasLt.so.13",
	"nccl/lib/libnccl.so.2", "cu13/lib/libcupti.so.13", "cu13/lib/libcusparse.so.12", "cu13/lib/libcusolver.so.12",
	"cu13/lib/libcufft.so.12", "nvshmem/lib/libnvshmem_host.so.3", "cudnn/lib/libcudnn.so.9",
}

// beforeCUDA prepares the process for a CUDA plugin, as JAX does for the same plugin: NVIDIA's
// libraries are loaded from the wheels beside it, so that later look-ups by name find these and no
// others, and XLA learns where libdevice and ptxas lie. It returns the libraries it loaded. For a
// plugin without such libraries beside it, it only sets TF32.
func beforeCUDA(r resolvedPlugin) (loaded []string) {
	if _, set := os.LookupEnv(tf32Override); !set && !r.wantsTF32() {
		_ = os.Setenv(tf32Override, "0") // Fails for malformed names only.
	}
	// As pip lays the wheels out: jax_plugins/xla_cuda13/xla_cuda_plugin.so, and nvidia beside
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
		// One that does not load is left to the plugin, which says what it misses when it needs it.
		if C.dlopen(name, C.RTLD_LAZY|C.RTLD_LOCAL) != nil {
			loaded = append(loaded, library)
		}
		C.free(unsafe.Pointer(name))
	}
	return loaded
}

// cudaToolkit returns the first folder that holds libdevice: that of the wheels, which lack it
// where nvidia-nvvm is not installed, those that CUDA_HOME and CUDA_PATH name, that of nvcc on
// PATH, and the system's. Where none does, XLA is left to look by itself.
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
