package scan

import (
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// Diagonal is the elementwise recurrence h_t = a_t ⊙ h_{t−1} + b_t. a and b are
// [B, T, C], and so is the result, all states; the state is [B, C].
func Diagonal(a, b *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	const op = "scan.Diagonal"
	tensor.Check(op, "a", a, -1, -1, -1)
	B, T, C := a.Dim(0), a.Dim(1), a.Dim(2)
	tensor.Check(op, "b", b, B, T, C)
	h := tensor.Out(op, a.Shape(), a, b)
	s := h.Scope()
	before, after := st.Begin(s, op, B, C)
	if h.IsFloat64() {
		as, bs, hs, last := a.Values64(), b.Values64(), make([]float64, a.Len()), after.Values64()
		for i := range B {
			for t := range T {
				for c := range C {
					o := (i*T+t)*C + c
					last[i*C+c] = as[o]*last[i*C+c] + bs[o]
					hs[o] = last[i*C+c]
				}
			}
		}
		h.SetValues64(hs)
		after.SetValues64(last)
	} else {
		a, b = tensor.Contiguous(a), tensor.Contiguous(b)
		m := diagonal{B, T, C, a.Data(), b.Data(), h.Data(), after.Data()}
		if tasks := hw.Tasks(s.Workers(), m.units(), float64(T*min(C, channelBlock))); tasks > 1 {
			m.parallel(s.Workers())
		} else {
			for i := range m.units() {
				m.unit(i)
			}
		}
		if h.Recording() {
			aa, bb := a, b
			tensor.OnBackward(func() { diagonalBackward(h, aa, bb, before, after) }, h, after)
		}
	}
	st.End(after)
	return h
}

type diagonal struct {
	B, T, C        int
	a, b, h, state []float32
}

func (m *diagonal) blocks() int { return (m.C + channelBlock - 1) / channelBlock }
func (m *diagonal) units() int  { return m.B * m.blocks() }

func (m *diagonal) parallel(workers int) {
	c := *m
	hw.Parallel(workers, c.units(), func(i int) { c.unit(i) })
}

func (m *diagonal) unit(i int) {
	b, lo := i/m.blocks(), i%m.blocks()*channelBlock
	if m.T == 0 {
		return
	}
	o := b*m.T*m.C + lo
	rec.Diagonal(&rec.DiagonalArgs{T: m.T, C: min(channelBlock, m.C-lo), A: m.a[o:], B: m.b[o:], H: m.h[o:],
		AStride: m.C, BStride: m.C, HStride: m.C, State: m.state[b*m.C+lo:]})
}

// diagonalBackward: g_t = dh_t + a_{t+1} g_{t+1}; db_t = g_t, da_t = g_t h_{t−1}.
func diagonalBackward(h, a, b, before, after *tensor.Tensor) {
	B, T, C := h.Dim(0), h.Dim(1), h.Dim(2)
	dh, da, db := gradOf(h), gradOf(a), gradOf(b)
	g := make([]float32, B*C)
	if after.HasGrad() {
		copy(g, after.Grad().Data())
	}
	for i := range B {
		g := g[i*C:][:C]
		for t := T - 1; t >= 0; t-- {
			o := (i*T + t) * C
			vec.Add(g, g, dh[o:])
			if db != nil {
				vec.Add(db[o:o+C], db[o:], g)
			}
			switch {
			case da != nil && t > 0:
				vec.MulAdd(da[o:o+C], g, h.Raw()[o-C:])
			case da != nil && before != nil:
				vec.MulAdd(da[o:o+C], g, before.Raw()[i*C:])
			}
			vec.Mul(g, g, a.Raw()[o:])
			if t%quietTokens == 0 {
				quiet(g)
			}
		}
	}
	addAll(gradOf(before), g)
}

// quietTokens is how often gradients that have decayed to almost nothing are made zeros.
const quietTokens = 16

// quiet keeps what decays from becoming denormal numbers (see rec.Flush).
func quiet(g []float32) {
	const least = 1e-35 // falls to the smallest normal number in some tokens
	for i, v := range g {
		if v < least && v > -least {
			g[i] = 0
		}
	}
}
