package linattn

import (
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// DPLRConfig describes a layer with a transition that is diagonal plus rank one. Zero values mean the defaults.
type DPLRConfig struct {
	DModel    int     // channels of the residual stream
	NumHeads  int     // default 4
	HeadDim   int     // channels of q and k in a head; default DModel/NumHeads
	ValueDim  int     // channels of v in a head; default HeadDim
	GateRank  int     // of the low-rank projection of the decay; default 16
	GateScale float64 // the log decay is divided by this; default 16
	ConvSize  int     // width of the short convolutions; default 4, negative for none
	NormEps   float64 // of the output norm; default 1e-5
	Seed      uint64  // of the initialisation, torch's
}

// DPLR is the general form that the delta rule, Gated DeltaNet, KDA and RWKV-7
// are cases of, its direction of removal apart from its key
// (the recurrence of fla-org/flash-linear-attention:
// fla/ops/generalized_delta_rule/dplr):
//
//	κ_t = W_κ x / ‖W_κ x‖,   η_t = σ(W_η x),   g_t = ln σ(W_g2 W_g1 x + b) / GateScale
//	S_t = (diag(e^{g_t}) − (η_t ⊙ κ_t) (κ_t ⊙ e^{g_t})ᵀ) S_{t−1} + k_t v_tᵀ
//	y = W_o (RMSNorm(K^{−½} S_tᵀ q_t) ⊙ SiLU(W_g x))
//
// with q, k, v = SiLU(conv(W x)), q and k of length one. The transition is a
// contraction where e^{g} is the same along κ. Its state is that of DeltaNet,
// and a token costs 5 multiply-adds for each number of it beside the projections.
// A single one at 768 channels takes 3.1 times that of Based, as it reads seven
// square matrices of weights where Based reads two and a half.
type DPLR struct {
	mixer
	gateScale  float32
	Kappa, Eta *nn.Linear
	GK1, GK2   *nn.Linear // of the decay
}

// NewDPLR makes a layer.
func NewDPLR(c DPLRConfig) (*DPLR, error) {
	c.NumHeads, c.GateRank, c.GateScale = or(c.NumHeads, 4), or(c.GateRank, 16), or(c.GateScale, 16)
	c.HeadDim = or(c.HeadDim, c.DModel/max(1, c.NumHeads))
	if err := checkGateScale("DPLR", c.GateScale); err != nil {
		return nil, err
	}
	m, mk, err := newMixer(mixerConfig{
		layer: "DPLR", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads, keyDim: c.HeadDim, valDim: or(c.ValueDim, c.HeadDim),
		conv: or(c.ConvSize, 4), normName: "o_norm", eps: or(c.NormEps, 1e-5), gated: true, seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	keys := m.heads * m.keyDim
	l := &DPLR{
		mixer: m, gateScale: float32(1 / c.GateScale),
		Kappa: mk.linear(c.DModel, keys, false), Eta: mk.linear(c.DModel, keys, false),
		GK1: mk.linear(c.DModel, c.GateRank, false), GK2: mk.linear(c.GateRank, keys, true),
	}
	return l, mk.err
}

// Params lists the weights; no checkpoints exist, the names are as in the layers alike.
func (l *DPLR) Params() nn.Params {
	p := append(l.mixer.Params(), l.Kappa.Params().Prefix("kappa_proj")...)
	p = append(p, l.Eta.Params().Prefix("eta_proj")...)
	p = append(p, l.GK1.Params().Prefix("gk_proj.0")...)
	return append(p, l.GK2.Params().Prefix("gk_proj.1")...)
}

// Forward mixes x [batch, length, DModel].
func (l *DPLR) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, true)
	g := headed(tensor.Scale(logSigmoid(l.GK2.Forward(l.GK1.Forward(x))), l.gateScale), l.heads)
	kappa := tensor.L2NormRsqrt(headed(l.Kappa.Forward(x), l.heads), l2Eps)
	o := scan.Matrix(scan.MatrixInput{
		Q: tensor.L2NormRsqrt(q, l2Eps), K: tensor.L2NormRsqrt(k, l2Eps), V: v, LogDecay: g,
		A:     tensor.Neg(tensor.Mul(kappa, tensor.Exp(g))),
		B:     tensor.Mul(kappa, headed(tensor.Sigmoid(l.Eta.Forward(x)), l.heads)),
		Scale: rootOf(l.keyDim),
	}, st.Part(0))
	return l.swish(o, x, st)
}
