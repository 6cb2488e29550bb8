package fft

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/race"
	"github.com/subquad/subquad/tensor"
)

// A convCase has everything of one convolution, and float64 references.
type convCase struct {
	B, T, C, L       int
	u, k, past, dy   []float32
	y, du, dpast, dk []float64
}

func newCase(r *rand.Rand, B, T, C, L int) *convCase {
	c := &convCase{B: B, T: T, C: C, L: L, u: noise(r, B*T*C), k: noise(r, L*C), past: noise(r, B*(L-1)*C), dy: noise(r, B*T*C)}
	c.y, c.du = make([]float64, B*T*C), make([]float64, B*T*C)
	c.dpast, c.dk = make([]float64, B*(L-1)*C), make([]float64, L*C)
	for b := range B {
		for t := range T {
			for s := range L {
				for ch := range C {
					in, d := &c.past, &c.dpast
					i := (b*(L-1)+L-1+t-s)*C + ch
					if t >= s {
						in, d, i = &c.u, &c.du, (b*T+t-s)*C+ch
					}
					o := (b*T+t)*C + ch
					c.y[o] += float64(c.k[s*C+ch]) * float64((*in)[i])
					(*d)[i] += float64(c.k[s*C+ch]) * float64(c.dy[o])
					c.dk[s*C+ch] += float64((*in)[i]) * float64(c.dy[o])
				}
			}
		}
	}
	return c
}

func near(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	if e := scaled(got, want); !(e <= tol) {
		t.Errorf("%s: error %.3g", what, e)
	}
}

// The worst measured is 4e-7 for outputs and 6e-7 for gradients.
const convTolerance = 1e-6

// Every form at every block size that fits, whatever it costs.
func TestKernelForms(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 1))
		cases := 40
		if testing.Short() {
			cases = 10
		}
		for i := range cases {
			B, T, C, L := 1+r.IntN(3), 1+r.IntN(300), 1+r.IntN(40), 1+r.IntN(300)
			if i%3 == 0 {
				T, L = 1+r.IntN(20), 1+r.IntN(20)
			}
			c := newCase(r, B, T, C, L)
			f := &Kernel{taps: L, channels: C, k: c.k}
			for n := 0; n <= 4*ceilPow2(T+L); n = max(2*n, 8, ceilPow2(L+1)) {
				f.prepare(1, n)
				what := fmt.Sprintf("B%d T%d C%d L%d block %d", B, T, C, L, n)
				y := noise(r, B*T*C)
				do := func(kind int, j job) {
					j.kind, j.f, j.batch, j.length, j.direct = kind, f, B, T, n == 0
					j.do(1)
				}
				do(convolve, job{y: f.flat(y, T), u: f.flat(c.u, T), past: c.past})
				near(t, what+": y", y, c.y, convTolerance)
				du, dpast, dk := make([]float32, len(c.du)), make([]float32, len(c.dpast)), make([]float32, len(c.dk))
				for range 2 { // gradients add up
					do(gradSignal, job{y: f.flat(c.dy, T), du: f.flat(du, T), past: dpast})
					do(gradKernel, job{dk: dk, y: f.flat(c.dy, T), u: f.flat(c.u, T), past: c.past})
				}
				near(t, what+": du", du, twice(c.du), convTolerance)
				near(t, what+": dpast", dpast, twice(c.dpast), convTolerance)
				near(t, what+": dk", dk, twice(c.dk), convTolerance)
			}
		}
	})
}

func twice(v []float64) []float64 {
	w := slices.Clone(v)
	for i := range w {
		w[i] *= 2
	}
	return w
}

