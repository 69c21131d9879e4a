package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/machine"
	"github.com/geometric-complexity/toolkit/internal/repository"
)

// paths are the folders and files of a run.
type paths struct {
	root, bench, cache, results string
}

// findPaths looks for the repository from the current folder upwards.
func findPaths() (paths, error) {
	root, ok := repository.Root()
	if !ok {
		return paths{}, errors.New("neither this folder nor one above it is the repository: run bench inside the repository")
	}
	b := filepath.Join(root, "bench")
	return paths{root: root, bench: b, cache: filepath.Join(b, ".cache"), results: filepath.Join(b, "results")}, nil
}

// resultsFolders are the folders of the GPU's results in bench/results, which holds those of the
// CPU.
var resultsFolders = []string{"cuda", "cuda-tf32"}

// resultsIn returns the folder for the results of these options.
func (o options) resultsIn(results string) string {
	switch {
	case o.results != "":
		return o.results
	case o.tf32:
		return filepath.Join(results, resultsFolders[1])
	case o.device == deviceCUDA:
		return filepath.Join(results, resultsFolders[0])
	}
	return results
}

func (p paths) latest() string  { return filepath.Join(p.results, "latest.json") }
func (p paths) details() string { return filepath.Join(p.results, "details.json") }

// installPeers makes the virtual environment of the peers, unless it exists with the same
// requirements, and returns its interpreter.
func (p paths) installPeers(base string, log io.Writer) (string, error) {
	requirements := filepath.Join(p.bench, "requirements.txt")
	text, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	venv := filepath.Join(p.bench, ".venv")
	python, stamp := filepath.Join(venv, "bin", "python"), filepath.Join(venv, "requirements.sha256")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == hex.EncodeToString(sum[:]) {
		return python, nil
	}
	fmt.Fprintln(log, "installing the pinned peers into bench/.venv (a download of 2 GB, once)")
	for _, args := range [][]string{
		{base, "-m", "venv", "--clear", venv},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r",
			requirements},
	} {
		if err := command(log, p.root, args...); err != nil {
			return "", err
		}
	}
	return python, atomicfile.Write(stamp, []byte(hex.EncodeToString(sum[:])))
}

func (p paths) buildGoWorker(log io.Writer) (string, error) {
	binary := filepath.Join(p.cache, "goworker")
	return binary, command(log, p.root, "go", "build", "-o", binary, "./bench/goworker")
}

func command(log io.Writer, dir string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// environment returns the variables that give all workers the same number of threads, device and
// precision.
func (o options) environment() []string {
	n := strconv.Itoa(o.threads)
	env := []string{"BENCH_THREADS=" + n, "GOMAXPROCS=" + n, "OMP_NUM_THREADS=" + n, "MKL_NUM_THREADS=" + n,
		"PYTHONDONTWRITEBYTECODE=1", "GOMLX_NO_AUTO_INSTALL=1", "BENCH_DEVICE=" + o.device, "JAX_PLATFORMS=" + o.device}
	if o.device == deviceCPU {
		return append(env, "CUDA_VISIBLE_DEVICES=")
	}
	// All processes share the GPU's memory, so JAX must not reserve most of it. NVIDIA's variable
	// applies to cuBLAS and cuDNN in every library.
	env = append(env, "XLA_PYTHON_CLIENT_PREALLOCATE=false")
	if o.tf32 {
		return append(env, "BENCH_TF32=1")
	}
	return append(env, "BENCH_TF32=0", "NVIDIA_TF32_OVERRIDE=0")
}

// workerCommands returns the commands that start our workers and the peers'.
func (p paths) workerCommands(o options, log io.Writer) (ours, peers []workerCommand) {
	env := o.environment()
	var pin []string
	if o.threads < runtime.NumCPU() { // XLA starts a thread for every core that it may run on.
		pin = []string{"taskset", "-c", "0-" + strconv.Itoa(o.threads-1)}
	}
	start := func(name string, command ...string) workerCommand {
		return workerCommand{name: name, args: append(pin[:len(pin):len(pin)], command...), env: env}
	}
	wanted := strings.Split(o.backends, ",")
	if slices.Contains(wanted, "xla") {
		if plugin, ok := backend.FindPlugin(o.device); ok {
			config := "xla:" + plugin
			if o.tf32 {
				config += ",tf32=true"
			}
			ours = append(ours, start("xla:"+o.device, o.goWorker, "-backend", config))
		} else {
			fmt.Fprintf(log, "no XLA plugin for %s: XLA is left out; see `gcml doctor`\n", o.device)
		}
	}
	if slices.Contains(wanted, "go") {
		ours = append(ours, start("go", o.goWorker, "-backend", "go"))
	}
	for _, peer := range knownPeers {
		if slices.Contains(strings.Split(o.peers, ","), peer) {
			peers = append(peers, start(peer, o.peersPython, filepath.Join(p.bench, "peers", peer+"_worker.py")))
		}
	}
	return ours, peers
}

// machineName returns the processor's name and the number of cores, or the GPU's name, its driver
// and the precision.
func (o options) machineName() (string, error) {
	if o.device == deviceCPU {
		return fmt.Sprintf("%s, %d threads on %d cores, %s", machine.Processor(), o.threads, runtime.NumCPU(), runtime.GOOS),
			nil
	}
	out, err := exec.Command("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").Output()
	if err != nil {
		return "", fmt.Errorf("--device cuda: nvidia-smi does not name the GPU: %w", err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	name, driver, _ := strings.Cut(strings.TrimSpace(first), ", ")
	precision := "TF32 off"
	if o.tf32 {
		precision = "TF32 on"
	}
	return fmt.Sprintf("%s, driver %s, %s, %s", name, driver, precision, runtime.GOOS), nil
}

// loadAverage returns the average number of runnable processes in the last minute, 0 if the system
// does not report it.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64) // 0, unknown, if it is not a number.
	return load
}
