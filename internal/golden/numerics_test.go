package golden

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/subquad/subquad/bench"
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/numerics.md")

const (
	numericsPage = "../../docs/numerics.md"
	unit         = 1e-7 // of the tables
	updateWith   = "go test ./internal/golden -run TestNumerics -update"
)

// A row of a table: a name, texts, and errors of which the largest counts; -1 is none.
type row struct {
	name   string
	texts  []string
	errors []float64
}

func (r *row) take(errors ...float64) {
	if r.errors == nil {
		r.errors = slices.Clone(errors)
	}
	for i, e := range errors {
		r.errors[i] = max(r.errors[i], e)
	}
}

func (r *row) String() string {
	cells := append([]string{r.name}, r.texts...)
	for _, e := range r.errors {
		if e < 0 {
			cells = append(cells, "")
		} else {
			cells = append(cells, strconv.FormatFloat(e/unit, 'f', 1, 64))
		}
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// atEachLevel runs f at every instruction level up to the one in use.
func atEachLevel(t *testing.T, f func()) {
	was := hw.Current()
	defer hw.Set(was)
	for _, level := range hw.Levels() {
		if !was.Has(level) {
			continue
		}
		if err := hw.Set(level); err != nil {
			t.Fatal(err)
		}
		f()
	}
}

// references measures the cases of testdata, a row for each op.
func references(t *testing.T) (rows []*row) {
	byOp := map[string]*row{}
	cases := map[string]map[string]bool{}
	atEachLevel(t, func() {
		everyCase(t, filepath.Join("testdata", "goldens"), func(c *refCase, r *result) {
			if r == nil {
				return
			}
			line := byOp[c.Op]
			if line == nil {
				source, _, _ := strings.Cut(c.Source, ":")
				line = &row{name: c.Op, texts: []string{source, ""}}
				byOp[c.Op], cases[c.Op] = line, map[string]bool{}
				rows = append(rows, line)
			}
			cases[c.Op][c.name] = true
			line.texts[1] = strconv.Itoa(len(cases[c.Op]))
			split, steps, grad := -1.0, -1.0, -1.0
			if r.hasSplit {
				split, steps = r.split, r.steps
			}
			if r.hasGrad {
				grad = r.grad
			}
			values, grads := -1.0, -1.0
			for name, e := range c.Noise {
				e, ok := e.(float64)
				switch {
				case !ok:
				case strings.HasPrefix(name, "grad."):
					grads = max(grads, e)
				default:
					values = max(values, e)
				}
			}
			line.take(r.whole, split, steps, grad, values, grads)
		})
	})
	return rows
}

// plainForms measures every layer of this module against its own plain form in float64.
func plainForms(t *testing.T) (rows []*row) {
	const width, length = 64, 150
	rng := rand.New(rand.NewPCG(5, 5))
	x := tensor.New(1, length, width)
	for i := range x.Data() {
		x.Data()[i] = float32(rng.NormFloat64())
	}
	cuts := []int{1, 63, 64, 2, 20}
	for _, kind := range bench.Kinds {
		l, err := kind.New(width)
		if err != nil {
			t.Fatalf("%s: %v", kind.Name, err)
		}
		for _, p := range l.Params() {
			if d := p.Data(); p.Matrix && slices.Max(d) == 0 && slices.Min(d) == 0 { // RWKV begins with outputs of zero
				for i := range d {
					d[i] = float32(rng.NormFloat64() / math.Sqrt(float64(p.Dim(-1))))
				}
			}
		}
		want := l.Forward(tensor.Enter(tensor.NewScope(tensor.Float64()), x), nil).Float64s()
		line := &row{name: kind.Name}
		rows = append(rows, line)
		atEachLevel(t, func() {
			whole := l.Forward(x, nil)
			line.take(compare(whole.Float64s(), want), compare(pieces(l, x, cuts), want), compare(pieces(l, x, slices.Repeat([]int{1}, length)), want))
		})
	}
	return rows
}

// pieces is what a layer makes of x in pieces of these lengths.
func pieces(l nn.Layer, x *tensor.Tensor, lengths []int) (all []float64) {
	st := l.NewState(1)
	lo := 0
	for _, n := range lengths {
		all = append(all, l.Forward(x.Narrow(1, lo, lo+n), st).Float64s()...)
		lo += n
	}
	return all
}

// TestNumerics measures what docs/numerics.md says. The page may not lack a
// layer or a reference, and no error may be more than four times what it says:
// on another processor sums are rounded in another order.
func TestNumerics(t *testing.T) {
	data, err := os.ReadFile(numericsPage)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, table := range []struct {
		name string
		rows []*row
	}{{"references", references(t)}, {"layers", plainForms(t)}} {
		start, end := fmt.Sprintf("<!-- table %s -->\n", table.name), fmt.Sprintf("<!-- end of table %s -->", table.name)
		before, rest, ok1 := strings.Cut(text, start)
		old, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("%s has no table between %q and %q", numericsPage, start, end)
		}
		// The first two lines of a table are its head.
		lines := strings.SplitAfter(strings.TrimSpace(old)+"\n", "\n")
		if len(lines) < 3 {
			t.Fatalf("%s: table %s has no head", numericsPage, table.name)
		}
		if *update {
			body := strings.Join(lines[:2], "")
			for _, r := range table.rows {
				body += r.String() + "\n"
			}
			text = before + start + body + end + after
			continue
		}
		said := map[string][]string{}
		for _, line := range lines[2:] {
			if cells := strings.Split(line, "|"); len(cells) > 2 {
				said[strings.TrimSpace(cells[1])] = cells[2 : len(cells)-1]
			}
		}
		for _, r := range table.rows {
			cells, ok := said[r.name]
			delete(said, r.name)
			if !ok || len(cells) != len(r.texts)+len(r.errors) {
				t.Errorf("%s has no row for %s, or one of another shape: %s", numericsPage, r.name, updateWith)
				continue
			}
			for i, e := range r.errors {
				cell := strings.TrimSpace(cells[len(r.texts)+i])
				if e < 0 && cell == "" {
					continue
				}
				if v, err := strconv.ParseFloat(cell, 64); err != nil || !(e <= 4*max(v*unit, unit)) || math.IsNaN(e) {
					t.Errorf("%s: %s: column %d says %q, measured %.1f (10⁻⁷): %s", numericsPage, r.name, len(r.texts)+i+1, cell, e/unit, updateWith)
				}
			}
		}
		for name := range said {
			t.Errorf("%s has a row for %s, which is not there: %s", numericsPage, name, updateWith)
		}
	}
	if *update {
		if err := os.WriteFile(numericsPage, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
