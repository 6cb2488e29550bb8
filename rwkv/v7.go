package rwkv

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// Config7 describes a layer of RWKV-7 ("Goose").
type Config7 struct {
	DModel    int     // channels C of the residual stream, a multiple of HeadDim
	HeadDim   int     // channels of a head; 0 means 64
	DFF       int     // hidden channels of the channel mix; 0 means 4·DModel
	Layer     int     // index of the layer, which the initialisation depends on
	NumLayers int     // layers of the model; 0 means 1
	NormEps   float64 // of the group norm after the recurrence; 0 means 64e-5

	// Ranks of the low-rank projections; 0 means the author's rule,
	// round(c·√DModel/32)·32 and at least 32, with c = 2.5, 2.5, 1.7 and 5.
	DecayRank, RateRank, ValueRank, GateRank int

	Seed  uint64 // of the initialisation
	Empty bool   // leave matrices at zero, for a checkpoint to fill
}

func (c Config7) withDefaults() (Config7, error) {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.HeadDim, 64)
	set(&c.DFF, 4*c.DModel)
	set(&c.NumLayers, 1)
	rank := func(f float64) int {
		return max(32, int(math.RoundToEven(f*math.Sqrt(float64(max(c.DModel, 0)))/32))*32)
	}
	set(&c.DecayRank, rank(2.5))
	set(&c.RateRank, rank(2.5))
	set(&c.ValueRank, rank(1.7))
	set(&c.GateRank, rank(5))
	if c.NormEps == 0 {
		c.NormEps = 64e-5
	}
	if err := validate("rwkv.Config7", c.DModel, c.DModel, c.DFF, c.Layer, c.NumLayers); err != nil {
		return c, err
	}
	if c.HeadDim < 1 || c.DModel%c.HeadDim != 0 {
		return c, fmt.Errorf("rwkv.Config7: DModel %d is not a multiple of HeadDim %d", c.DModel, c.HeadDim)
	}
	for _, r := range []int{c.DecayRank, c.RateRank, c.ValueRank, c.GateRank} {
		if r < 1 || r > maxWidth {
			return c, fmt.Errorf("rwkv.Config7: rank %d: want 1 to %d", r, maxWidth)
		}
	}
	if !(c.NormEps > 0) || math.IsInf(c.NormEps, 0) {
		return c, fmt.Errorf("rwkv.Config7: NormEps %v: want a positive number", c.NormEps)
	}
	return c, nil
}

// TimeMix7 is RWKV-7's time mixing (BlinkDL/RWKV-LM:
// RWKV-v7/rwkv_v7_demo.py#RWKV_Tmix_x070). Per head, with x_* = x_t + μ_*(x_{t−1} − x_t):
//
//	r, k, v = W_r x_r, W_k x_k, W_v x_v
//	d = exp(−e^{−½} σ(w0 + tanh(x_w w1) w2))              decay, per channel
//	a = σ(a0 + x_a a1 a2)                                 in-context learning rate
//	v = v + (v_first − v) σ(v0 + x_v v1 v2)               (not in the first layer)
//	κ = k k_k / ‖k k_k‖,  k = k (1 + (a−1) k_a)
//	S_t = S_{t−1} (diag(d) − κ (κ a)ᵀ) + v kᵀ,   o = S_t r
//	y = W_o ( (GroupNorm(o) + (Σ r k r_k) v) ⊙ σ(x_g g1) g2 )
//
// Its state, per sequence, is the last token and one HeadDim×HeadDim matrix per
// head: DModel·(HeadDim+1) floats.
type TimeMix7 struct {
	cfg                            Config7
	kind                           string
	XR, XW, XK, XV, XA, XG         *tensor.Tensor // [C]
	W0, A0, V0, KK, KA             *tensor.Tensor // [C]
	W1, A1, V1, G1                 *tensor.Tensor // [C, rank]
	W2, A2, V2, G2                 *tensor.Tensor // [rank, C]
	RK                             *tensor.Tensor // [H, HeadDim]
	Receptance, Key, Value, Output *nn.Linear
	LnX                            *nn.GroupNorm
}

