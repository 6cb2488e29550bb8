package doccheck

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/api.txt")

// An exported name is a line of the list, and for functions and types the
// name that CHANGELOG.md must have.
type exported struct{ line, pkg, name string }

// exports lists the exported names of every package that others may import,
// for whatever system a file is meant.
func exports(t *testing.T) (all []exported) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != root && (name == "testdata" || name == "internal" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil || file.Name.Name == "main" {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(dir)
		if pkg == "." {
			pkg = file.Name.Name
		}
		l := lister{fset: fset, pkg: pkg}
		for _, d := range file.Decls {
			l.decl(d)
		}
		all = append(all, l.all...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b exported) int { return strings.Compare(a.line, b.line) })
	return slices.CompactFunc(all, func(a, b exported) bool { return a.line == b.line })
}

type lister struct {
	fset *token.FileSet
	pkg  string
	all  []exported
}

func (l *lister) add(name, format string, a ...any) {
	l.all = append(l.all, exported{l.pkg + ": " + fmt.Sprintf(format, a...), l.pkg, name})
}

// text prints a type on one line.
func (l *lister) text(x ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, l.fset, x); err != nil {
		panic(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// signature is a function's type without the names of arguments.
func (l *lister) signature(f *ast.FuncType) string {
	list := func(fields *ast.FieldList) []string {
		var types []string
		if fields != nil {
			for _, f := range fields.List {
				for range max(1, len(f.Names)) {
					types = append(types, l.text(f.Type))
				}
			}
		}
		return types
	}
	s := "(" + strings.Join(list(f.Params), ", ") + ")"
	if f.TypeParams != nil {
		s = "[" + strings.Join(list(f.TypeParams), ", ") + "]" + s
	}
	switch out := list(f.Results); len(out) {
	case 0:
		return s
	case 1:
		return s + " " + out[0]
	default:
		return s + " (" + strings.Join(out, ", ") + ")"
	}
}

func (l *lister) decl(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() {
			return
		}
		if d.Recv == nil {
			l.add(d.Name.Name, "func %s%s", d.Name.Name, l.signature(d.Type))
			return
		}
		of := d.Recv.List[0].Type
		if bare := strings.TrimPrefix(l.text(of), "*"); ast.IsExported(bare) {
			l.add("", "method (%s) %s%s", l.text(of), d.Name.Name, l.signature(d.Type))
		}
	case *ast.GenDecl:
		var previous ast.Expr // the type of constants that repeat it
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					l.typ(s)
				}
			case *ast.ValueSpec:
				if s.Type != nil || s.Values != nil {
					previous = s.Type
				}
				for _, n := range s.Names {
					if !n.IsExported() {
						continue
					}
					typ := ""
					if previous != nil {
						typ = " " + l.text(previous)
					}
					l.add("", "%s %s%s", d.Tok, n.Name, typ)
				}
			}
		}
	}
}

// typ lists a type, and the fields or methods that it shows.
func (l *lister) typ(s *ast.TypeSpec) {
	name := s.Name.Name
	switch x := s.Type.(type) {
	case *ast.StructType:
		l.add(name, "type %s struct", name)
		for _, f := range x.Fields.List {
			for _, n := range f.Names {
				if n.IsExported() {
					l.add("", "type %s struct, %s %s", name, n.Name, l.text(f.Type))
				}
			}
			if bare := l.text(f.Type); f.Names == nil && ast.IsExported(bare[strings.LastIndexAny(bare, "*.")+1:]) {
				l.add("", "type %s struct, embedded %s", name, bare)
			}
		}
	case *ast.InterfaceType:
		l.add(name, "type %s interface", name)
		for _, f := range x.Methods.List {
			for _, n := range f.Names {
				if n.IsExported() {
					l.add("", "type %s interface, %s%s", name, n.Name, l.signature(f.Type.(*ast.FuncType)))
				}
			}
			if f.Names == nil {
				l.add("", "type %s interface, embedded %s", name, l.text(f.Type))
			}
		}
	default:
		equals := ""
		if s.Assign.IsValid() {
			equals = "= "
		}
		l.add(name, "type %s %s%s", name, equals, l.text(s.Type))
	}
}

