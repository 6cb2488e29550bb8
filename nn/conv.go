package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/gemm"
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// ShortConv is a causal convolution of each channel by itself over a few
// tokens, y_t = Σ_j w_j x_{t−W+1+j} + b, with an optional SiLU after it
// (Dao-AILab/causal-conv1d). Its state is the last W−1 inputs, oldest first: a
// token costs W multiply-adds a channel.
type ShortConv struct {
	Weight *tensor.Tensor // [channels, W]; the last column meets the current token
	Bias   *tensor.Tensor // [channels], or nil
	SiLU   bool
}

// NewShortConv makes a convolution with torch's initialisation, uniform ±1/√width.
func NewShortConv(channels, width int, bias, silu bool, rng *rand.Rand) (*ShortConv, error) {
	if err := checkSizes("NewShortConv", channels, width); err != nil {
		return nil, err
	}
	if width > 1024 {
		return nil, fmt.Errorf("nn.NewShortConv: width %d: want at most 1024; package fft has long convolutions", width)
	}
	bound := 1 / math.Sqrt(float64(width))
	c := &ShortConv{Weight: Uniform(rng, -bound, bound, channels, width), SiLU: silu}
	if bias {
		c.Bias = Uniform(rng, -bound, bound, channels)
	}
	return c, nil
}

// Params are "weight" and, if there is one, "bias". Checkpoints have the weight as [channels, 1, W].
func (c *ShortConv) Params() Params {
	return withBias(Params{{Name: "weight", Tensor: c.Weight}}, c.Bias)
}

// Forward convolves x [batch, length, channels]; st, if not nil, is [batch, W−1, channels].
func (c *ShortConv) Forward(x *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	const op = "nn.ShortConv"
	tensor.Check(op, "x", x, -1, -1, c.Weight.Dim(0))
	m := shortConv{B: x.Dim(0), T: x.Dim(1), C: x.Dim(2), W: c.Weight.Dim(1), silu: c.SiLU}
	if c.Bias != nil {
		tensor.Check(op, "Bias", c.Bias, m.C)
	}
	y := tensor.Out(op, x.Shape(), x, c.Weight, c.Bias)
	s := y.Scope()
	before, after := st.Begin(s, op, m.B, m.W-1, m.C)
	if y.IsFloat64() {
		m.plain(y, x, after, c.Weight, c.Bias)
		st.End(after)
		if c.SiLU {
			y = tensor.SiLU(y)
		}
		return y
	}
	if s.Recording() && before.NeedsGrad() {
		y.Track() // even if the input and the weights are not
	}
	m.x, m.y, m.state = rowsOf(x), rowsOf(y), after.Data()
	m.taps = s.Floats(m.W * m.C)
	c.tapByTap(m.taps)
	if c.Bias != nil {
		m.bias = c.Bias.Data()
	}
	workers := s.Workers()
	if hw.Tasks(workers, m.blocks()*m.B, m.ns()) > 1 {
		m.parallel(workers)
	} else {
		for b := range m.B {
			m.piece(b, 0, m.C)
		}
	}
	if y.Recording() {
		saved, weight, bias := m, c.Weight, c.Bias
		tensor.OnBackward(func() { saved.backward(x, y, before, after, weight, bias) }, y, after)
	}
	st.End(after)
	return y
}

// tapByTap lays the weight out so that channels lie side by side.
func (c *ShortConv) tapByTap(taps []float32) {
	C, W := c.Weight.Dim(0), c.Weight.Dim(1)
	if c.Weight.DType() == tensor.F32 {
		gemm.Transpose(C, W, c.Weight.Raw(), c.Weight.Strides()[0], taps, C)
		return
	}
	for ch := range C {
		for j := range W {
			taps[j*C+ch] = float32(c.Weight.At(ch, j))
		}
	}
}

// shortConv is one call: the kernels of internal/kernel/rec over blocks of channels.
type shortConv struct {
	B, T, C, W        int
	silu              bool
	x, y              rows
	state, taps, bias []float32
}

const convBlock = 64 // channels

func (m *shortConv) blocks() int { return (m.C + convBlock - 1) / convBlock }

// ns is about what a block costs.
func (m *shortConv) ns() float64 { return float64(m.T*min(m.C, convBlock)) * (0.15*float64(m.W) + 0.5) }

func (m *shortConv) parallel(workers int) {
	c, n := *m, m.blocks()
	hw.Parallel(workers, m.B*n, func(i int) {
		lo := i % n * convBlock
		c.piece(i/n, lo, min(lo+convBlock, c.C))
	})
}

