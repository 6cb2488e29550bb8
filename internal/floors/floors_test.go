package floors

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/subquad/subquad"

// floors lists the rooms from the ground up. A room is a folder with all that
// is in it, or with "/*" each folder in it; "." is the module's root package.
var floors = [][]string{
	{"internal/race"},
	{"hw"},
	{"internal/hwtest"},
	{"internal/kernel/vec"},
	{"internal/kernel/*"},
	{"tensor"},
	{"scan", "fft", "internal/gradcheck"},
	{"nn"},
	{".", "internal/layertest"},
	{"ssm", "rwkv", "linattn"},
	{"lm", "train"},
	{"bench"},
	{"examples/*", "bench/*", "hw/cmd/*", "internal/asmgen", "internal/doccheck", "internal/floors", "internal/golden"},
}

// drawing is for the programs that draw plots.
const drawing = "gonum.org/v1/plot"

var draws = []string{"bench/report", "examples/attention"}

// outside are the modules that the library itself may use, besides the standard library.
var outside = []string{"github.com/klauspost/cpuid/v2", "gonum.org/v1/gonum", "golang.org/x/exp"}

// find returns a package's floor and room; the longest room that holds it counts.
func find(pkg string) (floor int, room string, ok bool) {
	for i, rooms := range floors {
		for _, r := range rooms {
			if parent, each := strings.CutSuffix(r, "/*"); each {
				rest, in := strings.CutPrefix(pkg, parent+"/")
				if !in {
					continue
				}
				first, _, _ := strings.Cut(rest, "/")
				r = parent + "/" + first
			} else if pkg != r && !strings.HasPrefix(pkg, r+"/") {
				continue
			}
			if !ok || len(r) > len(room) {
				floor, room, ok = i, r, true
			}
		}
	}
	return floor, room, ok
}

// check says what is wrong with one import, if anything. Both are paths within
// the module.
func check(from, to string) error {
	f, fromRoom, ok := find(from)
	if !ok {
		return fmt.Errorf("%s stands on no floor: give it a place in the table", from)
	}
	t, toRoom, ok := find(to)
	switch {
	case !ok:
		return fmt.Errorf("%s imports %s, which stands on no floor", from, to)
	case from == "." && to != "tensor" && to != "nn":
		return fmt.Errorf("the root package imports %s, want tensor and nn only", to)
	case fromRoom == toRoom && strings.HasPrefix(to, from+"/"):
		return nil // a package may be made of those in its own folder
	case t == f:
		return fmt.Errorf("%s imports its sibling %s", from, to)
	case t > f:
		return fmt.Errorf("%s, on floor %d, imports %s from floor %d above", from, f, to, t)
	}
	return nil
}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"tensor", "hw", ""},
		{"tensor", "internal/kernel/vec", ""},
		{"lm", "lm/checkpoint", ""},
		{"lm", "ssm", ""},
		{"hw/cmd/hwinfo", "hw", ""},
		{"ssm", ".", ""},
		{".", "nn", ""},
		{"examples/quickstart", "lm", ""},
		{".", "scan", "the root package imports scan, want tensor and nn only"},
		{"nn", ".", "nn, on floor 7, imports . from floor 8 above"},
		{"rwkv", "linattn", "rwkv imports its sibling linattn"},
		{"scan", "fft", "scan imports its sibling fft"},
		{"lm", "train", "lm imports its sibling train"},
		{"lm/checkpoint", "lm", "lm/checkpoint imports its sibling lm"},
		{"lm/checkpoint", "lm/tokenizer", "lm/checkpoint imports its sibling lm/tokenizer"},
		{"internal/kernel/rec", "internal/kernel/gemm", "internal/kernel/rec imports its sibling internal/kernel/gemm"},
		{"internal/kernel/vec", "internal/kernel/gemm", "internal/kernel/vec, on floor 3, imports internal/kernel/gemm from floor 4 above"},
		{"hw", "tensor", "hw, on floor 1, imports tensor from floor 5 above"},
		{"hw", "hw/cmd/hwinfo", "hw, on floor 1, imports hw/cmd/hwinfo from floor 12 above"},
		{"attic", "hw", "attic stands on no floor: give it a place in the table"},
		{"lm", "attic", "lm imports attic, which stands on no floor"},
		{"fftw", "hw", "fftw stands on no floor: give it a place in the table"},
	} {
		got := ""
		if err := check(c.from, c.to); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s imports %s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

// TestFloors reads every file of the module, for whatever system it is meant.
func TestFloors(t *testing.T) {
	root := filepath.Join("..", "..") // a test runs in its package's folder
	packages := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")) {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && rel != "." {
				return fs.SkipDir // another module
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		pkg := path.Dir(rel)
		packages[pkg] = true
		if _, _, ok := find(pkg); !ok {
			t.Errorf("%s stands on no floor: give it a place in the table", pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to == "C" {
				t.Errorf("%s uses cgo", rel)
			}
			if to == module {
				to = module + "/."
			}
			if inside, ok := strings.CutPrefix(to, module+"/"); ok {
				if err := check(pkg, inside); err != nil {
					t.Errorf("%s: %v", rel, err)
				}
				continue
			}
			host, _, _ := strings.Cut(to, "/")
			known := slices.ContainsFunc(outside, func(m string) bool { return to == m || strings.HasPrefix(to, m+"/") }) ||
				slices.Contains(draws, pkg) && strings.HasPrefix(to, drawing)
			if strings.Contains(host, ".") && !known {
				t.Errorf("%s imports %s, want the standard library or one of %s", rel, to, strings.Join(outside, ", "))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !packages["hw"] || !packages["internal/floors"] {
		t.Errorf("the walk found only %d packages", len(packages))
	}
}
