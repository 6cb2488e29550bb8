package fft

import (
	"math"
	"math/bits"
	"sync"

	dft "github.com/subquad/subquad/internal/kernel/fft"
)

// Working sets, in bytes of both planes: passes over more than l1Bytes are made
// one block at a time (depth first), so that the passes below find their data
// in the first cache; channel blocks aim at l2Bytes.
const (
	l1Bytes = 32 << 10
	l2Bytes = 512 << 10
)

// A splitter takes polynomials of n coefficients modulo z^n − e^(−2πiθ) to
// their values at its n roots, in place, in the order that the radices leave
// (see the package comment of internal/kernel/fft), and back.
//
// Levels are made depth first: each part is finished once it fits the first
// cache. The other way to save passes over memory is Monarch's (FlashFFTConv,
// arXiv 2311.05908): N = N₁N₂…, p factors whose columns are gathered in fast
// memory. There, matrix units make large factors cheap; here, copying columns
// costs more than the passes that it saves, at every size. Nanoseconds per
// point and channel, there and back (BenchmarkMonarch, one core of Zen 5):
//
//	N                 1k    4k    16k   64k   256k  1M
//	depth first       0.49  0.60  0.79  0.94  1.85  2.51
//	Monarch, order 2  1.14  1.12  1.42  1.43  2.86  3.28
//	order 3           1.33  1.77  2.10  2.21  2.85  3.48
//	order 4           1.74  2.21  2.33  2.40  3.63  4.21
//
// So the orders live in the tests, and transforms are not given a choice. A
// first factor of 4 to 256, for the passes that leave the cache alone, is no
// better (1M points, columns of 64 to 1024 floats: 2.8 to 3.2).
type splitter struct {
	n      int
	levels []level
	turns  []float64 // the roots in order: value i is at z = e^(−2πi turns[i])
}

type level struct {
	radix  int
	m      int       // rows of a stream
	tw     []float32 // radix 2 and 8: t; radix 4: t, t², t³ of each block
	t4     []float32 // radix 8: t, t², t³ of each half block
	matrix []float32 // other radices: radix×radix complex for each block
}

// maxRadix is the largest prime that has its own level; a length with a larger
// prime factor goes through Bluestein's convolution.
const maxRadix = 31

// radices factors n: odd primes first, where their few blocks need few
// matrices, then fours, then eights, whose 16 streams only suit short strides
// (in larger ones they would fall into one set of the first cache).
func radices(n int) (r []int, ok bool) {
	for p := 3; p <= maxRadix; p += 2 {
		for n%p == 0 {
			r = append(r, p)
			n /= p
		}
	}
	if n&(n-1) != 0 {
		return nil, false
	}
	b := bits.Len(uint(n)) - 1
	if b == 1 {
		return append(r, 2), true
	}
	eights := 0
	switch {
	case b%2 == 1:
		eights = 1
	case b >= 6:
		eights = 2
	}
	for range (b - 3*eights) / 2 {
		r = append(r, 4)
	}
	for range eights {
		r = append(r, 8)
	}
	return r, true
}

func unit(turns float64) (re, im float32) {
	s, c := math.Sincos(-2 * math.Pi * (turns - math.Floor(turns)))
	return float32(c), float32(s)
}

func newSplitter(n int, theta float64) (*splitter, bool) {
	rs, ok := radices(n)
	if !ok {
		return nil, false
	}
	s := &splitter{n: n, turns: []float64{theta}}
	m := n
	add := func(to []float32, turns float64, powers int) []float32 {
		for p := 1; p <= powers; p++ {
			re, im := unit(turns * float64(p))
			to = append(to, re, im)
		}
		return to
	}
	for _, r := range rs {
		m /= r
		lv := level{radix: r, m: m}
		next := make([]float64, 0, len(s.turns)*r)
		four := func(theta float64) {
			t := theta / 4
			next = append(next, t, t+0.5, t+0.25, t+0.75)
		}
		for _, theta := range s.turns {
			switch r {
			case 2:
				lv.tw = add(lv.tw, theta/2, 1)
				next = append(next, theta/2, theta/2+0.5)
			case 4:
				lv.tw = add(lv.tw, theta/4, 3)
				four(theta)
			case 8:
				lv.tw = add(lv.tw, theta/2, 1)
				for _, half := range []float64{theta / 2, theta/2 + 0.5} {
					lv.t4 = add(lv.t4, half/4, 3)
					four(half)
				}
			default:
				for k := range r {
					t := (theta + float64(k)) / float64(r)
					next = append(next, t)
					for j := range r {
						lv.matrix = add(lv.matrix, t*float64(j), 1)
					}
				}
			}
		}
		s.levels = append(s.levels, lv)
		s.turns = next
	}
	return s, true
}

// odd is the number of leading levels that work out of place.
func (s *splitter) odd() int {
	for i := range s.levels {
		if s.levels[i].matrix == nil {
			return i
		}
	}
	return len(s.levels)
}

