package fft

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/hw"
	dft "github.com/subquad/subquad/internal/kernel/fft"
)

// MaxLen is the longest transform.
const MaxLen = 1 << 27

// A Plan transforms complex sequences of one length. Lengths whose prime
// factors are at most 31 are split directly (powers of two fastest), others
// become a convolution of the next power of two from 2n−1 (Bluestein 1970).
type Plan struct {
	n     int
	s     *splitter
	index []int32 // where the splitter leaves frequency k

	// Bluestein: x[j] c[j] convolved with conj(c), times c, c[j] = e^(−πi j²/n).
	chirp    []float32 // c, re and im interleaved
	spectrum []float32 // of conj(c), over m, in the splitter's order
}

// NewPlan plans transforms of n points, 1 ≤ n ≤ MaxLen.
func NewPlan(n int) (*Plan, error) {
	if n < 1 || n > MaxLen {
		return nil, fmt.Errorf("fft: length %d, want 1 to %d", n, MaxLen)
	}
	p := &Plan{n: n}
	if s, ok := newSplitter(n, 0); ok {
		p.s, p.index = s, make([]int32, n)
		for i, t := range s.turns {
			p.index[int(math.Round(t*float64(n)))%n] = int32(i)
		}
		s.turns = nil
		return p, nil
	}
	p.bluestein()
	return p, nil
}

func (p *Plan) bluestein() {
	m := ceilPow2(2*p.n - 1)
	p.s, _ = newSplitter(m, 0)
	c := make([]complex128, m)
	for j := range p.n {
		s, co := math.Sincos(-math.Pi * float64(uint64(j)*uint64(j)%uint64(2*p.n)) / float64(p.n))
		p.chirp = append(p.chirp, float32(co), float32(s))
		c[j] = complex(co, -s)
		c[(m-j)%m] = c[j]
	}
	fft64(c)
	for _, t := range p.s.turns {
		v := c[int(math.Round(t*float64(m)))%m]
		p.spectrum = append(p.spectrum, float32(real(v)/float64(m)), float32(imag(v)/float64(m)))
	}
	p.s.turns = nil
}

// fft64 is the plain transform of a power of two, in float64, for building plans.
func fft64(x []complex128) {
	n := len(x)
	if n == 1 {
		return
	}
	even, odd := make([]complex128, n/2), make([]complex128, n/2)
	for i := range even {
		even[i], odd[i] = x[2*i], x[2*i+1]
	}
	fft64(even)
	fft64(odd)
	for k := range even {
		s, c := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
		t := complex(c, s) * odd[k]
		x[k], x[k+n/2] = even[k]+t, even[k]-t
	}
}

func ceilPow2(n int) int {
	m := 1
	for m < n {
		m *= 2
	}
	return m
}

// Len is the number of points.
func (p *Plan) Len() int { return p.n }

// Forward replaces the sequences re + i·im, [n][channels] each, by their
// transforms. Both slices must hold n·channels values.
func (p *Plan) Forward(re, im []float32, channels int) {
	checkLen("Plan.Forward", "re", len(re), p.n, channels)
	checkLen("Plan.Forward", "im", len(im), p.n, channels)
	p.all(planes{re, im}, channels, 1)
}

// Inverse undoes Forward (it divides by n).
func (p *Plan) Inverse(re, im []float32, channels int) {
	checkLen("Plan.Inverse", "re", len(re), p.n, channels)
	checkLen("Plan.Inverse", "im", len(im), p.n, channels)
	p.all(planes{im, re}, channels, 1/float32(p.n))
}

func checkLen(op, arg string, got, rows, channels int) {
	if channels < 0 || got != rows*channels {
		panic(fmt.Sprintf("fft: %s: %s has %d values, want %d of %d channels", op, arg, got, rows, channels))
	}
}

func (p *Plan) all(x planes, channels int, scale float32) {
	l := laneBlock(p.rows(), channels)
	eachBlock(0, channels, l, p.cost(l), func(c, lanes int) {
		buf := takeScratch(p.scratch(lanes))
		a := p.a(buf, lanes)
		dft.CopyRows(p.n, lanes, a.re, lanes, x.re[c:], channels)
		dft.CopyRows(p.n, lanes, a.im, lanes, x.im[c:], channels)
		p.out(x.at(c), channels, p.transform(buf, lanes), lanes, p.n, scale)
		buf.put()
	})
}

// eachBlock calls f for blocks of at most l channels, on several goroutines when ns, the time of one, is worth it.
func eachBlock(workers, channels, l int, ns float64, f func(c, lanes int)) {
	if channels == 0 {
		return
	}
	blocks := (channels + l - 1) / l
	one := func(i int) { f(i*l, min(l, channels-i*l)) }
	if hw.Tasks(workers, blocks, ns) == 1 {
		workers = 1
	}
	hw.Parallel(workers, blocks, one)
}

// cost estimates the nanoseconds of one transform of l channels.
func (p *Plan) cost(l int) float64 {
	n := float64(p.rows())
	return 0.1 * n * math.Log2(n+1) * float64(l)
}

// rows is the length of the splitter's work.
func (p *Plan) rows() int { return p.s.n }

// scratch is the memory that transform needs.
func (p *Plan) scratch(lanes int) int {
	n := padded(p.s.n*lanes) * 2
	if p.s.odd() > 0 {
		n *= 2
	}
	return n
}

// a is where transform takes its input from, n rows of lanes.
func (p *Plan) a(buf *scratch, lanes int) planes { return buf.pair(0, p.s.n*lanes) }

// transform works on p.a(buf, lanes) and returns the planes of the result, in
// the order of p.index (natural if nil).
func (p *Plan) transform(buf *scratch, lanes int) planes {
	x := p.a(buf, lanes)
	if p.chirp == nil {
		y := x
		if p.s.odd() > 0 {
			y = buf.pair(1, p.s.n*lanes)
		}
		return p.s.forward(x, y, lanes)
	}
	m := p.n * lanes
	scaleRows(x, p.chirp, lanes)
	clear(x.re[m:])
	clear(x.im[m:])
	p.s.forward(x, x, lanes)
	scaleRows(x, p.spectrum, lanes)
	p.s.inverse(x, lanes)
	scaleRows(x, p.chirp, lanes)
	return x
}

// scaleRows multiplies each row by its complex factor.
func scaleRows(x planes, factors []float32, lanes int) {
	for i := 0; i < len(factors); i += 2 {
		o := i / 2 * lanes
		r, m := x.re[o:], x.im[o:]
		dft.DFT(1, lanes, lanes, r, m, r, m, factors[i:])
	}
}

// out stores the first rows frequencies of the result y, times scale.
func (p *Plan) out(x planes, channels int, y planes, lanes, rows int, scale float32) {
	if p.index != nil {
		dft.GatherRows(lanes, x.re, channels, y.re, lanes, p.index[:rows], scale)
		dft.GatherRows(lanes, x.im, channels, y.im, lanes, p.index[:rows], scale)
		return
	}
	if scale != 1 {
		f := [2]float32{scale, 0}
		dft.DFT(1, rows*lanes, rows*lanes, y.re, y.im, y.re, y.im, f[:])
	}
	dft.CopyRows(rows, lanes, x.re, channels, y.re, lanes)
	dft.CopyRows(rows, lanes, x.im, channels, y.im, lanes)
}
