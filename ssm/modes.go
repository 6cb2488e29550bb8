package ssm

import (
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
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
		plainModes(out, m.Values64(), wr.Values64(), wi.Values64(), sr, si, B, T, N)
		y.SetValues64(out)
		re1.SetValues64(sr)
		im1.SetValues64(si)
	} else {
		m, wr, wi = tensor.Contiguous(m), tensor.Contiguous(wr), tensor.Contiguous(wi)
		if tasks := hw.Tasks(s.Workers(), N, 0.5*float64(B*T)); tasks > 1 {
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

// runModes is the recurrence of modes lo to hi.
func runModes(y, m, wr, wi, re, im []float32, B, T, N, lo, hi int) {
	if T == 0 {
		return
	}
	for b := range B {
		a := modesArgs(y, m, wr, wi, re, im, b, T, N, lo, hi)
		rec.Modes(&a)
	}
}

func modesArgs(y, m, wr, wi, re, im []float32, b, T, N, lo, hi int) rec.ModesArgs {
	i, x, o := b*N+lo, b*T*N+lo, 2*b*T*N+lo
	return rec.ModesArgs{T: T, C: hi - lo, HRe: re[i:], HIm: im[i:], LRe: m[lo:], LIm: m[N+lo:], KRe: m[2*N+lo:], KIm: m[3*N+lo:],
		XRe: wr[x:], XIm: wi[x:], YRe: y[o:], YIm: y[o+N:], XStride: N, YStride: 2 * N}
}

// plainModes is the recurrence as it is written, in float64.
func plainModes(y, m, wr, wi, re, im []float64, B, T, N int) {
	for b := range B {
		for n := range N {
			h, lambda, kappa := complex(re[b*N+n], im[b*N+n]), complex(m[n], m[N+n]), complex(m[2*N+n], m[3*N+n])
			for t := range T {
				i := b*T + t
				h = lambda*h + kappa*complex(wr[i*N+n], wi[i*N+n])
				y[2*i*N+n], y[(2*i+1)*N+n] = real(h), imag(h)
			}
			re[b*N+n], im[b*N+n] = real(h), imag(h)
		}
	}
}

// modesBackward shares blocks of modes among workers, as forward.
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
	if T == 0 {
		return
	}
	dm, dwr, dwi, dr, di := grad(m), grad(wr), grad(wi), grad(re0), grad(im0)
	dy, er, ei, sr, si := incoming(y), incoming(re1), incoming(im1), start(re0), start(im0)
	part := func(lo, hi int) {
		gr, gi := make([]float32, hi-lo), make([]float32, hi-lo)
		for b := range B {
			i, x, o := b*N+lo, b*T*N+lo, 2*b*T*N+lo
			copy(gr, er[i:])
			copy(gi, ei[i:])
			a := modesArgs(y.Data(), m.Data(), wr.Data(), wi.Data(), sr, si, b, T, N, lo, hi)
			rec.ModesBackward(&a, &rec.ModesGrads{YRe: dy[o:], YIm: dy[o+N:], HRe: gr, HIm: gi, LRe: dm[lo:], LIm: dm[N+lo:], KRe: dm[2*N+lo:], KIm: dm[3*N+lo:],
				XRe: dwr[x:], XIm: dwi[x:]})
			vec.Add(dr[i:i+hi-lo], dr[i:], gr)
			vec.Add(di[i:i+hi-lo], di[i:], gi)
		}
	}
	workers := y.Scope().Workers()
	tasks := hw.Tasks(workers, N, float64(B*T))
	hw.Parallel(workers, tasks, func(i int) { part(hw.Range(i, tasks, N)) })
}

// ofModes is Re(C h) for states h as modes gives them, times scale.
func ofModes(h, Cre, Cim *tensor.Tensor, scale float32) *tensor.Tensor {
	N := h.Dim(2) / 2
	y := tensor.Sub(tensor.MatMulT(h.Narrow(-1, 0, N), Cre), tensor.MatMulT(h.Narrow(-1, N, 2*N), Cim))
	if scale != 1 {
		y = tensor.Scale(y, scale)
	}
	return y
}
