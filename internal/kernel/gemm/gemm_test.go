package gemm

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/hwtest"
	"github.com/subquad/subquad/internal/race"
)

var levels = hwtest.Levels

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = r.Float32()*2 - 1
	}
	return x
}

const guard = float32(-12345.5)

// A problem is one product with its operands inside guarded, wider storage.
type problem struct {
	m, n, k       int
	acc, ta, tb   bool
	lda, ldb, ldc int
	a, b, c       []float32
}

func newProblem(r *rand.Rand, m, n, k int, acc, ta, tb bool, extra int) *problem {
	p := &problem{m: m, n: n, k: k, acc: acc, ta: ta, tb: tb}
	ar, ac, br, bc := m, k, k, n
	if ta {
		ar, ac = k, m
	}
	if tb {
		br, bc = n, k
	}
	p.lda, p.ldb, p.ldc = max(1, ac+extra), max(1, bc+2*extra), max(1, n+3*extra)
	// The slices end with the last element, so that reading past it is caught by
	// the checks of Go; NaN in the gaps catches reads that reach the result.
	p.a, p.b = random(r, max(0, (ar-1)*p.lda+ac)), random(r, max(0, (br-1)*p.ldb+bc))
	poison(p.a, ac, p.lda)
	poison(p.b, bc, p.ldb)
	p.c = make([]float32, m*p.ldc+64)
	for i := range p.c {
		p.c[i] = guard
	}
	for i := range m {
		for j := range n {
			p.c[i*p.ldc+j] = float32(math.NaN())
			if acc {
				p.c[i*p.ldc+j] = r.Float32()
			}
		}
	}
	return p
}

func poison(x []float32, width, ld int) {
	for i := range x {
		if i%ld >= width {
			x[i] = float32(math.NaN())
		}
	}
}

// check compares c with the float64 product, given what c held before. The race
// detector would make this loop the whole cost of the tests.
//
//go:norace
func (p *problem) check(t *testing.T, before []float32) {
	t.Helper()
	for i := range p.m {
		for j := range p.n {
			var sum, mag float64
			if p.acc {
				sum = float64(before[i*p.ldc+j])
				mag = math.Abs(sum)
			}
			for q := range p.k {
				ia, ib := i*p.lda+q, q*p.ldb+j
				if p.ta {
					ia = q*p.lda + i
				}
				if p.tb {
					ib = j*p.ldb + q
				}
				v := float64(p.a[ia]) * float64(p.b[ib])
				sum += v
				mag += math.Abs(v)
			}
			bound := float64(p.k+2) * (1.0 / (1 << 24)) * mag
			got := float64(p.c[i*p.ldc+j])
			if !(math.Abs(got-sum) <= bound) {
				t.Fatalf("m=%d n=%d k=%d acc=%v ta=%v tb=%v lda=%d ldb=%d ldc=%d: c[%d,%d] = %g, want %g within %g",
					p.m, p.n, p.k, p.acc, p.ta, p.tb, p.lda, p.ldb, p.ldc, i, j, got, sum, bound)
			}
		}
	}
	for i, v := range p.c {
		if (i/p.ldc >= p.m || i%p.ldc >= p.n) && v != guard {
			t.Fatalf("m=%d n=%d k=%d acc=%v ta=%v tb=%v ldc=%d: guard at %d overwritten with %g", p.m, p.n, p.k, p.acc, p.ta, p.tb, p.ldc, i, v)
		}
	}
}

func (p *problem) mul(workers int) {
	Mul(workers, p.acc, p.ta, p.tb, p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, p.c, p.ldc)
}

// bools are the kinds of a product of a shape; short tests take only three of large shapes.
func bools(s [3]int, f func(acc, ta, tb bool)) {
	for i := range 8 {
		if few(s) && bits.OnesCount(uint(i)) != 1 {
			continue
		}
		f(i&1 != 0, i&2 != 0, i&4 != 0)
	}
}

func few(s [3]int) bool { return testing.Short() && s[0]*s[1]*s[2] > 1<<16 }

func sizes() []int {
	if testing.Short() {
		return []int{1, 3, 4, 5, 8, 13, 17}
	}
	return []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}
}

