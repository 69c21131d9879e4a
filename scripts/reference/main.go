// Command reference writes the documentation of Go packages as Markdown, one file for each:
//
//	go run ./scripts/reference FOLDER PACKAGE...
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: reference FOLDER PACKAGE...")
		os.Exit(2)
	}
	for _, name := range os.Args[2:] {
		page, err := reference(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], strings.ReplaceAll(name, "/", "-")+".md"), page, 0o666)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "reference: %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

// reference returns the page of the package in a folder.
func reference(name string) ([]byte, error) {
	listed, err := exec.Command("go", "list", "-f",
		`{{.ImportPath}}{{range .GoFiles}} {{.}}{{end}}{{range .CgoFiles}} {{.}}{{end}}`, "./"+name).Output()
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(listed))
	p := &page{files: token.NewFileSet()}
	var files []*ast.File
	tests, err := filepath.Glob(filepath.Join(name, "example*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range fields[1:] {
		tests = append(tests, filepath.Join(name, path))
	}
	for _, path := range tests {
		f, err := parser.ParseFile(p.files, path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if p.pkg, err = doc.NewFromFiles(p.files, files, fields[0]); err != nil {
		return nil, err
	}
	p.write()
	return p.out.Bytes(), p.err
}

// page is the text of one package as it is written. The first error stays.
type page struct {
	files *token.FileSet
	pkg   *doc.Package
	out   bytes.Buffer
	err   error
}

func (p *page) write() {
	fmt.Fprintf(&p.out, "# Package %s\n\n```go\nimport %q\n```\n\n", p.pkg.Name, p.pkg.ImportPath)
	p.text(p.pkg.Doc)
	p.examples(p.pkg.Examples)
	p.values(p.pkg.Consts)
	p.values(p.pkg.Vars)
	p.functions(2, p.pkg.Funcs)
	for _, t := range p.pkg.Types {
		fmt.Fprintf(&p.out, "## type %s {#%s}\n\n", t.Name, t.Name)
		p.code(t.Decl)
		p.text(t.Doc)
		p.examples(t.Examples)
		p.values(t.Consts)
		p.values(t.Vars)
		p.functions(3, t.Funcs)
		p.functions(3, t.Methods)
	}
}

// text writes a comment. Its headings are below those of the page.
func (p *page) text(text string) {
	printer := p.pkg.Printer()
	printer.HeadingLevel = 4
	printer.DocLinkURL = func(link *comment.DocLink) string {
		if link.ImportPath == "" {
			return link.DefaultURL("")
		}
		return link.DefaultURL("https://pkg.go.dev")
	}
	p.out.Write(printer.Markdown(p.pkg.Parser().Parse(text)))
	p.out.WriteString("\n")
}

func (p *page) code(node any) {
	p.out.WriteString("```go\n")
	if err := format.Node(&p.out, p.files, node); err != nil && p.err == nil {
		p.err = err
	}
	p.out.WriteString("\n```\n\n")
}

// body writes an example's code, without the braces around it if there are any.
func (p *page) body(code ast.Node) {
	var out bytes.Buffer
	if err := format.Node(&out, p.files, code); err != nil {
		p.err = err
	}
	text := out.String()
	if inner, ok := strings.CutPrefix(text, "{\n"); ok {
		text = strings.TrimPrefix(strings.ReplaceAll("\n"+strings.TrimSuffix(inner, "\n}"), "\n\t", "\n"), "\n")
	}
	fmt.Fprintf(&p.out, "```go\n%s\n```\n\n", text)
}

func (p *page) values(values []*doc.Value) {
	for _, v := range values {
		p.code(v.Decl)
		p.text(v.Doc)
	}
}

func (p *page) functions(level int, functions []*doc.Func) {
	for _, f := range functions {
		receiver := ""
		if f.Recv != "" {
			receiver = "(" + f.Recv + ") "
		}
		fmt.Fprintf(&p.out, "%s func %s%s {#%s}\n\n", strings.Repeat("#", level), receiver, f.Name, anchor(f))
		p.code(f.Decl)
		p.text(f.Doc)
		p.examples(f.Examples)
	}
}

// anchor is the one that links in comments have.
func anchor(f *doc.Func) string {
	if f.Recv == "" {
		return f.Name
	}
	return strings.TrimLeft(f.Recv, "*") + "." + f.Name
}

func (p *page) examples(examples []*doc.Example) {
	for _, e := range examples {
		fmt.Fprintf(&p.out, "Example. %s\n\n", e.Doc)
		p.body(e.Code)
		if e.Output != "" {
			fmt.Fprintf(&p.out, "```text\n%s```\n\n", e.Output)
		}
	}
}
