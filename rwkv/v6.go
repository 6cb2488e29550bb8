package rwkv

import (
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// TimeMix6 is RWKV-6's time mixing (BlinkDL/ChatRWKV: RWKV_v6_demo.py#time_mixing;
// RWKV-LM: RWKV-v5/src/model.py#RWKV_Tmix_x060). How far each of five inputs
// is shifted depends on the token itself, through maps of low rank, and so does the decay:
//
//	x_* = x_t + (x_{t−1} − x_t) (μ_* + tanh(x_x w1)_* w2_*)       for w, k, v, r, g
//	r, k, v = W_r x_r, W_k x_k, W_v x_v
//	w = exp(−exp(time_decay + tanh(x_w d1) d2))
//	o_t = (S_{t−1} + diag(u) k_t v_tᵀ)ᵀ r_t,   S_t = diag(w_t) S_{t−1} + k_t v_tᵀ
//	y = W_o (GroupNorm(o) ⊙ SiLU(W_g x_g))
//
// Its state, per sequence, is the last token and one HeadDim² matrix a head:
// DModel·(HeadDim+1) floats.
type TimeMix6 struct {
	headMix
	MaaX    *tensor.Tensor    // [C]
	Maa     [5]*tensor.Tensor // [C], in the order w, k, v, r, g
	MaaW1   *tensor.Tensor    // [C, 5·MixRank]
	MaaW2   *tensor.Tensor    // [5, MixRank, C]
	Decay   *tensor.Tensor    // [C]
	DecayW1 *tensor.Tensor    // [C, DecayRank]
	DecayW2 *tensor.Tensor    // [DecayRank, C]
	First   *tensor.Tensor    // [H, HeadDim]
	maaW2   [5]*tensor.Tensor // views of MaaW2
}

// maaNames are the five inputs in the order in which the corrections lie.
var maaNames = [5]string{"w", "k", "v", "r", "g"}

// NewTimeMix6 makes a layer with its authors' initialisation.
func NewTimeMix6(cfg Config56) (*TimeMix6, error) {
	c, err := cfg.withDefaults("rwkv.Config56")
	if err != nil {
		return nil, err
	}
	depth, rest := depths(c.Layer, c.NumLayers)
	C, H := c.DModel, c.DModel/c.HeadDim
	shift := func(f, minus float64) *tensor.Tensor {
		return curve(C, func(x float64) float64 { return 1 - math.Pow(x, f*rest) - minus })
	}
	rng := seeded(c.Seed+1, c.Empty)
	m := &TimeMix6{
		headMix: newHeadMix(c, "rwkv.TimeMix6", true),
		MaaX:    shift(1, 0),
		Maa:     [5]*tensor.Tensor{shift(1, 0), shift(1, 0), shift(1, 0.3*depth), shift(0.5, 0), shift(0.5, 0)},
		MaaW1:   nn.Full(0, C, 5*c.MixRank), MaaW2: uniform(rng, 0.01, 5, c.MixRank, C),
		Decay:   c.decaySpeed(depth, C),
		DecayW1: nn.Full(0, C, c.DecayRank), DecayW2: uniform(rng, 0.01, c.DecayRank, C),
		First: c.bonus(depth, H, c.HeadDim),
	}
	for i := range m.maaW2 {
		m.maaW2[i] = m.MaaW2.Select(0, i)
	}
	return m, nil
}

// Params lists the weights under their names in BlinkDL's checkpoints.
func (m *TimeMix6) Params() nn.Params {
	p := nn.Params{{Name: "time_maa_x", Tensor: m.MaaX, NoDecay: true}}
	for i, name := range maaNames {
		p = append(p, nn.Param{Name: "time_maa_" + name, Tensor: m.Maa[i], NoDecay: true})
	}
	for _, x := range []struct {
		name string
		t    *tensor.Tensor
	}{{"time_maa_w1", m.MaaW1}, {"time_maa_w2", m.MaaW2}, {"time_decay", m.Decay}, {"time_decay_w1", m.DecayW1}, {"time_decay_w2", m.DecayW2}, {"time_faaaa", m.First}} {
		p = append(p, nn.Param{Name: x.name, Tensor: x.t, NoDecay: true})
	}
	return append(p, m.params()...)
}

// Forward mixes x [batch, length, C], which is expected to be normed.
func (m *TimeMix6) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("rwkv.TimeMix6", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	B, T, N := x.Dim(0), x.Dim(1), m.cfg.HeadDim
	in := lowRankShift(x, nn.TokenShift(x, st.Part(0)), m.MaaX, m.MaaW1, &m.maaW2, &m.Maa)
	xw, xk, xv, xr, xg := in[0], in[1], in[2], in[3], in[4]
	decay := tensor.Add(tensor.MatMul(tensor.Tanh(tensor.MatMul(xw, m.DecayW1)), m.DecayW2), m.Decay)
	logDecay := tensor.Neg(tensor.Exp(decay)).Reshape(B, T, m.cfg.DModel/N, N)
	return m.mix(xr, xk, xv, xg, logDecay, m.First, st)
}

// lowRankShift is x + dx (μ_i + tanh((x + dx μ_x) w1)_i w2_i), dx = prev − x, version 6's shift
// by amounts that depend on the token.
func lowRankShift(x, prev, muX, w1 *tensor.Tensor, w2, mu *[5]*tensor.Tensor) (in [5]*tensor.Tensor) {
	low := tensor.Tanh(tensor.MatMul(tensor.Lerp(x, prev, muX), w1))
	R := low.Dim(-1) / len(in)
	for i := range in {
		by := tensor.Add(tensor.MatMul(low.Narrow(-1, i*R, (i+1)*R), w2[i]), mu[i])
		in[i] = tensor.Lerp(x, prev, by)
	}
	return in
}

// ChannelMix6 is RWKV-6's channel mixing, y = σ(W_r x_r) ⊙ W_v max(W_k x_k, 0)²
// with x_* = x_t + (x_{t−1} − x_t) μ_*. Its state is the last token.
type ChannelMix6 struct {
	cfg                    Config56
	kind                   string
	MaaK, MaaR             *tensor.Tensor // [C]
	Key, Value, Receptance *nn.Linear
}

// NewChannelMix6 makes a layer with the initialisation of RWKV-v5/src/model.py#RWKV_CMix_x060.
func NewChannelMix6(cfg Config56) (*ChannelMix6, error) {
	c, err := cfg.withDefaults("rwkv.Config56")
	if err != nil {
		return nil, err
	}
	_, rest := depths(c.Layer, c.NumLayers)
	shift := func() *tensor.Tensor {
		return curve(c.DModel, func(x float64) float64 { return 1 - math.Pow(x, rest) })
	}
	return &ChannelMix6{
		cfg: c, kind: kind("rwkv.ChannelMix6", c.DModel),
		MaaK: shift(), MaaR: shift(),
		Key:        linear(orthogonal(seeded(c.Seed, c.Empty), c.DFF, c.DModel, 1)),
		Value:      linear(nn.Full(0, c.DModel, c.DFF)),
		Receptance: linear(nn.Full(0, c.DModel, c.DModel)),
	}, nil
}

// Params lists the weights under their names in BlinkDL's checkpoints.
func (m *ChannelMix6) Params() nn.Params {
	p := nn.Params{{Name: "time_maa_k", Tensor: m.MaaK, NoDecay: true}, {Name: "time_maa_r", Tensor: m.MaaR, NoDecay: true}}
	p = append(p, m.Key.Params().Prefix("key")...)
	p = append(p, m.Value.Params().Prefix("value")...)
	return append(p, m.Receptance.Params().Prefix("receptance")...)
}

// NewState has one part, "shift" [batch, C].
func (m *ChannelMix6) NewState(batch int) *tensor.State {
	return tensor.NewState(m.kind, batch).Add("shift", tensor.New(batch, m.cfg.DModel))
}

// Forward mixes x [batch, length, C], which is expected to be normed.
func (m *ChannelMix6) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("rwkv.ChannelMix6", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	prev := nn.TokenShift(x, st.Part(0))
	r := tensor.Sigmoid(m.Receptance.Forward(tensor.Lerp(x, prev, m.MaaR)))
	k := tensor.ReLU2(m.Key.Forward(tensor.Lerp(x, prev, m.MaaK)))
	st.Advance(x.Dim(1))
	return tensor.Mul(r, m.Value.Forward(k))
}
