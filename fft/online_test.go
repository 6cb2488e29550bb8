package fft

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/subquad/subquad/hw"
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
	for range 2 * taps {
		step()
	}
	if n := testing.AllocsPerRun(taps, step); n != 0 && !race.Enabled {
		t.Errorf("a step allocates %v times", n)
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
				b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
			})
		}
	}
}
