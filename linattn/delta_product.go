package linattn

import (
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// DeltaProductConfig describes a layer of (Gated) DeltaProduct. Zero values mean the defaults.
type DeltaProductConfig struct {
	DModel    int     // channels of the residual stream
	Steps     int     // delta-rule steps a token; default 2
	NumHeads  int     // default 6
	HeadDim   int     // channels of q and k in a head; default ¾·DModel/NumHeads
	ValueDim  int     // channels of v in a head; default 2·HeadDim
	ConvSize  int     // width of the short convolutions; default 4, negative for none
	NoDecay   bool    // no forget gate: DeltaProduct, not Gated DeltaProduct
	NoGate    bool    // no output gate
	NegEigval bool    // β from 0 to 2, as in DeltaNetConfig: products of reflections
	NormEps   float64 // of the output norm; default 1e-5
	Seed      uint64  // of the initialisation
}

// DeltaProduct is the layer of arXiv 2502.10297
// (fla-org/flash-linear-attention: fla/layers/gated_deltaproduct.py), Gated
// DeltaNet with several steps of the delta rule for each token, so that the
// transition is a product of that many Householder matrices:
//
//	S ← e^{g_t} S_{t−1};   S ← S + β_i k_i (v_i − Sᵀ k_i)ᵀ for i = 1 … Steps;   S_t = S
//
// k, v and β come from projections Steps times as wide. Its state is that of
// GatedDeltaNet, with wider convolutions, and a token costs Steps of its tokens:
// with two at 768 channels 3 times Based's forward, 3.8 with gradients.
type DeltaProduct struct {
	mixer
	neg          bool
	A, B         *nn.Linear     // of the decay (nil for none) and of β
	ALog, DtBias *tensor.Tensor // [NumHeads]
	first        *tensor.Tensor // [Steps, 1]: 1, 0, … – only the first step of a token decays
}

// NewDeltaProduct makes a layer with the decay initialised as GatedDeltaNet's.
func NewDeltaProduct(c DeltaProductConfig) (*DeltaProduct, error) {
	c.Steps, c.NumHeads = or(c.Steps, 2), or(c.NumHeads, 6)
	c.HeadDim = or(c.HeadDim, c.DModel*3/4/max(1, c.NumHeads))
	m, mk, err := newMixer(mixerConfig{
		layer: "DeltaProduct", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads, keyDim: c.HeadDim, valDim: or(c.ValueDim, 2*c.HeadDim),
		steps: c.Steps, conv: or(c.ConvSize, 4), normName: "o_norm", eps: or(c.NormEps, 1e-5), gated: !c.NoGate, seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	l := &DeltaProduct{mixer: m, neg: c.NegEigval, B: mk.linear(c.DModel, c.Steps*c.NumHeads, false)}
	if !c.NoDecay {
		l.A = mk.linear(c.DModel, c.NumHeads, false)
		l.ALog, l.DtBias = logUniform(mk.rng, 0, 16, c.NumHeads), stepBias(mk.rng, c.NumHeads)
		l.first = tensor.New(c.Steps, 1)
		l.first.Data()[0] = 1
	}
	return l, mk.err
}

// Params lists the weights under flash-linear-attention's names.
func (l *DeltaProduct) Params() nn.Params {
	p := append(l.mixer.Params(), l.B.Params().Prefix("b_proj")...)
	if l.A == nil {
		return p
	}
	p = append(p, l.A.Params().Prefix("a_proj")...)
	return append(p, nn.Param{Name: "A_log", Tensor: l.ALog, NoDecay: true}, nn.Param{Name: "dt_bias", Tensor: l.DtBias, NoDecay: true})
}

// Forward mixes x [batch, length, DModel]. The steps are tokens to the delta
// rule, Steps·length of them: all read with the token's q, the last one counts.
func (l *DeltaProduct) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	B, T, n, H := x.Dim(0), x.Dim(1), l.steps, l.vHeads
	q, k, v := l.project(x, st, true)
	q = nn.RepeatHeads(q.Reshape(B, T, 1, H*l.keyDim), n).Reshape(B, T*n, H, l.keyDim)
	k, v = k.Reshape(B, T*n, H, l.keyDim), v.Reshape(B, T*n, H, l.valDim)
	beta := learningRate(l.B, x, l.neg).Reshape(B, T*n, H)
	var g *tensor.Tensor
	if l.A != nil {
		g = softDecay(l.A.Forward(x), l.ALog, l.DtBias).Reshape(B, T, 1, H)
		g = tensor.Mul(g, l.first).Reshape(B, T*n, H)
	}
	o := DeltaRule(q, k, v, beta, g, st.Part(0)).Reshape(B, T, n, H*l.valDim)
	return l.swish(headed(tensor.Contiguous(o.Select(2, n-1)), H), x, st)
}
