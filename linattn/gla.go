package linattn

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// GLAConfig describes a layer of gated linear attention. Zero values mean the defaults.
type GLAConfig struct {
	DModel    int     // channels of the residual stream
	NumHeads  int     // default 4
	HeadDim   int     // channels of q and k in a head; default ½·DModel/NumHeads
	ValueDim  int     // channels of v in a head; default DModel/NumHeads
	GateRank  int     // of the low-rank projection of the decay; default 16
	GateScale float64 // the log decay is divided by this; default 16
	ConvSize  int     // width of short convolutions; 0 means none
	NormEps   float64 // of the output norm; default 1e-5
	Seed      uint64  // of the initialisation, torch's
}

// GLA is gated linear attention, arXiv 2312.06635
// (fla-org/flash-linear-attention: fla/layers/gla.py), with a decay for each
// channel of a key:
//
//	g_t = ln σ(W_g2 W_g1 x + b) / GateScale
//	S_t = diag(e^{g_t}) S_{t−1} + k_t v_tᵀ
//	y = W_o (RMSNorm(K^{−½} S_tᵀ q_t) ⊙ SiLU(W_g x))
//
// Its state is a matrix HeadDim×ValueDim for each head, and a token costs 3
// multiply-adds for each number of it beside the projections.
type GLA struct {
	mixer
	gateScale float32
	GK1, GK2  *nn.Linear // of the decay
}

// NewGLA makes a layer.
func NewGLA(c GLAConfig) (*GLA, error) {
	c.NumHeads, c.GateRank, c.GateScale = or(c.NumHeads, 4), or(c.GateRank, 16), or(c.GateScale, 16)
	if err := checkGateScale("GLA", c.GateScale); err != nil {
		return nil, err
	}
	m, mk, err := newMixer(mixerConfig{
		layer: "GLA", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads,
		keyDim: or(c.HeadDim, c.DModel/2/max(1, c.NumHeads)), valDim: or(c.ValueDim, c.DModel/max(1, c.NumHeads)),
		conv: c.ConvSize, normName: "g_norm_swish_gate", eps: or(c.NormEps, 1e-5), gated: true, seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	l := &GLA{
		mixer: m, gateScale: float32(1 / c.GateScale),
		GK1: mk.linear(c.DModel, c.GateRank, false),
		GK2: mk.linear(c.GateRank, m.heads*m.keyDim, true),
	}
	return l, mk.err
}

func checkGateScale(layer string, s float64) error {
	if !(s > 0 && s < 1e9) {
		return fmt.Errorf("linattn.%sConfig: GateScale %v: want a positive number", layer, s)
	}
	return nil
}

// Params lists the weights under flash-linear-attention's names.
func (l *GLA) Params() nn.Params {
	p := append(l.mixer.Params(), l.GK1.Params().Prefix("gk_proj.0")...)
	return append(p, l.GK2.Params().Prefix("gk_proj.1")...)
}

// Forward mixes x [batch, length, DModel].
func (l *GLA) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, false)
	g := tensor.Scale(logSigmoid(l.GK2.Forward(l.GK1.Forward(x))), l.gateScale)
	o := scan.Matrix(scan.MatrixInput{Q: q, K: k, V: v, LogDecay: headed(g, l.heads), Scale: rootOf(l.keyDim)}, st.Part(0))
	return l.swish(o, x, st)
}

// SimpleGLAConfig describes a layer of SimpleGLA. Zero values mean the defaults.
type SimpleGLAConfig struct {
	DModel    int     // channels of the residual stream
	NumHeads  int     // default 4
	HeadDim   int     // channels of q and k in a head; default DModel/NumHeads
	ValueDim  int     // channels of v in a head; default DModel/NumHeads
	GateScale float64 // the log decay is divided by this; default 16
	ConvSize  int     // width of the short convolutions; default 4, negative for none
	NormEps   float64 // of the output norm; default 1e-5
	Seed      uint64  // of the initialisation, torch's
}

// SimpleGLA is GLA with one decay for a head, g_t = ln σ(w·x + b) / GateScale
// (fla-org/flash-linear-attention: fla/layers/simple_gla.py). Its state is
// GLA's, and the last inputs of the convolutions; so is the cost of a token,
// with gradients 3.2 times Based's at 768 channels: keys of 192 channels in place
// of 16, and as many weights again in the gate.
type SimpleGLA struct {
	mixer
	gateScale float32
	GK        *nn.Linear // of the decay
}

// NewSimpleGLA makes a layer.
func NewSimpleGLA(c SimpleGLAConfig) (*SimpleGLA, error) {
	c.NumHeads, c.GateScale = or(c.NumHeads, 4), or(c.GateScale, 16)
	if err := checkGateScale("SimpleGLA", c.GateScale); err != nil {
		return nil, err
	}
	dim := c.DModel / max(1, c.NumHeads)
	m, mk, err := newMixer(mixerConfig{
		layer: "SimpleGLA", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads, keyDim: or(c.HeadDim, dim), valDim: or(c.ValueDim, dim),
		conv: or(c.ConvSize, 4), normName: "g_norm_swish_gate", eps: or(c.NormEps, 1e-5), gated: true, seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	l := &SimpleGLA{mixer: m, gateScale: float32(1 / c.GateScale), GK: mk.linear(c.DModel, c.NumHeads, true)}
	return l, mk.err
}

// Params lists the weights under flash-linear-attention's names.
func (l *SimpleGLA) Params() nn.Params {
	return append(l.mixer.Params(), l.GK.Params().Prefix("gk_proj")...)
}

// Forward mixes x [batch, length, DModel].
func (l *SimpleGLA) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, false)
	g := tensor.Scale(logSigmoid(l.GK.Forward(x)), l.gateScale)
	o := scan.Matrix(scan.MatrixInput{Q: q, K: k, V: v, LogDecay: g, Scale: rootOf(l.keyDim)}, st.Part(0))
	return l.swish(o, x, st)
}
