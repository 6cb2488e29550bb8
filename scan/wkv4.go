package scan

import (
	"math"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/tensor"
)

// channelBlock is the number of channels of one task in the recurrences that
// work on channels side by side: fixed, so that results do not depend on the
// number of workers.
const channelBlock = 128

// WKV4 is RWKV-4's recurrence (BlinkDL/ChatRWKV: RWKV_in_150_lines.py): per channel
//
//	y_t = (N_{t−1} + e^{u+k_t} v_t)/(D_{t−1} + e^{u+k_t})
//	N_t = e^w N_{t−1} + e^{k_t} v_t,   D_t = e^w D_{t−1} + e^{k_t}
//
// w and u are [C], w = −exp(time_decay); k and v are [B, T, C], and so is the
// result. The state is in three parts [B, C] (all nil for none): N·e^{−m},
// D·e^{−m} and m, the largest exponent so far, which starts at −1e38.
func WKV4(w, u, k, v *tensor.Tensor, num, den, top *tensor.Part) *tensor.Tensor {
	const op = "scan.WKV4"
	tensor.Check(op, "k", k, -1, -1, -1)
	B, T, C := k.Dim(0), k.Dim(1), k.Dim(2)
	tensor.Check(op, "v", v, B, T, C)
	tensor.Check(op, "w", w, C)
	tensor.Check(op, "u", u, C)
	y := tensor.Out(op, k.Shape(), w, u, k, v)
	s := y.Scope()
	num0, num1 := num.Begin(s, op, B, C)
	den0, den1 := den.Begin(s, op, B, C)
	top0, top1 := top.Begin(s, op, B, C)
	if top == nil {
		lowest := top1.Raw()
		for i := range lowest {
			lowest[i] = -1e38
		}
	}
	if y.IsFloat64() {
		wkv4Plain(y, w, u, k, v, num1, den1, top1, top == nil)
	} else {
		k, v = tensor.Contiguous(k), tensor.Contiguous(v)
		m := wkv4{B, T, C, s.Workers(), w.Data(), u.Data(), k.Data(), v.Data(), y.Data()}
		if tasks := hw.Tasks(m.workers, m.units(), 20*float64(T*min(C, channelBlock))); tasks > 1 {
			m.parallel(num1.Data(), den1.Data(), top1.Data())
		} else {
			for i := range m.units() {
				m.unit(i, num1.Data(), den1.Data(), top1.Data())
			}
		}
		if y.Recording() {
			c, kk, vv := m, k, v
			tensor.OnBackward(func() {
				c.backward(y, w, u, kk, vv, num0, num1, den0, den1, top0)
			}, y, num1, den1)
		}
	}
	num.End(num1)
	den.End(den1)
	top.End(top1)
	return y
}

type wkv4 struct {
	B, T, C, workers int
	w, u, k, v, y    []float32
}

func (m *wkv4) blocks() int { return (m.C + channelBlock - 1) / channelBlock }
func (m *wkv4) units() int  { return m.B * m.blocks() }

func (m *wkv4) parallel(num, den, top []float32) {
	c := *m
	hw.Parallel(c.workers, c.units(), func(i int) { c.unit(i, num, den, top) })
}

// args are those of unit i: a sequence and a block of channels.
func (m *wkv4) args(i int, num, den, top []float32) (a rec.WKV4Args, row, lo, hi int) {
	b, j := i/m.blocks(), i%m.blocks()
	lo = j * channelBlock
	hi = min(lo+channelBlock, m.C)
	row = b * m.T * m.C
	a = rec.WKV4Args{T: m.T, C: hi - lo, W: m.w[lo:], U: m.u[lo:],
		KStride: m.C, VStride: m.C, OStride: m.C, AA: num[b*m.C+lo:], BB: den[b*m.C+lo:], PP: top[b*m.C+lo:]}
	if m.T > 0 {
		a.K, a.V, a.O = m.k[row+lo:], m.v[row+lo:], m.y[row+lo:]
	}
	return a, row, lo, hi
}

func (m *wkv4) unit(i int, num, den, top []float32) {
	a, _, _, _ := m.args(i, num, den, top)
	rec.WKV4(&a)
}

