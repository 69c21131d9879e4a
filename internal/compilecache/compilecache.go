// Package compilecache wraps a backend so that it compiles equal programs once. GoMLX compiles a
// graph anew for every model.Exec, so that each run of a sweep compiled what the run before it had
// compiled: 10 to 20 seconds for a residual network.
//
// Programs are equal if their StableHLO text is, apart from names that GoMLX makes up anew. Only
// XLA has such a text; other backends compile within milliseconds and are not wrapped.
package compilecache

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"regexp"
	"runtime"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat/program"
)

// Capacity is the number of programs that nobody uses any more that a cache keeps. A run of an
// experiment compiles fewer than ten; a program of a residual network takes some ten megabytes.
const Capacity = 64

// Backend is a backend with a cache of compiled programs. Its tensors belong to it, not to the
// backend inside: use one of the two for everything.
type Backend struct {
	compute.Backend
	capacity int

	mu       sync.Mutex
	programs map[key]*entry
	unused   []*entry // the least recently used first
	compiled int
}

// key identifies a program: the SHA-256 of its text; see keyOf.
type key [sha256.Size]byte

// uuids are in the names of GoMLX's variables of metrics, and so in those of parameters.
var uuids = regexp.MustCompile(`uuid_[0-9a-f]{8}(_[0-9a-f]{4}){3}_[0-9a-f]{12}`)

// keyOf leaves out what GoMLX makes up anew for each graph: the module's name, which is in the
// first line, and UUIDs, which are numbered.
func keyOf(text []byte) key {
	_, body, _ := bytes.Cut(text, []byte("\n"))
	numbers := make(map[string]int)
	body = uuids.ReplaceAllFunc(body, func(uuid []byte) []byte {
		if _, known := numbers[string(uuid)]; !known {
			numbers[string(uuid)] = len(numbers)
		}
		return fmt.Appendf(nil, "uuid %d", numbers[string(uuid)])
	})
	return sha256.Sum256(body)
}

// entry is a compiled program with the number of executables that use it.
type entry struct {
	key   key
	exec  compute.Executable
	users int
}

// New wraps a backend in a cache of Capacity programs. It returns the backend itself if its
// programs have no text to compare, or if it has a cache already.
func New(inner compute.Backend) compute.Backend { return withCapacity(inner, Capacity) }

func withCapacity(inner compute.Backend, capacity int) compute.Backend {
	if _, ok := inner.(*Backend); ok || !hasText(inner) {
		return inner
	}
	return &Backend{Backend: inner, capacity: capacity, programs: make(map[key]*entry)}
}

// hasText reports whether the backend's programs have a text.
func hasText(b compute.Backend) bool {
	trial := b.Builder("trial")
	main := trial.Main()
	one, err := main.Constant([]float32{1}, 1)
	if err != nil || main.Return([]compute.Value{one}, nil) != nil {
		return false
	}
	_, ok := program.Text(trial)
	return ok
}

// Compiled returns how many programs were compiled so far.
func (b *Backend) Compiled() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.compiled
}

// Wrapped returns the backend inside, for package platform.
func (b *Backend) Wrapped() compute.Backend { return b.Backend }

// Builder implements compute.Backend.
func (b *Backend) Builder(name string) compute.Builder {
	return &builder{Builder: b.Backend.Builder(name), backend: b}
}

// BufferFromFlatData implements compute.Backend.
func (b *Backend) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	inner, err := b.Backend.BufferFromFlatData(device, flat, shape)
	return b.own(inner, err)
}

// NewSharedBuffer implements compute.Backend.
func (b *Backend) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	inner, flat, err := b.Backend.NewSharedBuffer(device, shape)
	if err != nil {
		return nil, nil, err
	}
	return &buffer{inner, b}, flat, nil
}

// Finalize implements compute.Backend.
func (b *Backend) Finalize() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.programs {
		p.exec.Finalize()
	}
	clear(b.programs)
	b.unused = nil
	b.Backend.Finalize()
}

func (b *Backend) own(inner compute.Buffer, err error) (compute.Buffer, error) {
	if err != nil {
		return nil, err
	}
	return &buffer{inner, b}, nil
}

// buffer is a buffer that names the wrapped backend as its own: tensors compare the two.
type buffer struct {
	compute.Buffer
	backend *Backend
}

