package ssm

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// HyenaConfig describes a layer of Hyena of order 2. Zero values mean the defaults, those of HyenaDNA.
type HyenaConfig struct {
	DModel    int     // channels
	Length    int     // L, taps of the filters; default 1024
	EmbDim    int     // numbers that the position becomes, odd; default 3
	Order     int     // channels within the filters' network; default 64
	InnerMLPs int     // its layers between the first and the last; default 2
	SineFreq  float64 // w, the frequency that its sines start from; default 10
	FastDecay float64 // the quickest window falls to 1 % in this part of L; default 0.3
	SlowDecay float64 // the slowest; default 1.5
	Shift     float64 // what is left of a window far out; default 0.05
	Seed      uint64  // of the initialisation
}

func (c HyenaConfig) withDefaults() (HyenaConfig, error) {
	orDefault(&c.Length, 1024)
	orDefault(&c.EmbDim, 3)
	orDefault(&c.Order, 64)
	orDefault(&c.InnerMLPs, 2)
	orDefault(&c.SineFreq, 10)
	orDefault(&c.FastDecay, 0.3)
	orDefault(&c.SlowDecay, 1.5)
	orDefault(&c.Shift, 0.05)
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("ssm.HyenaConfig: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.Length < 2 || c.Length > 1<<24:
		return c, fmt.Errorf("ssm.HyenaConfig: Length %d: want 2 to %d", c.Length, 1<<24)
	case c.EmbDim < 3 || c.EmbDim > 1025 || c.EmbDim%2 == 0 || c.Order < 1 || c.Order > maxWidth || c.InnerMLPs < 0 || c.InnerMLPs > 64:
		return c, fmt.Errorf("ssm.HyenaConfig: EmbDim %d, Order %d, InnerMLPs %d: want an odd number from 3 to 1025, 1 to %d, 0 to 64", c.EmbDim, c.Order, c.InnerMLPs, maxWidth)
	case !(c.SineFreq > 0 && c.SineFreq < 1e6 && c.FastDecay > 0 && c.FastDecay <= c.SlowDecay && c.SlowDecay < 1e6 && c.Shift >= 0 && c.Shift < 1e6):
		return c, fmt.Errorf("ssm.HyenaConfig: SineFreq %v, FastDecay %v, SlowDecay %v, Shift %v: want positive numbers, the decays in order", c.SineFreq, c.FastDecay, c.SlowDecay, c.Shift)
	}
	return c, nil
}

// Hyena mixes tokens by a long convolution between two gates
// (HazyResearch/hyena-dna: standalone_hyenadna.py#HyenaOperator, order 2):
//
//	x0, x1, v = shortconv(W_in u);   y = W_out (x0 ⊙ (k ∗ (x1 ⊙ v) + bias ⊙ x1 ⊙ v))
//
// The filters k are not weights but the values of a small network with sines
// at L positions, under windows that decay at the channel's own rate,
//
//	k_l = (e^{−δ t_l} + shift) ⊙ MLP(t_l, cos ω t_l, −sin ω t_l)
//
// Inputs further back than L tokens are not seen. A whole sequence goes through
// FFTs; so do single tokens, exactly and as they come, at the square of log L
// multiply-adds a channel on average (fft.Online: its Due says which step is a
// long one). The state is 3P+6 floats a channel for a sequence, P the power of two from L on.
// Distill makes a layer of it whose state and steps do not grow with L.
//
// Sines within sines make noise of roundings: float32's outputs are right to
// 1e-6 at the default frequency, to 1e-4 at 30 and to 3e-3 at 100 (TestHyenaFrequencies).
type Hyena struct {
	cfg     HyenaConfig
	kind    string
	In, Out *nn.Linear
	Short   *nn.ShortConv  // of 3·DModel channels
	Freq    *tensor.Tensor // [1, Order], of all sines
	MLP     []*nn.Linear   // the filters' network
	Bias    *tensor.Tensor // [DModel]

	positions, window *tensor.Tensor   // [L, EmbDim], [L, DModel]
	leaves            []*tensor.Tensor // that the filters depend on
	kept              kept
	online            atomic.Pointer[online] // of the kept filters
}

type online struct {
	k *tensor.Tensor
	*fft.Online
}

