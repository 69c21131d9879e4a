package rooms

import (
	"bytes"
	"encoding/json"
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
	"strconv"
	"strings"
	"testing"
)

// rule is one rule for the packages of this module.
type rule struct {
	name string
	// violations returns one line for each violation of the rule in a package.
	violations func(m *module, p *pkg) []string
}

// rules hold for every package. The rules about dependencies and reflection do not hold for a
// package's tests, which may use packages above it. Paths are relative to the module; "x/..." is x
// and all packages below it.
var rules = []rule{
	{"public packages know nothing of experiments, commands or notebooks",
		within(public, mustNotDependOn("experiments/...", "cmd/...", "notebooks/...", "bench/..."))},
	{"the ground floor knows nothing of experiments, commands or notebooks",
		within([]string{"internal/..."}, except([]string{"internal/rooms"},
			mustNotDependOn("experiments/...", "cmd/...", "notebooks/...", "bench/...")))},
	{"runs knows nothing of what a run computes, nor of how its records are evaluated",
		within([]string{"experiments/runs"}, mustNotDependOn("experiments", "experiments/training", "experiments/evidence",
			"experiments/experiment", "experiments/ranking", "experiments/report"))},
	{"training knows runs alone",
		within([]string{"experiments/training"},
			mustNotDependOn("experiments", "experiments/evidence", "experiments/experiment",
				"experiments/ranking", "experiments/report"))},
	{"evidence knows records, not training",
		within([]string{"experiments/evidence"},
			mustNotDependOn("experiments", "experiments/training", "experiments/experiment",
				"experiments/ranking", "experiments/report"))},
	{"experiment, which defines what an experiment is, knows no single experiment",
		within([]string{"experiments/experiment"},
			mustNotDependOn("experiments", "experiments/training", "experiments/report"))},
	{"ranking knows runs, whatever experiment they belong to",
		within([]string{"experiments/ranking"},
			mustNotDependOn("experiments", "experiments/experiment", "experiments/report"))},
	{"experiments do not know the report and the ranking",
		within([]string{"experiments"}, mustNotDependOn("experiments/ranking", "experiments/report"))},
	{"public packages open no backend: the program that imports them chooses one",
		within(slices.DeleteFunc(slices.Clone(public), func(p string) bool { return p == "backend/..." }),
			mustNotDependOn("backend/..."))},
	{"only notebooks imports GoNB",
		except([]string{"notebooks/..."}, mustNotImport("github.com/janpfeifer/gonb"))},
	{"only internal/gomlxcompat uses unsafe and linkname; backend uses unsafe for its C calls",
		except([]string{"internal/gomlxcompat", "backend"}, mustNotImport("unsafe"))},
	{"only internal/gomlxcompat uses linkname",
		except([]string{"internal/gomlxcompat"}, noLinkname)},
	{"cgo is in cmd and backend only, so that importing another package never needs a C compiler nor runs C code",
		except([]string{"cmd/...", "backend/..."}, mustNotImport("C"))},
	{"only internal/gomlxcompat looks into GoMLX's types by reflection",
		except([]string{"internal/gomlxcompat", "internal/gomlxcompat/program"}, noReflection)},
	{"only internal/gomlxcompat calls GoMLX's internal functions for fused ops",
		except([]string{"internal/gomlxcompat"}, noSelector("InternalFusedOpCaller", "InternalFusedOpCallerMulti"))},
	{"only internal/platform, backend and internal/gctest tell backends apart",
		except([]string{"internal/platform", "backend", "internal/gctest"}, noSelector("IsCPU", "IsCUDA"))},
}

// public are the packages that users of the module import, with the packages below them.
var public = []string{"gcml/...", "layers/...", "regularizers/...", "schedule/...", "datasets/...", "backend/...",
	"representation/...", "capacity/...", "inspect/..."}

