package dft

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/hwtest"
)

var levels = hwtest.Levels

const guard = float32(1234.5)

// guarded is n random floats at an odd offset between guard words.
type guarded struct{ all, v []float32 }

func newGuarded(r *rand.Rand, n int) guarded {
	all := make([]float32, n+19)
	for i := range all {
		all[i] = guard
	}
	v := all[9 : 9+n : 9+n]
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return guarded{all, v}
}

func (g guarded) check(t *testing.T, what string) {
	t.Helper()
	for i, x := range g.all {
		if (i < 9 || i >= 9+len(g.v)) && x != guard {
			t.Fatalf("%s: wrote %v at %d, outside [9,%d)", what, x, i, 9+len(g.v))
		}
	}
}

func c64(re, im []float32) []complex128 {
	out := make([]complex128, len(re))
	for i := range re {
		out[i] = complex(float64(re[i]), float64(im[i]))
	}
	return out
}

func near(t *testing.T, what string, re, im []float32, want []complex128, tol float64) {
	t.Helper()
	var scale, worst float64
	for i, w := range want {
		scale = max(scale, math.Abs(real(w)), math.Abs(imag(w)))
		worst = max(worst, math.Abs(float64(re[i])-real(w)), math.Abs(float64(im[i])-imag(w)))
	}
	if worst > tol*scale {
		t.Errorf("%s: error %.3g of scale %.3g", what, worst, scale)
	}
}

func twiddle(r *rand.Rand, blocks int) (t2, t4 []float32, c2, c4 []complex128) {
	unit := func() complex128 {
		s, c := math.Sincos(2 * math.Pi * r.Float64())
		return complex(c, s)
	}
	for range blocks {
		c := unit()
		c2 = append(c2, c)
		t2 = append(t2, float32(real(c)), float32(imag(c)))
		for range 2 {
			c := unit()
			for _, p := range []complex128{c, c * c, c * c * c} {
				c4 = append(c4, p)
				t4 = append(t4, float32(real(p)), float32(imag(p)))
			}
		}
	}
	return t2, t4, c2, c4
}

// ref2 and ref4 are the definitions, in complex128.
func ref2(x []complex128, blocks, n, stride int, t []complex128) {
	for b := range blocks {
		for q := range n {
			i := 2*b*stride + q
			j := i + stride
			x[i], x[j] = x[i]+t[b]*x[j], x[i]-t[b]*x[j]
		}
	}
}

func ref4(x []complex128, blocks, n, stride int, t []complex128) {
	for b := range blocks {
		for q := range n {
			var y [4]complex128
			for slot, k := range []int{0, 2, 1, 3} {
				w := [4]complex128{1, -1i, -1, 1i}
				y[slot] = x[4*b*stride+q]
				for j := 1; j < 4; j++ {
					y[slot] += x[(4*b+j)*stride+q] * t[3*b+j-1] * w[j*k%4]
				}
			}
			for j := range 4 {
				x[(4*b+j)*stride+q] = y[j]
			}
		}
	}
}

func ref8(x []complex128, blocks, n, stride int, t2, t4 []complex128) {
	for b := range blocks {
		for j := range 4 {
			ref2(x[(8*b+j)*stride:], 1, n, 4*stride, t2[b:])
		}
	}
	ref4(x, 2*blocks, n, stride, t4)
}

var lengths = func() (n []int) {
	for i := 1; i <= 49; i++ {
		n = append(n, i)
	}
	return append(n, 64, 100)
}()

func TestButterflies(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range lengths {
			for _, blocks := range []int{1, 3} {
				for _, extra := range []int{0, 5} {
					stride := n + extra
					t2, t4, c2, c4 := twiddle(r, blocks)
					for _, radix := range []int{2, 4, 8} {
						what := fmt.Sprintf("radix %d n %d blocks %d stride %d", radix, n, blocks, stride)
						re, im := newGuarded(r, radix*blocks*stride), newGuarded(r, radix*blocks*stride)
						was := c64(re.v, im.v)
						want := slices.Clone(was)
						u4, d4 := t4, c4
						switch radix {
						case 2:
							Fwd2(blocks, n, stride, re.v, im.v, t2)
							ref2(want, blocks, n, stride, c2)
						case 4:
							Fwd4(blocks, n, stride, re.v, im.v, u4)
							ref4(want, blocks, n, stride, d4)
						case 8:
							Fwd8(blocks, n, stride, re.v, im.v, t2, t4)
							ref8(want, blocks, n, stride, c2, c4)
						}
						near(t, what, re.v, im.v, want, 5e-7)
						re.check(t, what)
						im.check(t, what)
						switch radix {
						case 2:
							Inv2(blocks, n, stride, re.v, im.v, t2)
						case 4:
							Inv4(blocks, n, stride, re.v, im.v, u4)
						case 8:
							Inv8(blocks, n, stride, re.v, im.v, t2, t4)
						}
						for i := range was {
							if i%stride < n {
								was[i] *= complex(float64(radix), 0)
							}
						}
						near(t, what+" inverse", re.v, im.v, was, 1e-6)
						re.check(t, what)
						im.check(t, what)
					}
				}
			}
		}
	})
}

