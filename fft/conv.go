package fft

import (
	"fmt"
	"sync"

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
	const op = "fft.CausalConv"
	tensor.Check(op, "u", u, -1, -1, -1)
	tensor.Check(op, "k", k, -1, u.Dim(2))
	B, T, C, L := u.Dim(0), u.Dim(1), u.Dim(2), k.Dim(0)
	if L == 0 || L > MaxLen-T {
		panic(&tensor.ShapeError{Op: op, Arg: "k", Got: []int{L, C}, Want: fmt.Sprintf("at least one tap, and at most %d taps and inputs together", MaxLen)})
	}
	st.Check(convKind, B)
	s := tensor.ScopeOf(op, u, k)
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
	y := tensor.Out(op, u.Shape(), u, k, before)
	switch {
	case y.IsFloat64():
		plain(y, u, k, after)
	case y.Len() > 0:
		c := conv{B: B, T: T, C: C, workers: s.Workers(), u: tensor.Contiguous(u), k: tensor.Contiguous(k), before: before, after: after}
		c.forward(y)
	}
	if st != nil {
		st.Part(0).End(after)
		st.Advance(T)
	}
	return y
}

// conv is one call of CausalConv.
type conv struct {
	B, T, C, workers    int
	u, k, before, after *tensor.Tensor // before and after are nil without a state, before also where nothing is recorded
}

func (c *conv) forward(y *tensor.Tensor) {
	taps := c.k.Dim(0)
	var past []float32
	if c.after != nil {
		past = c.after.Data()
	} else {
		taps = min(taps, c.T) // later ones meet only zeros
	}
	recording := y.Recording()
	var f *Kernel
	if recording {
		f = new(Kernel)
	} else {
		f = kernels.Get().(*Kernel)
	}
	f.set(c.workers, c.k.Data()[:taps*c.C], taps, c.C, c.T)
	f.run(c.workers, &job{kind: convolve, f: f, y: y.Data(), u: c.u.Data(), past: past, batch: c.B, length: c.T})
	if c.after != nil {
		f.Push(past, c.u.Data(), c.B, c.T)
	}
	if !recording {
		f.k = nil
		kernels.Put(f)
		return
	}
	kept := *c
	tensor.OnBackward(func() { kept.backward(f, y) }, outs(y, c.after)...)
}

func outs(y, after *tensor.Tensor) []*tensor.Tensor {
	if after == nil {
		return []*tensor.Tensor{y}
	}
	return []*tensor.Tensor{y, after}
}

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
	du, dpast := grad(c.u), grad(c.before)
	if y.HasGrad() {
		dy := y.Grad().Data()
		if du == nil && dpast != nil { // the engine's signal begins with u
			du = make([]float32, c.B*c.T*c.C)
		}
		if du != nil {
			f.run(c.workers, &job{kind: gradSignal, f: f, y: dy, u: du, past: dpast, batch: c.B, length: c.T})
		}
		if dk := grad(c.k); dk != nil {
			f.run(c.workers, &job{kind: gradKernel, f: f, dk: dk, y: dy, u: c.u.Data(), past: data(c.before), batch: c.B, length: c.T})
		}
	}
	if c.after.HasGrad() {
		c.kept(du, dpast, c.after.Grad().Data())
	}
}

// kept passes the gradient of the state on: its rows are the last ones of the past and the inputs.
func (c *conv) kept(du, dpast, g []float32) {
	p, n := c.after.Dim(1)*c.C, c.T*c.C
	for b := range c.B {
		g := g[b*p : (b+1)*p]
		if old := max(0, p-n); dpast != nil && old > 0 {
			d := dpast[b*p+n:][:old]
			vec.Add(d, d, g[:old])
		}
		if du != nil {
			w := min(p, n)
			d := du[(b+1)*n-w:][:w]
			vec.Add(d, d, g[p-w:])
		}
	}
}

// plain is the sum itself, in float64.
func plain(y, u, k, after *tensor.Tensor) {
	B, T, C, L := u.Dim(0), u.Dim(1), u.Dim(2), k.Dim(0)
	p := (L - 1) * C
	us, ks, past := u.Values64(), k.Values64(), make([]float64, B*p)
	if after != nil {
		past = after.Values64()
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
		}
		last = append(last, x[T*C:]...)
	}
	y.SetValues64(out)
	if after != nil {
		after.SetValues64(last)
	}
}