func TestMulSmall(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, m := range sizes() {
			for _, n := range sizes() {
				for _, k := range sizes() {
					bools([3]int{m, n, k}, func(acc, ta, tb bool) {
						p := newProblem(r, m, n, k, acc, ta, tb, (m+n+k)%3)
						before := append([]float32(nil), p.c...)
						p.mul(1)
						p.check(t, before)
					})
				}
			}
		}
	})
}

// shapes cross every threshold: thin paths, packing, blocks of rows and of k, panels.
var shapes = [][3]int{
	{1, 1, 300}, {1, 33, 65}, {1, 200, 513}, {2, 131, 40}, {3, 64, 700}, {4, 47, 31}, {5, 50, 257}, {7, 95, 129}, {8, 31, 16},
	{9, 70, 520}, {11, 129, 33}, {12, 32, 256}, {13, 33, 257}, {24, 161, 19}, {25, 64, 64}, {49, 70, 300}, {61, 140, 1},
	{300, 1, 40}, {300, 2, 17}, {130, 3, 300}, {77, 4, 31}, {77, 5, 31}, {100, 100, 100}, {64, 64, 64}, {128, 20, 530},
	{481, 37, 20}, {500, 130, 258}, {20, 1000, 3}, {1000, 20, 3}, {5, 7, 1030}, {97, 130, 290}, {64, 96, 820}, {1, 901, 768}, {1, 300, 100}, {1, 64, 300}, {0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {3, 100, 0},
}

func TestMulShapes(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, s := range shapes {
			bools(s, func(acc, ta, tb bool) {
				p := newProblem(r, s[0], s[1], s[2], acc, ta, tb, (s[0]+s[1])%4)
				before := append([]float32(nil), p.c...)
				p.mul(1)
				p.check(t, before)
			})
		}
	})
}

func TestWorkersGiveTheSameBits(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, s := range [][3]int{{1, 9000, 700}, {1, 700, 300}, {300, 300, 300}, {6, 3000, 520}, {4000, 3, 600}, {40, 2100, 260}, {1500, 50, 300}} {
			if testing.Short() && blk.flops < 50 {
				s[2] /= 4 // still several pieces: these levels are expected to be slow
			}
			bools(s, func(acc, ta, tb bool) {
				p := newProblem(r, s[0], s[1], s[2], acc, ta, tb, 1)
				before := append([]float32(nil), p.c...)
				p.mul(1)
				want := append([]float32(nil), p.c...)
				for _, w := range []int{2, 7, 0} {
					copy(p.c, before)
					p.mul(w)
					sameBits(t, p.c, want)
				}
			})
		}
	})
}

func sameBits(t *testing.T, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("element %d: %g (%#x), want %g (%#x)", i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

func TestMulBatch(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, s := range [][4]int{{1, 5, 6, 7}, {3, 17, 33, 20}, {5, 1, 40, 64}, {4, 64, 64, 64}, {3, 130, 140, 150}} {
			count, m, n, k := s[0], s[1], s[2], s[3]
			bools([3]int(s[1:]), func(acc, ta, tb bool) {
				p := newProblem(r, m, n, k, acc, ta, tb, 2)
				sa, sb, sc := len(p.a)+3, 0, len(p.c)+5
				a := random(r, (count-1)*sa+len(p.a))
				c := random(r, (count-1)*sc+len(p.c))
				want := append([]float32(nil), c...)
				for i := range count {
					Mul(1, acc, ta, tb, m, n, k, a[i*sa:], p.lda, p.b, p.ldb, want[i*sc:], p.ldc)
				}
				for _, w := range []int{1, 2, 7} {
					got := append([]float32(nil), c...)
					MulBatch(w, count, acc, ta, tb, m, n, k, a, p.lda, sa, p.b, p.ldb, sb, got, p.ldc, sc)
					sameBits(t, got, want)
				}
			})
		}
	})
}

func toBF16(x float32) uint16 { return uint16(math.Float32bits(x) >> 16) }

// toF16 rounds towards zero; good enough to make test data.
func toF16(x float32) uint16 {
	b := math.Float32bits(x)
	e := int(b>>23&255) - 112
	if e <= 0 {
		return uint16(b >> 16 & 0x8000)
	}
	return uint16(b>>16&0x8000) | uint16(e<<10) | uint16(b>>13&0x3ff)
}

