//go:build linux && cgo && !noxla

package backend

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
import "C"

import (
	"os"
	"path/filepath"
	"strings"
	"unsafe"
)

const (
	// tf32Override is NVIDIA's switch for TF32 in its libraries. go-xla's option covers matrix products alone:
	// convolutions are built with default precision, for which cuDNN may take TF32.
	tf32Override = "NVIDIA_TF32_OVERRIDE"
	cudaDataDir  = "--xla_gpu_cuda_data_dir"
)

// cudaLibraries are what XLA's CUDA plugin opens by name, under the folder nvidia, and in the order in which JAX loads
// them (jax_plugins/xla_cuda13/__init__.py of jax-cuda13-pjrt 0.12.0.1).
var cudaLibraries = []string{
	"cu13/lib/libcudart.so.13", "cu13/lib/libnvrtc.so.13", "cu13/lib/libcublas.so.13", "cu13/lib/libcublasLt.so.13",
	"nccl/lib/libnccl.so.2", "cu13/lib/libcupti.so.13", "cu13/lib/libcusparse.so.12", "cu13/lib/libcusolver.so.12",
	"cu13/lib/libcufft.so.12", "nvshmem/lib/libnvshmem_host.so.3", "cudnn/lib/libcudnn.so.9",
}

// beforeCUDA prepares the process for a CUDA plugin, as JAX does for the same plugin: NVIDIA's libraries are loaded from
// the wheels beside it, so that later look-ups by name find these and no others, and XLA learns where ptxas lies.
// It gives the libraries it loaded. For a plugin without such libraries beside it, it only sets TF32.
func beforeCUDA(r resolvedPlugin) (loaded []string) {
	if _, set := os.LookupEnv(tf32Override); !set && !r.wantsTF32() {
		_ = os.Setenv(tf32Override, "0") // Fails for malformed names only.
	}
	// As pip lays the wheels out: jax_plugins/xla_cuda13/xla_cuda_plugin.so, and nvidia beside jax_plugins.
	nvidia := filepath.Join(filepath.Dir(r.plugin), "..", "..", "nvidia")
	toolkit := filepath.Join(nvidia, "cu13")
	if _, err := os.Stat(toolkit); err != nil {
		return nil
	}
	if flags := os.Getenv(xlaFlags); !strings.Contains(flags, cudaDataDir) {
		_ = os.Setenv(xlaFlags, strings.TrimSpace(flags+" "+cudaDataDir+"="+toolkit))
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
