package fft

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var masks = []struct {
	name string
	keep func(bin, bins int) bool
}{
	{"all", func(int, int) bool { return true }},
	{"none", func(int, int) bool { return false }},
	{"half", func(b, n int) bool { return b < n/2 }},
	{"quarter", func(b, n int) bool { return b < n/4 }},
	{"eighth", func(b, n int) bool { return b < n/8 }},
	{"32nd", func(b, n int) bool { return b < n/32 }},
	{"high", func(b, n int) bool { return b > n-n/5 }},
	{"comb4", func(b, n int) bool { return b%4 == 0 }},
	{"comb8", func(b, n int) bool { return (b+3)%8 < 2 }},
	{"comb64", func(b, n int) bool { return b%64 == 5 }},
	{"one", func(b, n int) bool { return b == n/3 }},
	{"scattered", func(b, n int) bool { return b*b%7 < 3 }},
}

// masked is x·k modulo z^n + 1 of the kept frequencies, from the definition.
func masked(x, k []float64, n int, keep func(bin, bins int) bool) []float64 {
	turns := make([]complex128, 2*n)
	for i := range turns {
		turns[i] = cmplx.Exp(complex(0, math.Pi*float64(i)/float64(n)))
	}
	at := func(v []float64, o int) (s complex128) {
		for t, a := range v {
			s += complex(a, 0) * cmplx.Conj(turns[o*t%(2*n)])
		}
		return s
	}
	y := make([]float64, n)
	for o := 1; o < 2*n; o += 2 { // frequency o/2n
		if !keep((min(o, 2*n-o)-1)/2, n/2) {
			continue
		}
		v := at(x, o) * at(k, o)
		for t := range y {
			y[t] += real(v*turns[o*t%(2*n)]) / float64(n)
		}
	}
	return y
}

func dot(a []float64, b []float32) (s float64) {
	for i, v := range b {
		s += a[i] * float64(v)
	}
	return s
}

// What is left of noise is small beside what was there: the worst measured is 2.7e-6.
const sparseTolerance = 5e-6

// Outputs and gradients against the definition.
func TestSparseKernel(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 9))
		for _, d := range [][3]int{{20, 7, 3}, {1, 1, 2}, {100, 29, 1}, {30, 9, 17}} {
			T, L, C := d[0], d[1], d[2]
			if testing.Short() {
				T, C = min(T, 40), min(C, 3)
			}
			for _, m := range masks {
				u, k, past, dy := noise(r, T*C), noise(r, L*C), noise(r, (L-1)*C), noise(r, T*C)
				f, err := NewSparseKernel(k, L, C, T, m.keep)
				if err != nil {
					t.Fatal(err)
				}
				n := f.n
				y, du, dpast, dk := make([]float32, T*C), make([]float32, T*C), make([]float32, (L-1)*C), make([]float32, L*C)
				f.Conv(y, u, past, 1, T)
				f.GradSignal(du, dpast, dy, 1, T)
				f.GradKernel(dk, dy, u, past, 1, T)
				plain, dplain := make([]float32, T*C), make([]float32, T*C) // without a past
				f.Conv(plain, u, nil, 1, T)
				f.GradSignal(dplain, nil, dy, 1, T)
				if !slices.Equal(dplain, du) {
					near(t, "du without a past", dplain, wide(du), convTolerance)
				}
				for c := range C {
					column := func(v []float32, rows int) (out []float64) {
						for i := range rows {
							out = append(out, float64(v[i*C+c]))
						}
						return out
					}
					what := fmt.Sprintf("%v %s channel %d: ", d, m.name, c)
					x, kc := append(column(past, L-1), column(u, T)...), column(k, L)
					near(t, what+"y", floats(column(y, T)), masked(x, kc, n, m.keep)[L-1:][:T], sparseTolerance)
					clear(x[:L-1])
					near(t, what+"y without a past", floats(column(plain, T)), masked(x, kc, n, m.keep)[L-1:][:T], sparseTolerance)
					copy(x, column(past, L-1))
					dyc := floats(column(dy, T))
					want := make([]float64, len(x))
					impulse := make([]float64, len(x))
					for i := range x {
						impulse[i] = 1
						want[i] = dot(masked(impulse, kc, n, m.keep)[L-1:], dyc)
						impulse[i] = 0
					}
					near(t, what+"dx", floats(append(column(dpast, L-1), column(du, T)...)), want, sparseTolerance)
					want = make([]float64, L)
					for i := range want {
						impulse[i] = 1
						want[i] = dot(masked(x, impulse[:L], n, m.keep)[L-1:], dyc)
						impulse[i] = 0
					}
					near(t, what+"dk", floats(column(dk, L)), want, sparseTolerance)
				}
			}
		}
	})
}