func TestMulHalf(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		// The last four are for tiles: several blocks of each kind, and leftovers.
		all := append(slices.Clone(shapes), [][3]int{{17, 32, 32}, {40, 70, 64}, {33, 96, 288}, {300, 64, 544}}...)
		step := 1
		if testing.Short() {
			step = 3 // the rows take turns with which numbers of terms they have
		}
		for m := 1; m < 10; m++ {
			for k := 1 + m%step; k < 70; k += step {
				all = append(all, [3]int{m, 1 + (m*k)%19, k})
			}
		}
		for _, s := range all {
			for _, f := range []form{formBF16, formF16} {
				for i := range 4 {
					if few(s) && i != 1 {
						continue
					}
					acc, ta := i&1 != 0, i&2 != 0
					p := newProblem(r, s[0], s[1], s[2], acc, ta, true, s[0]%3)
					h := make([]uint16, len(p.b))
					for i, v := range p.b {
						if f == formBF16 {
							h[i] = toBF16(v)
						} else {
							h[i] = toF16(v)
						}
						p.b[i] = widen(f, h[i])
					}
					before := append([]float32(nil), p.c...)
					mul := MulBF16
					if f == formF16 {
						mul = MulF16
					}
					mul(1, acc, ta, p.m, p.n, p.k, p.a, p.lda, h, p.ldb, p.c, p.ldc)
					p.check(t, before)
					want := append([]float32(nil), p.c...)
					copy(p.c, before)
					mul(2, acc, ta, p.m, p.n, p.k, p.a, p.lda, h, p.ldb, p.c, p.ldc)
					sameBits(t, p.c, want)
				}
			}
		}
	})
}

// Every half-precision number, through both the transposing pack and the dot kernels.
func TestWidenEveryHalf(t *testing.T) {
	levels(t, func(t *testing.T) {
		for _, f := range []form{formBF16, formF16} {
			const n = 1 << 16
			h := make([]uint16, n)
			for i := range h {
				h[i] = uint16(i)
			}
			mul := MulBF16
			if f == formF16 {
				mul = MulF16
			}
			one := []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
			got := make([]float32, n)
			mul(1, false, false, 1, n, 1, one, 1, h, 1, got, n)
			for i, g := range got {
				w := widen(f, uint16(i))
				if g != w && !(g != g && w != w) {
					t.Fatalf("form %d, %#x widens to %g, want %g", f, i, g, w)
				}
			}
			// One number a row, the rest zero: as dot products of 16 terms.
			wide := make([]uint16, 16*n)
			for i := range n {
				wide[16*i+i%16] = uint16(i)
			}
			mul(1, false, false, 1, n, 16, one, 16, wide, 16, got, n)
			for i, g := range got {
				w := widen(f, uint16(i))
				if g != w && !(g != g && w != w) {
					t.Fatalf("form %d, dot of %#x is %g, want %g", f, i, g, w)
				}
			}
		}
	})
}

// widenF16 against the definition.
func TestWidenF16(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		e, frac := int(h>>10&31), float64(h&0x3ff)
		var want float64
		switch {
		case e == 0:
			want = math.Ldexp(frac, -24)
		case e == 31 && frac == 0:
			want = math.Inf(1)
		case e == 31:
			want = math.NaN()
		default:
			want = math.Ldexp(1024+frac, e-25)
		}
		if h>>15 != 0 {
			want = -want
		}
		got := float64(widenF16(h))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != (h>>15 != 0) {
			t.Fatalf("%#x widens to %g, want %g", h, got, want)
		}
	}
}

