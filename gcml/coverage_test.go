package gcml_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gctest/programs"
)

const coveragePage = "../docs/coverage.md"

var updateCoverage = flag.Bool("update-coverage", false, "write docs/coverage.md anew")

// TestCoverage measures a minimal model of every op and layer, and compares the results with the
// table in docs/coverage.md. Because compiling on XLA takes minutes, it checks XLA's columns in one
// row of eight, and GCML_SEED decides which; with GCML_COVERAGE=all or -update-coverage in every
// row.
func TestCoverage(t *testing.T) {
	page, err := os.ReadFile(coveragePage)
	if err != nil && !*updateCoverage {
		t.Fatal(err)
	}
	everything := *updateCoverage || os.Getenv("GCML_COVERAGE") == "all"
	written := tableRows(page)
	goBackend, xla := gctest.GoBackend(t), gctest.XLABackend(t)
	if xla == nil && everything {
		t.Fatal("the table has a column for XLA: run 'make xla'")
	}
	var text bytes.Buffer
	text.WriteString(coverageHead)
	row := 0
	for _, part := range coverage {
		fmt.Fprintf(&text, "\n## %s\n\n| function | Go: GC | Go: penalty | XLA: GC | XLA: penalty | form | message |\n"+
			"|---|---|---|---|---|---|---|\n", part.title)
		for _, r := range part.rows {
			row++
			onXLA := everything || xla != nil && row%8 == seedOf(t)%8
			t.Run(strings.ReplaceAll(r.program, "/", "÷"), func(t *testing.T) {
				line := r.line(t, goBackend, xla, onXLA, written[r.head()])
				text.WriteString(line)
				if *updateCoverage {
					return
				}
				if want := written[r.head()]; want != line {
					t.Errorf("the page has\n%swant\n%s", want, line)
				}
			})
		}
	}
	if *updateCoverage && !t.Failed() {
		if err := os.WriteFile(coveragePage, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !everything {
		return
	}
	if !bytes.Equal(page, text.Bytes()) {
		t.Errorf("%s differs from the results: write it again with "+
			"go test ./gcml -run TestCoverage -update-coverage", coveragePage)
	}
}

const coverageHead = `# Which ops and layers are measured correctly

For those who want to know whether their model works. The tables have every op and layer of GoMLX. A test builds a small
model around each, and compares

- the GC, computed in seven ways, with central differences in float64 of every example's outputs with respect to
  its own inputs, and
- the gradient of the penalty with respect to the weights with central differences of the GC.

In the tables

- **right** means that they agree,
- **refused** that the model is refused by a panic of one line, whose first part is in the column "message",
- **absent** that GoMLX's backend cannot run the op at all, and
- **–** that there is nothing to compare with.

Where a model mixes the examples of a batch, [batch-norm.md](batch-norm.md) says what is differentiated.
Random combinations of these ops are tested by ` + "`make test`" + `, and for longer by ` + "`make fuzz`" + `: no
result may be wrong.

` + "`go test ./gcml -run TestCoverage -update-coverage`" + ` writes this page.
The test fails if its results differ from it.
`

// tableRows returns the lines of the page's tables by their functions and form.
func tableRows(page []byte) map[string]string {
	rows := make(map[string]string)
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| ") && len(cells) == 7 {
			rows[strings.TrimPrefix(cells[0], "| ")+"|"+cells[5]] = line
		}
	}
	return rows
}

func (r coverageRow) head() string { return r.names() + "|" + r.remark }

func (r coverageRow) names() string {
	names := strings.Split(r.functions, ", ")
	for i, name := range names {
		names[i] = "`" + name + "`"
	}
	return strings.Join(names, ", ")
}

