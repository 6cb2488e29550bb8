package ssm

import (
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/tensor"
)

// modes is the recurrence of N complex numbers that all channels share, the
// middle of LRU and S5:
//
//	h_t = λ⊙h_{t−1} + κ⊙w_t
//
// m [4, N] holds the real and imaginary parts of λ, then of κ; wr and wi
// [batch, T, N] those of w. The result, all states, is [batch, T, 2N], real
// parts before imaginary ones; the state is two parts [batch, N]. The matrices
// on both sides cost far more than this does. Modes do not meet, so that
// blocks of them are shared among workers, and no result depends on how: where
// GPUs scan over time in parallel, here each mode's time is one worker's.
func modes(m, wr, wi *tensor.Tensor, re, im *tensor.Part) *tensor.Tensor {
	const op = "ssm.modes"
	B, T, N := wr.Dim(0), wr.Dim(1), wr.Dim(2)
	y := tensor.Out(op, []int{B, T, 2 * N}, m, wr, wi)
	s := y.Scope()
	re0, re1 := re.Begin(s, op, B, N)
	im0, im1 := im.Begin(s, op, B, N)
	if y.IsFloat64() {
		out, sr, si := make([]float64, y.Len()), re1.Values64(), im1.Values64()
		runModes(out, m.Values64(), wr.Values64(), wi.Values64(), sr, si, B, T, N, 0, N)
		y.SetValues64(out)
		re1.SetValues64(sr)
		im1.SetValues64(si)
	} else {
		m, wr, wi = tensor.Contiguous(m), tensor.Contiguous(wr), tensor.Contiguous(wi)
		if tasks := hw.Tasks(s.Workers(), N, 3*float64(B*T)); tasks > 1 {
			modesParallel(s.Workers(), tasks, y, m, wr, wi, re1, im1)
		} else {
			runModes(y.Data(), m.Data(), wr.Data(), wi.Data(), re1.Data(), im1.Data(), B, T, N, 0, N)
		}
		if y.Recording() {
			mm, ar, ai := m, wr, wi
			tensor.OnBackward(func() { modesBackward(y, mm, ar, ai, re0, im0, re1, im1) }, y, re1, im1)
		}
	}
	re.End(re1)
	im.End(im1)
	return y
}

func modesParallel(workers, tasks int, y, m, wr, wi, re, im *tensor.Tensor) {
	B, T, N := wr.Dim(0), wr.Dim(1), wr.Dim(2)
	hw.Parallel(workers, tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, N)
		runModes(y.Data(), m.Data(), wr.Data(), wi.Data(), re.Data(), im.Data(), B, T, N, lo, hi)
	})
}

// flush is rec.Flush, for float64 too, whose states need it much later.
func flush[F float32 | float64](x F) F {
	const least = 0x1p-126
	if x < least && x > -least {
		return 0
	}
	return x
}

// runModes is the recurrence of modes lo to hi.
func runModes[F float32 | float64](y, m, wr, wi, re, im []F, B, T, N, lo, hi int) {
	cut := func(x []F, row int) []F { return x[row*N+lo : row*N+hi] }
	lr, li, kr, ki := cut(m, 0), cut(m, 1), cut(m, 2), cut(m, 3)
	for b := range B {
		hr, hi := cut(re, b), cut(im, b)
		for t := range T {
			i := b*T + t
			x, z := cut(wr, i), cut(wi, i)
			for n := range hr {
				r := lr[n]*hr[n] - li[n]*hi[n] + kr[n]*x[n] - ki[n]*z[n]
				hi[n] = flush(lr[n]*hi[n] + li[n]*hr[n] + kr[n]*z[n] + ki[n]*x[n])
				hr[n] = flush(r)
			}
			copy(cut(y, 2*i), hr)
			copy(cut(y, 2*i+1), hi)
		}
	}
}

// modesBackward: g_t = dy_t + λ* g_{t+1}; dλ = Σ g_t h*_{t−1}, dκ = Σ g_t w*_t, dw_t = κ* g_t.
func modesBackward(y, m, wr, wi, re0, im0, re1, im1 *tensor.Tensor) {
	B, T, N := wr.Dim(0), wr.Dim(1), wr.Dim(2)
	grad := func(t *tensor.Tensor) []float32 { // to add to; a throw-away where none is wanted
		if t == nil || !t.NeedsGrad() {
			if t == nil {
				return make([]float32, B*N)
			}
			return make([]float32, t.Len())
		}
		return t.Grad().Data()
	}
	incoming := func(t *tensor.Tensor) []float32 {
		if !t.HasGrad() {
			return make([]float32, t.Len())
		}
		return t.Grad().Data()
	}
	start := func(t *tensor.Tensor) []float32 {
		if t == nil {
			return make([]float32, B*N)
		}
		return t.Data()
	}
	c, dm, dwr, dwi, dr, di := m.Data(), grad(m), grad(wr), grad(wi), grad(re0), grad(im0)
	dy, er, ei, sr, si, h := incoming(y), incoming(re1), incoming(im1), start(re0), start(im0), y.Data()
	x, z := wr.Data(), wi.Data()
	mode := func(n int) {
		for b := range B {
			lambda, kappa := complex(c[n], c[N+n]), complex(c[2*N+n], c[3*N+n])
			g := complex(er[b*N+n], ei[b*N+n])
			var dl, dk complex64
			for t := T - 1; t >= 0; t-- {
				i := b*T + t
				g += complex(dy[2*i*N+n], dy[(2*i+1)*N+n])
				before := complex(sr[b*N+n], si[b*N+n])
				if t > 0 {
					before = complex(h[2*(i-1)*N+n], h[(2*i-1)*N+n])
				}
				dl += g * conj64(before)
				dk += g * conj64(complex(x[i*N+n], z[i*N+n]))
				dw := g * conj64(kappa)
				dwr[i*N+n] += real(dw)
				dwi[i*N+n] += imag(dw)
				g *= conj64(lambda)
				g = complex(flush(real(g)), flush(imag(g)))
			}
			dm[n] += real(dl)
			dm[N+n] += imag(dl)
			dm[2*N+n] += real(dk)
			dm[3*N+n] += imag(dk)
			dr[b*N+n] += real(g)
			di[b*N+n] += imag(g)
		}
	}
	workers := y.Scope().Workers()
	tasks := hw.Tasks(workers, N, 10*float64(B*T))
	hw.Parallel(workers, tasks, func(i int) {
		for lo, hi := hw.Range(i, tasks, N); lo < hi; lo++ {
			mode(lo)
		}
	})
}

func conj64(z complex64) complex64 { return complex(real(z), -imag(z)) }

// ofModes is Re(C h) for states h as modes gives them, times scale.
func ofModes(h, Cre, Cim *tensor.Tensor, scale float32) *tensor.Tensor {
	N := h.Dim(2) / 2
	y := tensor.Sub(tensor.MatMulT(h.Narrow(-1, 0, N), Cre), tensor.MatMulT(h.Narrow(-1, N, 2*N), Cim))
	if scale != 1 {
		y = tensor.Scale(y, scale)
	}
	return y
}