// NewTimeMix7 makes a layer with the initialisation of RWKV-v7/train_temp/src/model.py.
func NewTimeMix7(cfg Config7) (*TimeMix7, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	depth, rest := depths(c.Layer, c.NumLayers)
	rng := seeded(c.Seed, c.Empty)
	C, N := c.DModel, c.HeadDim
	shift := func(f float64) *tensor.Tensor {
		return curve(C, func(x float64) float64 { return 1 - math.Pow(x, f*rest) })
	}
	linearly := func(i int) float64 { return ratio(i, C) - 0.5 }
	zigzag := func(i int) float64 {
		if N == 1 {
			return 0
		}
		z := (float64(i%N) - float64(N-1)/2) / (float64(N-1) / 2)
		return z * math.Abs(z)
	}
	lora := func(rank int) (a, b *tensor.Tensor) {
		return nn.Full(0, C, rank), orthogonal(rng, rank, C, 0.1)
	}
	bound := 0.5 / math.Sqrt(float64(C))
	m := &TimeMix7{
		cfg:  c,
		kind: kind("rwkv.TimeMix7", C, N),
		XR:   shift(0.2), XW: shift(0.9), XK: shift(0.7), XV: shift(0.7), XA: shift(0.9), XG: shift(0.2),
		W0: index(C, func(i int) float64 {
			return -6 + 6*math.Pow(ratio(i, C), 1+math.Pow(depth, 0.3)) + 0.5 + 2.5*zigzag(i)
		}),
		A0:         index(C, func(i int) float64 { return -0.19 + 0.3*zigzag(i) + 0.4*linearly(i) }),
		V0:         index(C, func(i int) float64 { return 0.73 - 0.4*linearly(i) }),
		KK:         index(C, func(i int) float64 { return 0.71 - 0.1*linearly(i) }),
		KA:         nn.Full(1.02, C),
		RK:         nn.Full(-0.04, C/N, N),
		Receptance: linear(uniform(rng, bound, C, C)),
		Key:        linear(uniform(rng, 0.1*bound, C, C)),
		Value:      linear(uniform(rng, bound, C, C)),
		Output:     linear(nn.Full(0, C, C)),
		LnX: &nn.GroupNorm{
			Groups: C / N,
			Weight: nn.Full(math.Pow(float64(c.Layer+1)/float64(c.NumLayers), 0.7), C),
			Bias:   nn.Full(0, C),
			Eps:    float32(c.NormEps),
		},
	}
	m.W1, m.W2 = lora(c.DecayRank)
	m.A1, m.A2 = lora(c.RateRank)
	m.V1, m.V2 = lora(c.ValueRank)
	m.G1, m.G2 = lora(c.GateRank)
	return m, nil
}

// Params lists the weights under their names in BlinkDL's checkpoints.
func (m *TimeMix7) Params() nn.Params {
	p := nn.Params{}
	vec := func(name string, t *tensor.Tensor) { p = append(p, nn.Param{Name: name, Tensor: t, NoDecay: true}) }
	vec("x_r", m.XR)
	vec("x_w", m.XW)
	vec("x_k", m.XK)
	vec("x_v", m.XV)
	vec("x_a", m.XA)
	vec("x_g", m.XG)
	vec("w0", m.W0)
	vec("w1", m.W1)
	vec("w2", m.W2)
	vec("a0", m.A0)
	vec("a1", m.A1)
	vec("a2", m.A2)
	vec("v0", m.V0)
	vec("v1", m.V1)
	vec("v2", m.V2)
	vec("g1", m.G1)
	vec("g2", m.G2)
	vec("k_k", m.KK)
	vec("k_a", m.KA)
	vec("r_k", m.RK)
	for _, l := range []struct {
		name string
		l    *nn.Linear
	}{{"receptance", m.Receptance}, {"key", m.Key}, {"value", m.Value}, {"output", m.Output}} {
		p = append(p, nn.Param{Name: l.name + ".weight", Tensor: l.l.Weight, Matrix: true})
	}
	vec("ln_x.weight", m.LnX.Weight)
	vec("ln_x.bias", m.LnX.Bias)
	return p
}

// NewState has parts "shift" [batch, C] and "wkv" [batch, H, key, value]
// (BlinkDL's code holds the transpose, [H, value, key]).
func (m *TimeMix7) NewState(batch int) *tensor.State {
	n := m.cfg.HeadDim
	return tensor.NewState(m.kind, batch).
		Add("shift", tensor.New(batch, m.cfg.DModel)).
		Add("wkv", tensor.New(batch, m.cfg.DModel/n, n, n))
}

// Forward is Mix for a layer that stands alone: its values are its own first values.
func (m *TimeMix7) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	y, _ := m.Mix(x, nil, st)
	return y
}

// expHalf is e^{−½}: with it the slowest decay is exp(−e^{−½}) = 0.545.
var expHalf = float32(math.Exp(-0.5))

