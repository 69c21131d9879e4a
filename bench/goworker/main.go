// Command goworker runs the benchmarks' tasks with this repository's packages on GoMLX. It reads
// the harness's commands (package proto); with -cold FIXTURE it prints one GC value and exits.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/backend"
	_ "github.com/geometric-complexity/toolkit/backend/keepmemory" // As in the command gcml.
	"github.com/geometric-complexity/toolkit/bench/proto"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

func main() {
	config := flag.String("backend", "", "backend, in the format of GOMLX_BACKEND")
	cold := flag.String("cold", "", "fixture: print its GC as JSON and exit")
	flag.String("variant", variantOurs, "ignored: the harness passes it to every worker, and -cold has a single variant here")
	profile := flag.String("cpuprofile", "", "file for a CPU profile of the Go code (useful with the backend \"go\")")
	flag.Parse()
	stop, err := startProfile(*profile)
	if err == nil {
		err = errors.Join(run(*config, *cold, os.Stdin, os.Stdout), stop())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "goworker:", err)
		os.Exit(1)
	}
}

// startProfile starts a CPU profile, unless path is empty, and returns the function that ends it.
func startProfile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}

func run(config, cold string, in io.Reader, out io.Writer) error {
	b, info, err := backend.OpenConfig(config)
	if err != nil {
		return err
	}
	defer b.Finalize()
	s := &server{backend: b, info: info, tasks: map[string]*task{}}
	if cold != "" {
		answer := s.answer(proto.Request{Op: proto.OpPrepare, Fixture: cold, Task: proto.TaskGCExact})
		return json.NewEncoder(out).Encode(answer)
	}
	return s.serve(in, out)
}

// server answers requests, one at a time. tasks are the prepared ones, by ID.
type server struct {
	backend compute.Backend
	info    backend.Info
	tasks   map[string]*task
}

func (s *server) serve(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		var request proto.Request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return fmt.Errorf("command %q: %w", lines.Text(), err)
		}
		if request.Op == proto.OpQuit {
			return nil
		}
		if err := encoder.Encode(s.answer(request)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (s *server) answer(request proto.Request) proto.Answer {
	answer, err := s.do(request)
	if err != nil {
		return proto.Answer{Error: err.Error()}
	}
	return answer
}

func (s *server) do(request proto.Request) (proto.Answer, error) {
	switch request.Op {
	case proto.OpVersions:
		return proto.Answer{Versions: s.versions()}, nil
	case proto.OpVariants:
		variants, err := s.variantsOf(request)
		return proto.Answer{Variants: variants}, err
	case proto.OpPrepare:
		return s.prepare(request)
	case proto.OpTime:
		return s.time(request)
	case proto.OpRelease:
		for _, t := range s.tasks {
			t.finalize()
		}
		clear(s.tasks)
		runtime.GC()
		debug.FreeOSMemory()
		backend.FreeOSMemory()
		return proto.Answer{}, nil
	default:
		return proto.Answer{}, fmt.Errorf("unknown op %q", request.Op)
	}
}

func (s *server) prepare(request proto.Request) (proto.Answer, error) {
	resetPeakMemory()
	start, cpu := time.Now(), cpuMilliseconds()
	t, err := newTask(s.backend, request)
	if err != nil {
		return proto.Answer{}, err
	}
	value, err := t.run()
	answer := proto.Answer{FirstMS: milliseconds(start), FirstCPUMS: cpuMilliseconds() - cpu}
	backend.FreeOSMemory() // As keepmemory advises.
	if err == nil {
		answer.Values, err = t.check(value)
	}
	if err != nil {
		t.finalize()
		return proto.Answer{}, err
	}
	s.tasks[request.ID] = t
	answer.PeakMiB = peakMemoryMiB()
	return answer, nil
}

func (s *server) time(request proto.Request) (proto.Answer, error) {
	t, ok := s.tasks[request.ID]
	if !ok {
		return proto.Answer{}, fmt.Errorf("task %q was not prepared", request.ID)
	}
	for range request.Warmup {
		if _, err := t.run(); err != nil {
			return proto.Answer{}, err
		}
	}
	var last float64
	times, cpu := make([]float64, request.Reps), make([]float64, request.Reps)
	for i := range times {
		start, before := time.Now(), cpuMilliseconds()
		var err error
		if last, err = t.run(); err != nil {
			return proto.Answer{}, err
		}
		times[i], cpu[i] = milliseconds(start), cpuMilliseconds()-before
	}
	return proto.Answer{TimesMS: times, CPUMS: cpu, Last: &last}, nil
}

func milliseconds(since time.Time) float64 { return time.Since(since).Seconds() * 1e3 }

// versions returns those of Go, of the GoMLX modules and of the PJRT plugin.
func (s *server) versions() map[string]string {
	versions := map[string]string{"go": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			switch m.Path {
			case "github.com/gomlx/gomlx":
				versions["gomlx"] = m.Version
			case "github.com/gomlx/compute":
				versions["compute"] = m.Version
			case "github.com/gomlx/go-xla":
				versions["go-xla"] = m.Version
			}
		}
	}
	if s.info.Name == "xla" {
		versions["pjrt"] = s.info.PluginVersion
		if platform.HasOneDNN() {
			versions["pjrt"] += " with oneDNN"
		}
	}
	return versions
}
