package rwkv

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// A GateKind is the output gate of a converted layer.
type GateKind uint8

const (
	GateLowRank GateKind = iota // through GateRank channels
	GateFull                    // σ(W_gate x), one matrix: the checkpoints of QRWKV6-32B
	GateNone                    // ARWKV-7 without wkv_has_gate
)

// ConfigConverted describes a layer that takes a Transformer's attention's
// place, projections and all. Zero values mean the defaults.
type ConfigConverted struct {
	DModel     int      // channels C of the residual stream
	NumHeads   int      // H; default DModel/HeadDim
	NumKVHeads int      // heads of k and v, a divisor of NumHeads; default NumHeads
	HeadDim    int      // channels N of a head; default DModel/NumHeads, or 64 without that
	NoBias     bool     // on q, k and v; Qwen2 has biases there
	OutBias    bool     // on the output projection
	Gate       GateKind // default GateLowRank

	// Ranks of low-rank maps; 0 means the reference's. DecayRank, GateRank are
	// both versions', MixRank version 6's, RateRank and ValueRank version 7's.
	MixRank, DecayRank, RateRank, ValueRank, GateRank int

	// Version 7 only.
	RopeBase   float64 // rotary embedding of r and k; 0 means none
	TokenShift bool    // blend with the token before (ARWKV-7)
	Balance    bool    // k (1 − d + a), the reference's balance_state, instead of k_k and k_a
	Bonus      bool    // (Σ r k r_k) v is added to the output, as in RWKV-7 (ARWKV-7)
	NoNorm     bool    // N^{−½} instead of the group norm
	NormEps    float64 // of the group norm; default HeadDim·1e-5

	Layer     int    // index of the layer, which the initialisation depends on
	NumLayers int    // layers of the model; 0 means Layer+1
	Seed      uint64 // of the initialisation
	Empty     bool   // leave matrices at zero, for a checkpoint to fill
}

func (c ConfigConverted) withDefaults(version int) (ConfigConverted, error) {
	const op = "rwkv.ConfigConverted"
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	if c.NumHeads > 0 {
		set(&c.HeadDim, c.DModel/c.NumHeads)
	}
	set(&c.HeadDim, 64)
	set(&c.NumHeads, c.DModel/max(1, c.HeadDim))
	set(&c.NumKVHeads, c.NumHeads)
	set(&c.NumLayers, c.Layer+1)
	rank := func(exponent, f float64) int {
		return max(1, int(math.RoundToEven(math.Pow(float64(max(c.DModel, 0)), exponent)*f/32))) * 32
	}
	if version == 6 {
		wide := 1
		if c.DModel >= 4096 {
			wide = 2
		}
		set(&c.MixRank, 32*wide)
		set(&c.DecayRank, 64*wide)
		set(&c.GateRank, 128)
	} else {
		set(&c.DecayRank, rank(0.5, 1.8))
		set(&c.RateRank, rank(0.5, 1.8))
		set(&c.ValueRank, rank(0.5, 1.3))
		set(&c.GateRank, rank(0.8, 0.6))
	}
	if c.NormEps == 0 {
		c.NormEps = 1e-5 * float64(c.HeadDim)
	}
	if err := validate(op, c.DModel, c.DModel, c.DModel, c.Layer, c.NumLayers); err != nil {
		return c, err
	}
	switch {
	case c.NumHeads < 1 || c.HeadDim < 1 || c.NumHeads > maxWidth/c.HeadDim:
		return c, fmt.Errorf("%s: %d heads of %d channels: want 1 to %d in all", op, c.NumHeads, c.HeadDim, maxWidth)
	case c.NumKVHeads < 1 || c.NumHeads%c.NumKVHeads != 0:
		return c, fmt.Errorf("%s: NumHeads %d, NumKVHeads %d: want the second to divide the first", op, c.NumHeads, c.NumKVHeads)
	case c.Gate > GateNone:
		return c, fmt.Errorf("%s: Gate %d: want 0 to %d", op, c.Gate, GateNone)
	case c.RopeBase != 0 && (!(c.RopeBase > 1 && c.RopeBase < 1e15) || c.HeadDim%2 != 0):
		return c, fmt.Errorf("%s: RopeBase %v, HeadDim %d: want more than 1 and an even number, or 0 for none", op, c.RopeBase, c.HeadDim)
	case !(c.NormEps > 0 && c.NormEps < 1):
		return c, fmt.Errorf("%s: NormEps %v: want 0 to 1", op, c.NormEps)
	}
	for _, r := range []int{c.MixRank, c.DecayRank, c.RateRank, c.ValueRank, c.GateRank} {
		if r < 0 || r > maxWidth {
			return c, fmt.Errorf("%s: rank %d: want 1 to %d", op, r, maxWidth)
		}
	}
	return c, nil
}

