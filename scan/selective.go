package scan

import (
	"math"
	"slices"
	"sync"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// Selective is Mamba's selective scan (state-spaces/mamba:
// mamba_ssm/ops/selective_scan_interface.py): for each channel e, with N states,
//
//	h_t = e^{dt_t A} h_{t−1} + dt_t x_t B_t,   y_t = C_t·h_t + D x_t
//
// x and dt are [B, T, E], dt positive (after softplus); A is [E, N], negative;
// Bm and Cm are [B, T, N], or [B, T, G, N] with G groups of E/G channels each;
// D is [E] or nil. The result is [B, T, E]; the state is [B, N, E].
func Selective(x, dt, A, Bm, Cm, D *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	return selectiveScan(x, dt, A, Bm, Cm, D, st, false)
}

// SelectiveLog is Selective with A = −e^logA, for a weight as checkpoints have it; in inference
// each worker computes what it needs, right before its use.
func SelectiveLog(x, dt, logA, Bm, Cm, D *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	s := tensor.ScopeOf("scan.SelectiveLog", x, dt, Bm, Cm, D)
	if s.Recording() || s.IsFloat64() || logA.DType() != tensor.F32 || !logA.Contiguous() {
		return Selective(x, dt, tensor.Neg(tensor.Exp(tensor.Enter(s, logA))), Bm, Cm, D, st)
	}
	return selectiveScan(x, dt, logA, Bm, Cm, D, st, true)
}

// selectiveScan is either of them.
func selectiveScan(x, dt, A, Bm, Cm, D *tensor.Tensor, st *tensor.Part, log bool) *tensor.Tensor {
	const op = "scan.Selective"
	tensor.Check(op, "x", x, -1, -1, -1)
	tensor.Check(op, "dt", dt, x.Dim(0), x.Dim(1), x.Dim(2))
	tensor.Check(op, "A", A, x.Dim(2), -1)
	m := selective{B: x.Dim(0), T: x.Dim(1), E: x.Dim(2), N: A.Dim(1), G: 1, log: log}
	if Bm.Rank() == 4 {
		m.G = Bm.Dim(2)
	}
	for _, t := range []*tensor.Tensor{Bm, Cm} {
		if t.Rank() == 4 {
			tensor.Check(op, "Bm, Cm", t, m.B, m.T, m.G, m.N)
		} else {
			tensor.Check(op, "Bm, Cm", t, m.B, m.T, m.N)
		}
	}
	if m.G == 0 || m.E%m.G != 0 || Cm.Rank() != Bm.Rank() {
		panic(&tensor.ShapeError{Op: op, Arg: "Bm", Got: slices.Clone(Bm.Shape()), Want: "a number of groups that divides the channels, the same for Bm and Cm"})
	}
	if D != nil {
		tensor.Check(op, "D", D, m.E)
	}
	y := tensor.Out(op, x.Shape(), x, dt, A, Bm, Cm, D)
	s := y.Scope()
	before, after := st.Begin(s, op, m.B, m.N, m.E)
	if y.IsFloat64() {
		m.plain(y, x, dt, A, Bm, Cm, D, after)
	} else {
		x, dt, Bm, Cm = tensor.Contiguous(x), tensor.Contiguous(dt), tensor.Contiguous(Bm), tensor.Contiguous(Cm)
		m.x, m.dt, m.y, m.b, m.c, m.h = x.Data(), dt.Data(), y.Data(), Bm.Data(), Cm.Data(), after.Data()
		if D != nil {
			m.d = D.Data()
		}
		m.a = s.Floats(m.N * m.E)
		if m.rates = A.Data(); m.B > 1 { // else each worker turns what it needs
			m.turn(0, m.units()/m.B)
			m.rates = nil
		}
		workers := s.Workers()
		var starts []float32 // the state at the start of each chunk of tokens, for the gradient
		if y.Recording() {
			starts = s.Floats(m.chunks() * len(m.h))
		}
		if tasks := hw.Tasks(workers, m.units(), 0.5*float64(m.T*m.N*min(m.block(), m.E))); tasks > 1 {
			m.parallel(workers, tasks, starts)
		} else {
			m.some(0, m.units(), starts)
		}
		if y.Recording() {
			xx, dd, bb, cc := x, dt, Bm, Cm
			c := m
			tensor.OnBackward(func() { c.backward(workers, y, xx, dd, A, bb, cc, D, before, after, starts) }, y, after)
		}
	}
	st.End(after)
	return y
}

// selective is one call.
type selective struct {
	B, T, E, N, G           int
	x, dt, y, b, c, d, a, h []float32
	rates                   []float32 // A as it is given, where each worker turns its part; or nil
	log                     bool      // it is the logarithm of −A
}

// maxLogA is below the logarithm of rec.MaxA, by more than what vec.Exp may be off.
const maxLogA = 27.6

// turn brings the rates of units u0 to u1 into m.a: channels side by side, and all of a
// unit's together, since rows of E channels fall on few sets of a cache.
func (m *selective) turn(u0, u1 int) {
	_, _, lo, _ := m.unitRange(u0)
	_, _, _, hi := m.unitRange(u1 - 1)
	rates, a := m.rates[lo*m.N:hi*m.N], m.a[lo*m.N:hi*m.N]
	// Whether any is too large is asked first: it reads them in the order of memory, several times as
	// fast as turning does, which then finds them in the cache.
	var small bool
	if m.log {
		small = vec.Max(rates) <= maxLogA
	} else {
		small = vec.SumSq(rates) <= rec.MaxA*rec.MaxA // none is larger than their root
	}
	for i := u0; i < u1; i++ {
		_, _, lo, hi := m.unitRange(i)
		gemm.Transpose(hi-lo, m.N, m.rates[lo*m.N:], m.N, m.a[lo*m.N:], hi-lo)
	}
	if m.log {
		vec.Exp(a, a)
		vec.Scale(a, a, -1)
	}
	if small {
		return
	}
	for i, v := range a {
		a[i] = min(max(v, -rec.MaxA), rec.MaxA)
	}
}

// selectiveChunk is the number of tokens whose states the gradient holds at a time.
const selectiveChunk = 64

func (m *selective) chunks() int { return (m.T + selectiveChunk - 1) / selectiveChunk }

// block is the number of channels of a unit of work, within one group.
func (m *selective) block() int { return min(channelBlock, m.E/m.G) }

func (m *selective) blocksOfGroup() int { return (m.E/m.G + m.block() - 1) / m.block() }
func (m *selective) units() int         { return m.B * m.G * m.blocksOfGroup() }

// unitRange is the sequence, the group and the channels of unit i.
func (m *selective) unitRange(i int) (b, g, lo, hi int) {
	j := i % m.blocksOfGroup()
	i /= m.blocksOfGroup()
	b, g = i/m.G, i%m.G
	lo = g*(m.E/m.G) + j*m.block()
	hi = min(lo+m.block(), (g+1)*(m.E/m.G))
	return b, g, lo, hi
}

func (m *selective) parallel(workers, tasks int, starts []float32) {
	c := *m
	hw.Parallel(workers, tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, c.units())
		c.some(lo, hi, starts)
	})
}