// Streams longer than a bounded call, and lanes at different places: same bits.
func TestPosition(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		n := chunk + 37
		t2, t4, _, _ := twiddle(r, 1)
		for _, radix := range []int{2, 4, 8} {
			re, im := newGuarded(r, radix*n), newGuarded(r, radix*n)
			// Lane q alone, for some q.
			for _, q := range []int{0, 5, 16, chunk - 1, chunk, n - 1} {
				a, b := make([]float32, radix), make([]float32, radix)
				c, d := slices.Clone(re.v), slices.Clone(im.v)
				for j := range radix {
					a[j], b[j] = re.v[j*n+q], im.v[j*n+q]
				}
				switch radix {
				case 2:
					Fwd2(1, 1, 1, a, b, t2)
					Fwd2(1, n, n, c, d, t2)
					Inv2(1, 1, 1, a, b, t2)
					Inv2(1, n, n, c, d, t2)
				case 4:
					Fwd4(1, 1, 1, a, b, t4)
					Fwd4(1, n, n, c, d, t4)
					Inv4(1, 1, 1, a, b, t4)
					Inv4(1, n, n, c, d, t4)
				case 8:
					Fwd8(1, 1, 1, a, b, t2, t4)
					Fwd8(1, n, n, c, d, t2, t4)
					Inv8(1, 1, 1, a, b, t2, t4)
					Inv8(1, n, n, c, d, t2, t4)
				}
				for j := range radix {
					if a[j] != c[j*n+q] || b[j] != d[j*n+q] {
						t.Fatalf("radix %d lane %d stream %d: %v%+vi alone, %v%+vi within", radix, q, j, a[j], b[j], c[j*n+q], d[j*n+q])
					}
				}
			}
		}
	})
}

func TestPointwise(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, n := range append(lengths, 0, 4*chunk+3) {
			d1, d2 := newGuarded(r, n), newGuarded(r, n)
			a := [4]guarded{}
			for i := range a {
				a[i] = newGuarded(r, n)
			}
			d, ca, cb := c64(d1.v, d2.v), c64(a[0].v, a[1].v), c64(a[2].v, a[3].v)
			step := func(name string, f func(), g func(d, a, b complex128) complex128) {
				f()
				for i := range d {
					d[i] = g(d[i], ca[i], cb[i])
				}
				near(t, fmt.Sprint(name, " ", n), d1.v, d2.v, d, 2e-6)
				d1.check(t, name)
				d2.check(t, name)
			}
			conj := func(z complex128) complex128 { return complex(real(z), -imag(z)) }
			step("Mul", func() { Mul(d1.v, d2.v, a[0].v, a[1].v) }, func(d, a, b complex128) complex128 { return d * a })
			step("MulConj", func() { MulConj(d1.v, d2.v, a[2].v, a[3].v) }, func(d, a, b complex128) complex128 { return d * conj(b) })
			step("AddMulConj", func() { AddMulConj(d1.v, d2.v, a[0].v, a[1].v, a[2].v, a[3].v) }, func(d, a, b complex128) complex128 { return d + a*conj(b) })
		}
	})
}

