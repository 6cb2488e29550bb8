package doccheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared are the names that a Go file declares: Name, package.Name, and for methods Type.Name too.
func declared(t *testing.T, name string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names[d.Name.Name] = true
			if d.Recv != nil {
				of := d.Recv.List[0].Type
				if star, ok := of.(*ast.StarExpr); ok {
					of = star.X
				}
				if id, ok := of.(*ast.Ident); ok {
					names[id.Name+"."+d.Name.Name] = true
				}
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names[n.Name] = true
					}
				}
			}
		}
	}
	for n := range maps.Clone(names) {
		names[file.Name.Name+"."+n] = true
	}
	return names
}

var nameForm = regexp.MustCompile("^`([A-Za-z_][A-Za-z0-9_]*(?:\\.[A-Za-z0-9_]+)?)`$")

func TestLinks(t *testing.T) {
	all := pages(t)
	byName := map[string]*page{}
	for i := range all {
		byName[all[i].name] = &all[i]
	}
	for _, p := range all {
		for _, l := range p.links() {
			if strings.Contains(l.goal, "://") {
				continue
			}
			goal, anchor, anchored := strings.Cut(l.goal, "#")
			to := p.name
			if goal != "" {
				to = path.Join(path.Dir(p.name), goal)
			}
			file := filepath.Join(root, filepath.FromSlash(to))
			info, err := os.Stat(file)
			switch {
			case strings.HasPrefix(to, "../"):
				t.Errorf("%s:%d: %s leads out of the repository", p.name, l.line, l.goal)
			case err != nil:
				t.Errorf("%s:%d: %s: there is no %s", p.name, l.line, l.goal, to)
			case anchored && (byName[to] == nil || !byName[to].anchors()[anchor]):
				t.Errorf("%s:%d: %s: %s has no heading #%s", p.name, l.line, l.goal, to, anchor)
			case !info.IsDir() && path.Ext(to) == ".go":
				if m := nameForm.FindStringSubmatch(l.text); m != nil && !declared(t, file)[m[1]] {
					t.Errorf("%s:%d: %s does not declare %s", p.name, l.line, to, m[1])
				}
			}
		}
	}
}

// Every promise names tests that keep it. That they exist is TestLinks' to check.
func TestPromises(t *testing.T) {
	const promises = 8
	data, err := os.ReadFile(filepath.Join(root, "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	p := newPage("docs/promises.md", string(data))
	title, titles := "", 0
	tests := map[string]int{}
	kept := func() {
		if title != "" && tests[title] == 0 {
			t.Errorf("%s: %q names no test", p.name, title)
		}
	}
	links := p.links()
	for i, line := range p.lines {
		if strings.HasPrefix(line, "## ") && !p.code[i] {
			kept()
			title = line[3:]
			titles++
		}
		for ; len(links) > 0 && links[0].line == i+1; links = links[1:] {
			goal := links[0].goal
			if nameForm.MatchString(links[0].text) && (strings.HasSuffix(goal, "_test.go") || strings.Contains(goal, "/layertest/")) {
				tests[title]++
			}
		}
	}
	kept()
	if titles != promises {
		t.Errorf("%s has %d promises, want %d", p.name, titles, promises)
	}
}

// The glossary has every layer, and no name that the code does not have.
func TestGlossary(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docs", "glossary.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	constructor := regexp.MustCompile(`(?m)^func New(\w+)\(.*\) \(\*\w+, error\) {$`)
	layers := 0
	for _, family := range []string{"ssm", "rwkv", "linattn"} {
		files, err := filepath.Glob(filepath.Join(root, family, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			code, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range constructor.FindAllStringSubmatch(string(code), -1) {
				layers++
				if goal := m[1] + "`](../" + family + "/"; !strings.Contains(text, "[`"+goal) && !strings.Contains(text, "[`New"+goal) {
					t.Errorf("docs/glossary.md does not link to %s.%s", family, m[1])
				}
			}
		}
	}
	if layers < 30 {
		t.Errorf("found only %d constructors", layers)
	}
	// Names: the first column of the first table.
	_, table, _ := strings.Cut(text, "\n## Names\n")
	table, _, ok := strings.Cut(table, "\n## ")
	if !ok {
		t.Fatal("docs/glossary.md has no names")
	}
	word := regexp.MustCompile(`\w+`)
	known := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, w := range word.FindAllString(string(data), -1) {
			known[w] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for i, name := range strings.Split(cell, "`") {
			if i%2 == 1 && !known[name] {
				t.Errorf("docs/glossary.md: no code has the name %s", name)
			}
		}
	}
}

// The pages of docs are read in editors and terminals too. Of a table, whose
// lines cannot be broken, what a reader sees of a link counts.
func TestWidth(t *testing.T) {
	for _, p := range pages(t) {
		if path.Dir(p.name) != "docs" {
			continue
		}
		for i, line := range p.lines {
			if strings.HasPrefix(line, "|") {
				line = linkForm.ReplaceAllString(line, "$1")
			}
			if n := len([]rune(line)); n > 120 {
				t.Errorf("%s:%d: %d characters, want at most 120", p.name, i+1, n)
			}
		}
	}
}
