package linattn

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// KDAConfig describes a layer of Kimi Delta Attention. Zero values mean the defaults.
type KDAConfig struct {
	DModel     int     // channels of the residual stream
	NumHeads   int     // heads of q and k; default 16
	NumVHeads  int     // heads of v and of the state, a multiple of NumHeads; default NumHeads
	HeadDim    int     // channels of q and k in a head; default DModel/NumHeads
	ValueDim   int     // channels of v in a head; default HeadDim
	GateRank   int     // of the two low-rank gates; default ValueDim
	ConvSize   int     // width of the short convolutions; default 4, negative for none
	NegEigval  bool    // β from 0 to 2, as in DeltaNetConfig
	LowerBound float64 // if not 0, the log decay is LowerBound·σ(e^{A_log}(…)): negative, the authors' −5
	NoGateBias bool    // no bias in the output gate, as Kimi Linear
	NormEps    float64 // of the output norm; default 1e-5
	Seed       uint64  // of the initialisation
}

// KDA is Kimi Delta Attention, arXiv 2510.26692
// (fla-org/flash-linear-attention: fla/layers/kda.py): Gated DeltaNet with a
// decay for each channel of a key and a gate through a sigmoid,
//
//	q, k, v = SiLU(conv(W x)) each;   q, k = q/‖q‖, k/‖k‖;   β = σ(W_b x)
//	g_t = −e^{A_log} softplus(W_f2 W_f1 x + dt_bias)         A_log for each head
//	S′ = diag(e^{g_t}) S_{t−1};   S_t = S′ + β k_t (v_t − S′ᵀ k_t)ᵀ
//	y = W_o (RMSNorm(K^{−½} S_tᵀ q_t) ⊙ σ(W_g2 W_g1 x + b))
//
// Its state and the cost of a token are those of GatedDeltaNet.
type KDA struct {
	mixer
	neg            bool
	lower          float32
	F1, F2, G1, G2 *nn.Linear     // low-rank projections of the decay and of the output gate
	B              *nn.Linear     // of β
	ALog           *tensor.Tensor // [NumVHeads]
	DtBias         *tensor.Tensor // [NumVHeads·HeadDim]
}

// NewKDA makes a layer with the authors' initialisation: e^{A_log} uniform on
// (1, 16), or 1 with a LowerBound; softplus(dt_bias) log-uniform from 0.001 to 0.1.
func NewKDA(c KDAConfig) (*KDA, error) {
	c.NumHeads = or(c.NumHeads, 16)
	c.NumVHeads = or(c.NumVHeads, c.NumHeads)
	c.HeadDim = or(c.HeadDim, c.DModel/max(1, c.NumHeads))
	c.ValueDim = or(c.ValueDim, c.HeadDim)
	c.GateRank = or(c.GateRank, c.ValueDim)
	if c.LowerBound != 0 && !(c.LowerBound < 0 && c.LowerBound > -1000) {
		return nil, fmt.Errorf("linattn.KDAConfig: LowerBound %v: want −1000 to 0", c.LowerBound)
	}
	m, mk, err := newMixer(mixerConfig{
		layer: "KDA", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumVHeads, keyDim: c.HeadDim, valDim: c.ValueDim,
		conv: or(c.ConvSize, 4), normName: "o_norm", eps: or(c.NormEps, 1e-5), seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	gates := c.NumVHeads * c.HeadDim
	l := &KDA{
		mixer: m, neg: c.NegEigval, lower: float32(c.LowerBound),
		F1:     mk.linear(c.DModel, c.GateRank, false),
		F2:     mk.linear(c.GateRank, gates, false),
		G1:     mk.linear(c.DModel, c.GateRank, false),
		G2:     mk.linear(c.GateRank, c.NumVHeads*c.ValueDim, !c.NoGateBias),
		B:      mk.linear(c.DModel, c.NumVHeads, false),
		DtBias: stepBias(mk.rng, gates),
	}
	if c.LowerBound != 0 {
		l.ALog = nn.Full(0, c.NumVHeads)
	} else {
		l.ALog = logUniform(mk.rng, 1, 16, c.NumVHeads)
	}
	return l, mk.err
}

// Params lists the weights under flash-linear-attention's names.
func (l *KDA) Params() nn.Params {
	p := l.mixer.Params()
	p = append(p, l.F1.Params().Prefix("f_proj.0")...)
	p = append(p, l.F2.Params().Prefix("f_proj.1")...)
	p = append(p, l.G1.Params().Prefix("g_proj.0")...)
	p = append(p, l.G2.Params().Prefix("g_proj.1")...)
	p = append(p, l.B.Params().Prefix("b_proj")...)
	return append(p, nn.Param{Name: "A_log", Tensor: l.ALog, NoDecay: true}, nn.Param{Name: "dt_bias", Tensor: l.DtBias, NoDecay: true})
}

// Forward mixes x [batch, length, DModel].
func (l *KDA) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, true)
	o := DeltaRule(q, k, v, learningRate(l.B, x, l.neg), l.logDecay(x), st.Part(0))
	return l.finish(o, tensor.Sigmoid(l.G2.Forward(l.G1.Forward(x))), st)
}

func (l *KDA) logDecay(x *tensor.Tensor) *tensor.Tensor {
	f := headed(tensor.Add(l.F2.Forward(l.F1.Forward(x)), l.DtBias), l.vHeads)
	rate := tensor.Exp(tensor.Enter(x.Scope(), l.ALog)).Reshape(l.vHeads, 1)
	if l.lower != 0 {
		return tensor.Scale(tensor.Sigmoid(tensor.Mul(f, rate)), l.lower)
	}
	return tensor.Neg(tensor.Mul(tensor.Softplus(f), rate))
}
