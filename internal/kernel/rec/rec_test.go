package rec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/hwtest"
)

var best hw.Level

func TestMain(m *testing.M) {
	best = hw.Current()
	os.Exit(m.Run())
}

var eachLevel = hwtest.Levels

type source struct{ *rand.Rand }

func newSource(seed uint64) source { return source{rand.New(rand.NewPCG(seed, 7))} }

// normal is n values of the given size, at an unaligned address.
func (r source) normal(n int, scale float64) []float32 {
	off := r.IntN(5)
	s := make([]float32, n+off)
	for i := range s {
		s[i] = float32(r.NormFloat64() * scale)
	}
	return s[off:]
}

func (r source) uniform(n int, lo, hi float64) []float32 {
	s := r.normal(n, 1)
	for i := range s {
		s[i] = float32(lo + (hi-lo)*r.Float64())
	}
	return s
}

const guardValue = 12345

// guarded is a slice of n floats with guard words on both sides.
type guarded struct{ all, s []float32 }

func newGuarded(n, off int) guarded {
	all := make([]float32, n+32+off)
	for i := range all {
		all[i] = guardValue
	}
	return guarded{all, all[16+off : 16+off+n : 16+off+n]}
}

// check fails when something outside rows of w elements, stride apart, has changed.
func (g guarded) check(t *testing.T, what string, n, stride, w int) {
	t.Helper()
	lo := cap(g.all) - cap(g.all[16:])
	_ = lo
	off := len(g.all) - len(g.s) - 16
	for i, v := range g.all {
		j := i - off
		inside := j >= 0 && j < len(g.s) && (stride == 0 || (j%stride < w && j/stride < n))
		if !inside && v != guardValue {
			t.Fatalf("%s: wrote outside at %d", what, j)
		}
	}
}

func wide(s []float32) []float64 {
	d := make([]float64, len(s))
	for i, v := range s {
		d[i] = float64(v)
	}
	return d
}

// near fails when got differs from want by more than tol of want's largest value.
func near(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	m := 1e-30
	for _, v := range want {
		m = max(m, math.Abs(v))
	}
	worst := 0.0
	for i, v := range want {
		e := math.Abs(float64(got[i])-v) / m
		if math.IsNaN(e) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], v)
		}
		worst = max(worst, e)
		if e > tol {
			t.Fatalf("%s[%d] = %v, want %v (%.2g of the largest)", what, i, got[i], v, e)
		}
	}
	if worst > worsts[what] {
		worsts[what] = worst
	}
}

var worsts = map[string]float64{}

func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s[%d] = %v, not the same bits as %v", what, i, got[i], want[i])
		}
	}
}

// gather packs n rows of w elements.
func gather(s []float32, n, stride, w int) []float32 {
	out := make([]float32, 0, n*w)
	for i := range n {
		out = append(out, s[i*stride:][:w]...)
	}
	return out
}

// difference checks analytic gradients (named operands) of a scalar function of float64 operands.
func difference(t *testing.T, loss func() float64, names []string, operands [][]float64, grads [][]float32) {
	t.Helper()
	for i, x := range operands {
		want := make([]float64, len(x))
		for j := range x {
			const h = 1e-5
			v := x[j]
			x[j] = v + h
			up := loss()
			x[j] = v - h
			want[j] = (up - loss()) / (2 * h)
			x[j] = v
		}
		near(t, "gradient of "+names[i], grads[i], want, 2e-5)
	}
}

func clone[T any](s []T) []T { return append([]T(nil), s...) }

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func benchLevels(b *testing.B, elements float64, f func()) {
	for _, l := range hw.Levels() {
		b.Run("hw="+l.String(), func(b *testing.B) {
			hw.Set(l)
			defer hw.Set(best)
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/elements, "ns/element")
		})
	}
}

var _ = fmt.Sprint
