package doccheck

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// codeImports are the standard packages that a piece of code may name.
var codeImports = []string{
	"bufio", "bytes", "context", "errors", "fmt", "io", "log", "math", "math/rand/v2", "os", "slices", "strings", "testing", "time",
}

// packages are the paths of the packages that a piece of code may name, by name.
func packages(t *testing.T) map[string]string {
	t.Helper()
	paths := map[string]string{"rand": "math/rand/v2"}
	for _, p := range codeImports {
		if base := path.Base(p); base != "v2" {
			paths[base] = p
		}
	}
	cmd := exec.Command("go", "list", "-f", "{{.Name}} {{.ImportPath}}", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		name, p, _ := strings.Cut(strings.TrimSpace(line), " ")
		// Of two packages of a name, the public one.
		if old, ok := paths[name]; name != "main" && (!ok || strings.Contains(old, "/internal/")) {
			paths[name] = p
		}
	}
	return paths
}

// complete makes a file of a block; see the package's comment. at is the
// page's path for the compiler's messages.
func complete(b block, at string, packages map[string]string) (string, error) {
	place := fmt.Sprintf("//line %s:%d\n", at, b.line)
	for line := range strings.Lines(b.text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			if strings.HasPrefix(line, "package ") {
				return place + b.text, nil
			}
			break
		}
	}
	fset := token.NewFileSet()
	parse := func(text string) (*ast.File, error) {
		return parser.ParseFile(fset, "", text, parser.SkipObjectResolution)
	}
	const head = "package piece\n"
	body := b.hidden + "\n" + place + b.text
	text := head + body
	if _, err := parse(text); err != nil {
		const name = "func _() "
		text = head + name + "{\n" + body + "\npanic(0)\n}\n"
		file, err := parse(text)
		if err != nil {
			return "", err
		}
		text = useAll(text, file, fset)
		text = strings.Replace(text, name, name+results(file), 1)
	}
	file, err := parser.ParseFile(fset, "", text, 0)
	if err != nil {
		return "", err
	}
	free := map[string]bool{}
	for _, id := range file.Unresolved {
		free[id.Name] = true
	}
	imports := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && free[id.Name] && packages[id.Name] != "" {
				imports[packages[id.Name]] = true
			}
		}
		return true
	})
	var lines strings.Builder
	for p := range imports {
		fmt.Fprintf(&lines, "import %q\n", p)
	}
	return head + lines.String() + strings.TrimPrefix(text, head), nil
}

// results are those of a function whose statements are in file: as many values of any type as they return.
func results(file *ast.File) string {
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		if r, ok := node.(*ast.ReturnStmt); ok {
			n = max(n, len(r.Results))
		}
		_, inner := node.(*ast.FuncLit)
		return !inner
	})
	return "(" + strings.TrimSuffix(strings.Repeat("any, ", n), ", ") + ") "
}

// useAll uses every variable that a function's statements declare, on the
// line where it is declared.
func useAll(text string, file *ast.File, fset *token.FileSet) string {
	type insertion struct {
		at   int
		text string
	}
	var all []insertion
	offset := func(p token.Pos) int { return fset.PositionFor(p, false).Offset }
	use := func(names []ast.Expr) string {
		s := ""
		for _, n := range names {
			if id, ok := n.(*ast.Ident); ok && id.Name != "_" {
				s += "; _ = " + id.Name
			}
		}
		return s
	}
	inside := func(body *ast.BlockStmt, names ...ast.Expr) {
		if s := use(names); s != "" {
			all = append(all, insertion{offset(body.Lbrace) + 1, s[2:] + "; "})
		}
	}
	after := func(list []ast.Stmt) {
		for _, s := range list {
			switch s := s.(type) {
			case *ast.AssignStmt:
				if s.Tok == token.DEFINE {
					all = append(all, insertion{offset(s.End()), use(s.Lhs)})
				}
			case *ast.DeclStmt:
				if d := s.Decl.(*ast.GenDecl); d.Tok == token.VAR {
					names := ""
					for _, spec := range d.Specs {
						for _, n := range spec.(*ast.ValueSpec).Names {
							names += use([]ast.Expr{n})
						}
					}
					all = append(all, insertion{offset(s.End()), names})
				}
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BlockStmt:
			after(n.List)
		case *ast.CaseClause:
			after(n.Body)
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				inside(n.Body, n.Key, n.Value)
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b insertion) int { return b.at - a.at })
	for _, in := range all {
		text = text[:in.at] + in.text + text[in.at:]
	}
	return text
}

// TestCode builds every block marked go of every page, in one go command: the files exist
// for it alone, as an overlay.
func TestCode(t *testing.T) {
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	known := packages(t)
	overlay := map[string]map[string]string{"Replace": {}}
	var folders, programs []string
	for _, p := range pages(t) {
		for _, b := range p.blocks() {
			if b.lang != "go" {
				continue
			}
			text, err := complete(b, filepath.Join(top, filepath.FromSlash(p.name)), known)
			if err != nil {
				t.Errorf("%s:%d: %v", p.name, b.line, err)
				continue
			}
			n := len(folders)
			real := filepath.Join(scratch, fmt.Sprintf("%d.go", n))
			if err := os.WriteFile(real, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			folder := fmt.Sprintf("internal/doccheck/page%d", n)
			overlay["Replace"][filepath.Join(top, folder, "page.go")] = real
			folders = append(folders, "./"+folder)
			if strings.Contains(text, "\npackage main\n") {
				programs = append(programs, "./"+folder)
			}
		}
	}
	if len(folders) < 4 {
		t.Fatalf("found only %d blocks of Go", len(folders))
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(list, data, 0o644); err != nil {
		t.Fatal(err)
	}
	build := func(args ...string) {
		cmd := exec.Command("go", append([]string{"build", "-overlay", list}, args...)...)
		cmd.Dir = top
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\nA name that the text around a piece of code has introduced is declared in a comment before the block:\n<!-- go: var x *tensor.Tensor; var layer nn.Layer -->", err, out)
		}
	}
	// With -o go builds programs and passes over all else.
	build(folders...)
	build(append([]string{"-o", scratch + string(filepath.Separator)}, programs...)...)
	if len(programs) < 1 {
		t.Error("found no program")
	}
}
