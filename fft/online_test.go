package fft

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/race"
	"github.com/subquad/subquad/tensor"
)

func TestOnline(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, taps := range []int{1, 2, 3, 16, 17, 33, 64, 100} {
			for _, C := range []int{1, 3, 16} {
				const B = 2
				T := 3*taps + 70
				c := newCase(r, B, T, C, taps)
				clear(c.past)
				c = c.again()
				o, err := NewOnline(c.k, taps, C)
				if err != nil {
					t.Fatal(err)
				}
				for way := range 4 {
					st := o.NewState(B)
					s := tensor.NewScope()
					var got []*tensor.Tensor
					u := s.From(c.u, B, T, C)
					for lo := 0; lo < T; {
						n := 1
						switch way {
						case 1:
							n = T
						case 2, 3:
							if r.IntN(3) == 0 {
								n = 1 + r.IntN(T-lo)
							}
						}
						got = append(got, o.Forward(u.Narrow(1, lo, lo+n), st))
						lo += n
						if way == 3 && r.IntN(4) == 0 { // a state that was saved and restored
							data, err := st.MarshalBinary()
							if err != nil {
								t.Fatal(err)
							}
							st = o.NewState(B)
							if err := st.UnmarshalBinary(data); err != nil {
								t.Fatal(err)
							}
						}
					}
					near(t, fmt.Sprintf("%d taps, %d channels, way %d", taps, C, way), tensor.Concat(1, got...).Data(), c.y, convTolerance)
				}
			}
		}
	})
}

// again computes the references anew.
func (c *convCase) again() *convCase {
	for i := range c.y {
		c.y[i] = 0
	}
	for b := range c.B {
		for t := range c.T {
			for s := range min(c.L, t+1) {
				for ch := range c.C {
					c.y[(b*c.T+t)*c.C+ch] += float64(c.k[s*c.C+ch]) * float64(c.u[(b*c.T+t-s)*c.C+ch])
				}
			}
		}
	}
	return c
}

func TestOnlineMisuse(t *testing.T) {
	for name, f := range map[string]func() error{
		"no taps":    func() error { _, err := NewOnline(nil, 0, 3); return err },
		"short":      func() error { _, err := NewOnline(make([]float32, 5), 2, 3); return err },
		"too many":   func() error { _, err := NewOnline(nil, MaxLen, 0); return err },
		"no channel": func() error { _, err := NewOnline(nil, 1, -1); return err },
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o, _ := NewOnline(make([]float32, 6), 2, 3)
	other, _ := NewOnline(make([]float32, 9), 3, 3)
	for name, f := range map[string]func(){
		"no state":      func() { o.Forward(tensor.New(1, 1, 3), nil) },
		"recording":     func() { o.Forward(tensor.NewScope(tensor.Record()).New(1, 1, 3), o.NewState(1)) },
		"float64":       func() { o.Forward(tensor.NewScope(tensor.Float64()).New(1, 1, 3), o.NewState(1)) },
		"batch":         func() { o.Forward(tensor.New(2, 1, 3), o.NewState(1)) },
		"channels":      func() { o.Forward(tensor.New(1, 1, 2), o.NewState(1)) },
		"another state": func() { o.Forward(tensor.New(1, 1, 3), other.NewState(1)) },
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
}

func TestOnlineNoAllocs(t *testing.T) {
	const C, taps = 16, 256
	r := rand.New(rand.NewPCG(1, 1))
	o, err := NewOnline(noise(r, taps*C), taps, C)
	if err != nil {
		t.Fatal(err)
	}
	st, u := o.NewState(1), noise(r, C)
	s := tensor.NewScope(tensor.Workers(1))
	step := func() {
		s.Reset()
		o.Forward(s.From(u, 1, 1, C), st)
	}
	for range 3 * taps { // AllocsPerRun counts the second of two steps: long tiles fall due at even ones
		n := testing.AllocsPerRun(1, step)
		if warm := st.Pos[0] > 3*taps; warm && n != 0 && !race.Enabled {
			t.Fatalf("the step to token %d allocates %v times", st.Pos[0], n)
		}
	}
}

// A state started by inference, whatever it holds, goes on under gradients,
// and again in inference, as a convolution with CausalConv's state does.
func TestOnlineConv(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 13))
		for i, d := range [][4]int{{2, 37, 5, 11}, {1, 90, 18, 70}, {2, 20, 3, 40}, {1, 5, 4, 1}, {2, 1, 4, 7}, {1, 33, 2, 32}} {
			B, T, C, L := d[0], d[1], d[2], d[3]
			start := r.IntN(3 * L)
			all, c := tensor.From(noise(r, B*T*3*C), B, T, 3*C).Track(), noise(r, B*T*C)
			k, skip := tensor.From(noise(r, L*C), L, C).Track(), tensor.From(noise(r, C), C).Track()
			before, after := noise(r, B*start*3*C), noise(r, B*40*3*C)
			o, err := NewOnline(k.Data(), L, C)
			if err != nil {
				t.Fatal(err)
			}
			gates := func(x *tensor.Tensor) (*tensor.Tensor, Gates) {
				return x.Narrow(-1, 0, C), Gates{x.Narrow(-1, C, 2*C), x.Narrow(-1, 2*C, 3*C), skip}
			}
			run := func(form convForm, st *tensor.State, last func(inputs *tensor.Tensor) *tensor.Tensor) (out [][]float64) {
				for _, l := range []*tensor.Tensor{all, k, skip} {
					l.ZeroGrad()
				}
				u, g := gates(tensor.From(before, B, start, 3*C))
				form(u, k, g, st)
				st.Parts[0].Value.Track()
				first := last(st.Parts[0].Value) // where it holds the past
				s := tensor.NewScope(tensor.Record())
				x := tensor.Enter(s, all)
				var ys []*tensor.Tensor
				for _, p := range [][2]int{{0, T / 3}, {T / 3, T}} {
					u, g := gates(x.Narrow(1, p[0], p[1]))
					ys = append(ys, form(u, k, g, st))
				}
				y := tensor.Concat(1, ys...)
				loss := tensor.SumAll(tensor.Mul(y, s.From(c, B, T, C)))
				if L > 1 {
					end := last(st.Parts[0].Read(s))
					loss = tensor.Add(loss, tensor.SumAll(tensor.Mul(end, end)))
				}
				s.Backward(loss)
				out = append(out, y.Float64s(), all.Grad().Float64s(), k.Grad().Float64s(), skip.Grad().Float64s(), first.Grad().Float64s())
				fast := tensor.NewScope()
				rest := fast.From(after, B, 40, 3*C)
				for _, p := range [][2]int{{0, 1}, {1, 2}, {2, 20}, {20, 40}} {
					u, g := gates(rest.Narrow(1, p[0], p[1]))
					out = append(out, form(u, k, g, st).Float64s())
				}
				plain := tensor.NewScope(tensor.Float64())
				u, g = gates(plain.From(after, B, 40, 3*C))
				out = append(out, form(u, k, g, st).Float64s())
				u, g = gates(fast.From(after, B, 40, 3*C))
				return append(out, form(u.Narrow(1, 0, 1), k, Gates{g.Pre.Narrow(1, 0, 1), g.Post.Narrow(1, 0, 1), skip}, st).Float64s(), []float64{float64(st.Pos[B-1])})
			}
			want := run(GatedConv, NewConvState(B, L, C), func(past *tensor.Tensor) *tensor.Tensor { return past })
			P := o.block
			var st *tensor.State = o.NewState(B)
			got := run(func(u, k *tensor.Tensor, g Gates, st *tensor.State) *tensor.Tensor { return OnlineConv(u, k, g, o, st) },
				st, func(inputs *tensor.Tensor) *tensor.Tensor {
					at := P + int(st.Pos[0])%P
					return inputs.Narrow(1, at-(L-1), at)
				})
			for j := range want {
				if e := gradcheck.Difference(got[j], want[j]); !(e <= 3e-6) {
					t.Errorf("case %d: result %d differs by %.2g", i, j, e)
				}
			}
		}
	})
}