// planes are the real and imaginary parts of rows of lanes.
type planes struct{ re, im []float32 }

func (p planes) at(o int) planes { return planes{p.re[o:], p.im[o:]} }

// swap exchanges the parts: the transform of swapped data, swapped, is n times the inverse.
func (p planes) swap() planes { return planes{p.im, p.re} }

// forward takes x, with y as scratch when the length has odd factors, to its
// values; it returns where they are.
func (s *splitter) forward(x, y planes, lanes int) planes {
	odd, blocks := s.odd(), 1
	for _, lv := range s.levels[:odd] {
		w := lv.m * lanes
		for b := range blocks {
			o := b * lv.radix * w
			dft.DFT(lv.radix, w, w, y.re[o:], y.im[o:], x.re[o:], x.im[o:], lv.matrix[2*lv.radix*lv.radix*b:])
		}
		x, y = y, x
		blocks *= lv.radix
	}
	s.descend(odd, 0, blocks, x, lanes)
	return x
}

func (s *splitter) descend(i, block, blocks int, x planes, lanes int) {
	if i == len(s.levels) {
		return
	}
	lv := &s.levels[i]
	w := lv.m * lanes
	size := lv.radix * w
	if size*8 > l1Bytes {
		for b := range blocks {
			lv.forward(block+b, 1, w, x.at(b*size))
			s.descend(i+1, (block+b)*lv.radix, lv.radix, x.at(b*size), lanes)
		}
		return
	}
	group := l1Bytes / (8 * size)
	for b := 0; b < blocks; b += group {
		g := min(group, blocks-b)
		first, part := block+b, x.at(b*size)
		for j := i; j < len(s.levels); j++ {
			lv := &s.levels[j]
			lv.forward(first, g, lv.m*lanes, part)
			first, g = first*lv.radix, g*lv.radix
		}
	}
}

// inverse undoes forward, times n; the length must be a power of two.
func (s *splitter) inverse(x planes, lanes int) { s.ascend(0, 0, 1, x, lanes) }

func (s *splitter) ascend(i, block, blocks int, x planes, lanes int) {
	if i == len(s.levels) {
		return
	}
	lv := &s.levels[i]
	w := lv.m * lanes
	size := lv.radix * w
	if size*8 > l1Bytes {
		for b := range blocks {
			s.ascend(i+1, (block+b)*lv.radix, lv.radix, x.at(b*size), lanes)
			lv.inverse(block+b, 1, w, x.at(b*size))
		}
		return
	}
	group := l1Bytes / (8 * size)
	for b := 0; b < blocks; b += group {
		g := min(group, blocks-b)
		part := x.at(b * size)
		for j := len(s.levels) - 1; j >= i; j-- {
			l := &s.levels[j]
			times := lv.radix * lv.m / (l.radix * l.m)
			l.inverse((block+b)*times, g*times, l.m*lanes, part)
		}
	}
}

func (lv *level) forward(block, blocks, w int, x planes) {
	switch lv.radix {
	case 2:
		dft.Fwd2(blocks, w, w, x.re, x.im, lv.tw[2*block:])
	case 4:
		dft.Fwd4(blocks, w, w, x.re, x.im, lv.tw[6*block:])
	case 8:
		dft.Fwd8(blocks, w, w, x.re, x.im, lv.tw[2*block:], lv.t4[12*block:])
	}
}

func (lv *level) inverse(block, blocks, w int, x planes) {
	switch lv.radix {
	case 2:
		dft.Inv2(blocks, w, w, x.re, x.im, lv.tw[2*block:])
	case 4:
		dft.Inv4(blocks, w, w, x.re, x.im, lv.tw[6*block:])
	case 8:
		dft.Inv8(blocks, w, w, x.re, x.im, lv.tw[2*block:], lv.t4[12*block:])
	}
}

// laneBlock is how many channels of rows rows are worked on at a time.
func laneBlock(rows, channels int) int {
	l := l2Bytes / (8 * max(rows, 1)) &^ 15
	return min(channels, max(16, min(l, 64)))
}

// scratch memory, reused between calls.
type scratch struct{ buf []float32 }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// takeScratch hands out n uninitialised floats; put gives them back.
func takeScratch(n int) *scratch {
	s := scratches.Get().(*scratch)
	if cap(s.buf) < n {
		s.buf = make([]float32, n)
	}
	s.buf = s.buf[:n]
	return s
}

func (s *scratch) put() {
	if s != nil {
		scratches.Put(s)
	}
}

// pair is the i-th pair of planes of size floats each. Planes are a few cache
// lines longer than their data, so that the two do not compete for one set.
func (s *scratch) pair(i, size int) planes {
	step := padded(size)
	o := 2 * i * step
	return planes{s.buf[o : o+size], s.buf[o+step : o+step+size]}
}

func padded(size int) int { return (size+15)&^15 + 48 }