// The form that the kernel chooses, planned for this length or another.
func TestKernel(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 6))
		for range 10 {
			B, T, C, L := 1+r.IntN(3), 1+r.IntN(600), 1+r.IntN(20), 1+r.IntN(300)
			c := newCase(r, B, T, C, L)
			for _, length := range []int{T, 0, 3 * T} {
				f, err := NewKernel(c.k, L, C, length)
				if err != nil {
					t.Fatal(err)
				}
				what := fmt.Sprintf("B%d T%d C%d L%d planned for %d", B, T, C, L, length)
				y := make([]float32, B*T*C)
				f.Conv(y, c.u, c.past, B, T)
				near(t, what+": y", y, c.y, convTolerance)
				du, dpast, dk := make([]float32, len(c.du)), make([]float32, len(c.dpast)), make([]float32, len(c.dk))
				f.GradSignal(du, dpast, c.dy, B, T)
				f.GradKernel(dk, c.dy, c.u, c.past, B, T)
				near(t, what+": du", du, c.du, convTolerance)
				near(t, what+": dpast", dpast, c.dpast, convTolerance)
				near(t, what+": dk", dk, c.dk, convTolerance)
				// No past is a past of zeros.
				z := make([]float32, len(y))
				f.Conv(z, c.u, nil, B, T)
				f.Conv(y, c.u, make([]float32, len(c.past)), B, T)
				if !slices.Equal(z, y) {
					t.Errorf("%s: a nil past differs from zeros", what)
				}
			}
		}
	})
}

func TestPieces(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 2))
		for range 12 {
			B, T, C, L := 1+r.IntN(2), 1+r.IntN(500), 1+r.IntN(20), 1+r.IntN(400)
			c := newCase(r, B, T, C, L)
			clear(c.past)
			whole := make([]float32, B*T*C)
			f, _ := NewKernel(c.k, L, C, T)
			f.Conv(whole, c.u, nil, B, T)
			past := make([]float32, B*(L-1)*C)
			got := make([]float32, B*T*C)
			for t0 := 0; t0 < T; {
				n := min(T-t0, []int{1, 2, 17, 100, 300}[r.IntN(5)])
				u, y := make([]float32, B*n*C), make([]float32, B*n*C)
				for b := range B {
					copy(u[b*n*C:(b+1)*n*C], c.u[(b*T+t0)*C:])
				}
				f.Conv(y, u, past, B, n)
				f.Push(past, u, B, n)
				for b := range B {
					copy(got[(b*T+t0)*C:], y[b*n*C:(b+1)*n*C])
				}
				t0 += n
			}
			want := make([]float64, len(whole))
			for i, v := range whole {
				want[i] = float64(v)
			}
			near(t, fmt.Sprintf("B%d T%d C%d L%d", B, T, C, L), got, want, convTolerance)
		}
	})
}

func TestLongConv(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 3))
	for _, d := range [][2]int{{5000, 5000}, {9000, 700}, {700, 9000}} {
		if testing.Short() {
			d[0], d[1] = d[0]/4, d[1]/4
		}
		c := newCase(r, 1, d[0], 2, d[1])
		f, _ := NewKernel(c.k, c.L, c.C, c.T)
		y := make([]float32, len(c.y))
		f.Conv(y, c.u, c.past, 1, c.T)
		near(t, fmt.Sprint(d), y, c.y, convTolerance)
		dk := make([]float32, len(c.dk))
		f.GradKernel(dk, c.dy, c.u, c.past, 1, c.T)
		near(t, fmt.Sprint("dk ", d), dk, c.dk, convTolerance)
	}
}

// A partial convolution, of a filter much shorter than its input, is that with
// a filter of zeros from there on, by far shorter blocks.
func TestPartialConv(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 11))
	const T, L, C = 20000, 300, 3
	u, k := noise(r, T*C), make([]float32, T*C)
	copy(k, noise(r, L*C))
	short, err := NewKernel(k[:L*C], L, C, T)
	if err != nil {
		t.Fatal(err)
	}
	long, err := NewKernel(k, T, C, T)
	if err != nil {
		t.Fatal(err)
	}
	y, z := make([]float32, T*C), make([]float32, T*C)
	short.Conv(y, u, nil, 1, T)
	long.Conv(z, u, nil, 1, T)
	near(t, "y", y, wide(z), convTolerance)
	if short.n > 16*L || long.n < T {
		t.Errorf("blocks of %d and %d points", short.n, long.n)
	}
}