// NewHyena makes a layer with its authors' initialisation.
func NewHyena(cfg HyenaConfig) (*Hyena, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	D, L := c.DModel, c.Length
	mk := newMaker(c.Seed, false)
	h := &Hyena{
		cfg: c, kind: fmt.Sprintf("ssm.Hyena/2 d_model=%d length=%d", D, L),
		In: mk.linear(D, 3*D, true), Out: mk.linear(D, D, true),
		Short:     mk.conv(3*D, 3, true, false),
		Freq:      nn.Full(c.SineFreq, 1, c.Order),
		Bias:      nn.Normal(mk.rng, 1, D),
		positions: tensor.New(L, c.EmbDim), window: tensor.New(L, D),
	}
	in := c.EmbDim
	for range c.InnerMLPs + 1 {
		h.MLP = append(h.MLP, mk.linear(in, c.Order, true))
		in = c.Order
	}
	h.MLP = append(h.MLP, mk.linear(in, D, false))
	if mk.err != nil {
		return nil, mk.err
	}
	h.leaves = []*tensor.Tensor{h.Freq}
	for _, l := range h.MLP {
		for _, p := range l.Params() {
			h.leaves = append(h.leaves, p.Tensor)
		}
	}
	bands := (c.EmbDim - 1) / 2
	slow, fast := math.Log(1e-2)/c.SlowDecay, math.Log(1e-2)/c.FastDecay
	for l := range L {
		t := float64(l) / float64(L-1)
		row := h.positions.Data()[l*c.EmbDim:][:c.EmbDim]
		row[0] = float32(t)
		for i := range bands {
			f := 1e-4
			if bands > 1 {
				f += (float64(bands-1) - 1e-4) * float64(i) / float64(bands-1)
			}
			sin, cos := math.Sincos(f * 2 * math.Pi * float64(l) / float64(L))
			row[1+i], row[1+bands+i] = float32(cos), float32(-sin)
		}
		for d := range D {
			delta := slow
			if D > 1 {
				delta += (fast - slow) * float64(d) / float64(D-1)
			}
			h.window.Data()[l*D+d] = float32(math.Exp(-t*math.Abs(delta)) + c.Shift)
		}
	}
	return h, nil
}

// Params lists the weights under the names of checkpoints.
func (h *Hyena) Params() nn.Params {
	p := h.In.Params().Prefix("in_proj")
	p = append(p, h.Out.Params().Prefix("out_proj")...)
	p = append(p, h.Short.Params().Prefix("short_filter")...)
	p = append(p, nn.Param{Name: "filter_fn.bias", Tensor: h.Bias, NoDecay: true},
		nn.Param{Name: "filter_fn.implicit_filter.1.freq", Tensor: h.Freq, NoDecay: true})
	for i, l := range h.MLP {
		p = append(p, l.Params().Prefix(fmt.Sprintf("filter_fn.implicit_filter.%d", 2*i))...)
	}
	return p
}

// NewState has the part "short" [batch, 2, 3·DModel] and the state of an fft.Online.
func (h *Hyena) NewState(batch int) *tensor.State {
	st := tensor.NewState(h.kind, batch).Add("short", tensor.New(batch, 2, 3*h.cfg.DModel))
	st.Sub = []*tensor.State{fft.NewOnlineState(batch, h.cfg.Length, h.cfg.DModel)}
	return st
}

// filters are the kernels, [L, DModel].
func (h *Hyena) filters(s *tensor.Scope) *tensor.Tensor {
	x := tensor.Enter(s, h.positions)
	freq := tensor.Enter(s, h.Freq)
	for _, l := range h.MLP[:len(h.MLP)-1] {
		x = tensor.Sin(tensor.Mul(l.Forward(x), freq))
	}
	return tensor.Mul(h.MLP[len(h.MLP)-1].Forward(x), tensor.Enter(s, h.window))
}

// Forward mixes u [batch, length, DModel].
func (h *Hyena) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.Hyena", "u", u, -1, -1, h.cfg.DModel)
	st.Check(h.kind, u.Dim(0))
	D := h.cfg.DModel
	x := h.Short.Forward(h.In.Forward(u), st.Part(0))
	x0, x1, v := x.Narrow(-1, 0, D), x.Narrow(-1, D, 2*D), x.Narrow(-1, 2*D, 3*D)
	y := h.conv(v, fft.Gates{Pre: x1, Post: x0, Skip: h.Bias}, st.Inner(0))
	st.Advance(u.Dim(1))
	return h.Out.Forward(y)
}

func (h *Hyena) conv(v *tensor.Tensor, g fft.Gates, st *tensor.State) *tensor.Tensor {
	s := v.Scope()
	k := h.kept.of(s, h.leaves, 1, h.filters)[0]
	if st == nil {
		return fft.GatedConv(v, k, g, nil)
	}
	if s.Recording() || s.IsFloat64() {
		return fft.OnlineConv(v, k, g, nil, st)
	}
	o := h.online.Load()
	if o == nil || o.k != k {
		f, err := fft.NewOnline(k.Data(), h.cfg.Length, h.cfg.DModel)
		if err != nil {
			panic(err) // HyenaConfig bounds Length
		}
		o = &online{k, f}
		h.online.Store(o)
	}
	return fft.OnlineConv(v, k, g, o.Online, st)
}