// backward keeps the state at the start of the call only, and computes the
// others again: 3·T floats a channel while a block is worked on.
func (m *wkv4) backward(y, w, u, k, v, num0, num1, den0, den1, top0 *tensor.Tensor) {
	zeros := make([]float32, m.B*m.C)
	start := func(t *tensor.Tensor, empty float32) []float32 {
		if t != nil {
			return t.Data()
		}
		d := make([]float32, len(zeros))
		for i := range d {
			d[i] = empty
		}
		return d
	}
	n0, d0, t0 := start(num0, 0), start(den0, 0), start(top0, -1e38)
	last := func(t *tensor.Tensor) []float32 {
		if t.HasGrad() {
			return append([]float32(nil), t.Grad().Data()...)
		}
		return make([]float32, len(zeros))
	}
	gn, gd := last(num1), last(den1)
	dy := y.Grad().Data() // zeros if none has reached y
	dk, dv := gradOf(k), gradOf(v)
	// Each sequence has gradients of w and u of its own, added up in order afterwards.
	dw, du := make([]float32, m.B*m.C), make([]float32, m.B*m.C)
	hw.Parallel(m.workers, m.units(), func(i int) {
		a, row, lo, _ := m.args(i, n0, d0, t0)
		b := i / m.blocks()
		o := b*m.C + lo
		g := rec.WKV4Grads{OStride: m.C, KStride: m.C, VStride: m.C, AA: gn[o:], BB: gd[o:], W: dw[o:], U: du[o:],
			Scratch: make([]float32, rec.WKV4Scratch(m.T))}
		if m.T > 0 {
			g.O, g.K, g.V = from(dy, row+lo), from(dk, row+lo), from(dv, row+lo)
		}
		rec.WKV4Backward(&a, &g)
	})
	sumBatch(gradOf(w), dw)
	sumBatch(gradOf(u), du)
	addAll(gradOf(num0), gn)
	addAll(gradOf(den0), gd)
	if g := gradOf(top0); g != nil { // N = num·e^max
		for i := range g {
			g[i] += gn[i]*n0[i] + gd[i]*d0[i]
		}
	}
}

func wkv4Plain(y, w, u, k, v, num, den, top *tensor.Tensor, empty bool) {
	ws, us, ks, vs := w.Values64(), u.Values64(), k.Values64(), v.Values64()
	n, d, t := num.Values64(), den.Values64(), top.Values64()
	B, T, C := k.Dim(0), k.Dim(1), k.Dim(2)
	out := make([]float64, len(ks))
	for b := range B {
		for c := range C {
			// The sums themselves, without the shift, would overflow in float64 too.
			i := b*C + c
			if empty {
				t[i] = -1e38
			}
			for s := range T {
				o := (b*T+s)*C + c
				q := math.Max(t[i], us[c]+ks[o])
				e1, e2 := math.Exp(t[i]-q), math.Exp(us[c]+ks[o]-q)
				out[o] = (e1*n[i] + e2*vs[o]) / (e1*d[i] + e2)
				q = math.Max(t[i]+ws[c], ks[o])
				e1, e2 = math.Exp(t[i]+ws[c]-q), math.Exp(ks[o]-q)
				n[i], d[i], t[i] = e1*n[i]+e2*vs[o], e1*d[i]+e2, q
			}
		}
	}
	y.SetValues64(out)
	num.SetValues64(n)
	den.SetValues64(d)
	top.SetValues64(t)
}

// gradOf is the memory of a contiguous tensor's gradient, nil if none is wanted.
func gradOf(t *tensor.Tensor) []float32 {
	if !t.NeedsGrad() {
		return nil
	}
	return t.Grad().Data()
}

// from is x[i:], nil for nil.
func from(x []float32, i int) []float32 {
	if x == nil {
		return nil
	}
	return x[i:]
}

// sumBatch adds the rows of parts, each as long as dst, to dst in order; nil dst is nothing.
func sumBatch(dst, parts []float32) {
	for len(parts) > 0 && len(dst) > 0 {
		addAll(dst, parts[:len(dst)])
		parts = parts[len(dst):]
	}
}

func addAll(dst, x []float32) {
	for i := range dst {
		dst[i] += x[i]
	}
}