// Backend implements compute.Buffer.
func (b *buffer) Backend() compute.Backend { return b.backend }

// CopyToDevice implements compute.Buffer.
func (b *buffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	inner, err := b.Buffer.CopyToDevice(device)
	return b.backend.own(inner, err)
}

// builder is a builder that asks the cache before it compiles.
type builder struct {
	compute.Builder
	backend *Backend
	placed  bool // on devices of its own: not shared
}

// DistributedSPMD implements compute.Builder.
func (b *builder) DistributedSPMD(numDevices int) error {
	b.placed = true
	return b.Builder.DistributedSPMD(numDevices)
}

// DistributedAutoSharding implements compute.Builder.
func (b *builder) DistributedAutoSharding(meshes ...compute.Mesh) error {
	b.placed = true
	return b.Builder.DistributedAutoSharding(meshes...)
}

// DeviceAssignment implements compute.Builder.
func (b *builder) DeviceAssignment(devices ...compute.DeviceNum) error {
	b.placed = true
	return b.Builder.DeviceAssignment(devices...)
}

// Compile implements compute.Builder.
func (b *builder) Compile() (compute.Executable, error) {
	text, ok := program.Text(b.Builder)
	if b.placed || !ok {
		exec, err := b.Builder.Compile()
		if err != nil {
			return nil, err
		}
		return newExecutable(b.backend, &entry{exec: exec, users: 1}), nil
	}
	p, err := b.backend.lookUp(keyOf(text), b.Builder.Compile)
	if err != nil {
		return nil, err
	}
	return newExecutable(b.backend, p), nil
}

// lookUp returns the program with this key, after compiling it if the cache lacks it.
func (b *Backend) lookUp(k key, compile func() (compute.Executable, error)) (*entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.programs[k]
	if p == nil {
		exec, err := compile()
		if err != nil {
			return nil, err
		}
		p = &entry{key: k, exec: exec}
		b.programs[k] = p
		b.compiled++
	}
	p.users++
	b.removeUnused(p)
	return p, nil
}

// release is called when an executable no longer needs its program.
func (b *Backend) release(p *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	if b.programs[p.key] != p { // never cached, or the backend was finalized
		p.exec.Finalize()
		return
	}
	if b.unused = append(b.unused, p); len(b.unused) > b.capacity {
		oldest := b.unused[0]
		b.removeUnused(oldest)
		delete(b.programs, oldest.key)
		oldest.exec.Finalize()
	}
}

func (b *Backend) removeUnused(p *entry) {
	for i, other := range b.unused {
		if other == p {
			b.unused = append(b.unused[:i], b.unused[i+1:]...)
			return
		}
	}
}

// executable is one user's handle of a program.
type executable struct {
	backend  *Backend
	entry    *entry
	finalize sync.Once
}

func newExecutable(b *Backend, p *entry) *executable {
	e := &executable{backend: b, entry: p}
	// In a goroutine of its own, because Finalize waits for compilations, and all finalizers of the
	// program, such as those that free tensors, run one after the other.
	runtime.SetFinalizer(e, func(e *executable) { go e.Finalize() })
	return e
}

// Finalize implements compute.Executable. The program stays in the cache.
func (e *executable) Finalize() { e.finalize.Do(func() { e.backend.release(e.entry) }) }

// Inputs implements compute.Executable. The names are those of the graph that was compiled.
func (e *executable) Inputs() ([]string, []shapes.Shape) { return e.entry.exec.Inputs() }

// Outputs implements compute.Executable.
func (e *executable) Outputs() []shapes.Shape { return e.entry.exec.Outputs() }

// Execute implements compute.Executable.
func (e *executable) Execute(inputs []compute.Buffer, donate []bool,
	device compute.DeviceNum) ([]compute.Buffer, error) {
	inner := make([]compute.Buffer, len(inputs))
	for i, in := range inputs {
		inner[i] = in
		if own, ok := in.(*buffer); ok {
			inner[i] = own.Buffer
		}
	}
	outputs, err := e.entry.exec.Execute(inner, donate, device)
	if err != nil {
		return nil, err
	}
	for i, out := range outputs {
		outputs[i] = &buffer{out, e.backend}
	}
	return outputs, nil
}