func TestRows(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, lanes := range append(lengths, 129) {
			for _, rows := range []int{1, 2, 7} {
				ds, ss := lanes+3, lanes+r.IntN(3)
				src, dst := newGuarded(r, rows*ss), newGuarded(r, rows*ds)
				want := slices.Clone(dst.v)
				for i := range rows {
					copy(want[i*ds:i*ds+lanes], src.v[i*ss:])
				}
				CopyRows(rows, lanes, dst.v, ds, src.v, ss)
				if !slices.Equal(dst.v, want) {
					t.Fatalf("CopyRows lanes %d rows %d", lanes, rows)
				}
				idx := make([]int32, rows)
				for i := range idx {
					idx[i] = int32(r.IntN(rows))
					for c := range lanes {
						want[i*ds+c] = src.v[int(idx[i])*ss+c] * 0.375
					}
				}
				GatherRows(lanes, dst.v, ds, src.v, ss, idx, 0.375)
				if !slices.Equal(dst.v, want) {
					t.Fatalf("GatherRows lanes %d rows %d", lanes, rows)
				}
				for i := range rows {
					for c := range lanes {
						want[i*ds+c] += src.v[i*ss+c]
					}
				}
				AddRows(rows, lanes, dst.v, ds, src.v, ss)
				if !slices.Equal(dst.v, want) {
					t.Fatalf("AddRows lanes %d rows %d", lanes, rows)
				}
				for add, f := range []func(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int){MulRows, AddMulRows} {
					as, a := ss+5, newGuarded(r, rows*(ss+5))
					for i := range rows {
						for c := range lanes {
							want[i*ds+c] = want[i*ds+c]*float32(add) + a.v[i*as+c]*src.v[i*ss+c]
						}
					}
					f(rows, lanes, dst.v, ds, a.v, as, src.v, ss)
					for i, w := range want {
						if math.Abs(float64(dst.v[i]-w)) > 1e-6 { // one rounding fewer where sums are fused
							t.Fatalf("AddMulRows %d lanes %d rows %d: %v, want %v", add, lanes, rows, dst.v[i], w)
						}
					}
					copy(want, dst.v)
				}
				dst.check(t, "rows")

				y, b := newGuarded(r, lanes), newGuarded(r, rows*ss)
				sum := make([]complex128, lanes)
				for c := range lanes {
					s := float64(y.v[c])
					for i := range rows {
						s += float64(src.v[i*ss+c]) * float64(b.v[(rows-1-i)*ss+c])
					}
					sum[c] = complex(s, 0)
				}
				DotRows(y.v, rows, src.v, 0, ss, b.v, (rows-1)*ss, -ss)
				near(t, fmt.Sprint("DotRows ", lanes, " ", rows), y.v, make([]float32, lanes), sum, 1e-6)
				y.check(t, "DotRows")
			}
		}
	})
}

func TestFold(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 16))
		for _, n := range append(lengths, 3*chunk/4) {
			for _, d := range [][2]int{{1, 1}, {1, 8}, {5, 2}, {3, 17}} {
				blocks, k := d[0], d[1]
				var sum, rows [2]guarded
				for i := range 2 {
					sum[i], rows[i] = newGuarded(r, blocks*n), newGuarded(r, blocks*k*n)
				}
				coef := newGuarded(r, 2*blocks*k).v
				x, want := c64(rows[0].v, rows[1].v), make([]complex128, blocks*n)
				for i := range blocks * k {
					for c := range n {
						want[i/k*n+c] += x[i*n+c] * complex(float64(coef[2*i]), float64(coef[2*i+1]))
					}
				}
				what := fmt.Sprint(d, n)
				Fold(blocks, k, n, sum[0].v, sum[1].v, rows[0].v, rows[1].v, coef)
				near(t, "Fold "+what, sum[0].v, sum[1].v, want, 2e-6)
				y := c64(sum[0].v, sum[1].v)
				for i := range x {
					j := i / n
					x[i] = y[j/k*n+i%n] * complex(float64(coef[2*j]), -float64(coef[2*j+1]))
				}
				Unfold(blocks, k, n, rows[0].v, rows[1].v, sum[0].v, sum[1].v, coef)
				near(t, "Unfold "+what, rows[0].v, rows[1].v, x, 2e-6)
				for i := range 2 {
					sum[i].check(t, "Fold")
					rows[i].check(t, "Unfold")
				}
			}
		}
	})
}

