package fft

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	dft "github.com/subquad/subquad/internal/kernel/fft"
)

// A monarch is FlashFFTConv's decomposition of a splitter: N = N₁N₂…, each
// factor a transform of its own in fast memory. Here factors are runs of
// levels: columns of N₁ rows are gathered, transformed and put back, then the
// same is done within each of the N₁ parts; the last factor goes depth first.
// It is the splitter's work in another order, which nowhere paid: the table is
// in the splitter's comment, from BenchmarkMonarch.
type monarch struct {
	*splitter
	factors [][2]int // first and last level
	tmp     planes
	width   int // floats of a column
}

func newMonarch(s *splitter, order, lanes int) *monarch {
	const width = 128
	m := &monarch{splitter: s, width: width}
	largest, rest := 1, s.n
	for i := 0; i < len(s.levels); {
		left := order - len(m.factors) // factors of about the left-th root of what is left
		j, f := i, s.levels[i].radix
		for j+left < len(s.levels) && (left == 1 || math.Pow(float64(f), float64(left)) < float64(rest)) {
			j++
			f *= s.levels[j].radix
		}
		m.factors = append(m.factors, [2]int{i, j})
		largest, rest, i = max(largest, f), rest/f, j+1
	}
	m.tmp = planes{make([]float32, largest*width+64), make([]float32, largest*width)}
	return m
}

func (m *monarch) run(factor, block int, x planes, lanes int, inverse bool) {
	first, last := m.factors[factor][0], m.factors[factor][1]
	if factor == len(m.factors)-1 {
		if inverse {
			m.ascend(first, block, 1, x, lanes)
		} else {
			m.descend(first, block, 1, x, lanes)
		}
		return
	}
	rows := m.levels[last].m
	top := m.levels[first].radix * m.levels[first].m
	r, w := top/rows, rows*lanes
	if inverse {
		for c := range r {
			m.run(factor+1, block*r+c, x.at(c*w), lanes, true)
		}
	}
	for o := 0; o < w; o += m.width {
		n := min(m.width, w-o)
		dft.CopyRows(r, n, m.tmp.re, n, x.re[o:], w)
		dft.CopyRows(r, n, m.tmp.im, n, x.im[o:], w)
		for l := first; l <= last; l++ {
			i := l
			if inverse {
				i = last - (l - first)
			}
			lv := &m.levels[i]
			g := top / (lv.radix * lv.m)
			if inverse {
				lv.inverse(block*g, g, lv.m/rows*n, m.tmp)
			} else {
				lv.forward(block*g, g, lv.m/rows*n, m.tmp)
			}
		}
		dft.CopyRows(r, n, x.re[o:], w, m.tmp.re, n)
		dft.CopyRows(r, n, x.im[o:], w, m.tmp.im, n)
	}
	if !inverse {
		for c := range r {
			m.run(factor+1, block*r+c, x.at(c*w), lanes, false)
		}
	}
}

// Orders 1 to 4 are the discrete Fourier transform, and their inverses undo it.
func TestMonarch(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		for _, n := range []int{1024, 2048, 4096} {
			s, _ := newSplitter(n, 0)
			for order := 1; order <= 4; order++ {
				const lanes = 3
				x := planes{noise(r, n*lanes), noise(r, n*lanes)}
				was := planes{append([]float32(nil), x.re...), append([]float32(nil), x.im...)}
				m := newMonarch(s, order, lanes)
				if len(m.factors) != order {
					t.Fatalf("n %d: factors %v, want %d", n, m.factors, order)
				}
				m.run(0, 0, x, lanes, false)
				want := parts(dft64(was.re, was.im, lanes, 1))
				got := make([]float32, 2*n)
				for i, turn := range s.turns {
					k := int(math.Round(turn*float64(n))) % n
					got[k], got[n+k] = x.re[i*lanes+1], x.im[i*lanes+1]
				}
				near(t, fmt.Sprintf("n %d order %d", n, order), got, want, tolerance)
				m.run(0, 0, x, lanes, true)
				scaleBy(x, 1/float32(n))
				near(t, fmt.Sprintf("n %d order %d there and back", n, order), append(x.re, x.im...), append(wide(was.re), wide(was.im)...), tolerance)
			}
		}
	})
}

// There and back, of as many channels as are worked on at once.
func BenchmarkMonarch(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := 1 << 10; n <= 1<<20; n *= 4 {
		for order := 1; order <= 4; order++ {
			lanes := laneBlock(n, 64)
			b.Run(fmt.Sprintf("n=%d/channels=%d/order=%d", n, lanes, order), func(b *testing.B) {
				x := planes{noise(r, n*lanes), noise(r, n*lanes)}
				m := newMonarch(ring(n), order, lanes)
				for b.Loop() {
					m.run(0, 0, x, lanes, false)
					m.run(0, 0, x, lanes, true)
					scaleBy(x, 1/float32(n))
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n*lanes), "ns/point")
			})
		}
	}
}