func wide(v []float32) (w []float64) {
	for _, a := range v {
		w = append(w, float64(a))
	}
	return w
}

func floats(v []float64) (w []float32) {
	for _, a := range v {
		w = append(w, float32(a))
	}
	return w
}

// Sizes at which parts of a block are worked on one after another: the dense
// path with the refused values set to zero.
func TestLongSparseKernel(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	for _, d := range [][2]int{{1000, 64}, {5000, 20}, {40000, 3}} {
		T, C := d[0], d[1]
		if testing.Short() {
			T, C = T/4, min(C, 17)
		}
		k, u := noise(r, T*C), noise(r, T*C)
		for _, m := range masks {
			f, err := NewSparseKernel(k, T, C, T, m.keep)
			if err != nil {
				t.Fatal(err)
			}
			y, z := make([]float32, T*C), make([]float32, T*C)
			f.Conv(y, u, nil, 1, T)
			// All frequencies of the kernel, with the refused ones set to zero.
			dense, err := NewSparseKernel(k, T, C, T, masks[0].keep)
			if err != nil {
				t.Fatal(err)
			}
			all, _ := newSplitter(dense.n/2, -0.25)
			for c := 0; c < C; c += dense.lanes {
				lanes := min(dense.lanes, C-c)
				v := dense.values(c, lanes)
				for i, turn := range all.turns {
					if !m.keep(binOf(turn, dense.n/2), dense.n/2) {
						clear(v.re[i*lanes:][:lanes])
						clear(v.im[i*lanes:][:lanes])
					}
				}
			}
			dense.Conv(z, u, nil, 1, T)
			near(t, fmt.Sprint(d, m.name), y, wide(z), sparseTolerance)
		}
	}
}

func TestBadSparseKernels(t *testing.T) {
	all := masks[0].keep
	for _, c := range []struct {
		f    func() error
		want string
	}{
		{func() error { _, err := NewSparseKernel(nil, 0, 1, 4, all); return err }, "0 taps"},
		{func() error { _, err := NewSparseKernel(make([]float32, 3), 2, 2, 4, all); return err }, "3 values"},
		{func() error { _, err := NewSparseKernel(make([]float32, 4), 2, 2, 0, all); return err }, "length 0"},
		{func() error { _, err := NewSparseKernel(make([]float32, 4), 2, 2, 4, nil); return err }, "which bins"},
	} {
		if err := c.f(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	f, _ := NewSparseKernel(make([]float32, 4), 2, 2, 4, all)
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "5 inputs, want at most the 4") {
			t.Error(got)
		}
	}()
	f.Conv(make([]float32, 10), make([]float32, 10), nil, 1, 5)
}

func BenchmarkSparseKernel(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const C = 64
	for _, T := range []int{1 << 10, 1 << 12, 1 << 14, 1 << 16} {
		k, u, y := noise(r, T*C), noise(r, T*C), make([]float32, T*C)
		for _, m := range masks {
			if m.name == "none" || m.name == "one" || m.name == "high" || m.name == "scattered" {
				continue
			}
			b.Run(fmt.Sprintf("length=%d/taps=%d/channels=%d/kept=%s", T, T, C, m.name), func(b *testing.B) {
				f, err := NewSparseKernel(k, T, C, T, m.keep)
				if err != nil {
					b.Fatal(err)
				}
				if m.name == "all" {
					f.sparse = nil // dense
				}
				j := &job{kind: convolve, f: f, y: f.flat(y, T), u: f.flat(u, T), batch: 1, length: T}
				for b.Loop() {
					j.do(1)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(T*C), "ns/element")
			})
		}
	}
}