// converted is what both versions share: attention's projections and the gate.
type converted struct {
	cfg        ConfigConverted
	kind       string
	Q, K, V, O *nn.Linear
	Gate       *nn.Linear     // GateFull's
	G1, G2     *tensor.Tensor // GateLowRank's: [C, rank], [rank, H·N]
}

func newConverted(c ConfigConverted, name string, gate2 func(rank, n int) *tensor.Tensor) converted {
	rng := seeded(c.Seed, c.Empty)
	C, inner, kv := c.DModel, c.NumHeads*c.HeadDim, c.NumKVHeads*c.HeadDim
	project := func(out, in int, bias bool) *nn.Linear {
		l := linear(uniform(rng, 1/math.Sqrt(float64(in)), out, in))
		if bias {
			l.Bias = nn.Full(0, out)
		}
		return l
	}
	m := converted{
		cfg: c, kind: kind(name, c.NumHeads, c.HeadDim),
		Q: project(inner, C, !c.NoBias), K: project(kv, C, !c.NoBias), V: project(kv, C, !c.NoBias), O: project(C, inner, c.OutBias),
	}
	switch c.Gate {
	case GateFull:
		m.Gate = project(inner, C, false)
	case GateLowRank:
		m.G1, m.G2 = nn.Full(0, C, c.GateRank), gate2(c.GateRank, inner)
	}
	return m
}

func (m *converted) params(g1, g2 string) nn.Params {
	p := m.Q.Params().Prefix("q_proj")
	p = append(p, m.K.Params().Prefix("k_proj")...)
	p = append(p, m.V.Params().Prefix("v_proj")...)
	p = append(p, m.O.Params().Prefix("o_proj")...)
	if m.Gate != nil {
		p = append(p, m.Gate.Params().Prefix("gate")...)
	}
	if m.G1 != nil {
		p = append(p, nn.Param{Name: g1, Tensor: m.G1, NoDecay: true}, nn.Param{Name: g2, Tensor: m.G2, NoDecay: true})
	}
	return p
}

// heads splits the last axis of a projection into heads.
func (m *converted) heads(x *tensor.Tensor) *tensor.Tensor {
	return x.Reshape(x.Dim(0), x.Dim(1), x.Dim(2)/m.cfg.HeadDim, m.cfg.HeadDim)
}

func (m *converted) wkv(batch int) *tensor.Tensor {
	return tensor.New(batch, m.cfg.NumHeads, m.cfg.HeadDim, m.cfg.HeadDim)
}

