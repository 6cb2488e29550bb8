package linattn

import (
	"math"
	"math/rand/v2"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// GatedDeltaNetConfig describes a layer of Gated DeltaNet. Zero values mean the defaults.
type GatedDeltaNetConfig struct {
	DModel    int     // channels of the residual stream
	NumHeads  int     // heads of q and k; default 6
	NumVHeads int     // heads of v and of the state, a multiple of NumHeads; default NumHeads
	HeadDim   int     // channels of q and k in a head; default ¾·DModel/NumHeads
	ValueDim  int     // channels of v in a head; default 2·HeadDim
	ConvSize  int     // width of the short convolutions; default 4, negative for none
	NegEigval bool    // β from 0 to 2, as in DeltaNetConfig
	NoGate    bool    // no output gate
	NormEps   float64 // of the output norm; default 1e-5
	Seed      uint64  // of the initialisation
}

// GatedDeltaNet is the layer of arXiv 2412.06464
// (fla-org/flash-linear-attention: fla/layers/gated_deltanet.py), also the
// linear layer of Qwen3-Next:
//
//	q, k, v = SiLU(conv(W x)) each;   q, k = q/‖q‖, k/‖k‖;   β = σ(W_b x)
//	g_t = −e^{A_log} softplus(W_a x + dt_bias)               one for each head
//	S′ = e^{g_t} S_{t−1};   S_t = S′ + β k_t (v_t − S′ᵀ k_t)ᵀ
//	y = W_o (RMSNorm(K^{−½} S_tᵀ q_t) ⊙ SiLU(W_g x))
//
// Its state is a matrix HeadDim×ValueDim for each head of v, and the last
// inputs of the convolutions; a token costs 5 multiply-adds for each number of
// the matrices beside the projections.
type GatedDeltaNet struct {
	mixer
	neg          bool
	A, B         *nn.Linear     // of the decay and of β
	ALog, DtBias *tensor.Tensor // [NumVHeads]
}

// NewGatedDeltaNet makes a layer with the authors' initialisation: e^{A_log}
// uniform on (0, 16), softplus(dt_bias) log-uniform from 0.001 to 0.1.
func NewGatedDeltaNet(c GatedDeltaNetConfig) (*GatedDeltaNet, error) {
	c.NumHeads = or(c.NumHeads, 6)
	c.NumVHeads = or(c.NumVHeads, c.NumHeads)
	c.HeadDim = or(c.HeadDim, c.DModel*3/4/max(1, c.NumHeads))
	m, mk, err := newMixer(mixerConfig{
		layer: "GatedDeltaNet", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumVHeads, keyDim: c.HeadDim, valDim: or(c.ValueDim, 2*c.HeadDim),
		conv: or(c.ConvSize, 4), normName: "o_norm", eps: or(c.NormEps, 1e-5), gated: !c.NoGate, seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	l := &GatedDeltaNet{
		mixer: m, neg: c.NegEigval,
		A:      mk.linear(c.DModel, c.NumVHeads, false),
		B:      mk.linear(c.DModel, c.NumVHeads, false),
		ALog:   logUniform(mk.rng, 0, 16, c.NumVHeads),
		DtBias: stepBias(mk.rng, c.NumVHeads),
	}
	return l, mk.err
}

// logUniform is the logarithm of numbers uniform on (lo, hi).
func logUniform(rng *rand.Rand, lo, hi float64, n int) *tensor.Tensor {
	t := nn.Uniform(rng, lo, hi, n)
	for i, v := range t.Data() {
		t.Data()[i] = float32(math.Log(max(float64(v), 1e-4)))
	}
	return t
}

// stepBias is the inverse of softplus of steps log-uniform from 0.001 to 0.1, as Mamba has them.
func stepBias(rng *rand.Rand, n int) *tensor.Tensor {
	t := nn.Uniform(rng, math.Log(0.001), math.Log(0.1), n)
	for i, v := range t.Data() {
		t.Data()[i] = float32(math.Log(math.Expm1(math.Exp(float64(v)))))
	}
	return t
}

// Params lists the weights under flash-linear-attention's names.
func (l *GatedDeltaNet) Params() nn.Params {
	p := append(l.mixer.Params(), l.A.Params().Prefix("a_proj")...)
	p = append(p, l.B.Params().Prefix("b_proj")...)
	return append(p, nn.Param{Name: "A_log", Tensor: l.ALog, NoDecay: true}, nn.Param{Name: "dt_bias", Tensor: l.DtBias, NoDecay: true})
}

// Forward mixes x [batch, length, DModel].
func (l *GatedDeltaNet) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, true)
	g := softDecay(l.A.Forward(x), l.ALog, l.DtBias)
	o := DeltaRule(q, k, v, learningRate(l.B, x, l.neg), g, st.Part(0))
	return l.swish(o, x, st)
}

// softDecay is Mamba-2's log decay −e^{aLog} softplus(x + bias), one for each head.
func softDecay(x, aLog, bias *tensor.Tensor) *tensor.Tensor {
	rate := tensor.Neg(tensor.Exp(tensor.Enter(x.Scope(), aLog)))
	return tensor.Mul(tensor.Softplus(tensor.Add(x, bias)), rate)
}