// args are the kernel's, for channels lo to hi of sequence b.
func (m *shortConv) args(b, lo, hi int) rec.ConvArgs {
	a := rec.ConvArgs{
		T: m.T, C: hi - lo, Width: m.W, SiLU: m.silu,
		XStride: m.x.t, DstStride: m.y.t, WeightStride: m.C, StateStride: m.C,
		Weights: m.taps[lo:], State: m.state[b*(m.W-1)*m.C:],
	}
	if m.W > 1 {
		a.State = a.State[lo:]
	}
	if m.T > 0 {
		a.X, a.Dst = m.x.data[b*m.x.b+lo:], m.y.data[b*m.y.b+lo:]
	}
	if m.bias != nil {
		a.Bias = m.bias[lo:]
	}
	return a
}

func (m *shortConv) piece(b, lo, hi int) {
	a := m.args(b, lo, hi)
	rec.Conv(&a)
}

func (m *shortConv) backward(x, y, before, after, weight, bias *tensor.Tensor) {
	g := convGrads{shortConv: *m, dy: rowsOf(y.Grad())}
	s := y.Scope()
	past := m.B * (m.W - 1) * m.C
	g.state, g.dstate = s.Floats(past), s.Floats(past)
	clear(g.state)
	clear(g.dstate)
	if before != nil {
		copy(g.state, before.Data())
	}
	if after.HasGrad() {
		copy(g.dstate, after.Grad().Data())
	}
	g.dx, g.hasX = gradRows(x)
	if weight.NeedsGrad() {
		g.dtaps = s.Floats(m.W * m.C)
		clear(g.dtaps)
	}
	if bias.NeedsGrad() {
		g.dbias = bias.Grad().Data()
	}
	// A block's channels see all sequences in order: the same sums for any number of workers.
	workers, n := s.Workers(), m.blocks()
	if hw.Tasks(workers, n, 4*float64(m.B)*m.ns()) > 1 {
		hw.Parallel(workers, n, g.block)
	} else {
		for i := range n {
			g.block(i)
		}
	}
	if g.dtaps != nil {
		dw := weight.Grad()
		d, stride := dw.Raw(), dw.Strides()[0]
		for c := range m.C {
			for j := range m.W {
				d[c*stride+j] += g.dtaps[j*m.C+c]
			}
		}
	}
	if before.NeedsGrad() {
		d := before.Grad().Data()
		vec.Add(d, d, g.dstate)
	}
}

type convGrads struct {
	shortConv
	dy, dx               rows
	hasX                 bool
	dstate, dtaps, dbias []float32
}

func (g *convGrads) block(i int) {
	lo := i * convBlock
	hi := min(lo+convBlock, g.C)
	for b := range g.B {
		a := g.args(b, lo, hi)
		d := rec.ConvGrads{
			State:     g.dstate[b*(g.W-1)*g.C:],
			DstStride: g.dy.t, XStride: g.dx.t, WeightStride: g.C, StateStride: g.C,
		}
		if g.W > 1 {
			d.State = d.State[lo:]
		}
		if g.T > 0 {
			d.Dst = g.dy.data[b*g.dy.b+lo:]
			if g.hasX {
				d.X = g.dx.data[b*g.dx.b+lo:]
			}
		}
		if g.dtaps != nil {
			d.Weights = g.dtaps[lo:]
		}
		if g.dbias != nil {
			d.Bias = g.dbias[lo:]
		}
		rec.ConvBackward(&a, &d)
	}
}

// plain is the equation, in float64.
func (m *shortConv) plain(y, x, after, weight, bias *tensor.Tensor) {
	xs, past, w := x.Values64(), append([]float64(nil), after.Values64()...), weight.Values64()
	out, last := make([]float64, len(xs)), make([]float64, len(past))
	at := func(b, t, c int) float64 {
		if t < 0 {
			return past[(b*(m.W-1)+m.W-1+t)*m.C+c]
		}
		return xs[(b*m.T+t)*m.C+c]
	}
	for b := range m.B {
		for c := range m.C {
			for t := range m.T {
				o := (b*m.T+t)*m.C + c
				for j := range m.W {
					out[o] += w[c*m.W+j] * at(b, t-m.W+1+j, c)
				}
				if bias != nil {
					out[o] += bias.At(c)
				}
			}
			for i := range m.W - 1 {
				last[(b*(m.W-1)+i)*m.C+c] = at(b, m.T-m.W+1+i, c)
			}
		}
	}
	y.SetValues64(out)
	after.SetValues64(last)
}