// NaN and Inf reach exactly the elements they belong to.
func TestSpecialValues(t *testing.T) {
	inf := float32(math.Inf(1))
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 16))
		for _, s := range [][3]int{{1, 40, 50}, {5, 9, 20}, {13, 35, 40}, {60, 150, 70}, {200, 3, 33}, {97, 130, 190}} {
			m, n, k := s[0], s[1], s[2]
			bools(s, func(acc, ta, tb bool) {
				p := newProblem(r, m, n, k, acc, ta, tb, 1)
				row, col, q := m/2, n/3, k-1
				ia, ib := row*p.lda+q, q*p.ldb+col
				if ta {
					ia = q*p.lda + row
				}
				if tb {
					ib = col*p.ldb + q
				}
				for _, v := range []float32{float32(math.NaN()), inf, -inf} {
					oldA, oldB := p.a[ia], p.b[ib]
					before := append([]float32(nil), p.c...)
					p.a[ia] = v
					p.mul(1)
					for i := range m {
						for j := range n {
							if got := p.c[i*p.ldc+j]; (got-got != 0) != (i == row) {
								t.Fatalf("%v ta=%v tb=%v: %g in a gives c[%d,%d] = %g", s, ta, tb, v, i, j, got)
							}
						}
					}
					copy(p.c, before)
					p.a[ia], p.b[ib] = oldA, v
					p.mul(1)
					for i := range m {
						for j := range n {
							if got := p.c[i*p.ldc+j]; (got-got != 0) != (j == col) {
								t.Fatalf("%v ta=%v tb=%v: %g in b gives c[%d,%d] = %g", s, ta, tb, v, i, j, got)
							}
						}
					}
					copy(p.c, before)
					p.b[ib] = oldB
				}
			})
		}
	})
}

func TestOneWorkerAllocatesNothing(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for _, s := range [][3]int{{1, 64, 64}, {4, 4, 4}, {3, 200, 100}, {64, 64, 64}, {80, 160, 70}} {
			bools(s, func(acc, ta, tb bool) {
				p := newProblem(r, s[0], s[1], s[2], acc, ta, tb, 0)
				h := make([]uint16, p.n*p.k)
				n := testing.AllocsPerRun(5, func() {
					p.mul(1)
					MulBatch(1, 2, acc, ta, tb, p.m, p.n, p.k, p.a, p.lda, 0, p.b, p.ldb, 0, p.c, p.ldc, 0)
					MulBF16(1, acc, ta, p.m, p.n, p.k, p.a, p.lda, h, p.k, p.c, p.ldc)
				})
				if n != 0 && !race.Enabled { // the race detector allocates
					t.Fatalf("%v ta=%v tb=%v: %g allocations", s, ta, tb, n)
				}
			})
		}
	})
}

// What benchmarks compare with are loops of their own.
func TestLimits(t *testing.T) {
	levels(t, func(t *testing.T) {
		if f, b, all := PeakFLOPS(), ReadBandwidth(4*1000), ReadBandwidths(2, 4*1000); !(f > 1e6 && b > 1e6 && all > 1e6) {
			t.Errorf("%.3g operations and %.3g bytes a second, %.3g by two", f, b, all)
		}
	})
}

func TestMisuse(t *testing.T) {
	x := make([]float32, 100)
	for name, f := range map[string]func(){
		"negative size": func() { Mul(1, false, false, false, -1, 1, 1, x, 1, x, 1, x, 1) },
		"short a":       func() { Mul(1, false, false, false, 10, 2, 11, x, 11, x, 2, x, 2) },
		"short b":       func() { Mul(1, false, false, true, 2, 10, 11, x, 11, x, 11, x, 10) },
		"short c":       func() { Mul(1, false, false, false, 11, 10, 1, x, 1, x, 10, x, 10) },
		"lda":           func() { Mul(1, false, false, false, 2, 2, 5, x, 4, x, 2, x, 2) },
		"ldb":           func() { Mul(1, false, false, false, 2, 5, 2, x, 2, x, 4, x, 5) },
		"ldc":           func() { Mul(1, false, false, false, 2, 5, 2, x, 2, x, 5, x, 4) },
		"batch":         func() { MulBatch(1, 3, false, false, false, 5, 5, 5, x, 5, 40, x, 5, 25, x, 5, 25) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic")
				}
			}()
			f()
		})
	}
}