// TimeMixQ6 is RWKV-6's recurrence in the place of a Transformer's attention:
// RAD-RWKV6 and the QRWKV6 models, arXiv 2505.03005 (recursal/RADLADS:
// rwkv6attn.py; ggml-org/llama.cpp: architecture rwkv6qwen2). It keeps the
// attention's projections, with their biases and shared heads of keys and values:
//
//	x_* = x_t + (x_{t−1} − x_t) (μ_* + tanh(x_x w1)_* w2_*)       for r, k, v, w, g
//	r, k, v = W_q x_r, W_k x_k, W_v x_v, heads of k and v repeated to H
//	d = exp(−exp(time_decay + tanh(x_w d1) d2)),   k = k (1 − d)
//	S_t = diag(d_t) S_{t−1} + k_t v_tᵀ,   o_t = N^{−½} S_tᵀ r_t
//	y = W_o (o ⊙ σ(tanh(x_g g1) g2))
//
// Unlike TimeMix6 it has no bonus and no norm, reads the state after its
// update, and its corrections lie in the order r, k, v, w, g. Its state, per
// sequence, is the last token and one N×N matrix a head: DModel + H·N² floats;
// a token costs 3·H·N² multiply-adds beside the projections.
type TimeMixQ6 struct {
	converted
	MaaX             *tensor.Tensor    // [C]
	Maa              [5]*tensor.Tensor // [C], in the order r, k, v, w, g
	MaaW1            *tensor.Tensor    // [C, 5·MixRank]
	MaaW2            *tensor.Tensor    // [5, MixRank, C]
	Decay            *tensor.Tensor    // [H·N]
	DecayW1, DecayW2 *tensor.Tensor    // [C, DecayRank], [DecayRank, H·N]
	maaW2            [5]*tensor.Tensor // views of MaaW2
}

// maaNamesQ are the five inputs in the order in which the corrections lie.
var maaNamesQ = [5]string{"r", "k", "v", "w", "g"}

// NewTimeMixQ6 makes a layer with the initialisation of rwkv6attn.py; the
// projections, which a conversion copies, are torch's.
func NewTimeMixQ6(cfg ConfigConverted) (*TimeMixQ6, error) {
	c, err := cfg.withDefaults(6)
	if err != nil {
		return nil, err
	}
	if c.RopeBase != 0 || c.TokenShift || c.Balance || c.Bonus || c.NoNorm {
		return nil, fmt.Errorf("rwkv.ConfigConverted: RopeBase, TokenShift, Balance, Bonus and NoNorm are version 7's")
	}
	depth, _ := depths(c.Layer, c.NumLayers)
	rng := seeded(c.Seed+1, c.Empty)
	C, inner := c.DModel, c.NumHeads*c.HeadDim
	small := func(shape ...int) *tensor.Tensor { return uniform(rng, 0.01, shape...) }
	m := &TimeMixQ6{
		converted: newConverted(c, "rwkv.TimeMixQ6", func(r, n int) *tensor.Tensor { return small(r, n) }),
		MaaX:      nn.Full(1, C),
		MaaW1:     nn.Full(0, C, 5*c.MixRank), MaaW2: small(5, c.MixRank, C),
		Decay:   index(inner, func(i int) float64 { return -6 + 5*math.Pow(ratio(i, inner), 0.7+1.3*depth) }),
		DecayW1: nn.Full(0, C, c.DecayRank), DecayW2: small(c.DecayRank, inner),
	}
	for i := range m.Maa {
		m.Maa[i], m.maaW2[i] = nn.Full(0, C), m.MaaW2.Select(0, i)
	}
	return m, nil
}

// Params lists the weights under their names in QRWKV6's checkpoints.
func (m *TimeMixQ6) Params() nn.Params {
	p := nn.Params{{Name: "time_maa_x", Tensor: m.MaaX, NoDecay: true}}
	for i, name := range maaNamesQ {
		p = append(p, nn.Param{Name: "time_maa_" + name, Tensor: m.Maa[i], NoDecay: true})
	}
	for _, x := range []struct {
		name string
		t    *tensor.Tensor
	}{{"time_maa_w1", m.MaaW1}, {"time_maa_w2", m.MaaW2}, {"time_decay", m.Decay}, {"time_decay_w1", m.DecayW1}, {"time_decay_w2", m.DecayW2}} {
		p = append(p, nn.Param{Name: x.name, Tensor: x.t, NoDecay: true})
	}
	return append(p, m.params("gate_w1", "gate_w2")...)
}

