package rwkv

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// Config56 describes a layer of RWKV-5 or RWKV-6. Zero values mean the defaults.
type Config56 struct {
	DModel    int     // channels C of the residual stream, a multiple of HeadDim
	HeadDim   int     // channels N of a head; default 64
	DFF       int     // hidden channels of the channel mix; default 3.5·DModel, in whole 32s
	PerHead   bool    // versions 5.0 and 5.1: one decay and one bonus a head instead of one a channel
	NoGate    bool    // version 5.0
	NormEps   float64 // of the norm over each head; default 64e-5 (1e-5 times the divisor 8 squared that training applies)
	MixRank   int     // version 6: of the token shift's five corrections; default 32, from 4096 channels on 64
	DecayRank int     // version 6: of the decay; default 64, from 4096 channels on 128
	Layer     int     // index of the layer, which the initialisation depends on
	NumLayers int     // layers of the model; 0 means 1
	Seed      uint64  // of the initialisation
	Empty     bool    // leave matrices at zero, for a checkpoint to fill
}

func (c Config56) withDefaults(op string) (Config56, error) {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.HeadDim, 64)
	set(&c.DFF, max(32, c.DModel*7/2/32*32))
	set(&c.NumLayers, 1)
	wide := 1
	if c.DModel >= 4096 {
		wide = 2
	}
	set(&c.MixRank, 32*wide)
	set(&c.DecayRank, 64*wide)
	if c.NormEps == 0 {
		c.NormEps = 64e-5
	}
	switch {
	case c.HeadDim < 1 || c.HeadDim > 1024 || c.DModel%c.HeadDim != 0:
		return c, fmt.Errorf("%s: HeadDim %d, DModel %d: want 1 to 1024, and the second a multiple of the first", op, c.HeadDim, c.DModel)
	case c.MixRank < 1 || c.MixRank > 4096 || c.DecayRank < 1 || c.DecayRank > 4096:
		return c, fmt.Errorf("%s: MixRank %d, DecayRank %d: want 1 to 4096", op, c.MixRank, c.DecayRank)
	case !(c.NormEps > 0 && c.NormEps < 1):
		return c, fmt.Errorf("%s: NormEps %v: want 0 to 1", op, c.NormEps)
	}
	return c, validate(op, c.DModel, c.DModel, c.DFF, c.Layer, c.NumLayers)
}

// decaySpeed is the raw decay, exp(−exp(·)) of which is the factor, of versions 5 and 6.
func (c *Config56) decaySpeed(depth float64, shape ...int) *tensor.Tensor {
	n := product(shape)
	return shaped(index(n, func(i int) float64 { return -6 + 5*math.Pow(ratio(i, n), 0.7+1.3*depth) }), shape)
}

// bonus is the current token's weight u of versions 5 and 6.
func (c *Config56) bonus(depth float64, shape ...int) *tensor.Tensor {
	n := product(shape)
	return shaped(index(n, func(i int) float64 { return depth*(1-ratio(i, n)) + 0.1*float64((i+1)%3-1) }), shape)
}