// some computes units lo to hi.
func (m *selective) some(lo, hi int, starts []float32) {
	if m.rates != nil {
		m.turn(lo, hi) // all of them first: in one stream from memory
	}
	for i := lo; i < hi; i++ {
		m.unit(i, starts)
	}
}

// args are those of n tokens from t on; h is where the state of channel lo begins.
func (m *selective) args(b, g, lo, hi, t, n int, h []float32) rec.SelectiveArgs {
	row, grow := (b*m.T+t)*m.E+lo, ((b*m.T+t)*m.G+g)*m.N
	return rec.SelectiveArgs{T: n, E: hi - lo, N: m.N,
		X: m.x[row:], Dt: m.dt[row:], Y: m.y[row:], XStride: m.E, DtStride: m.E, YStride: m.E,
		A: m.a[lo*m.N:], AStride: hi - lo, B: m.b[grow:], C: m.c[grow:], BStride: m.G * m.N, CStride: m.G * m.N,
		D: from(m.d, lo), H: h, HStride: m.E}
}

func (m *selective) unit(i int, starts []float32) {
	if m.N == 0 || m.T == 0 {
		return
	}
	b, g, lo, hi := m.unitRange(i)
	h := m.h[b*m.N*m.E+lo:]
	for t := 0; t < m.T; t += selectiveChunk {
		if starts != nil {
			at := starts[t/selectiveChunk*len(m.h)+b*m.N*m.E+lo:]
			for n := range m.N {
				copy(at[n*m.E:][:hi-lo], h[n*m.E:][:hi-lo])
			}
		}
		a := m.args(b, g, lo, hi, t, min(selectiveChunk, m.T-t), h)
		rec.Selective(&a)
	}
}