// Mix mixes x [batch, length, C], which is expected to be normed. vFirst is
// what the model's first layer returned as its second result, nil in that
// layer itself.
func (m *TimeMix7) Mix(x, vFirst *tensor.Tensor, st *tensor.State) (y, v1 *tensor.Tensor) {
	tensor.Check("rwkv.TimeMix7", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	B, T, N := x.Dim(0), x.Dim(1), m.cfg.HeadDim
	H := m.cfg.DModel / N

	prev := nn.TokenShift(x, st.Part(0))
	xr, xw, xk := tensor.Lerp(x, prev, m.XR), tensor.Lerp(x, prev, m.XW), tensor.Lerp(x, prev, m.XK)
	xv, xa, xg := tensor.Lerp(x, prev, m.XV), tensor.Lerp(x, prev, m.XA), tensor.Lerp(x, prev, m.XG)

	r, k, v := m.Receptance.Forward(xr), m.Key.Forward(xk), m.Value.Forward(xv)
	logDecay := tensor.Scale(tensor.SigmoidAdd(tensor.MatMul(tensor.Tanh(tensor.MatMul(xw, m.W1)), m.W2), m.W0), -expHalf)
	a := tensor.SigmoidAdd(tensor.MatMul(tensor.MatMul(xa, m.A1), m.A2), m.A0)
	g := tensor.MatMul(tensor.Sigmoid(tensor.MatMul(xg, m.G1)), m.G2)
	if vFirst == nil {
		vFirst = v
	} else {
		v = tensor.Lerp(v, vFirst, tensor.SigmoidAdd(tensor.MatMul(tensor.MatMul(xv, m.V1), m.V2), m.V0))
	}
	kappa := tensor.L2Norm(tensor.Mul(k, m.KK).Reshape(B, T, H, N), 1e-12)
	k = tensor.Lerp(k, tensor.Mul(k, a), m.KA) // k (1 + (a − 1) k_a)

	r, k, v = r.Reshape(B, T, H, N), k.Reshape(B, T, H, N), v.Reshape(B, T, H, N)
	o := scan.Matrix(scan.MatrixInput{
		Q: r, K: k, V: v,
		LogDecay: logDecay.Reshape(B, T, H, N),
		A:        tensor.Neg(kappa),
		B:        tensor.Mul(kappa, a.Reshape(B, T, H, N)),
	}, st.Part(1))
	st.Advance(T)

	o = m.LnX.Forward(o.Reshape(B, T, H*N)).Reshape(B, T, H, N)
	o = tensor.MulAdd(v, tensor.Sum(tensor.Mul(tensor.Mul(r, k), m.RK), -1, true), o)
	return m.Output.Forward(tensor.Mul(o.Reshape(B, T, H*N), g)), vFirst
}

// ChannelMix7 is RWKV-7's channel mixing, y = W_v max(W_k x_k, 0)². Its state is the last token.
type ChannelMix7 struct {
	cfg        Config7
	kind       string
	XK         *tensor.Tensor // [C]
	Key, Value *nn.Linear
}

// NewChannelMix7 makes a layer with the initialisation of RWKV-v7/train_temp/src/model.py.
func NewChannelMix7(cfg Config7) (*ChannelMix7, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	_, rest := depths(c.Layer, c.NumLayers)
	bound := 0.5 / math.Sqrt(float64(c.DModel))
	return &ChannelMix7{
		cfg:   c,
		kind:  kind("rwkv.ChannelMix7", c.DModel),
		XK:    curve(c.DModel, func(x float64) float64 { return 1 - math.Pow(x, math.Pow(rest, 4)) }),
		Key:   linear(uniform(seeded(c.Seed, c.Empty), bound, c.DFF, c.DModel)),
		Value: linear(nn.Full(0, c.DModel, c.DFF)),
	}, nil
}

// Params lists the weights under their names in BlinkDL's checkpoints.
func (m *ChannelMix7) Params() nn.Params {
	return nn.Params{
		{Name: "x_k", Tensor: m.XK, NoDecay: true},
		{Name: "key.weight", Tensor: m.Key.Weight, Matrix: true},
		{Name: "value.weight", Tensor: m.Value.Weight, Matrix: true},
	}
}

// NewState has one part, "shift" [batch, C].
func (m *ChannelMix7) NewState(batch int) *tensor.State {
	return tensor.NewState(m.kind, batch).Add("shift", tensor.New(batch, m.cfg.DModel))
}

// Forward mixes x [batch, length, C], which is expected to be normed.
func (m *ChannelMix7) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("rwkv.ChannelMix7", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	xk := tensor.Lerp(x, nn.TokenShift(x, st.Part(0)), m.XK)
	st.Advance(x.Dim(1))
	return m.Value.Forward(m.Key.Then(xk, tensor.LinearOptions{Map: tensor.MapReLU2}))
}