// reflecting are the packages outside of internal/gomlxcompat that use package reflect, each with
// the types that it looks at. None of these types is GoMLX's.
var reflecting = map[string]string{
	"cmd/gcml":            "configurations of experiments",
	"experiments/...":     "configurations of experiments",
	"internal/repository": "a type of its own, for its path",
	"internal/settings":   "configurations of experiments",
	"internal/compiled":   "the spec of a batch, which is the user's",
}

func TestRules(t *testing.T) {
	m := load(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, p := range m.packages {
				for _, v := range r.violations(m, p) {
					t.Errorf("%s %s; the rule: %s", p.path, v, r.name)
				}
			}
		})
	}
}

// tableRow matches a row of the table in docs/architecture.md.
var tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// TestArchitectureTable checks that each package stands in the table of docs/architecture.md, below
// the packages that it imports or in the same row. It ignores the imports of tests.
func TestArchitectureTable(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range tableRow.FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, strings.TrimSuffix(row[1], "/..."))
	}
	m := load(t)
	for _, p := range m.packages {
		if p.path == "internal/gctest" { // Only tests import it.
			continue
		}
		row := rowOf(rows, p.path)
		if row < 0 {
			t.Errorf("docs/architecture.md has no row for %s", p.path)
		}
		for _, path := range p.imports {
			if !slices.ContainsFunc(m.packages, func(other *pkg) bool { return other.path == path }) {
				continue
			}
			if rowOf(rows, path) > row {
				t.Errorf("%s imports %s, which is below it in the table of docs/architecture.md", p.path, path)
			}
		}
	}
}

// rowOf returns the index of a package's row, which may name a folder above it, or -1.
func rowOf(rows []string, path string) int {
	best := -1
	for i, row := range rows {
		if matches(path, row+"/...") && (best < 0 || len(row) > len(rows[best])) {
			best = i
		}
	}
	return best
}

// TestRulesFindViolations checks each kind of rule on a package that breaks it.
func TestRulesFindViolations(t *testing.T) {
	const source = `package bad
import (
	"reflect"
	_ "unsafe"
	"C"
	"github.com/gomlx/gomlx/core/graph"
)
//go:linkname stolen github.com/gomlx/gomlx/core/graph.secret
func stolen()
func look(n *graph.Node) { reflect.ValueOf(n); graph.InternalFusedOpCaller(nil, nil, true) }
`
	f, err := parser.ParseFile(token.NewFileSet(), "bad.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	bad := &pkg{path: "gcml", imports: []string{"reflect", "unsafe", "C", "experiments"}, files: []*ast.File{f}}
	m := &module{packages: []*pkg{bad, {path: "experiments", imports: []string{"github.com/janpfeifer/gonb/gonbui"}}}}
	for name, check := range map[string]func(*module, *pkg) []string{
		"depends on a floor above": within([]string{"gcml/..."}, mustNotDependOn("experiments/...")),
		"depends through another":  mustNotDependOn("github.com/janpfeifer/gonb/..."),
		"unsafe":                   mustNotImport("unsafe"),
		"cgo":                      mustNotImport("C"),
		"linkname":                 noLinkname,
		"reflection":               noReflection,
		"internal function":        noSelector("InternalFusedOpCaller"),
	} {
		if len(check(m, bad)) != 1 {
			t.Errorf("%s: found %q, want one violation", name, check(m, bad))
		}
		if found := except([]string{"gcml"}, check)(m, bad); found != nil {
			t.Errorf("%s: found %q in a package that is exempt", name, found)
		}
	}
}

// module is this module's packages, in the order of their paths.
type module struct{ packages []*pkg }

// pkg is a package with its tests, including package NAME_test.
type pkg struct {
	path    string   // Relative to the module; "." for its root.
	imports []string // Its direct imports; packages of the module by their relative paths.
	files   []*ast.File
}

// load lists the packages as the go command sees them on this platform, and parses their sources.
func load(t *testing.T) *module {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Dir,Module,Imports,GoFiles,CgoFiles,"+
		"IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	command.Dir = filepath.Join("..", "..")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var m module
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var listed struct {
			ImportPath, Dir                                              string
			Module                                                       struct{ Path string }
			Imports, TestImports, XTestImports                           []string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := decoder.Decode(&listed); err != nil {
			t.Fatal(err)
		}
		relative := func(paths []string) (all []string) {
			for _, path := range paths {
				all = append(all, strings.TrimPrefix(path, listed.Module.Path+"/"))
			}
			return all
		}
		p := &pkg{path: relative([]string{listed.ImportPath})[0], imports: relative(listed.Imports)}
		for _, name := range slices.Concat(listed.GoFiles, listed.CgoFiles, listed.IgnoredGoFiles, listed.TestGoFiles,
			listed.XTestGoFiles) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(listed.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			p.files = append(p.files, f)
		}
		m.packages = append(m.packages, p)
	}
	if len(m.packages) < 10 {
		t.Fatalf("go list found %d packages of the module", len(m.packages))
	}
	return &m
}

// matches reports whether a path is one of the patterns.
func matches(path string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		parent, below := strings.CutSuffix(pattern, "/...")
		return path == parent || below && strings.HasPrefix(path, parent+"/")
	})
}

