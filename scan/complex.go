package scan

import (
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/tensor"
)

// ComplexDiagonal is the recurrence of diagonal state spaces with N complex
// modes in each of C channels, their conjugates implied (state-spaces/s4:
// models/s4/s4d.py):
//
//	s_t = A s_{t−1} + B x_t,   y_t = 2 Re(Σ_n C_n s_{t,n}) + D x_t
//
// x is [Batch, T, C]; A and B, already discretised, and Cm are [2, N, C], real
// and imaginary parts; D is [C] or nil. The result is [Batch, T, C]; the state
// is two parts [Batch, N, C].
func ComplexDiagonal(x, A, B, Cm, D *tensor.Tensor, re, im *tensor.Part) *tensor.Tensor {
	const op = "scan.ComplexDiagonal"
	tensor.Check(op, "x", x, -1, -1, -1)
	m := complexDiagonal{B: x.Dim(0), T: x.Dim(1), C: x.Dim(2)}
	tensor.Check(op, "A", A, 2, -1, m.C)
	m.N = A.Dim(1)
	tensor.Check(op, "B", B, 2, m.N, m.C)
	tensor.Check(op, "Cm", Cm, 2, m.N, m.C)
	if D != nil {
		tensor.Check(op, "D", D, m.C)
	}
	y := tensor.Out(op, x.Shape(), x, A, B, Cm, D)
	s := y.Scope()
	re0, re1 := re.Begin(s, op, m.B, m.N, m.C)
	im0, im1 := im.Begin(s, op, m.B, m.N, m.C)
	if y.IsFloat64() {
		m.plain(y, x, A, B, Cm, D, re1, im1)
	} else {
		x, A, B, Cm = tensor.Contiguous(x), tensor.Contiguous(A), tensor.Contiguous(B), tensor.Contiguous(Cm)
		m.x, m.y, m.a, m.b, m.c, m.re, m.im = x.Data(), y.Data(), A.Data(), B.Data(), Cm.Data(), re1.Data(), im1.Data()
		if D != nil {
			m.d = D.Data()
		}
		workers := s.Workers()
		if tasks := hw.Tasks(workers, m.units(), 0.5*float64(m.T*m.N*min(m.C, channelBlock))); tasks > 1 {
			m.parallel(workers)
		} else {
			for i := range m.units() {
				m.unit(i)
			}
		}
		if y.Recording() {
			c, xx, aa, bb, cc := m, x, A, B, Cm
			tensor.OnBackward(func() { c.backward(workers, y, xx, aa, bb, cc, D, re0, re1, im0, im1) }, y, re1, im1)
		}
	}
	re.End(re1)
	im.End(im1)
	return y
}

type complexDiagonal struct {
	B, T, C, N               int
	x, y, a, b, c, d, re, im []float32
}

func (m *complexDiagonal) blocks() int { return (m.C + channelBlock - 1) / channelBlock }
func (m *complexDiagonal) units() int  { return m.B * m.blocks() }

func (m *complexDiagonal) parallel(workers int) {
	c := *m
	hw.Parallel(workers, c.units(), func(i int) { c.unit(i) })
}

// args are those of unit i, a sequence and a block of channels, with the state in re and im.
func (m *complexDiagonal) args(i int, re, im []float32) (a rec.ComplexArgs, b, lo int) {
	b, lo = i/m.blocks(), i%m.blocks()*channelBlock
	n, row, st := m.N*m.C, b*m.T*m.C+lo, b*m.N*m.C+lo
	return rec.ComplexArgs{T: m.T, C: min(channelBlock, m.C-lo), N: m.N,
		SRe: re[st:], SIm: im[st:], ARe: m.a[lo:], AIm: m.a[n+lo:], BRe: m.b[lo:], BIm: m.b[n+lo:], CRe: m.c[lo:], CIm: m.c[n+lo:],
		D: from(m.d, lo), X: m.x[row:], Y: m.y[row:], Stride: m.C, XStride: m.C, YStride: m.C}, b, lo
}

func (m *complexDiagonal) unit(i int) {
	if m.T == 0 {
		return
	}
	a, _, _ := m.args(i, m.re, m.im)
	rec.Complex(&a)
}

func (m *complexDiagonal) backward(workers int, y, x, A, B, Cm, D, re0, re1, im0, im1 *tensor.Tensor) {
	if m.T == 0 {
		return
	}
	size := m.B * m.N * m.C
	start := func(t *tensor.Tensor) []float32 {
		if t == nil {
			return make([]float32, size)
		}
		return t.Data()
	}
	last := func(t *tensor.Tensor) []float32 {
		g := make([]float32, size)
		if t.HasGrad() {
			copy(g, t.Grad().Data())
		}
		return g
	}
	re, im, gre, gim := start(re0), start(im0), last(re1), last(im1)
	dy, dx := y.Grad().Data(), gradOf(x)
	// Each sequence has gradients of the constants of its own, added up in order afterwards.
	n := m.N * m.C
	dA, dB, dC, dD := make([]float32, m.B*2*n), make([]float32, m.B*2*n), make([]float32, m.B*2*n), make([]float32, m.B*m.C)
	hw.Parallel(workers, m.units(), func(i int) {
		a, b, lo := m.args(i, re, im)
		row, o, st := b*m.T*m.C+lo, b*2*n+lo, b*n+lo
		g := rec.ComplexGrads{Y: dy[row:], SRe: gre[st:], SIm: gim[st:],
			ARe: dA[o:], AIm: dA[o+n:], BRe: dB[o:], BIm: dB[o+n:], CRe: dC[o:], CIm: dC[o+n:],
			D: dD[b*m.C+lo:], X: from(dx, row), Stride: m.C, YStride: m.C, XStride: m.C,
			Scratch: make([]float32, rec.ComplexScratch(m.T))}
		rec.ComplexBackward(&a, &g)
	})
	sumBatch(gradOf(A), dA)
	sumBatch(gradOf(B), dB)
	sumBatch(gradOf(Cm), dC)
	sumBatch(gradOf(D), dD)
	addAll(gradOf(re0), gre)
	addAll(gradOf(im0), gim)
}

func (m *complexDiagonal) plain(y, x, A, B, Cm, D, re, im *tensor.Tensor) {
	xs, a, b, c := x.Values64(), A.Values64(), B.Values64(), Cm.Values64()
	sr, si := re.Values64(), im.Values64()
	out := make([]float64, len(xs))
	n := m.N * m.C
	for i := range m.B {
		for t := range m.T {
			for ch := range m.C {
				o := (i*m.T+t)*m.C + ch
				for k := range m.N {
					j := k*m.C + ch
					s := complex(sr[i*n+j], si[i*n+j])
					s = complex(a[j], a[n+j])*s + complex(b[j], b[n+j])*complex(xs[o], 0)
					sr[i*n+j], si[i*n+j] = real(s), imag(s)
					out[o] += 2 * real(complex(c[j], c[n+j])*s)
				}
				if D != nil {
					out[o] += D.At(ch) * xs[o]
				}
			}
		}
	}
	y.SetValues64(out)
	re.SetValues64(sr)
	im.SetValues64(si)
}