func TestWorkers(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 4))
	c := newCase(r, 2, 600, 150, 150)
	var want [][]float32
	for _, workers := range []int{1, 2, 7} {
		f := &Kernel{}
		f.set(workers, c.k, nil, c.L, c.C, c.T)
		y, dk, du := make([]float32, len(c.y)), make([]float32, len(c.dk)), make([]float32, len(c.du))
		f.run(workers, &job{kind: convolve, f: f, y: f.flat(y, c.T), u: f.flat(c.u, c.T), past: c.past, batch: c.B, length: c.T})
		f.run(workers, &job{kind: gradKernel, f: f, dk: dk, y: f.flat(c.dy, c.T), u: f.flat(c.u, c.T), past: c.past, batch: c.B, length: c.T})
		f.run(workers, &job{kind: gradSignal, f: f, y: f.flat(c.dy, c.T), du: f.flat(du, c.T), batch: c.B, length: c.T})
		got := [][]float32{y, dk, du}
		if want == nil {
			want = got
		}
		for i := range got {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("%d workers: result %d differs", workers, i)
			}
		}
	}
}

func TestBadKernels(t *testing.T) {
	for _, c := range []struct{ n, taps, channels, length int }{{0, 0, 1, 1}, {4, 2, 1, 1}, {0, 1, -1, 1}, {1, 1, 1, -1}, {1, 1, 1, MaxLen}} {
		if _, err := NewKernel(make([]float32, c.n), c.taps, c.channels, c.length); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	f, _ := NewKernel(make([]float32, 6), 3, 2, 10)
	defer func() {
		if got := fmt.Sprint(recover()); got != "fft: Kernel.Conv: past has 3 values, want 2 of 2 channels" {
			t.Error(got)
		}
	}()
	f.Conv(make([]float32, 20), make([]float32, 20), make([]float32, 3), 1, 10)
}

// The operator: whole, pieces, gradients against the references, float64 scope.
func TestCausalConv(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 5))
		for _, d := range [][4]int{{2, 37, 5, 11}, {1, 300, 18, 250}, {2, 10, 3, 200}, {1, 5, 4, 1}, {1, 1, 4, 7}} {
			c := newCase(r, d[0], d[1], d[2], d[3])
			what := fmt.Sprint(d)
			k := tensor.From(c.k, c.L, c.C).Track()
			st := NewConvState(c.B, c.L, c.C)
			copy(st.Parts[0].Value.Data(), c.past)
			st.Parts[0].Value.Track()

			s := tensor.NewScope(tensor.Record())
			u := tensor.From(c.u, c.B, c.T, c.C).Track()
			cut := c.T / 3
			var y *tensor.Tensor
			var loss *tensor.Tensor
			all := tensor.Enter(s, u)
			dy := s.From(c.dy, c.B, c.T, c.C)
			var got []float32
			for _, p := range [][2]int{{0, cut}, {cut, c.T}} {
				y = CausalConv(all.Narrow(1, p[0], p[1]), k, st)
				got = append(got, y.Float32s()...)
				l := tensor.SumAll(tensor.Mul(y, dy.Narrow(1, p[0], p[1])))
				if loss == nil {
					loss = l
				} else {
					loss = tensor.Add(loss, l)
				}
			}
			if c.B == 1 {
				near(t, what+": y", got, c.y, convTolerance)
			}
			s.Backward(loss)
			near(t, what+": du", u.Grad().Float32s(), c.du, convTolerance)
			near(t, what+": dk", k.Grad().Float32s(), c.dk, convTolerance)
			near(t, what+": dpast", st.Parts[0].Value.Grad().Float32s(), c.dpast, convTolerance)
			if st.Pos[0] != int64(c.T) {
				t.Errorf("%s: position %d", what, st.Pos[0])
			}

			// No state, and the plain form.
			w := CausalConv(tensor.From(c.u, c.B, c.T, c.C), k, nil)
			v := CausalConv(tensor.NewScope(tensor.Float64()).From(c.u, c.B, c.T, c.C), k, nil)
			near(t, what+": whole", w.Data(), v.Float64s(), convTolerance)
		}
	})
}