// line measures the row's model and returns its line of the table. If XLA is not run, its cells are
// those of the line was.
func (r coverageRow) line(t *testing.T, goBackend, xla compute.Backend, onXLA bool, was string) string {
	p := r.parsed()
	cells := make([]string, 4)
	var messages []string
	set := func(at int, b compute.Backend) {
		value, gradient := r.measure(t, b, p)
		for i, err := range []error{value, gradient} {
			cells[at+i] = cell(err)
			if wrong(err) {
				t.Errorf("%s on %s: %v", p, b.Name(), err)
			}
			if cells[at+i] == "refused" && !slices.Contains(messages, message(err)) {
				messages = append(messages, message(err))
			}
		}
	}
	set(0, goBackend)
	if onXLA {
		set(2, xla)
	} else if old := strings.Split(strings.TrimSuffix(was, " |\n"), " | "); len(old) == 7 {
		copy(cells[2:], old[3:5])
		if strings.HasPrefix(old[6], strings.Join(messages, "<br>")) { // XLA's messages come after.
			messages = []string{old[6]}
		}
	}
	cells = append(append([]string{r.names()}, cells...), r.remark, strings.Join(messages, "<br>"))
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// parsed returns the row's program in float64, after one weight, on inputs [3, 4, 6] unless the row
// gives a shape.
func (r coverageRow) parsed() programs.Program {
	shape, ops, ok := strings.Cut(r.program, ": ")
	if !ok {
		shape, ops = "3x4x6", r.program
	}
	return programs.MustParse("float64 " + shape + ": scale; " + ops)
}

// measure compares the values and the penalty's gradient with the oracles, in every mode that
// matters to the program.
func (r coverageRow) measure(t *testing.T, b compute.Backend, p programs.Program) (value, gradient error) {
	for _, training := range modes(p) {
		s, err := newSubject(t, p, training, 1)
		if err != nil {
			return err, err
		}
		exact := exactEstimates(s.jacobian.Outputs)
		if b != gctest.GoBackend(t) {
			exact = exact[:2]
		}
		if value = s.check(b, exact...); value != nil {
			return value, value
		}
		if slices.Contains(s.jacobian.Kinked, true) {
			return untested{errors.New("an example is at a kink")}, nil
		}
		for option := range len(penaltyOptions(s.jacobian.Outputs)) {
			if b != gctest.GoBackend(t) && option > 0 {
				break
			}
			switch err := s.checkGradient(b, option); {
			case err != nil && !isA[untested](err):
				return nil, err
			case err != nil:
				gradient = err
			}
		}
	}
	return nil, gradient
}

func cell(err error) string {
	switch {
	case err == nil:
		return "right"
	case wrong(err):
		return "WRONG"
	case isA[unusable](err):
		return "absent"
	case isA[untested](err):
		return "–"
	}
	return "refused"
}

// nodeText matches a node as GoMLX prints it; its group is the op.
var nodeText = regexp.MustCompile(`Node #\d+ (\w+).*?- mem: \[[^\]]*\]`)

// message returns the first part of a refusal.
func message(err error) string {
	text := nodeText.ReplaceAllString(err.Error(), "$1")
	if at := strings.Index(text, " -- reach out"); at > 0 {
		text = text[:at]
	}
	const longest = 160
	if len(text) > longest {
		text = text[:strings.LastIndex(text[:longest], " ")] + " …"
	}
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "*", "\\*").Replace(text)
}

// TestCoverageIsComplete checks that every exported function of GoMLX from nodes to nodes is in the
// table, or in notCovered with a reason.
func TestCoverageIsComplete(t *testing.T) {
	named := make(map[string]bool)
	for _, part := range coverage {
		for _, r := range part.rows {
			for _, name := range strings.Split(r.functions, ", ") {
				named[name] = true
			}
		}
	}
	for _, names := range notCovered {
		for _, name := range strings.Fields(names) {
			if named[name] {
				t.Errorf("%s is named twice", name)
			}
			named[name] = true
		}
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/gomlx").Output()
	if err != nil {
		t.Skipf("no go command: %v", err)
	}
	root := strings.TrimSpace(string(out))
	folders := map[string]string{
		"": "core/graph", "layers.": "ml/layers", "activation.": "ml/layers/activation", "attention.": "ml/layers/attention",
		"bspline.": "ml/layers/bspline", "fnn.": "ml/layers/fnn", "kan.": "ml/layers/kan", "lstm.": "ml/layers/lstm",
		"norm.": "ml/layers/norm", "rational.": "ml/layers/rational", "vnn.": "ml/layers/vnn",
		"pos.": "ml/layers/attention/pos", "nn.": "ml/nn",
	}
	for _, prefix := range slices.Sorted(maps.Keys(folders)) {
		functions := nodeFunctions(t, filepath.Join(root, folders[prefix]))
		if len(functions) == 0 {
			t.Errorf("found no function in %s", folders[prefix])
		}
		for _, name := range functions {
			if !named[prefix+name] {
				t.Errorf("%s%s of %s is neither in the table of docs/coverage.md nor left out of it", prefix, name, folders[prefix])
			}
		}
	}
}

// nodeFunctions returns the exported functions of a package that have nodes among their arguments,
// and nodes or a builder among their results.
func nodeFunctions(t *testing.T, dir string) (names []string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil {
				continue
			}
			if mentions(f.Type.Params, "Node") && mentions(f.Type.Results, "Node", "Builder", "Config", "LSTM") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// mentions returns whether the name of a field's type has one of the suffixes.
func mentions(fields *ast.FieldList, ends ...string) (found bool) {
	for _, field := range fields.List {
		ast.Inspect(field.Type, func(n ast.Node) bool {
			if _, ok := n.(*ast.FuncType); ok {
				return false
			}
			if name, ok := n.(*ast.Ident); ok {
				found = found || slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(name.Name, end) })
			}
			return true
		})
	}
	return found
}