func TestPair(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for _, n := range lengths {
			var v [4]guarded
			for i := range v {
				v[i] = newGuarded(r, n)
			}
			a, b := c64(v[0].v, v[1].v), c64(v[2].v, v[3].v)
			p, q := make([]complex128, n), make([]complex128, n)
			for i := range p {
				cb := complex(real(b[i]), -imag(b[i]))
				e, d := (a[i]+cb)/2, complex(0.6, -0.8)*(a[i]-cb)/2
				p[i], q[i] = e+d, complex(real(e-d), -imag(e-d))
			}
			Pair(v[0].v, v[1].v, v[2].v, v[3].v, v[0].v, v[1].v, v[2].v, v[3].v, 0.6, -0.8)
			near(t, fmt.Sprint("P ", n), v[0].v, v[1].v, p, 5e-7)
			near(t, fmt.Sprint("Q ", n), v[2].v, v[3].v, q, 5e-7)
			for i := range v {
				v[i].check(t, "Pair")
			}
		}
	})
}

func TestDFT(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, rad := range []int{1, 2, 3, 5, 7, 31} {
			for _, n := range lengths {
				stride := n + 2
				sr, si := newGuarded(r, rad*stride), newGuarded(r, rad*stride)
				dr, di := newGuarded(r, rad*stride), newGuarded(r, rad*stride)
				m := newGuarded(r, 2*rad*rad)
				want, src := c64(dr.v, di.v), c64(sr.v, si.v)
				for k := range rad {
					for q := range n {
						var s complex128
						for j := range rad {
							i := 2 * (k*rad + j)
							s += src[j*stride+q] * complex(float64(m.v[i]), float64(m.v[i+1]))
						}
						want[k*stride+q] = s
					}
				}
				DFT(rad, n, stride, dr.v, di.v, sr.v, si.v, m.v)
				near(t, fmt.Sprint("DFT ", rad, " ", n), dr.v, di.v, want, 1e-6)
				dr.check(t, "DFT")
				di.check(t, "DFT")
			}
		}
	})
}

// NaN, infinities and denormals stay in their lane.
func TestSpecial(t *testing.T) {
	levels(t, func(t *testing.T) {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			re, im := make([]float32, 4*21), make([]float32, 4*21)
			for i := range re {
				re[i] = 1e-44
			}
			re[2*21+17] = bad
			Fwd4(1, 21, 21, re, im, []float32{1, 0, 1, 0, 1, 0})
			for q := range 21 {
				v := float64(re[q])
				if broken := math.IsNaN(v) || math.IsInf(v, 0); broken != (q == 17) {
					t.Errorf("%v in lane 17: lane %d has %v", bad, q, v)
				}
				if q != 17 && re[q] != 4*float32(1e-44) {
					t.Errorf("denormals in lane %d: %v", q, re[q])
				}
			}
		}
	})
}

func TestNoAllocs(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() {
		var re, im [64]float32
		var tw [6]float32
		Fwd4(1, 16, 16, re[:], im[:], tw[:])
		Mul(re[:16], im[:16], re[16:], im[16:])
		GatherRows(16, re[:], 16, im[:], 16, []int32{0, 1}, 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestShortSlices(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a short slice did not panic")
		}
	}()
	Fwd4(1, 16, 16, make([]float32, 63), make([]float32, 64), make([]float32, 6))
}

func BenchmarkButterfly(b *testing.B) {
	best := hw.Current()
	defer hw.Set(best)
	for _, l := range hw.Levels() {
		for _, radix := range []int{2, 4, 8} {
			for _, rows := range []int{64, 4096} { // 16 lanes: in L1, in L2
				b.Run(fmt.Sprintf("hw=%v/radix=%d/rows=%d", l, radix, rows), func(b *testing.B) {
					hw.Set(l)
					n := rows * 16
					re, im := make([]float32, n), make([]float32, n)
					t2, t4 := make([]float32, 2), make([]float32, 12)
					t2[0] = 1
					for b.Loop() {
						switch radix {
						case 2:
							Fwd2(1, n/2, n/2, re, im, t2)
						case 4:
							Fwd4(1, n/4, n/4, re, im, t4)
						case 8:
							Fwd8(1, n/8, n/8, re, im, t2, t4)
						}
					}
					flop := 5 * float64(n) * math.Log2(float64(radix))
					b.ReportMetric(flop*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
				})
			}
		}
	}
}

func BenchmarkDotRows(b *testing.B) {
	best := hw.Current()
	defer hw.Set(best)
	for _, l := range hw.Levels() {
		b.Run(fmt.Sprintf("hw=%v", l), func(b *testing.B) {
			hw.Set(l)
			x, y := make([]float32, 64*64), make([]float32, 64)
			for b.Loop() {
				DotRows(y, 64, x, 0, 64, x, 63*64, -64)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(64*64), "ns/element")
		})
	}
}