func TestOnlyStateTracked(t *testing.T) {
	st := NewConvState(1, 3, 1)
	st.Parts[0].Value.Track()
	s := tensor.NewScope(tensor.Record())
	k := tensor.From([]float32{1, 10, 100}, 3, 1)
	s.Backward(tensor.SumAll(CausalConv(s.From([]float32{1, 2}, 1, 2, 1), k, st)))
	if got := st.Parts[0].Value.Grad().Data(); !slices.Equal(got, []float32{100, 110}) {
		t.Error(got)
	}
}

func TestCausalConvMisuse(t *testing.T) {
	for name, f := range map[string]func(){
		"rank":     func() { CausalConv(tensor.New(2, 3), tensor.New(1, 3), nil) },
		"channels": func() { CausalConv(tensor.New(1, 2, 3), tensor.New(1, 4), nil) },
		"no taps":  func() { CausalConv(tensor.New(1, 2, 3), tensor.New(0, 3), nil) },
		"state":    func() { CausalConv(tensor.New(1, 2, 3), tensor.New(4, 3), NewConvState(1, 5, 3)) },
		"batch":    func() { CausalConv(tensor.New(1, 2, 3), tensor.New(4, 3), NewConvState(2, 4, 3)) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(*tensor.ShapeError); !ok {
					t.Errorf("%s: no *tensor.ShapeError", name)
				}
			}()
			f()
		}()
	}
	if y := CausalConv(tensor.New(0, 2, 3), tensor.New(4, 3), NewConvState(0, 4, 3)); y.Len() != 0 {
		t.Error("empty batch")
	}
	CausalConv(tensor.New(1, 0, 3), tensor.New(4, 3), NewConvState(1, 4, 3))
}

func TestNoAllocs(t *testing.T) {
	s := tensor.NewScope(tensor.Workers(1))
	k := tensor.From(noise(rand.New(rand.NewPCG(1, 1)), 100*32), 100, 32)
	st := NewConvState(1, 100, 32)
	for _, T := range []int{1, 200} {
		u := make([]float32, T*32)
		if n := testing.AllocsPerRun(20, func() {
			CausalConv(s.From(u, 1, T, 32), k, st)
			s.Reset()
		}); n != 0 && !race.Enabled {
			t.Errorf("T=%d: %v allocations a call", T, n)
		}
	}
}

func BenchmarkKernel(b *testing.B) {
	best := hw.Current()
	defer hw.Set(best)
	for _, l := range hw.Levels() {
		for _, d := range [][2]int{{1 << 10, 1 << 10}, {1 << 12, 1 << 12}, {1 << 14, 1 << 14}, {1 << 16, 1 << 16}, {1 << 16, 1 << 10}, {1 << 14, 128}, {1 << 14, 16}, {1, 1 << 10}} {
			b.Run(fmt.Sprintf("hw=%v/length=%d/taps=%d/channels=64", l, d[0], d[1]), func(b *testing.B) {
				hw.Set(l)
				const C = 64
				f, _ := NewKernel(make([]float32, d[1]*C), d[1], C, d[0])
				u, y := make([]float32, d[0]*C), make([]float32, d[0]*C)
				past := make([]float32, (d[1]-1)*C)
				for b.Loop() {
					f.Conv(y, u, past, 1, d[0])
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(d[0]*C), "ns/element")
				b.ReportMetric(float64(f.n), "block")
			})
		}
	}
}