// changes is the name of the section of CHANGELOG.md that grows.
const changes = "\n## Unreleased\n"

// TestAPI compares what the packages export with docs/api.txt, and asks
// CHANGELOG.md for every function and type: for a layer T its name does for NewT and TConfig.
func TestAPI(t *testing.T) {
	all := exports(t)
	var text strings.Builder
	text.WriteString("# Every exported name. Written by go test ./internal/doccheck -run TestAPI -update\n")
	for _, e := range all {
		text.WriteString(e.line + "\n")
	}
	list := filepath.Join(root, "docs", "api.txt")
	if *update {
		if err := os.WriteFile(list, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(old), "\n"), strings.Split(text.String(), "\n")
	var differ []string
	for _, line := range was {
		if _, ok := slices.BinarySearch(is[1:], line); !ok && line != is[0] && line != "" {
			differ = append(differ, "- "+line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			differ = append(differ, "+ "+line)
		}
	}
	if len(differ) > 0 {
		t.Errorf("the public interface is not that of docs/api.txt:\n%s\nRun go test ./internal/doccheck -run TestAPI -update, and say in CHANGELOG.md what it is.", strings.Join(differ, "\n"))
	}

	log := filepath.Join(root, "CHANGELOG.md")
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if missing := unnamed(all, string(data)); len(missing) > 0 && *update {
		// A line for a person to make a sentence of, at the end of the section.
		before, after, ok := strings.Cut(string(data), changes)
		if !ok {
			t.Fatalf("CHANGELOG.md has no section %q", strings.TrimSpace(changes))
		}
		section, rest, more := strings.Cut(after, "\n## ")
		if more {
			rest = "\n## " + rest
		}
		text := before + changes + strings.TrimRight(section, "\n") + "\n" + strings.Join(missing, "\n") + "\n" + rest
		if err := os.WriteFile(log, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("added to CHANGELOG.md, for you to say what they are:\n%s", strings.Join(missing, "\n"))
	} else if len(missing) > 0 {
		t.Errorf("CHANGELOG.md lacks, in items of this form:\n%s", strings.Join(missing, "\n"))
	}
}

// unnamed lists the functions and types that a log does not name in an item
// of their package, as items that do.
func unnamed(all []exported, log string) (items []string) {
	named := map[string]bool{}
	pkg := ""
	item, word := regexp.MustCompile("^- `([a-z/]+)`:"), regexp.MustCompile("[A-Za-z0-9_]+")
	for line := range strings.Lines(log) {
		if m := item.FindStringSubmatch(line); m != nil {
			pkg = m[1]
		}
		for i, part := range strings.Split(line, "`") {
			if i%2 == 1 {
				for _, w := range word.FindAllString(part, -1) {
					named[pkg+"."+w] = true
				}
			}
		}
	}
	missing := map[string][]string{}
	var order []string
	for _, e := range all {
		base := strings.TrimSuffix(strings.TrimPrefix(e.name, "New"), "Config")
		if e.name == "" || named[e.pkg+"."+e.name] || named[e.pkg+"."+base] {
			continue
		}
		if missing[e.pkg] == nil {
			order = append(order, e.pkg)
		}
		missing[e.pkg] = append(missing[e.pkg], "`"+e.name+"`")
	}
	for _, p := range order {
		items = append(items, "- `"+p+"`: "+strings.Join(missing[p], ", ")+".")
	}
	return items
}

func TestUnnamed(t *testing.T) {
	all := []exported{{"", "a", "NewX"}, {"", "a", "XConfig"}, {"", "a", "Y"}, {"", "b", "Y"}, {"a method", "b", ""}}
	got := unnamed(all, "# Log\n- `a`: an `X`\n  and more.\n- `b`: Y, `T.Y2`\n")
	if want := []string{"- `a`: `Y`.", "- `b`: `Y`."}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := unnamed(all, "- `a`: `X`, `Y`\n- `b`:\n  `Y`\n"); got != nil {
		t.Errorf("%q, want none", got)
	}
}
