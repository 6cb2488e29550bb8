package fft

import (
	"fmt"

	dft "github.com/subquad/subquad/internal/kernel/fft"
)

// A RealPlan transforms real sequences of one length. Rows 2j and 2j+1 of the
// channels-last layout are the real and imaginary part of a complex sequence
// of half the length, so for even n packing them costs nothing.
type RealPlan struct {
	n       int
	p       *Plan     // of n/2 points, of n for odd n
	twiddle []float32 // even n: −i e^(−2πi k/n), k ≤ n/4, re and im interleaved
}

// NewRealPlan plans transforms of n real points, 1 ≤ n ≤ MaxLen.
func NewRealPlan(n int) (*RealPlan, error) {
	if n < 1 || n > MaxLen {
		return nil, fmt.Errorf("fft: length %d, want 1 to %d", n, MaxLen)
	}
	r := &RealPlan{n: n}
	m := n
	if n%2 == 0 {
		m = n / 2
		for k := range m/2 + 1 {
			re, im := unit(float64(k)/float64(n) + 0.25)
			r.twiddle = append(r.twiddle, re, im)
		}
	}
	p, err := NewPlan(m)
	r.p = p
	return r, err
}

// Len is the number of real points.
func (r *RealPlan) Len() int { return r.n }

// Bins is the number of frequencies, n/2+1; the others are conjugates of these.
func (r *RealPlan) Bins() int { return r.n/2 + 1 }

func (r *RealPlan) check(op string, x, re, im []float32, channels int) {
	checkLen(op, "x", len(x), r.n, channels)
	checkLen(op, "re", len(re), r.Bins(), channels)
	checkLen(op, "im", len(im), r.Bins(), channels)
}

// Forward puts the transform of x, [n][channels], into re and im, [n/2+1][channels]. x is not changed.
func (r *RealPlan) Forward(re, im, x []float32, channels int) {
	r.check("RealPlan.Forward", x, re, im, channels)
	l := laneBlock(r.p.rows(), channels)
	eachBlock(0, channels, l, r.p.cost(l), func(c, lanes int) {
		buf := takeScratch(r.p.scratch(lanes))
		a := r.p.a(buf, lanes)
		if r.n%2 == 1 {
			dft.CopyRows(r.n, lanes, a.re, lanes, x[c:], channels)
			clear(a.im[:r.n*lanes])
			r.p.out(planes{re[c:], im[c:]}, channels, r.p.transform(buf, lanes), lanes, r.Bins(), 1)
		} else {
			h := r.n / 2
			dft.CopyRows(h, lanes, a.re, lanes, x[c:], 2*channels)
			dft.CopyRows(h, lanes, a.im, lanes, x[channels+c:], 2*channels)
			r.split(planes{re[c:], im[c:]}, channels, r.p.transform(buf, lanes), lanes)
		}
		buf.put()
	})
}

// split makes X of the transform Z of x[2j] + i·x[2j+1]: with E and O the
// transforms of even and odd points, X[k] = E[k] + w^k O[k].
func (r *RealPlan) split(x planes, channels int, z planes, lanes int) {
	h := r.n / 2
	a := z.at(r.row(0) * lanes)
	b := x.at(h * channels)
	for c := range lanes {
		e, o := a.re[c], a.im[c]
		x.re[c], x.im[c], b.re[c], b.im[c] = e+o, 0, e-o, 0
	}
	for k := 1; 2*k <= h; k++ {
		a, b := z.at(r.row(k)*lanes), z.at(r.row(h-k)*lanes)
		p, q := x.at(k*channels), x.at((h-k)*channels)
		dft.Pair(p.re[:lanes], p.im, q.re, q.im, a.re, a.im, b.re, b.im, r.twiddle[2*k], r.twiddle[2*k+1])
	}
}

// row is where the plan leaves frequency k.
func (r *RealPlan) row(k int) int {
	if r.p.index == nil {
		return k
	}
	return int(r.p.index[k])
}

// Inverse undoes Forward (it divides by n): x, [n][channels], from re and im,
// [n/2+1][channels], which are not changed. The imaginary parts of frequency 0
// and, for even n, n/2 count as zero, as they are for every real sequence.
func (r *RealPlan) Inverse(x, re, im []float32, channels int) {
	r.check("RealPlan.Inverse", x, re, im, channels)
	l := laneBlock(r.p.rows(), channels)
	eachBlock(0, channels, l, r.p.cost(l), func(c, lanes int) {
		buf := takeScratch(r.p.scratch(lanes))
		a := r.p.a(buf, lanes).swap() // a forward transform of swapped parts is an inverse one
		in := planes{re[c:], im[c:]}
		if r.n%2 == 1 {
			r.mirror(a, in, channels, lanes)
			y := r.p.transform(buf, lanes)
			r.p.outReal(x[c:], channels, y.im, lanes, 1/float32(r.n))
		} else {
			r.join(a, in, channels, lanes)
			y := r.p.transform(buf, lanes).swap()
			r.p.out(planes{x[c:], x[channels+c:]}, 2*channels, y, lanes, r.n/2, 2/float32(r.n))
		}
		buf.put()
	})
}

// mirror fills all n frequencies from the first n/2+1, n odd.
func (r *RealPlan) mirror(a, in planes, channels, lanes int) {
	for k := range r.Bins() {
		p, q := a.at(k*lanes), a.at((r.n-k)%r.n*lanes)
		s := in.at(k * channels)
		for c := range lanes {
			p.re[c], p.im[c] = s.re[c], s.im[c]
			if k == 0 {
				p.im[c] = 0
				continue
			}
			q.re[c], q.im[c] = s.re[c], -s.im[c]
		}
	}
}

// join undoes split.
func (r *RealPlan) join(z, x planes, channels, lanes int) {
	h := r.n / 2
	b := x.at(h * channels)
	for c := range lanes {
		s, d := x.re[c], b.re[c]
		z.re[c], z.im[c] = (s+d)/2, (s-d)/2
	}
	for k := 1; 2*k <= h; k++ {
		a, b := x.at(k*channels), x.at((h-k)*channels)
		p, q := z.at(k*lanes), z.at((h-k)*lanes)
		dft.Pair(p.re[:lanes], p.im, q.re, q.im, a.re, a.im, b.re, b.im, r.twiddle[2*k], -r.twiddle[2*k+1])
	}
}

// outReal is out for one plane.
func (p *Plan) outReal(x []float32, channels int, y []float32, lanes int, scale float32) {
	if p.index != nil {
		dft.GatherRows(lanes, x, channels, y, lanes, p.index, scale)
		return
	}
	for i := range p.n {
		for c := range lanes {
			x[i*channels+c] = y[i*lanes+c] * scale
		}
	}
}
