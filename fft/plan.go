// Package fft has Fourier transforms of any length and the causal long
// convolution that is built on them.
//
// Data are laid out channels-last: a transform of length n works on n rows of
// C channels each, all channels at once, so that inner loops run along rows.
package fft

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
)

// MaxLen is the longest transform.
const MaxLen = 1 << 26

// A Plan holds what transforms of one length need. It is safe for concurrent use.
type Plan struct {
	n       int
	factors []int
	cos     []float32 // of 2πk/n, k < n
	sin     []float32
	chirp   *chirp // for lengths with a prime factor above 7
}


var plans sync.Map // int → *Plan

// NewPlan makes a plan for n points, 1 to MaxLen; plans are made once and shared.
func NewPlan(n int) (*Plan, error) {
	if n < 1 || n > MaxLen {
		return nil, fmt.Errorf("fft: length %d: want 1 to %d", n, MaxLen)
	}
	if p, ok := plans.Load(n); ok {
		return p.(*Plan), nil
	}
	p := &Plan{n: n}
	rest := n
	for _, r := range []int{4, 2, 3, 5, 7} {
		for rest%r == 0 {
			p.factors = append(p.factors, r)
			rest /= r
		}
	}
	if rest > 1 {
		p.factors = nil
		p.chirp = newChirp(n)
	} else {
		p.cos, p.sin = make([]float32, n), make([]float32, n)
		for k := range n {
			s, c := sincos(k, n)
			p.cos[k], p.sin[k] = float32(c), float32(s)
		}
	}
	shared, _ := plans.LoadOrStore(n, p)
	return shared.(*Plan), nil
}

// sincos is that of 2πk/n, from an angle of at most π/4 so that no digits are lost.
func sincos(k, n int) (sin, cos float64) {
	octant := 8 * k / n
	switch octant {
	case 0:
		return math.Sincos(2 * math.Pi * float64(k) / float64(n))
	case 1, 2:
		s, c := math.Sincos(2 * math.Pi * (float64(k) - float64(n)/4) / float64(n))
		return c, -s
	case 3, 4:
		s, c := math.Sincos(2 * math.Pi * (float64(k) - float64(n)/2) / float64(n))
		return -s, -c
	case 5, 6:
		s, c := math.Sincos(2 * math.Pi * (float64(k) - 3*float64(n)/4) / float64(n))
		return -c, s
	}
	return math.Sincos(2 * math.Pi * float64(k-n) / float64(n))
}

// Len is the number of points.
func (p *Plan) Len() int { return p.n }

// Forward replaces the n rows of channels values in re and im by their
// transforms X_k = Σ_j x_j e^{−2πi jk/n}, unnormalised.
func (p *Plan) Forward(re, im []float32, channels int) { p.transform(re, im, channels, false) }

// Inverse replaces rows by x_j = (1/n) Σ_k X_k e^{2πi jk/n}.
func (p *Plan) Inverse(re, im []float32, channels int) {
	p.transform(im, re, channels, true) // exchanging the parts conjugates both sides
}

var scratch = sync.Pool{New: func() any { return new([]float32) }}

func (p *Plan) transform(re, im []float32, C int, inverse bool) {
	size := p.n * C
	if len(re) < size || len(im) < size || C < 0 {
		panic(fmt.Sprintf("fft: re and im have %d and %d values: want %d rows of %d", len(re), len(im), p.n, C))
	}
	re, im = re[:size], im[:size]
	if size > 0 && p.n > 1 {
		if p.chirp != nil {
			p.chirp.transform(re, im, C)
		} else {
			mem := scratch.Get().(*[]float32)
			if len(*mem) < 2*size {
				*mem = make([]float32, 2*size)
			}
			p.passes(re, im, (*mem)[:size], (*mem)[size:2*size], C)
			scratch.Put(mem)
		}
	}
	if inverse {
		scale := 1 / float32(p.n)
		for i := range re {
			re[i] *= scale
			im[i] *= scale
		}
	}
}