// shaped is a weight of its own with t's values; a view would share its gradient.
func shaped(t *tensor.Tensor, shape []int) *tensor.Tensor {
	return tensor.From(t.Data(), shape...).Track()
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// headMix is what time mixing of versions 5 and 6 shares: projections, the
// recurrence over heads, the norm of each head and the gate.
type headMix struct {
	cfg                                  Config56
	kind                                 string
	Receptance, Key, Value, Gate, Output *nn.Linear
	LnX                                  *nn.GroupNorm
}

func newHeadMix(c Config56, name string, gate bool) headMix {
	rng := seeded(c.Seed, c.Empty)
	C := c.DModel
	m := headMix{
		cfg: c, kind: kind(name, C, c.HeadDim),
		Receptance: linear(orthogonal(rng, C, C, 1)),
		Key:        linear(orthogonal(rng, C, C, 0.1)),
		Value:      linear(orthogonal(rng, C, C, 1)),
		Output:     linear(nn.Full(0, C, C)),
		LnX: &nn.GroupNorm{Groups: C / c.HeadDim, Bias: nn.Full(0, C), Eps: float32(c.NormEps),
			Weight: nn.Full(math.Pow(float64(c.Layer+1)/float64(c.NumLayers), 0.7), C)},
	}
	if gate {
		m.Gate = linear(orthogonal(rng, C, C, 0.1))
	}
	return m
}

func (m *headMix) params() nn.Params {
	p := nn.Params{}
	for _, l := range []struct {
		name string
		l    *nn.Linear
	}{{"receptance", m.Receptance}, {"key", m.Key}, {"value", m.Value}, {"gate", m.Gate}, {"output", m.Output}} {
		if l.l != nil {
			p = append(p, l.l.Params().Prefix(l.name)...)
		}
	}
	return append(p, m.LnX.Params().Prefix("ln_x")...)
}

// NewState has parts "shift" [batch, C] and "wkv" [batch, H, key, value].
func (m *headMix) NewState(batch int) *tensor.State {
	n := m.cfg.HeadDim
	return tensor.NewState(m.kind, batch).
		Add("shift", tensor.New(batch, m.cfg.DModel)).
		Add("wkv", tensor.New(batch, m.cfg.DModel/n, n, n))
}

// mix is y = W_o (GroupNorm(wkv) ⊙ SiLU(W_g x_g)), the recurrence reading the state before its update.
func (m *headMix) mix(xr, xk, xv, xg, logDecay, bonus *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	B, T, N := xr.Dim(0), xr.Dim(1), m.cfg.HeadDim
	H := m.cfg.DModel / N
	r, k, v := m.Receptance.Forward(xr), m.Key.Forward(xk), m.Value.Forward(xv)
	o := scan.Matrix(scan.MatrixInput{
		Q: r.Reshape(B, T, H, N), K: k.Reshape(B, T, H, N), V: v.Reshape(B, T, H, N),
		LogDecay: logDecay, Bonus: bonus,
	}, st.Part(1))
	st.Advance(T)
	y := m.LnX.Forward(o.Reshape(B, T, H*N))
	if m.Gate != nil {
		y = tensor.SiLUMul(y, m.Gate.Forward(xg))
	}
	return m.Output.Forward(y)
}

// TimeMix5 is RWKV-5's time mixing (BlinkDL/ChatRWKV: RWKV_v5_demo.py#time_mixing;
// RWKV-LM: RWKV-v5/src/model.py). Per head, with x_* = μ_* x_t + (1−μ_*) x_{t−1}:
//
//	r, k, v = W_r x_r, W_k x_k, W_v x_v
//	o_t = (S_{t−1} + diag(u) k_t v_tᵀ)ᵀ r_t,   S_t = diag(w) S_{t−1} + k_t v_tᵀ
//	y = W_o (GroupNorm(o) ⊙ SiLU(W_g x_g)),   w = exp(−exp(time_decay))
//
// Versions 5.0 and 5.1 have one w and u a head, and u = exp(time_first); 5.0
// has no gate. Its state, per sequence, is the last token and one HeadDim²
// matrix a head: DModel·(HeadDim+1) floats.
type TimeMix5 struct {
	headMix
	MixK, MixV, MixR, MixG *tensor.Tensor // [C]
	Decay, First           *tensor.Tensor // [H, HeadDim], or [H]
}

// NewTimeMix5 makes a layer with its authors' initialisation.
func NewTimeMix5(cfg Config56) (*TimeMix5, error) {
	c, err := cfg.withDefaults("rwkv.Config56")
	if err != nil {
		return nil, err
	}
	depth, rest := depths(c.Layer, c.NumLayers)
	H := c.DModel / c.HeadDim
	power := func(f, plus float64) *tensor.Tensor {
		return curve(c.DModel, func(x float64) float64 { return math.Pow(x, f*rest) + plus })
	}
	m := &TimeMix5{headMix: newHeadMix(c, "rwkv.TimeMix5", !c.NoGate),
		MixK: power(1, 0), MixV: power(1, 0.3*depth), MixR: power(0.5, 0)}
	if !c.NoGate {
		m.MixG = power(0.5, 0)
	}
	if c.PerHead {
		m.Decay, m.First = c.decaySpeed(depth, H), nn.Full(math.Log(0.3), H)
	} else {
		m.Decay, m.First = c.decaySpeed(depth, H, c.HeadDim), c.bonus(depth, H, c.HeadDim)
	}
	return m, nil
}

// Params lists the weights under their names in BlinkDL's checkpoints.
func (m *TimeMix5) Params() nn.Params {
	p := nn.Params{{Name: "time_mix_k", Tensor: m.MixK, NoDecay: true}, {Name: "time_mix_v", Tensor: m.MixV, NoDecay: true}, {Name: "time_mix_r", Tensor: m.MixR, NoDecay: true}}
	if m.MixG != nil {
		p = append(p, nn.Param{Name: "time_mix_g", Tensor: m.MixG, NoDecay: true})
	}
	first := "time_faaaa"
	if m.cfg.PerHead {
		first = "time_first"
	}
	p = append(p, nn.Param{Name: "time_decay", Tensor: m.Decay, NoDecay: true}, nn.Param{Name: first, Tensor: m.First, NoDecay: true})
	return append(p, m.params()...)
}

// Forward mixes x [batch, length, C], which is expected to be normed.
func (m *TimeMix5) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("rwkv.TimeMix5", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	B, T, N, s := x.Dim(0), x.Dim(1), m.cfg.HeadDim, x.Scope()
	H := m.cfg.DModel / N
	prev := nn.TokenShift(x, st.Part(0))
	var xg *tensor.Tensor
	if m.MixG != nil {
		xg = blend(x, prev, m.MixG)
	}
	w := tensor.Neg(tensor.Exp(tensor.Enter(s, m.Decay)))
	var logDecay, u *tensor.Tensor
	if m.cfg.PerHead {
		logDecay = tensor.Add(s.New(B, T, H), w)
		u = tensor.Add(s.New(H, N), tensor.Exp(tensor.Enter(s, m.First)).Reshape(H, 1))
	} else {
		logDecay, u = tensor.Add(s.New(B, T, H, N), w), m.First
	}
	return m.mix(blend(x, prev, m.MixR), blend(x, prev, m.MixK), blend(x, prev, m.MixV), xg, logDecay, u, st)
}

// ChannelMix5 is RWKV-5's channel mixing, that of RWKV-4.
type ChannelMix5 = ChannelMix4

// NewChannelMix5 makes a layer with the initialisation of RWKV-v5/src/model.py.
func NewChannelMix5(cfg Config56) (*ChannelMix5, error) {
	c, err := cfg.withDefaults("rwkv.Config56")
	if err != nil {
		return nil, err
	}
	return NewChannelMix4(Config4{DModel: c.DModel, DFF: c.DFF, Layer: c.Layer, NumLayers: c.NumLayers, Seed: c.Seed, Empty: c.Empty})
}