// within applies a check to some packages only.
func within(patterns []string, check func(*module, *pkg) []string) func(*module, *pkg) []string {
	return func(m *module, p *pkg) []string {
		if !matches(p.path, patterns...) {
			return nil
		}
		return check(m, p)
	}
}

// except applies a check to all but some packages.
func except(patterns []string, check func(*module, *pkg) []string) func(*module, *pkg) []string {
	return func(m *module, p *pkg) []string {
		if matches(p.path, patterns...) {
			return nil
		}
		return check(m, p)
	}
}

// mustNotDependOn finds imports of packages that match a pattern, also through other packages of
// the module. It ignores the imports of tests.
func mustNotDependOn(patterns ...string) func(*module, *pkg) []string {
	return func(m *module, p *pkg) (found []string) {
		seen := map[string]bool{}
		var visit func(imports []string, through string)
		visit = func(imports []string, through string) {
			for _, path := range imports {
				if seen[path] {
					continue
				}
				seen[path] = true
				if matches(path, patterns...) && !matches(path, p.path) {
					found = append(found, fmt.Sprintf("imports %s%s", path, through))
					continue
				}
				i := slices.IndexFunc(m.packages, func(other *pkg) bool { return other.path == path })
				if i >= 0 {
					visit(m.packages[i].imports, fmt.Sprintf(" through %s%s", path, through))
				}
			}
		}
		visit(p.imports, "")
		return found
	}
}

// mustNotImport finds imports of a forbidden package or of one below it, in the files for all
// platforms.
func mustNotImport(forbidden string) func(*module, *pkg) []string {
	return func(_ *module, p *pkg) (found []string) {
		for _, path := range fileImports(p) {
			if matches(path, forbidden+"/...") {
				found = append(found, "imports "+path)
			}
		}
		return found
	}
}

func fileImports(p *pkg) []string {
	var paths []string
	for _, f := range p.files {
		for _, spec := range f.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err == nil && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

func noLinkname(_ *module, p *pkg) (found []string) {
	for _, f := range p.files {
		for _, group := range f.Comments {
			for _, c := range group.List {
				if strings.HasPrefix(c.Text, "//go:linkname ") {
					found = append(found, "has "+c.Text)
				}
			}
		}
	}
	return found
}

// noReflection finds packages that import reflect outside of their tests and are not in the list
// reflecting.
func noReflection(_ *module, p *pkg) []string {
	if slices.Contains(p.imports, "reflect") && !matches(p.path, slices.Collect(maps.Keys(reflecting))...) {
		return []string{"imports reflect: move it to internal/gomlxcompat, or, if it is not about GoMLX's types, " +
			"add the package to the list reflecting"}
	}
	return nil
}

// noSelector finds uses of functions or methods with one of the names, from any package.
func noSelector(names ...string) func(*module, *pkg) []string {
	return func(_ *module, p *pkg) (found []string) {
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && slices.Contains(names, id.Name) {
					found = append(found, "uses "+id.Name)
				}
				return true
			})
		}
		return found
	}
}
