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
	"strconv"
	"strings"

	"example.com/geometric-complexity/backend"
	"example.com/geometric-complexity/internal/machine"
)

// places are the folders and files of a run.
type places struct {
	root, bench, cache, results string
}

// findPlaces looks for the module's root from the current folder upwards.
func findPlaces() (places, error) {
	dir, err := os.Getwd()
	if err != nil {
		return places{}, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "bench", "requirements.txt")); err == nil {
			b := filepath.Join(dir, "bench")
			return places{root: dir, bench: b, cache: filepath.Join(b, ".cache"), results: filepath.Join(b, "results")}, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return places{}, errors.New("bench/requirements.txt is in no folder above this one: run it inside the repository")
		}
		dir = parent
	}
}

func (p places) latest() string  { return filepath.Join(p.results, "latest.json") }
func (p places) details() string { return filepath.Join(p.results, "details.json") }

// peersPython makes the virtual environment of the peers, unless it is there with the same requirements, and returns its
// interpreter.
func (p places) peersPython(base string, log io.Writer) (string, error) {
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
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", requirements},
	} {
		if err := command(log, p.root, args...); err != nil {
			return "", err
		}
	}
	return python, os.WriteFile(stamp, []byte(hex.EncodeToString(sum[:])), 0o644)
}

func (p places) buildGoWorker(log io.Writer) (string, error) {
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

// launches says how to start our workers and the peers', all with the same number of threads.
func (p places) launches(threads int, python, goWorker string, log io.Writer) (ours, peers []launch) {
	n := strconv.Itoa(threads)
	env := []string{"BENCH_THREADS=" + n, "GOMAXPROCS=" + n, "OMP_NUM_THREADS=" + n, "MKL_NUM_THREADS=" + n,
		"JAX_PLATFORMS=cpu", "CUDA_VISIBLE_DEVICES=", "PYTHONDONTWRITEBYTECODE=1", "GOMLX_NO_AUTO_INSTALL=1"}
	var pin []string
	if threads < runtime.NumCPU() { // XLA takes a thread for every core that it may run on.
		pin = []string{"taskset", "-c", "0-" + strconv.Itoa(threads-1)}
	}
	start := func(name string, command ...string) launch {
		return launch{name: name, command: append(pin[:len(pin):len(pin)], command...), env: env}
	}
	if plugin, ok := backend.FindPlugin(backend.KindCPU); ok {
		ours = append(ours, start("xla:cpu", goWorker, "-backend", "xla:"+plugin))
	} else {
		fmt.Fprintln(log, "no XLA CPU plugin: the rows of XLA are not run; `make xla` puts one in place")
	}
	ours = append(ours, start("go", goWorker, "-backend", "go"))
	for _, peer := range []string{"jax", "torch"} {
		peers = append(peers, start(peer, python, filepath.Join(p.bench, "peers", peer+"_worker.py")))
	}
	return ours, peers
}

// machineName is the processor's name and the number of cores.
func machineName(threads int) string {
	return fmt.Sprintf("%s, %d threads on %d cores, %s", machine.Processor(), threads, runtime.NumCPU(), runtime.GOOS)
}

// loadAverage is how many processes wanted to run, on average over the last minute; 0 where the system does not say.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64) // 0 for what is not a number: not known.
	return load
}