// NewState has parts "shift" [batch, C] and "wkv" [batch, H, key, value].
func (m *TimeMixQ6) NewState(batch int) *tensor.State {
	return tensor.NewState(m.kind, batch).Add("shift", tensor.New(batch, m.cfg.DModel)).Add("wkv", m.wkv(batch))
}

// Forward mixes x [batch, length, C], which is expected to be normed.
func (m *TimeMixQ6) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("rwkv.TimeMixQ6", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	B, T, H, N := x.Dim(0), x.Dim(1), m.cfg.NumHeads, m.cfg.HeadDim
	in := lowRankShift(x, nn.TokenShift(x, st.Part(0)), m.MaaX, m.MaaW1, &m.maaW2, &m.Maa)
	xr, xk, xv, xw, xg := in[0], in[1], in[2], in[3], in[4]

	r := m.heads(m.Q.Forward(xr))
	k, v := nn.RepeatHeads(m.heads(m.K.Forward(xk)), H), nn.RepeatHeads(m.heads(m.V.Forward(xv)), H)
	decay := tensor.Add(tensor.MatMul(tensor.Tanh(tensor.MatMul(xw, m.DecayW1)), m.DecayW2), m.Decay)
	logDecay := m.heads(tensor.Neg(tensor.Exp(decay)))
	k = tensor.Sub(k, tensor.Mul(k, tensor.Exp(logDecay)))
	o := scan.Matrix(scan.MatrixInput{Q: r, K: k, V: v, LogDecay: logDecay, Scale: float32(1 / math.Sqrt(float64(N)))}, st.Part(1))
	st.Advance(T)

	o = o.Reshape(B, T, H*N)
	switch m.cfg.Gate {
	case GateFull:
		o = tensor.Mul(o, tensor.Sigmoid(m.Gate.Forward(xg)))
	case GateLowRank:
		o = tensor.Mul(o, tensor.Sigmoid(tensor.MatMul(tensor.Tanh(tensor.MatMul(xg, m.G1)), m.G2)))
	}
	return m.O.Forward(o)
}

// TimeMixQ7 is RWKV-7's recurrence in the place of a Transformer's attention:
// RAD-RWKV7 and Qwerky-7, arXiv 2505.03005 (recursal/RADLADS:
// rwkv7qwen2/modeling_rwkv7qwen2.py), and ARWKV-7, arXiv 2501.15570
// (ggml-org/llama.cpp: architecture arwkv7). It keeps the attention's
// projections, with their biases and shared heads of keys and values, and by
// default its lack of a token shift:
//
//	r, k, v = W_q x, W_k x, W_v x;   r, k = RoPE(r), RoPE(k);   heads of k and v repeated to H
//	d = exp(−e^{−½} σ(w0 + tanh(x w1) w2)),   a = σ(a0 + x a1 a2)
//	κ = k k_k / ‖k k_k‖,  k = k (1 + (a−1) k_a)
//	v = v + (v_first − v) σ(v0 + x v1 v2)                 (not in the first layer)
//	S_t = S_{t−1} (diag(d) − κ (κ a)ᵀ) + v kᵀ,   o = S_t r
//	y = W_o (GroupNorm(o) ⊙ σ(x g1) g2)
//
// Parts come and go with the configuration. Its state, per sequence, is one
// N×N matrix a head, H·N² floats, and DModel more with a token shift; a token
// costs 5·H·N² multiply-adds beside the projections.
type TimeMixQ7 struct {
	converted
	X                  [6]*tensor.Tensor // μ of r, w, k, v, a, g, each [C]; nil without a token shift
	W0, A0, V0, KK, KA *tensor.Tensor    // [H·N]; V0 nil in the first layer, KK and KA with Balance
	W1, A1, V1         *tensor.Tensor    // [C, rank]
	W2, A2, V2         *tensor.Tensor    // [rank, H·N]
	RK                 *tensor.Tensor    // [H, N], nil without Bonus
	LnX                *nn.GroupNorm     // nil with NoNorm
}