// passes runs one Stockham pass per factor, from one buffer to the other (G. D.
// Bergland's autosort form, as in "Computational Frameworks for the FFT", van
// Loan 1992): with n = r·m points left in s interleaved transforms,
//
//	y[(r p + j) s + q] = w^{pj} Σ_k x[(p + m k) s + q] e^{−2πi jk/r},   w = e^{−2πi/(r m)}
func (p *Plan) passes(re, im, tr, ti []float32, C int) {
	n, s := p.n, 1
	xr, xi, yr, yi := re, im, tr, ti
	for _, r := range p.factors {
		m := n / r
		row := s * C
		for q := range m {
			in := q * row
			out := r * q * row
			step := m * row
			switch r {
			case 2:
				c, w := p.cos[q*s], -p.sin[q*s]
				radix2(yr[out:], yi[out:], xr[in:], xi[in:], step, row, c, w)
			case 4:
				p.radix4(yr[out:], yi[out:], xr[in:], xi[in:], step, row, q*s)
			default:
				p.radix(r, yr[out:], yi[out:], xr[in:], xi[in:], step, row, q*s)
			}
		}
		n, s = m, s*r
		xr, xi, yr, yi = yr, yi, xr, xi
	}
	if len(p.factors)%2 == 1 {
		copy(re, xr)
		copy(im, xi)
	}
}

func radix2(yr, yi, xr, xi []float32, step, row int, c, w float32) {
	a, b := xr[:row], xr[step:][:row]
	ai, bi := xi[:row], xi[step:][:row]
	y0, y1 := yr[:row], yr[row:][:row]
	z0, z1 := yi[:row], yi[row:][:row]
	for i := range y0 {
		dr, di := a[i]-b[i], ai[i]-bi[i]
		y0[i], z0[i] = a[i]+b[i], ai[i]+bi[i]
		y1[i], z1[i] = dr*c-di*w, dr*w+di*c
	}
}

func (p *Plan) radix4(yr, yi, xr, xi []float32, step, row, k int) {
	c1, w1 := p.cos[k], -p.sin[k]
	c2, w2 := p.cos[2*k], -p.sin[2*k]
	c3, w3 := p.cos[3*k], -p.sin[3*k]
	a, b, c, d := xr[:row], xr[step:][:row], xr[2*step:][:row], xr[3*step:][:row]
	ai, bi, ci, di := xi[:row], xi[step:][:row], xi[2*step:][:row], xi[3*step:][:row]
	y0, y1, y2, y3 := yr[:row], yr[row:][:row], yr[2*row:][:row], yr[3*row:][:row]
	z0, z1, z2, z3 := yi[:row], yi[row:][:row], yi[2*row:][:row], yi[3*row:][:row]
	for i := range y0 {
		sr, si := a[i]+c[i], ai[i]+ci[i]
		tr, ti := a[i]-c[i], ai[i]-ci[i]
		ur, ui := b[i]+d[i], bi[i]+di[i]
		vr, vi := bi[i]-di[i], d[i]-b[i] // −i (b − d)
		y0[i], z0[i] = sr+ur, si+ui
		pr, pi := tr+vr, ti+vi
		y1[i], z1[i] = pr*c1-pi*w1, pr*w1+pi*c1
		pr, pi = sr-ur, si-ui
		y2[i], z2[i] = pr*c2-pi*w2, pr*w2+pi*c2
		pr, pi = tr-vr, ti-vi
		y3[i], z3[i] = pr*c3-pi*w3, pr*w3+pi*c3
	}
}

func (p *Plan) radix(r int, yr, yi, xr, xi []float32, step, row, k int) {
	for j := range r {
		y, z := yr[j*row:][:row], yi[j*row:][:row]
		copy(y, xr[:row])
		copy(z, xi[:row])
		for l := 1; l < r; l++ {
			t := j * l % r * (p.n / r)
			c, w := p.cos[t], -p.sin[t]
			a, b := xr[l*step:][:row], xi[l*step:][:row]
			for i := range y {
				y[i] += a[i]*c - b[i]*w
				z[i] += a[i]*w + b[i]*c
			}
		}
		if t := k * j % p.n; t > 0 {
			c, w := p.cos[t], -p.sin[t]
			for i := range y {
				y[i], z[i] = y[i]*c-z[i]*w, y[i]*w+z[i]*c
			}
		}
	}
}