func BenchmarkMul(b *testing.B) {
	best := hw.Current()
	defer hw.Set(best)
	for _, s := range []struct {
		m, n, k int
		tb      bool
	}{
		{512, 3072, 768, true}, {1024, 1024, 1024, false}, {512, 768, 3072, true}, {512, 512, 512, false}, {256, 256, 256, false},
		{128, 128, 128, false}, {64, 64, 64, false}, {64, 64, 64, true}, {32, 32, 32, false}, {16, 16, 16, true}, {8, 8, 8, false}, {4, 4, 4, false},
		{512, 512, 16, false}, {512, 512, 64, true}, {64, 16, 512, false}, {100, 100, 100, true}, {33, 97, 65, true},
		{1, 3072, 768, true}, {4, 3072, 768, true}, {8, 3072, 768, true}, {16, 3072, 768, true}, {1, 768, 768, false}, {4, 768, 768, false}, {12, 768, 768, false}, {512, 1, 768, false},
	} {
		r := rand.New(rand.NewPCG(1, 1))
		p := newProblem(r, s.m, s.n, s.k, false, false, s.tb, 0)
		for _, l := range hw.Levels() {
			if l == hw.Portable && testing.Short() {
				continue
			}
			layout := "nn"
			if s.tb {
				layout = "nt"
			}
			b.Run(fmt.Sprintf("%dx%dx%d%s/hw=%v", s.m, s.n, s.k, layout, l), func(b *testing.B) {
				hw.Set(l)
				for b.Loop() {
					p.mul(1)
				}
				report(b, 2*float64(s.m)*float64(s.n)*float64(s.k))
			})
		}
	}
}

var peaks = map[hw.Level]float64{}

func report(b *testing.B, flop float64) {
	l := hw.Current()
	if peaks[l] == 0 {
		peaks[l] = PeakFLOPS()
	}
	rate := flop * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e9, "GF/s")
	b.ReportMetric(rate/peaks[l], "peak-frac")
}

// BenchmarkWeights is one row, or 64, against a weight of 3072×768 in each of its forms.
func BenchmarkWeights(b *testing.B) {
	best := hw.Current()
	defer hw.Set(best)
	const n, k = 3072, 768
	r := rand.New(rand.NewPCG(1, 1))
	for _, m := range []int{1, 8, 64} {
		p := newProblem(r, m, n, k, false, false, true, 0)
		h := make([]uint16, n*k)
		for i, v := range p.b {
			h[i] = toF16(v)
		}
		for _, l := range hw.Levels()[1:] {
			hw.Set(l)
			for _, w := range []struct {
				name  string
				bytes int64
				f     func()
			}{
				{"f32", 4, func() { p.mul(1) }},
				{"bf16", 2, func() { MulBF16(1, false, false, m, n, k, p.a, k, h, k, p.c, n) }},
				{"f16", 2, func() { MulF16(1, false, false, m, n, k, p.a, k, h, k, p.c, n) }},
			} {
				b.Run(fmt.Sprintf("m=%d/form=%s/hw=%v", m, w.name, l), func(b *testing.B) {
					hw.Set(l)
					b.SetBytes(w.bytes * n * k)
					for b.Loop() {
						w.f()
					}
					report(b, 2*float64(m)*n*k)
				})
			}
		}
	}
}

func BenchmarkWorkers(b *testing.B) {
	p := newProblem(rand.New(rand.NewPCG(1, 1)), 512, 3072, 768, false, false, true, 0)
	for _, w := range []int{1, 2, 0} {
		b.Run(fmt.Sprintf("workers=%d", w), func(b *testing.B) {
			for b.Loop() {
				p.mul(w)
			}
			report(b, 2*512*3072*768)
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{16 << 10, 512 << 10, 8 << 20, 256 << 20} {
		b.Run(fmt.Sprintf("KB=%d", size>>10), func(b *testing.B) {
			rate := 0.0
			for b.Loop() {
				rate = max(rate, ReadBandwidth(size))
			}
			b.ReportMetric(rate/1e9, "GB/s")
		})
	}
}

func TestTranspose(t *testing.T) {
	levels(t, func(t *testing.T) {
		for _, s := range [][2]int{{1, 1}, {3, 5}, {4, 4}, {5, 16}, {64, 4}, {67, 3}, {130, 17}} {
			rows, cols := s[0], s[1]
			lds, ldd := cols+1, rows+2
			src, dst := random(rand.New(rand.NewPCG(1, 2)), (rows-1)*lds+cols), make([]float32, (cols-1)*ldd+rows)
			for i := range dst {
				dst[i] = guard
			}
			Transpose(rows, cols, src, lds, dst, ldd)
			for i, v := range dst {
				want := guard
				if i%ldd < rows {
					want = src[i%ldd*lds+i/ldd]
				}
				if v != want {
					t.Fatalf("%v: element %d of row %d is %v, want %v", s, i%ldd, i/ldd, v, want)
				}
			}
		}
	})
}