var shiftNamesQ7 = [6]string{"x_r", "x_w", "x_k", "x_v", "x_a", "x_g"}

// NewTimeMixQ7 makes a layer: first factors of the low-rank maps zero, second
// ones orthogonal times 0.1, k_k 0.85, k_a 1, the decays RWKV-7's first ones,
// μ zero, the projections torch's.
func NewTimeMixQ7(cfg ConfigConverted) (*TimeMixQ7, error) {
	c, err := cfg.withDefaults(7)
	if err != nil {
		return nil, err
	}
	if c.MixRank != 0 {
		return nil, fmt.Errorf("rwkv.ConfigConverted: MixRank %d is version 6's", c.MixRank)
	}
	depth, _ := depths(c.Layer, c.NumLayers)
	rng := seeded(c.Seed+1, c.Empty)
	C, inner := c.DModel, c.NumHeads*c.HeadDim
	lora := func(rank int) (a, b *tensor.Tensor) { return nn.Full(0, C, rank), orthogonal(rng, rank, inner, 0.1) }
	m := &TimeMixQ7{
		converted: newConverted(c, "rwkv.TimeMixQ7", func(r, n int) *tensor.Tensor { return orthogonal(rng, r, n, 0.1) }),
		W0:        index(inner, func(i int) float64 { return -6.5 + 5*math.Pow(ratio(i, inner), 0.85+math.Sqrt(depth)) }),
		A0:        nn.Full(0, inner),
	}
	if c.TokenShift {
		m.kind += " shift"
		for i := range m.X {
			m.X[i] = nn.Full(0, C)
		}
	}
	m.W1, m.W2 = lora(c.DecayRank)
	m.A1, m.A2 = lora(c.RateRank)
	if c.Layer > 0 {
		m.V0 = nn.Full(1, inner)
		m.V1, m.V2 = lora(c.ValueRank)
	}
	if !c.Balance {
		m.KK, m.KA = nn.Full(0.85, inner), nn.Full(1, inner)
	}
	if c.Bonus {
		m.RK = nn.Full(0, c.NumHeads, c.HeadDim)
	}
	if !c.NoNorm {
		m.LnX = &nn.GroupNorm{Groups: c.NumHeads, Weight: nn.Full(1, inner), Bias: nn.Full(0, inner), Eps: float32(c.NormEps)}
	}
	return m, nil
}

// Params lists the weights under their names in Qwerky-7's checkpoints (those
// of ARWKV-7 put time_mixer before them).
func (m *TimeMixQ7) Params() nn.Params {
	p := m.params("g1", "g2")
	add := func(name string, t *tensor.Tensor) {
		if t != nil {
			p = append(p, nn.Param{Name: name, Tensor: t, NoDecay: true})
		}
	}
	for i, name := range shiftNamesQ7 {
		add(name, m.X[i])
	}
	add("w0", m.W0)
	add("w1", m.W1)
	add("w2", m.W2)
	add("a0", m.A0)
	add("a1", m.A1)
	add("a2", m.A2)
	add("v0", m.V0)
	add("v1", m.V1)
	add("v2", m.V2)
	add("k_k", m.KK)
	add("k_a", m.KA)
	add("r_k", m.RK)
	if m.LnX != nil {
		p = append(p, m.LnX.Params().Prefix("ln_x")...)
	}
	return p
}

// NewState has the part "wkv" [batch, H, key, value] and, with a token shift,
// "shift" [batch, C].
func (m *TimeMixQ7) NewState(batch int) *tensor.State {
	st := tensor.NewState(m.kind, batch).Add("wkv", m.wkv(batch))
	if m.cfg.TokenShift {
		st.Add("shift", tensor.New(batch, m.cfg.DModel))
	}
	return st
}

// Forward is Mix for a layer that stands alone: its values are its own first values.
func (m *TimeMixQ7) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	y, _ := m.Mix(x, nil, st)
	return y
}