var selectiveScratch = sync.Pool{New: func() any { return new([]float32) }}

func (m *selective) backward(workers int, y, x, dt, A, Bm, Cm, D, before, after *tensor.Tensor, starts []float32) {
	dh := make([]float32, len(m.h)) // of the state, from the last token to the first
	if after.HasGrad() {
		copy(dh, after.Grad().Data())
	}
	dy := y.Grad().Data() // zeros if none has reached y
	dx, ddt := gradOf(x), gradOf(dt)
	// Sums over channels, or over sequences, are taken in a fixed order
	// afterwards: each unit has a place of its own.
	var dB, dC []float32
	perUnit := m.T * m.N
	if Bm.NeedsGrad() {
		dB = make([]float32, m.units()*perUnit)
	}
	if Cm.NeedsGrad() {
		dC = make([]float32, m.units()*perUnit)
	}
	dA, dD := make([]float32, m.B*m.N*m.E), make([]float32, m.B*m.E)
	hw.Parallel(workers, m.units(), func(i int) {
		b, g, lo, hi := m.unitRange(i)
		p := selectiveScratch.Get().(*[]float32)
		defer selectiveScratch.Put(p)
		if n := rec.SelectiveScratch(selectiveChunk, m.N); len(*p) < n {
			*p = make([]float32, n)
		}
		for k := m.chunks() - 1; k >= 0; k-- {
			t := k * selectiveChunk
			a := m.args(b, g, lo, hi, t, min(selectiveChunk, m.T-t), starts[k*len(m.h)+b*m.N*m.E+lo:])
			row := (b*m.T+t)*m.E + lo
			grads := rec.SelectiveGrads{
				Y: dy[row:], YStride: m.E, H: dh[b*m.N*m.E+lo:], HStride: m.E,
				X: from(dx, row), Dt: from(ddt, row), XStride: m.E, DtStride: m.E,
				A: dA[b*m.N*m.E+lo:], AStride: m.E, D: dD[b*m.E+lo:],
				B: from(dB, i*perUnit+t*m.N), C: from(dC, i*perUnit+t*m.N), BStride: m.N, CStride: m.N,
				Scratch: *p,
			}
			rec.SelectiveBackward(&a, &grads)
		}
	})
	m.sumUnits(gradOf(Bm), dB)
	m.sumUnits(gradOf(Cm), dC)
	if g := gradOf(A); g != nil {
		for b := range m.B {
			for e := range m.E {
				for n := range m.N {
					g[e*m.N+n] += dA[(b*m.N+n)*m.E+e]
				}
			}
		}
	}
	sumBatch(gradOf(D), dD)
	addAll(gradOf(before), dh)
}

// sumUnits adds each unit's [T, N] to its sequence's and group's part of dst, [B, T, G, N].
func (m *selective) sumUnits(dst, parts []float32) {
	if dst == nil {
		return
	}
	for i := range m.units() {
		b, g, _, _ := m.unitRange(i)
		for t := range m.T {
			addAll(dst[((b*m.T+t)*m.G+g)*m.N:][:m.N], parts[(i*m.T+t)*m.N:])
		}
	}
}

func (m *selective) plain(y, x, dt, A, Bm, Cm, D, state *tensor.Tensor) {
	xs, dts, as, bs, cs, h := x.Values64(), dt.Values64(), A.Values64(), Bm.Values64(), Cm.Values64(), state.Values64()
	out := make([]float64, len(xs))
	for b := range m.B {
		for t := range m.T {
			for e := range m.E {
				o := (b*m.T+t)*m.E + e
				row := ((b*m.T+t)*m.G + e/(m.E/m.G)) * m.N
				for n := range m.N {
					s := &h[(b*m.N+n)*m.E+e]
					*s = math.Exp(dts[o]*as[e*m.N+n])**s + dts[o]*xs[o]*bs[row+n]
					out[o] += cs[row+n] * *s
				}
				if D != nil {
					out[o] += D.At(e) * xs[o]
				}
			}
		}
	}
	y.SetValues64(out)
	state.SetValues64(h)
}