// The state does not depend on how the sequence was cut.
func TestOnlineState(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 14))
	const C, taps, T = 3, 50, 200
	o, _ := NewOnline(noise(r, taps*C), taps, C)
	u := noise(r, T*C)
	for n := range T {
		one, many := o.NewState(1), o.NewState(1)
		s := tensor.NewScope()
		for i := range n {
			o.Forward(s.From(u[i*C:][:C], 1, 1, C), one)
		}
		o.Forward(s.From(u[:n*C], 1, n, C), many)
		for i, p := range one.Parts {
			if e := gradcheck.Difference(p.Value.Float64s(), many.Parts[i].Value.Float64s()); !(e <= 2e-6) {
				t.Fatalf("after %d tokens %s differs by %.2g", n, p.Name, e)
			}
		}
	}
}

func TestOnlineDue(t *testing.T) {
	o, _ := NewOnline(make([]float32, 100), 100, 1)
	for pos, want := range map[int64]int{0: 1, 1: 2, 2: 1, 3: 4, 62: 1, 63: 64, 127: 128, 128: 1, 255: 128, 1<<40 + 127: 128} {
		if got := o.Due(pos); got != want {
			t.Errorf("after %d tokens a tile of %d is due, want %d", pos, got, want)
		}
	}
}

// A token on average, and the worst one, against the plain sum over all taps.
func BenchmarkOnline(b *testing.B) {
	const C = 64
	for taps := 1024; taps <= 65536; taps *= 8 {
		for _, l := range hw.Levels() {
			b.Run(fmt.Sprintf("taps=%d/channels=%d/hw=%v", taps, C, l), func(b *testing.B) {
				was := hw.Current()
				defer hw.Set(was)
				hw.Set(l)
				r := rand.New(rand.NewPCG(1, 1))
				o, err := NewOnline(noise(r, taps*C), taps, C)
				if err != nil {
					b.Fatal(err)
				}
				st, u := o.NewState(1), noise(r, C)
				s := tensor.NewScope(tensor.Workers(1))
				var worst, all time.Duration
				tokens := 0
				for b.Loop() {
					for range taps { // a whole block, so that each tile falls due
						s.Reset()
						start := time.Now()
						o.Forward(s.From(u, 1, 1, C), st)
						d := time.Since(start)
						worst, all = max(worst, d), all+d
						tokens++
					}
				}
				b.ReportMetric(float64(all.Nanoseconds())/float64(tokens)/C, "ns/channel")
				b.ReportMetric(float64(worst.Nanoseconds()), "worst-ns")
			})
		}
	}
}
