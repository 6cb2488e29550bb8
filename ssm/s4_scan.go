package ssm

import (
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// dplr is the recurrence of S4 for constants m made by discretize and D [H]:
//
//	x_t = α⊙x_{t−1} − p·2Re(q·x_{t−1}) + b u_t,   y_t = 2 Re(c·x_t) + D u_t
//
// u is [batch, T, H], and so is the result; the state is two parts [batch, N/2,
// H].
func dplr(u, m, D *tensor.Tensor, re, im *tensor.Part) *tensor.Tensor {
	const op = "ssm.S4"
	r := dplrScan{B: u.Dim(0), T: u.Dim(1), H: u.Dim(2), N: m.Dim(1)}
	y := tensor.Out(op, u.Shape(), u, m, D)
	s := y.Scope()
	re0, re1 := re.Begin(s, op, r.B, r.N, r.H)
	im0, im1 := im.Begin(s, op, r.B, r.N, r.H)
	if y.IsFloat64() {
		r.plain(y, u, m, D, re1, im1)
	} else {
		u, m = tensor.Contiguous(u), tensor.Contiguous(m)
		r.u, r.m, r.d, r.y, r.re, r.im = u.Data(), m.Data(), D.Data(), y.Data(), re1.Data(), im1.Data()
		workers := s.Workers()
		if hw.Tasks(workers, r.B*r.blocks(), float64(r.T*r.N*min(r.H, s4Block))) > 1 {
			r.parallel(workers)
		} else {
			for i := range r.B * r.blocks() {
				r.unit(i)
			}
		}
		if y.Recording() {
			c, uu, mm := r, u, m
			tensor.OnBackward(func() { c.backward(workers, y, uu, mm, D, re0, im0, re1, im1) }, y, re1, im1)
		}
	}
	re.End(re1)
	im.End(im1)
	return y
}

type dplrScan struct {
	B, T, H, N         int
	u, m, d, y, re, im []float32
}

const s4Block = 128 // channels that one worker takes

func (r *dplrScan) blocks() int { return (r.H + s4Block - 1) / s4Block }

func (r *dplrScan) parallel(workers int) {
	c := *r
	hw.Parallel(workers, c.B*c.blocks(), func(i int) { c.unit(i) })
}

// row is row n of the constants k, counted as discretize has them, for channels lo to hi.
func (r *dplrScan) row(k, n, lo, hi int) []float32 {
	o := (k*r.N + n) * r.H
	return r.m[o+lo : o+hi]
}

// unit runs a block of channels of one sequence.
func (r *dplrScan) unit(i int) {
	b, lo := i/r.blocks(), i%r.blocks()*s4Block
	hi := min(lo+s4Block, r.H)
	row := func(k int) []float32 { return r.m[k*r.N*r.H+lo:] }
	state, o := b*r.N*r.H+lo, b*r.T*r.H+lo
	rec.DPLR(&rec.DPLRArgs{T: r.T, C: hi - lo, N: r.N, SRe: r.re[state:], SIm: r.im[state:], ARe: row(0), AIm: row(1), PRe: row(2), PIm: row(3),
		QRe: row(4), QIm: row(5), BRe: row(6), BIm: row(7), CRe: row(8), CIm: row(9), D: r.d[lo:], U: r.u[o:], Y: r.y[o:], Stride: r.H, UStride: r.H, YStride: r.H})
}

// quietTokens is how often gradients that have decayed to almost nothing are made zeros.
const quietTokens = 16

// quiet keeps what decays, in rows stride apart, from becoming denormal numbers (see rec.Flush).
func (r *dplrScan) quiet(re, im []float32, stride, w int) {
	const least = 1e-35 // falls to the smallest normal number in some tokens
	for n := range r.N {
		x, y := re[n*stride:][:w], im[n*stride:][:w]
		for i := range x {
			if x[i] < least && x[i] > -least {
				x[i] = 0
			}
			if y[i] < least && y[i] > -least {
				y[i] = 0
			}
		}
	}
}

// step takes the states of channels lo to hi, whose rows lie stride apart, on by the inputs u.
func (r *dplrScan) step(re, im []float32, stride int, u []float32, lo, hi int, scratch []float32) {
	w := hi - lo
	s, a, b := scratch[:w], scratch[w:2*w], scratch[2*w:3*w]
	r.read(s, re, im, stride, lo, hi)
	vec.Scale(s, s, -1)
	for n := range r.N {
		x, y := re[n*stride:][:w], im[n*stride:][:w]
		vec.Scale(b, y, -1)
		vec.Mul(a, r.row(0, n, lo, hi), x)
		vec.MulAdd(a, r.row(1, n, lo, hi), b)
		vec.MulAdd(a, r.row(2, n, lo, hi), s)
		vec.MulAdd(a, r.row(6, n, lo, hi), u)
		vec.Mul(b, r.row(0, n, lo, hi), y)
		vec.MulAdd(b, r.row(1, n, lo, hi), x)
		vec.MulAdd(b, r.row(3, n, lo, hi), s)
		vec.MulAdd(b, r.row(7, n, lo, hi), u)
		copy(x, a)
		copy(y, b)
	}
}

// read is s = 2 Re(q·x).
func (r *dplrScan) read(s, re, im []float32, stride, lo, hi int) {
	clear(s)
	for n := range r.N {
		vec.MulAdd(s, r.row(4, n, lo, hi), re[n*stride:][:hi-lo])
		vec.MulAdd(s, r.row(5, n, lo, hi), im[n*stride:][:hi-lo])
	}
}

// plain is the recurrence as it is written, in float64.
func (r *dplrScan) plain(y, u, m, D, re, im *tensor.Tensor) {
	us, ms, d, out := u.Values64(), m.Values64(), D.Values64(), make([]float64, y.Len())
	res, ims := re.Values64(), im.Values64()
	at := func(k, n, h int) complex128 { return complex(ms[(2*k*r.N+n)*r.H+h], ms[((2*k+1)*r.N+n)*r.H+h]) }
	form := func(k, n, h int, x complex128) float64 { // product with a linear form
		z := at(k, n, h)
		return real(z)*real(x) + imag(z)*imag(x)
	}
	for b := range r.B {
		for h := range r.H {
			x := make([]complex128, r.N)
			for n := range x {
				x[n] = complex(res[(b*r.N+n)*r.H+h], ims[(b*r.N+n)*r.H+h])
			}
			for t := range r.T {
				i := (b*r.T+t)*r.H + h
				s := 0.0
				for n := range x {
					s += form(2, n, h, x[n])
				}
				out[i] = d[h] * us[i]
				for n := range x {
					x[n] = at(0, n, h)*x[n] - at(1, n, h)*complex(s, 0) + at(3, n, h)*complex(us[i], 0)
					out[i] += form(4, n, h, x[n])
				}
			}
			for n := range x {
				res[(b*r.N+n)*r.H+h], ims[(b*r.N+n)*r.H+h] = real(x[n]), imag(x[n])
			}
		}
	}
	y.SetValues64(out)
	re.SetValues64(res)
	im.SetValues64(ims)
}

const s4Chunk = 64 // tokens between the states that backward keeps

// backward shares out blocks of channels, whose constants no other block has.
func (r *dplrScan) backward(workers int, y, u, m, D, re0, im0, re1, im1 *tensor.Tensor) {
	if r.T == 0 {
		return
	}
	grad := func(t *tensor.Tensor) []float32 {
		if t == nil || !t.NeedsGrad() {
			return nil
		}
		return t.Grad().Data()
	}
	ends := func(t *tensor.Tensor) []float32 {
		if !t.HasGrad() {
			return nil
		}
		return t.Grad().Data()
	}
	var dy []float32
	if y.HasGrad() {
		dy = y.Grad().Data()
	}
	g := dplrGrads{dplrScan: *r, dy: dy, du: grad(u), dm: grad(m), dd: grad(D), dre: grad(re0), dim: grad(im0), ere: ends(re1), eim: ends(im1)}
	g.re, g.im = nil, nil
	if re0 != nil {
		g.re, g.im = re0.Data(), im0.Data()
	}
	hw.Parallel(workers, r.blocks(), func(i int) {
		lo := i * s4Block
		hi := min(lo+s4Block, r.H)
		for b := range r.B {
			g.sequence(b, lo, hi)
		}
	})
}

// dplrGrads are the gradients to add to, nil where none is wanted, and what comes
// in: dy, and ere and eim for the final state. re and im are the state before.
type dplrGrads struct {
	dplrScan
	dy, du, dm, dd, dre, dim, ere, eim []float32
}

func (g *dplrGrads) sequence(b, lo, hi int) {
	N, w := g.N, hi-lo
	size := N * w
	load := func(dst, src []float32) {
		for n := range N {
			if src != nil {
				copy(dst[n*w:][:w], src[(b*N+n)*g.H+lo:])
			}
		}
	}
	// States at the starts of chunks, real parts before imaginary ones.
	chunks := (g.T + s4Chunk - 1) / s4Chunk
	starts := make([]float32, chunks*2*size)
	x := make([]float32, 2*size)
	load(x[:size], g.re)
	load(x[size:], g.im)
	scratch := make([]float32, 5*w)
	inputs := func(t int) []float32 { o := (b*g.T + t) * g.H; return g.u[o+lo : o+hi] }
	for t := range g.T {
		if t%s4Chunk == 0 {
			copy(starts[t/s4Chunk*2*size:], x)
		}
		g.step(x[:size], x[size:], w, inputs(t), lo, hi, scratch)
	}
	gx := make([]float32, 2*size) // gradient of the state
	load(gx[:size], g.ere)
	load(gx[size:], g.eim)
	states := make([]float32, (s4Chunk+1)*2*size)
	dm := g.dm
	if dm == nil {
		dm = make([]float32, len(g.m))
	}
	for c := chunks - 1; c >= 0; c-- {
		first, last := c*s4Chunk, min((c+1)*s4Chunk, g.T)
		copy(states, starts[c*2*size:][:2*size])
		for t := first; t < last; t++ {
			next := states[(t-first+1)*2*size:][:2*size]
			copy(next, states[(t-first)*2*size:][:2*size])
			g.step(next[:size], next[size:], w, inputs(t), lo, hi, scratch)
		}
		for t := last - 1; t >= first; t-- {
			g.token(b, t, lo, hi, states[(t-first)*2*size:][:2*size], states[(t-first+1)*2*size:][:2*size], gx, dm, scratch)
		}
	}
	for n := range N {
		for i := range w {
			o := (b*N+n)*g.H + lo + i
			if g.dre != nil {
				g.dre[o] += gx[n*w+i]
			}
			if g.dim != nil {
				g.dim[o] += gx[size+n*w+i]
			}
		}
	}
}

// token takes the gradient gx of the state after token t, now, to that of the one before it.
func (g *dplrGrads) token(b, t, lo, hi int, before, now, gx, dm, scratch []float32) {
	N, w := g.N, hi-lo
	size, o := N*w, (b*g.T+t)*g.H
	u := g.u[o+lo : o+hi]
	s, ds, du, a, c := scratch[:w], scratch[w:2*w], scratch[2*w:3*w], scratch[3*w:4*w], scratch[4*w:5*w]
	g.read(s, before[:size], before[size:], w, lo, hi)
	vec.Scale(s, s, -1)
	clear(ds)
	clear(du)
	row := func(k, n int) []float32 { i := (k*N + n) * g.H; return dm[i+lo : i+hi] }
	for n := range N {
		gr, gi := gx[n*w:][:w], gx[size+n*w:][:w]
		xr, xi := before[n*w:][:w], before[size+n*w:][:w]
		if g.dy != nil {
			dy := g.dy[o+lo : o+hi]
			vec.MulAdd(gr, g.row(8, n, lo, hi), dy)
			vec.MulAdd(gi, g.row(9, n, lo, hi), dy)
			vec.MulAdd(row(8, n), dy, now[n*w:][:w])
			vec.MulAdd(row(9, n), dy, now[size+n*w:][:w])
		}
		vec.Scale(a, gr, -1)
		vec.MulAdd(row(0, n), gr, xr)
		vec.MulAdd(row(0, n), gi, xi)
		vec.MulAdd(row(1, n), gi, xr)
		vec.MulAdd(row(1, n), a, xi)
		vec.MulAdd(row(2, n), gr, s)
		vec.MulAdd(row(3, n), gi, s)
		vec.MulAdd(row(6, n), gr, u)
		vec.MulAdd(row(7, n), gi, u)
		vec.MulAdd(ds, gr, g.row(2, n, lo, hi))
		vec.MulAdd(ds, gi, g.row(3, n, lo, hi))
		vec.MulAdd(du, gr, g.row(6, n, lo, hi))
		vec.MulAdd(du, gi, g.row(7, n, lo, hi))
	}
	vec.Scale(ds, ds, -1)
	for n := range N {
		gr, gi := gx[n*w:][:w], gx[size+n*w:][:w]
		vec.MulAdd(row(4, n), ds, before[n*w:][:w])
		vec.MulAdd(row(5, n), ds, before[size+n*w:][:w])
		vec.Scale(c, gr, -1)
		vec.Mul(a, g.row(0, n, lo, hi), gr)
		vec.MulAdd(a, g.row(1, n, lo, hi), gi)
		vec.MulAdd(a, g.row(4, n, lo, hi), ds)
		vec.Mul(gi, g.row(0, n, lo, hi), gi)
		vec.MulAdd(gi, g.row(1, n, lo, hi), c)
		vec.MulAdd(gi, g.row(5, n, lo, hi), ds)
		copy(gr, a)
	}
	if t%quietTokens == 0 {
		g.quiet(gx[:size], gx[size:], w, w)
	}
	if g.dy != nil {
		dy := g.dy[o+lo : o+hi]
		vec.MulAdd(du, dy, g.d[lo:hi])
		if g.dd != nil {
			vec.MulAdd(g.dd[lo:hi], dy, u)
		}
	}
	if g.du != nil {
		vec.Add(g.du[o+lo:o+hi], g.du[o+lo:], du)
	}
}