// Mix mixes x [batch, length, C], which is expected to be normed. vFirst is
// what the model's first layer returned as its second result, [batch, length,
// H, N], nil in that layer itself.
func (m *TimeMixQ7) Mix(x, vFirst *tensor.Tensor, st *tensor.State) (y, v1 *tensor.Tensor) {
	tensor.Check("rwkv.TimeMixQ7", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	B, T, H, N := x.Dim(0), x.Dim(1), m.cfg.NumHeads, m.cfg.HeadDim
	in := [6]*tensor.Tensor{x, x, x, x, x, x}
	if m.cfg.TokenShift {
		prev := nn.TokenShift(x, st.Part(1))
		for i, mu := range m.X {
			in[i] = tensor.Lerp(x, prev, mu)
		}
	}
	xr, xw, xk, xv, xa, xg := in[0], in[1], in[2], in[3], in[4], in[5]

	r, k, v := m.heads(m.Q.Forward(xr)), m.heads(m.K.Forward(xk)), m.heads(m.V.Forward(xv))
	if m.cfg.RopeBase != 0 {
		var pos []int64
		if st != nil {
			pos = st.Pos
		}
		r, k = nn.RoPE(r, pos, m.cfg.RopeBase, false), nn.RoPE(k, pos, m.cfg.RopeBase, false)
	}
	k, v = nn.RepeatHeads(k, H), nn.RepeatHeads(v, H)
	w := tensor.Add(tensor.MatMul(tensor.Tanh(tensor.MatMul(xw, m.W1)), m.W2), m.W0)
	logDecay := m.heads(tensor.Scale(tensor.Sigmoid(w), -expHalf))
	a := m.heads(tensor.Sigmoid(tensor.Add(tensor.MatMul(tensor.MatMul(xa, m.A1), m.A2), m.A0)))
	if vFirst == nil {
		vFirst = v
	} else if m.V0 != nil {
		mix := tensor.Sigmoid(tensor.Add(tensor.MatMul(tensor.MatMul(xv, m.V1), m.V2), m.V0))
		v = tensor.Add(v, tensor.Mul(tensor.Sub(vFirst, v), m.heads(mix)))
	}
	var kappa *tensor.Tensor
	if m.cfg.Balance {
		kappa = tensor.L2Norm(k, 1e-12)
		k = tensor.Mul(k, tensor.AddConst(tensor.Sub(a, tensor.Exp(logDecay)), 1))
	} else {
		flat := k.Reshape(B, T, H*N)
		kappa = tensor.L2Norm(m.heads(tensor.Mul(flat, m.KK)), 1e-12)
		k = m.heads(tensor.Mul(flat, tensor.AddConst(tensor.Mul(tensor.AddConst(a.Reshape(B, T, H*N), -1), m.KA), 1)))
	}
	o := scan.Matrix(scan.MatrixInput{
		Q: r, K: k, V: v, LogDecay: logDecay, A: tensor.Neg(kappa), B: tensor.Mul(kappa, a),
	}, st.Part(0))
	st.Advance(T)

	o = o.Reshape(B, T, H*N)
	if m.LnX != nil {
		o = m.LnX.Forward(o)
	} else {
		o = tensor.Scale(o, float32(1/math.Sqrt(float64(N))))
	}
	if m.RK != nil {
		bonus := tensor.Mul(tensor.Sum(tensor.Mul(tensor.Mul(r, k), m.RK), -1, true), v)
		o = tensor.Add(o, bonus.Reshape(B, T, H*N))
	}
	switch m.cfg.Gate {
	case GateFull:
		o = tensor.Mul(o, tensor.Sigmoid(m.Gate.Forward(xg)))
	case GateLowRank:
		o = tensor.Mul(o, tensor.MatMul(tensor.Sigmoid(tensor.MatMul(xg, m.G1)), m.G2))
	}
	return m.O.Forward(o), vFirst
}
