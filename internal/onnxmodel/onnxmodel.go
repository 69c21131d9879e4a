// Package onnxmodel loads networks from ONNX files as GoMLX model functions, so that they can be
// measured, and reads their inputs from NumPy's files.
package onnxmodel

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/onnx-gomlx/onnx"
	"google.golang.org/protobuf/proto"
)

// Model is a network in evaluation mode, as ONNX files hold it.
type Model struct {
	// Store has the weights.
	Store *model.Store

	path     string
	graph    *protos.GraphProto
	lowered  *lowered
	onnx     onnx.Model // the part after the last segment
	segments []segment
	folder   *dataFolder
	file     *protos.ModelProto
	inputs   []string
	shapes   []shapes.Shape
	unshaped []bool
	output   string
	wrt      int    // the input that derivatives are taken with respect to
	node     string // or the inner value, if not ""

	ranks     map[string]int        // of inputs, from SetRank
	constants []*protos.TensorProto // from SetConstant
}

// Load reads an ONNX file. It returns an error that names the file if it is no ONNX file, if the
// network has no input, or if weights cannot be read.
func Load(path string) (*Model, error) {
	m := &Model{path: path, Store: model.NewStore()}
	if err := m.load(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func (m *Model) load() (err error) {
	raw, err := readFile(m.path)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", withoutPath(err))
	}
	folder, err := openDataFolder(filepath.Dir(m.path))
	if err != nil {
		return fmt.Errorf("its folder cannot be opened: %w", withoutPath(err))
	}
	defer func() {
		if err != nil { // Otherwise building the graph reads from the folder.
			err = errors.Join(err, folder.release())
		}
	}()
	var file protos.ModelProto
	if err := proto.Unmarshal(raw, &file); err != nil || file.Graph == nil || len(file.Graph.Output) == 0 {
		return fmt.Errorf("not an ONNX model: export one, for example by torch.onnx.export")
	}
	for _, in := range file.Graph.Input {
		if rank, ok := m.ranks[in.Name]; ok {
			in.GetType().GetTensorType().Shape = dynamic(rank)
		}
	}
	if err := inline(&file); err != nil {
		return err
	}
	if err := widen(file.Graph, folder); err != nil {
		return err
	}
	if err := m.parse(&file, folder); err != nil {
		return err
	}
	m.readInputs()
	m.output = defaultOutput(m.graph)
	if len(m.inputs) == 0 {
		return errors.New("the network has no input")
	}
	// The caller chooses the input later.
	for i, shape := range m.shapes {
		if shape.DType.IsFloat() {
			m.wrt = i
			break
		}
	}
	return nil
}

// parse rewrites a file without functions of its own into a form that the importer computes
// correctly, and imports it.
func (m *Model) parse(file *protos.ModelProto, folder *dataFolder) error {
	m.file, m.graph = file, file.Graph
	if err := simplify(m.graph); err != nil {
		return err
	}
	if err := checkNames(m.graph, nil); err != nil {
		return err
	}
	// Once for the rewrites, which rely on it, and again for what they made.
	if err := validate(m.graph, folder); err != nil {
		return err
	}
	separateNames(m.graph)
	m.lowered = lower(m.graph, opset(file))
	if err := validate(m.graph, folder); err != nil {
		return err
	}
	m.folder = folder
	err := attempt(func() error {
		if err := m.parseSegments(file); err != nil {
			return err
		}
		first := m.onnx
		if len(m.segments) > 0 {
			first = m.segments[0].onnx
		}
		return first.VariablesToScope(m.Store.RootScope())
	})
	if err != nil {
		return fmt.Errorf("cannot be imported: %w", oneLine(err))
	}
	return nil
}

// opset is the version of ONNX's own operators that the file uses.
func opset(file *protos.ModelProto) int64 {
	for _, o := range file.OpsetImport {
		if o.Domain == "" || o.Domain == "ai.onnx" {
			return o.Version
		}
	}
	return 1
}

// InputName is the name of the input in the file that derivatives are taken with respect to.
func (m *Model) InputName() string { return m.inputs[m.wrt] }

// InputShape is [batch, ...], with -1 for axes of any size.
func (m *Model) InputShape() shapes.Shape { return m.shapes[m.wrt] }

// OutputName is the name of the value that Forward returns: the first output of the network, unless
// SetOutput chose another.
func (m *Model) OutputName() string { return m.output }

// BatchSize is the number of examples that the network was exported for, or 0 if it takes any: the
// size of the axis of each input that axisOf returns for its name. It is an error if two inputs
// have different sizes.
func (m *Model) BatchSize(axisOf func(input string) int) (size int, err error) {
	var first string
	for i, name := range m.inputs {
		axis := axisOf(name)
		if axis < 0 || axis >= m.shapes[i].Rank() || m.shapes[i].Dimensions[axis] < 0 {
			continue
		}
		own := m.shapes[i].Dimensions[axis]
		if size > 0 && own != size {
			return 0, fmt.Errorf("%s: axis %d of input %s has the size %d, and axis %d of input %s has %d: want the same number of examples",
				m.path, axisOf(first), first, size, axis, name, own)
		}
		size, first = own, name
	}
	return size, nil
}

// SetOutput makes Forward return an inner value, named by its own name or by that of the node that
// computes it.
func (m *Model) SetOutput(name string) error {
	value, err := m.valueOf(name)
	if err == nil {
		m.output = value
	}
	return err
}

// Forward builds the network: x of InputShape to the output, [batch, ...]. It
// is a GoMLX model function for the Store. It panics on an operator that is not
// supported, with its name and that of the node.
func (m *Model) Forward(scope *model.Scope, x *graph.Node) *graph.Node {
	return m.ForwardAll(scope, []*graph.Node{x})
}

// values builds the part of the network that computes the named values, for the given inputs.
func (m *Model) values(scope *model.Scope, g *graph.Graph, inputs []*graph.Node, names ...string) []*graph.Node {
	for _, name := range names {
		if err := m.refusal(name); err != nil {
			panic(&modelError{err})
		}
	}
	var outputs []*graph.Node
	err := attempt(func() error {
		named := make(map[string]*graph.Node)
		for i, x := range inputs {
			named[m.inputs[i]] = x
		}
		stated := m.statedOnPath(names)
		all := m.call(scope, g, named, slices.Concat(names, stated)...)
		outputs = all[:len(names)]
		return cmp.Or(m.lowered.checkStated(stated, all[len(names):]), checkNodes(g))
	})
	if err != nil {
		panic(&modelError{m.explain(g.Backend(), inputs, names, err)})
	}
	return outputs
}

// checkNodes refuses what backends cannot compute.
func checkNodes(g *graph.Graph) error {
	for _, n := range g.Nodes() {
		switch n.Type() {
		case graph.NodeTypeReduceMax, graph.NodeTypeReduceMin:
			if n.Inputs()[0].Shape().Size() == 0 {
				return fmt.Errorf("the largest or smallest of no values, of shape %s, is not supported", n.Inputs()[0].Shape())
			}
		}
	}
	return nil
}

// modelError says in one line why the graph of a network cannot be built.
type modelError struct{ error }

func (e *modelError) Unwrap() error { return e.error }

// Check builds the graph of a model function that calls ForwardValues, for inputs of the given
// shapes. It returns the number of outputs per example, and the memory of all values together,
// without the weights. It compiles and runs only the parts that the importer computes for itself,
// such as the shapes that a network computes. It refuses a network with a value of more than limit
// bytes. Its errors name the file.
func (m *Model) Check(backend compute.Backend, fn func(*model.Scope, []*graph.Node) *graph.Node, inputs []shapes.Shape,
	limit int64) (outputs int, bytes float64, err error) {
	guard := &sizeGuard{Backend: backend, limit: limit}
	g := graph.NewGraph(guard, "onnxmodel.Check")
	defer g.Finalize()
	guard.graph = g
	err = attempt(func() error {
		var nodes []*graph.Node
		for i, shape := range inputs {
			nodes = append(nodes, graph.Parameter(g, fmt.Sprintf("input%d", i), shape))
		}
		batch := inputs[m.wrt].Dimensions[0]
		out := fn(m.Store.RootScope(), nodes)
		if out.Rank() == 0 || out.Shape().Dimensions[0] != batch || !out.DType().IsFloat() {
			return fmt.Errorf("output %s has shape %s for %d examples: want numbers of a float type, [batch, ...]; choose another node",
				m.output, out.Shape(), batch)
		}
		outputs = out.Shape().Size() / batch
		if err := m.checkBranches(g); err != nil {
			return err
		}
		if err := m.checkMixing(out, nodes); err != nil {
			return err
		}
		return guard.check()
	})
	if err == nil && inputs[m.wrt].Dimensions[0] == 1 {
		err = m.checkMixingOfTwo(backend, fn, inputs)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", m.path, err)
	}
	return outputs, guard.bytes, nil
}

// attempt calls a function, and returns its panics, and those of the importer, as errors.
func attempt(fn func() error) (err error) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("its inputs or attributes have a form that the importer cannot take (%w)", cause)
		case error:
			err = cause
		default:
			err = fmt.Errorf("%v", cause)
		}
	}()
	return fn()
}

// maxFileSize is the limit of protocol buffers, and so of ONNX files.
const maxFileSize = 2 << 30

// readFile reads a regular file: a device or a FIFO has no end, or none soon.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > maxFileSize:
		return nil, fmt.Errorf("it has %d bytes, and an ONNX file has at most %d: larger weights are kept in a file beside it",
			info.Size(), maxFileSize)
	}
	return os.ReadFile(path)
}

// withoutPath is the cause alone of an error of the file system.
func withoutPath(err error) error {
	if pathErr, ok := err.(*os.PathError); ok {
		return pathErr.Err
	}
	return err
}
