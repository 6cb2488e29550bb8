package fft

import (
	"fmt"
	"sync"

	dft "github.com/subquad/subquad/internal/kernel/fft"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// NewConvState is the state of a causal convolution with kernels of the given
// length: the last length−1 inputs, [batch, length−1, channels], oldest first.
func NewConvState(batch, length, channels int) *tensor.State {
	return tensor.NewState(convKind, batch).Add("past", tensor.New(batch, max(0, length-1), channels))
}

const convKind = "fft.CausalConv/1"

// kernels are reused where nothing is recorded.
var kernels = sync.Pool{New: func() any { return new(Kernel) }}

// CausalConv is the causal convolution of each channel by itself,
//
//	y[t] = Σ_{s<L} k[s] u[t−s]
//
// for u [batch, T, channels] and a kernel k [L, channels], of which either
// length may be the longer. st, if not nil, is a NewConvState for this L: u goes
// on from the inputs that it holds, so that a long input may be fed in pieces.
//
// It has gradients for u, k and the state. A Kernel does the same for plain
// slices, and keeps what depends on k alone.
func CausalConv(u, k *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	return causal("fft.CausalConv", u, k, Gates{}, st)
}

// Gates are what GatedConv multiplies by; each may be nil.
type Gates struct {
	Pre, Post *tensor.Tensor // [batch, T, channels]
	Skip      *tensor.Tensor // [channels]
}

// GatedConv is the causal convolution between two gates, with a way around it:
//
//	w = Pre ⊙ u;   y[t] = Post[t] ⊙ (Σ_{s<L} k[s] w[t−s] + Skip ⊙ w[t])
//
// It is CausalConv between multiplications, without their passes over memory:
// gates are multiplied in where blocks are loaded and stored, Skip is part of
// the first tap. u and the gates may be views of one projection, which are not
// copied. On Zen 5, 64 channels and one core, that takes 0.5 to 0.7 of the
// time of separate multiplications at lengths and taps of 1k to 64k, with
// gradients 0.6 to 0.7 (BenchmarkGatedConv). The state is CausalConv's and holds w. It has gradients for all
// inputs and the state.
func GatedConv(u, k *tensor.Tensor, g Gates, st *tensor.State) *tensor.Tensor {
	return causal("fft.GatedConv", u, k, g, st)
}

func causal(op string, u, k *tensor.Tensor, g Gates, st *tensor.State) *tensor.Tensor {
	g.check(op, u, k)
	B, T, C, L := u.Dim(0), u.Dim(1), u.Dim(2), k.Dim(0)
	st.Check(convKind, B)
	s := tensor.ScopeOf(op, u, k, g.Pre, g.Post, g.Skip)
	var before, after *tensor.Tensor
	if st != nil {
		tensor.Check(op, "state past", st.Part(0).Value, B, L-1, C)
	}
	if T == 0 {
		return tensor.Out(op, u.Shape(), u, k)
	}
	if st != nil {
		before, after = st.Part(0).Begin(s, op, B, L-1, C)
	}
	y := tensor.Out(op, u.Shape(), u, k, before, g.Pre, g.Post, g.Skip)
	switch {
	case y.IsFloat64():
		plain(y, u, k, g, after)
	case y.Len() > 0:
		c := conv{B: B, T: T, C: C, workers: s.Workers(), u: u, k: tensor.Contiguous(k), g: g, before: before, after: after}
		c.forward(y)
	}
	if st != nil {
		st.Part(0).End(after)
		st.Advance(T)
	}
	return y
}

// check panics unless inputs, filter and gates fit each other.
func (g Gates) check(op string, u, k *tensor.Tensor) {
	tensor.Check(op, "u", u, -1, -1, -1)
	tensor.Check(op, "k", k, -1, u.Dim(2))
	B, T, C, L := u.Dim(0), u.Dim(1), u.Dim(2), k.Dim(0)
	if L == 0 || L > MaxLen-T {
		panic(&tensor.ShapeError{Op: op, Arg: "k", Got: []int{L, C}, Want: fmt.Sprintf("at least one tap, and at most %d taps and inputs together", MaxLen)})
	}
	if g.Pre != nil {
		tensor.Check(op, "Pre", g.Pre, B, T, C)
	}
	if g.Post != nil {
		tensor.Check(op, "Post", g.Post, B, T, C)
	}
	if g.Skip != nil {
		tensor.Check(op, "Skip", g.Skip, C)
	}
}

// conv is one call of CausalConv or GatedConv.
type conv struct {
	B, T, C, workers int
	u, k             *tensor.Tensor
	g                Gates
	z                *tensor.Tensor // the result before Post, where its gradient needs it
	// The past; what it becomes, if that is kept. Where nothing is recorded
	// before may be nil, and after has the past.
	before, after *tensor.Tensor
}

func (c *conv) forward(y *tensor.Tensor) {
	taps := c.k.Dim(0)
	var past []float32
	switch {
	case c.after != nil:
		past = c.after.Data()
	case c.before != nil:
		past = c.before.Data()
	default:
		taps = min(taps, c.T) // later ones meet only zeros
	}
	recording := y.Recording()
	var f *Kernel
	if recording {
		f = new(Kernel)
		if c.g.Post.NeedsGrad() {
			c.z = y.Scope().New(c.B, c.T, c.C)
		}
	} else {
		f = kernels.Get().(*Kernel)
	}
	f.set(c.workers, c.k.Data()[:taps*c.C], data(c.g.Skip), taps, c.C, c.T)
	f.run(c.workers, &job{kind: convolve, f: f, y: gridOf(y), z: gridOf(c.z), u: gridOf(c.u), pre: gridOf(c.g.Pre), post: gridOf(c.g.Post), past: past, batch: c.B, length: c.T})
	if c.after != nil {
		c.push(past)
	}
	if !recording {
		f.k, f.skip = nil, nil
		kernels.Put(f)
		return
	}
	kept := *c
	tensor.OnBackward(func() { kept.backward(f, y) }, outs(y, c.after)...)
}

// push moves the state on by the gated inputs.
func (c *conv) push(past []float32) {
	p := c.after.Dim(1)
	for b := range c.B {
		old := past[b*p*c.C:][:p*c.C]
		n := min(p, c.T)
		copy(old, old[n*c.C:])
		c.signal(b).plane(old[(p-n)*c.C:], n, c.C, c.T-n)
	}
}

// signal is sequence b of the gated inputs.
func (c *conv) signal(b int) rows {
	u, pre := gridOf(c.u), gridOf(c.g.Pre)
	return rows{u: u.from(b, 0), gate: pre.from(b, 0), t: c.T, stride: u.row, gateStride: pre.row}
}

func outs(y, after *tensor.Tensor) []*tensor.Tensor {
	if after == nil {
		return []*tensor.Tensor{y}
	}
	return []*tensor.Tensor{y, after}
}

// gridOf is a tensor's memory; its gradient's is gradOf.
func gridOf(t *tensor.Tensor) grid {
	if t == nil {
		return grid{}
	}
	d := t.Strides()
	return grid{t.Raw(), d[0], d[1]}
}

func gradOf(t *tensor.Tensor) grid { return gridOf(t.Grad()) }

func grad(t *tensor.Tensor) []float32 {
	if !t.NeedsGrad() {
		return nil
	}
	return t.Grad().Data()
}

func data(t *tensor.Tensor) []float32 {
	if t == nil {
		return nil
	}
	return t.Data()
}

func (c *conv) backward(f *Kernel, y *tensor.Tensor) {
	j := job{f: f, batch: c.B, length: c.T, u: gridOf(c.u), pre: gridOf(c.g.Pre), post: gridOf(c.g.Post), du: gradOf(c.u), dpre: gradOf(c.g.Pre)}
	dpast := grad(c.before)
	if y.HasGrad() {
		j.y = gridOf(y.Grad())
		if dpost := gradOf(c.g.Post); dpost.data != nil {
			z := gridOf(c.z)
			for b := range c.B {
				dft.AddMulRows(c.T, c.C, dpost.from(b, 0), dpost.row, j.y.from(b, 0), j.y.row, z.from(b, 0), z.row)
			}
		}
		if j.du.data != nil || j.dpre.data != nil || dpast != nil {
			signal := j
			signal.kind, signal.past = gradSignal, dpast
			f.run(c.workers, &signal)
		}
		if dk, dskip := grad(c.k), grad(c.g.Skip); dk != nil || dskip != nil {
			kernel := j
			kernel.kind, kernel.past, kernel.dk, kernel.dskip = gradKernel, data(c.before), dk, dskip
			f.run(c.workers, &kernel)
		}
	}
	if c.after.HasGrad() {
		c.kept(&j, dpast, c.after.Grad().Data())
	}
}

// kept passes the gradient of the state on: its rows are the last ones of the past and the inputs.
func (c *conv) kept(j *job, dpast, g []float32) {
	p := c.after.Dim(1)
	n := min(p, c.T)
	for b := range c.B {
		g := g[b*p*c.C:]
		if dpast != nil && n < p {
			d := dpast[(b*p+n)*c.C:][:(p-n)*c.C]
			vec.Add(d, d, g[:len(d)])
		}
		if n > 0 {
			sinkOf(j.du, j.pre, b, 0, true).put(c.T-n, n, c.C, g[(p-n)*c.C:], c.C)
			sinkOf(j.dpre, j.u, b, 0, true).put(c.T-n, n, c.C, g[(p-n)*c.C:], c.C)
		}
	}
}

// plain is the sum itself, in float64.
func plain(y, u, k *tensor.Tensor, g Gates, after *tensor.Tensor) {
	B, T, C, L := u.Dim(0), u.Dim(1), u.Dim(2), k.Dim(0)
	p := (L - 1) * C
	us, ks, past := u.Values64(), k.Values64(), make([]float64, B*p)
	if after != nil {
		past = after.Values64()
	}
	us = times(us, g.Pre)
	var skip []float64
	if g.Skip != nil {
		skip = g.Skip.Values64()
	}
	out, last := make([]float64, y.Len()), make([]float64, 0, len(past))
	for b := range B {
		x := append(append([]float64(nil), past[b*p:(b+1)*p]...), us[b*T*C:(b+1)*T*C]...)
		for t := range T {
			for s := range L {
				for c := range C {
					out[(b*T+t)*C+c] += ks[s*C+c] * x[(L-1+t-s)*C+c]
				}
			}
			for c, d := range skip {
				out[(b*T+t)*C+c] += d * x[(L-1+t)*C+c]
			}
		}
		last = append(last, x[T*C:]...)
	}
	y.SetValues64(times(out, g.Post))
	if after != nil {
		after.SetValues64(last)
	}
}

// times multiplies by a gate, if there is one.
func times(v []float64, gate *tensor.Tensor) []float64 {
	if gate == nil {
		return v
	}
	w := make([]float64, len(v))
	for i, g := range gate.Values64() {
		w[i] = v[i] * g
	}
	return w
}
