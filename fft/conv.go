package fft

import (
	"fmt"
	"math/bits"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// NewConvState is the state of a causal convolution with kernels of the given
// length: the last length−1 inputs, [batch, length−1, channels].
func NewConvState(batch, length, channels int) *tensor.State {
	return tensor.NewState(convKind, batch).Add("past", tensor.New(batch, max(0, length-1), channels))
}

const convKind = "fft.CausalConv/1"

// lanes is the number of channels that are transformed together.
const lanes = 16

// direct is the number of multiply-adds a channel below which the sum itself is cheaper than transforms.
const direct = 1 << 12

// CausalConv is the causal convolution of each channel by itself,
//
//	y[t] = Σ_{s<L} k[s] u[t−s]
//
// for u [batch, T, channels] and a kernel k [L, channels], of which any length
// may be the longer. st, if not nil, is a NewConvState for this L: u goes on
// from the inputs that it holds, so that a long input may be fed in pieces.
//
// Short sums are taken as they are; others as a product of spectra, at the
// power of two that holds the past and the new inputs (overlap–save: what wraps
// around falls on outputs of the past).
func CausalConv(u, k *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	const op = "fft.CausalConv"
	tensor.Check(op, "u", u, -1, -1, -1)
	tensor.Check(op, "k", k, -1, u.Dim(2))
	c := conv{B: u.Dim(0), T: u.Dim(1), C: u.Dim(2), L: k.Dim(0)}
	if c.L == 0 {
		panic(&tensor.ShapeError{Op: op, Arg: "k", Got: []int{0, c.C}, Want: "at least one tap"})
	}
	st.Check(convKind, c.B)
	y := tensor.Out(op, u.Shape(), u, k)
	s := y.Scope()
	before, after := st.Part(0).Begin(s, op, c.B, c.L-1, c.C)
	if y.IsFloat64() {
		c.plain(y, u, k, after)
	} else {
		u, k = tensor.Contiguous(u), tensor.Contiguous(k)
		// The inputs that count, the past before the new.
		x := s.Floats(c.B * (c.L - 1 + c.T) * c.C)
		c.join(x, after.Data(), u.Data())
		c.run(s.Workers(), y.Data(), x, k.Data())
		c.keep(after.Data(), x)
		if y.Recording() {
			in, kernel, workers := u, k, s.Workers()
			tensor.OnBackward(func() { c.backward(workers, y, x, in, kernel, before, after) }, y, after)
		}
	}
	st.Part(0).End(after)
	st.Advance(c.T)
	return y
}

type conv struct{ B, T, C, L int }

// rows is the number of inputs that count, past and new.
func (c conv) rows() int { return c.L - 1 + c.T }

func (c conv) join(x, past, u []float32) {
	p := (c.L - 1) * c.C
	for b := range c.B {
		row := x[b*c.rows()*c.C:]
		copy(row[:p], past[b*p:])
		copy(row[p:], u[b*c.T*c.C:][:c.T*c.C])
	}
}

// keep stores the last L−1 inputs.
func (c conv) keep(past, x []float32) {
	p := (c.L - 1) * c.C
	for b := range c.B {
		copy(past[b*p:][:p], x[(b*c.rows()+c.T)*c.C:])
	}
}

func (c conv) run(workers int, y, x, k []float32) {
	if c.T == 0 || c.C == 0 || c.B == 0 {
		return
	}
	if c.T*c.L <= direct || c.T == 1 {
		for i := range c.B * c.T {
			c.direct(i, y, x, k)
		}
		return
	}
	c.spectral(workers, y, x, k)
}

// direct computes row i of y, counted over all sequences.
func (c conv) direct(i int, y, x, k []float32) {
	b, t := i/c.T, i%c.T
	out := y[i*c.C:][:c.C]
	newest := b*c.rows() + c.L - 1 + t
	clear(out)
	for s := range c.L {
		vec.MulAdd(out, x[(newest-s)*c.C:][:c.C], k[s*c.C:])
	}
}

func (c conv) blocks() int { return (c.C + lanes - 1) / lanes }

// size is the length of the transforms.
func (c conv) size() int { return 1 << bits.Len(uint(c.rows()-1)) }

func (c conv) plan() *Plan {
	p, err := NewPlan(c.size())
	if err != nil {
		panic(&tensor.ShapeError{Op: "fft.CausalConv", Arg: "u and k", Got: []int{c.T, c.L}, Want: fmt.Sprintf("at most %d inputs and taps together", MaxLen)})
	}
	return p
}

// load copies rows of w channels from channel lo on, C apart, to rows of w, the rest zeros.
func load(dst, src []float32, rows, C, lo, w int) {
	for r := range rows {
		copy(dst[r*w:][:w], src[r*C+lo:][:w])
	}
	clear(dst[rows*w:])
}

// spectral multiplies spectra, a block of channels at a time.
func (c conv) spectral(workers int, y, x, k []float32) {
	p := c.plan()
	hw.Parallel(workers, c.blocks(), func(j int) {
		lo := j * lanes
		w := min(lanes, c.C-lo)
		n := p.n * w
		mem := make([]float32, 4*n)
		kr, ki, xr, xi := mem[:n], mem[n:2*n], mem[2*n:3*n], mem[3*n:]
		load(kr, k, c.L, c.C, lo, w)
		p.Forward(kr, ki, w)
		for b := range c.B {
			load(xr, x[b*c.rows()*c.C:], c.rows(), c.C, lo, w)
			clear(xi)
			p.Forward(xr, xi, w)
			multiply(xr, xi, kr, ki, 1)
			p.Inverse(xr, xi, w)
			for t := range c.T {
				copy(y[(b*c.T+t)*c.C+lo:][:w], xr[(c.L-1+t)*w:])
			}
		}
	})
}

// multiply: x = x·k, or x·conj(k) for sign −1.
func multiply(xr, xi, kr, ki []float32, sign float32) {
	for i, a := range xr {
		b, c, d := xi[i], kr[i], sign*ki[i]
		xr[i], xi[i] = a*c-b*d, a*d+b*c
	}
}

// backward: dx[i] = Σ_s k[s] dy[i+s] and dk[s] = Σ_i dy[i] x[i−s] are
// correlations, products with conjugate spectra.
func (c conv) backward(workers int, y *tensor.Tensor, x []float32, u, k, before, after *tensor.Tensor) {
	dx := make([]float32, len(x))
	if y.HasGrad() && c.T > 0 && c.C > 0 {
		var dk []float32
		if k.NeedsGrad() {
			dk = k.Grad().Data()
		}
		c.correlate(workers, y.Grad().Data(), x, k.Data(), dx, dk)
	}
	if after.HasGrad() { // kept inputs
		p, g := (c.L-1)*c.C, after.Grad().Data()
		for b := range c.B {
			d := dx[(b*c.rows()+c.T)*c.C:][:p]
			vec.Add(d, d, g[b*p:])
		}
	}
	add := func(t *tensor.Tensor, from, rows int) {
		if !t.NeedsGrad() {
			return
		}
		g := t.Grad().Data()
		for b := range c.B {
			d := g[b*rows*c.C:][:rows*c.C]
			vec.Add(d, d, dx[(b*c.rows()+from)*c.C:])
		}
	}
	add(u, c.L-1, c.T)
	add(before, 0, c.L-1)
}

func (c conv) correlate(workers int, dy, x, k, dx, dk []float32) {
	p := c.plan()
	hw.Parallel(workers, c.blocks(), func(j int) {
		lo := j * lanes
		w := min(lanes, c.C-lo)
		n := p.n * w
		mem := make([]float32, 8*n)
		next := func() []float32 { m := mem[:n]; mem = mem[n:]; return m }
		kr, ki, xr, xi, gr, gi, tr, ti := next(), next(), next(), next(), next(), next(), next(), next()
		load(kr, k, c.L, c.C, lo, w)
		p.Forward(kr, ki, w)
		for b := range c.B {
			clear(gr)
			clear(gi)
			for t := range c.T {
				copy(gr[(c.L-1+t)*w:][:w], dy[(b*c.T+t)*c.C+lo:])
			}
			p.Forward(gr, gi, w)
			copy(tr, gr)
			copy(ti, gi)
			multiply(tr, ti, kr, ki, -1)
			p.Inverse(tr, ti, w)
			for i := range c.rows() {
				copy(dx[(b*c.rows()+i)*c.C+lo:][:w], tr[i*w:])
			}
			if dk == nil {
				continue
			}
			load(xr, x[b*c.rows()*c.C:], c.rows(), c.C, lo, w)
			clear(xi)
			p.Forward(xr, xi, w)
			multiply(gr, gi, xr, xi, -1)
			p.Inverse(gr, gi, w)
			for s := range c.L {
				d := dk[s*c.C+lo:][:w]
				vec.Add(d, d, gr[s*w:])
			}
		}
	})
}

// plain is the sum itself, in float64.
func (c conv) plain(y, u, k, after *tensor.Tensor) {
	us, ks, past := u.Values64(), k.Values64(), after.Values64()
	x := make([]float64, 0, c.B*c.rows()*c.C)
	p := (c.L - 1) * c.C
	for b := range c.B {
		x = append(append(x, past[b*p:(b+1)*p]...), us[b*c.T*c.C:(b+1)*c.T*c.C]...)
	}
	out, last := make([]float64, y.Len()), make([]float64, 0, len(past))
	for b := range c.B {
		for t := range c.T {
			for s := range c.L {
				for ch := range c.C {
					out[(b*c.T+t)*c.C+ch] += ks[s*c.C+ch] * x[(b*c.rows()+c.L-1+t-s)*c.C+ch]
				}
			}
		}
		last = append(last, x[(b*c.rows()+c.T)*c.C:][:p]...)
	}
	y.SetValues64(out)
	after.SetValues64(last)
}