// chirp is Bluestein's algorithm: with jk = (j² + k² − (k−j)²)/2 a transform of
// any length is a convolution with a chirp, done at a power of two.
type chirp struct {
	n        int
	long     *Plan
	cos, sin []float32 // of πj²/n
	re, im   []float32 // transform of the conjugate chirp
}

func newChirp(n int) *chirp {
	size := 1 << bits.Len(uint(2*n-2))
	long, err := NewPlan(size)
	if err != nil { // n is at most MaxLen, of which no power of two above is
		long, _ = NewPlan(MaxLen)
		size = MaxLen
	}
	c := &chirp{n: n, long: long, cos: make([]float32, n), sin: make([]float32, n), re: make([]float32, size), im: make([]float32, size)}
	for j := range n {
		k := int(uint64(j) * uint64(j) % uint64(2*n)) // j² mod 2n keeps the angle small
		s, co := sincos(k, 2*n)
		c.cos[j], c.sin[j] = float32(co), float32(s)
		for _, at := range []int{j, (size - j) % size} {
			c.re[at], c.im[at] = float32(co), float32(s)
		}
	}
	long.Forward(c.re, c.im, 1)
	return c
}

func (c *chirp) transform(re, im []float32, C int) {
	size := c.long.n
	a, b := make([]float32, size*C), make([]float32, size*C)
	for j := range c.n {
		cos, sin := c.cos[j], c.sin[j]
		for i := j * C; i < (j+1)*C; i++ { // times e^{−iπj²/n}
			a[i], b[i] = re[i]*cos+im[i]*sin, im[i]*cos-re[i]*sin
		}
	}
	c.long.Forward(a, b, C)
	for k := range size {
		cr, ci := c.re[k], c.im[k]
		for i := k * C; i < (k+1)*C; i++ {
			a[i], b[i] = a[i]*cr-b[i]*ci, a[i]*ci+b[i]*cr
		}
	}
	c.long.Inverse(a, b, C)
	for j := range c.n {
		cos, sin := c.cos[j], c.sin[j]
		for i := j * C; i < (j+1)*C; i++ {
			re[i], im[i] = a[i]*cos+b[i]*sin, b[i]*cos-a[i]*sin
		}
	}
}

// RealForward transforms n rows of real values into the first n/2 + 1 rows of
// their spectrum; the others are the conjugates of these.
func (p *Plan) RealForward(x []float32, channels int, re, im []float32) {
	size, half := p.n*channels, (p.n/2+1)*channels
	if len(x) < size || len(re) < half || len(im) < half {
		panic(fmt.Sprintf("fft: x, re and im have %d, %d and %d values: want %d, and %d for the spectrum", len(x), len(re), len(im), size, half))
	}
	a, b := make([]float32, size), make([]float32, size)
	copy(a, x)
	p.Forward(a, b, channels)
	copy(re[:half], a)
	copy(im[:half], b)
}

// RealInverse is the inverse of RealForward. Of the first row, and of the last
// if n is even, only the real part counts.
func (p *Plan) RealInverse(re, im []float32, channels int, x []float32) {
	size, half := p.n*channels, (p.n/2+1)*channels
	if len(x) < size || len(re) < half || len(im) < half {
		panic(fmt.Sprintf("fft: x, re and im have %d, %d and %d values: want %d, and %d for the spectrum", len(x), len(re), len(im), size, half))
	}
	a, b := make([]float32, size), make([]float32, size)
	copy(a, re[:half])
	copy(b, im[:half])
	clear(b[:channels])
	if p.n%2 == 0 {
		clear(b[half-channels : half])
	}
	for k := p.n/2 + 1; k < p.n; k++ {
		copy(a[k*channels:(k+1)*channels], a[(p.n-k)*channels:])
		for c := range channels {
			b[k*channels+c] = -b[(p.n-k)*channels+c]
		}
	}
	p.Inverse(a, b, channels)
	copy(x[:size], a)
}
