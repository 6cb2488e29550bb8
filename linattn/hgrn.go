package linattn

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// LowerBounds turns a model's weights [layers, C] into the lower bounds of its
// forget gates, [layers, C], which rise from 0 in the first layer: the sum of a
// softmax over the layers, the first one's share left out.
func LowerBounds(w *tensor.Tensor) *tensor.Tensor {
	shares := tensor.Transpose(tensor.Softmax(tensor.Transpose(w, 0, 1)), 0, 1)
	return tensor.Sub(tensor.Cumsum(shares, 0), shares.Narrow(0, 0, 1))
}

// forget gives the log decay g = ln f of the gate f = lower + (1−lower) σ(x),
// and the input gate 1 − f, without cancellation. lower [C] may be nil for 0.
func forget(x, lower *tensor.Tensor) (g, input *tensor.Tensor) {
	if lower == nil {
		return logSigmoid(x), tensor.Sigmoid(tensor.Neg(x))
	}
	rest := tensor.AddConst(tensor.Neg(tensor.Enter(x.Scope(), lower)), 1)
	return tensor.Log(tensor.MulAdd(tensor.Sigmoid(x), rest, lower)), tensor.Mul(tensor.Sigmoid(tensor.Neg(x)), rest)
}

// HGRNConfig describes a layer of HGRN. Zero values mean the defaults.
type HGRNConfig struct {
	DModel  int     // channels of the residual stream
	Expand  int     // channels of the recurrence as a multiple of DModel; default 1
	NormEps float64 // of the output norm; default 1e-5
	Seed    uint64  // of the initialisation, torch's
}

// HGRN is the gated recurrence of arXiv 2311.04823, one number a channel
// (fla-org/flash-linear-attention: fla/layers/hgrn.py):
//
//	f_t = lower + (1 − lower) σ(W_f x)
//	h_t = f_t ⊙ h_{t−1} + (1 − f_t) ⊙ SiLU(W_i x)
//	y = W_o (RMSNorm(h_t) ⊙ SiLU(W_g x))
//
// Its state is Expand·DModel floats, and a token costs as many multiply-adds
// beside the projections.
type HGRN struct {
	cfg        HGRNConfig
	kind       string
	I, F, G, O *nn.Linear
	Norm       *nn.RMSNorm
}

// NewHGRN makes a layer.
func NewHGRN(c HGRNConfig) (*HGRN, error) {
	c.Expand, c.NormEps = or(c.Expand, 1), or(c.NormEps, 1e-5)
	if c.DModel < 1 || c.Expand < 1 || c.DModel > maxWidth/c.Expand || !(c.NormEps > 0 && c.NormEps < 1) {
		return nil, fmt.Errorf("linattn.HGRNConfig: DModel %d, Expand %d, NormEps %v: want a product from 1 to %d and a small number", c.DModel, c.Expand, c.NormEps, maxWidth)
	}
	mk, n := &maker{rng: nn.NewRNG(c.Seed)}, c.DModel*c.Expand
	l := &HGRN{
		cfg: c, kind: fmt.Sprintf("linattn.HGRN/1 channels=%d", n),
		I: mk.linear(c.DModel, n, false), F: mk.linear(c.DModel, n, false), G: mk.linear(c.DModel, n, false), O: mk.linear(n, c.DModel, false),
		Norm: &nn.RMSNorm{Weight: nn.Full(1, n), Eps: float32(c.NormEps)},
	}
	return l, mk.err
}

// Params lists the weights under flash-linear-attention's names.
func (l *HGRN) Params() nn.Params {
	var p nn.Params
	p = append(p, l.I.Params().Prefix("i_proj")...)
	p = append(p, l.F.Params().Prefix("f_proj")...)
	p = append(p, l.G.Params().Prefix("g_proj")...)
	p = append(p, l.Norm.Params().Prefix("g_norm")...)
	return append(p, l.O.Params().Prefix("o_proj")...)
}

// NewState has the part "h" [batch, channels].
func (l *HGRN) NewState(batch int) *tensor.State {
	return tensor.NewState(l.kind, batch).Add("h", tensor.New(batch, l.cfg.DModel*l.cfg.Expand))
}

// Forward is Mix without a lower bound, as in a model's first layer.
func (l *HGRN) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor { return l.Mix(x, nil, st) }

// Mix mixes x [batch, length, DModel]. lower is the layer's row of LowerBounds, [channels].
func (l *HGRN) Mix(x, lower *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("linattn.HGRN", "x", x, -1, -1, l.cfg.DModel)
	st.Check(l.kind, x.Dim(0))
	g, input := forget(l.F.Forward(x), lower)
	h := scan.Diagonal(tensor.Exp(g), tensor.SiLUMul(input, l.I.Forward(x)), st.Part(0))
	st.Advance(x.Dim(1))
	return l.O.Forward(tensor.SiLUMul(l.Norm.Forward(h), l.G.Forward(x)))
}

// HGRN2Config describes a layer of HGRN2. Zero values mean the defaults.
type HGRN2Config struct {
	DModel   int     // channels of the residual stream
	NumHeads int     // default DModel/128, at least 1
	HeadDim  int     // channels of q and of the gates in a head; default DModel/NumHeads
	NormEps  float64 // of the output norm; default 1e-5
	Seed     uint64  // of the initialisation, torch's
}

// HGRN2 is HGRN with a matrix for a state, arXiv 2404.07904
// (fla-org/flash-linear-attention: fla/layers/hgrn2.py); the input gate is the key:
//
//	f_t = lower + (1 − lower) σ(W_f x),   q_t = SiLU(W_q x)
//	S_t = diag(f_t) S_{t−1} + (1 − f_t) (W_i x)ᵀ
//	y = W_o RMSNorm(K^{−½} S_tᵀ q_t), the norm over all heads
//
// Its state is a matrix HeadDim×(DModel/NumHeads) for each head, and a token
// costs 3 multiply-adds for each number of it beside the projections.
type HGRN2 struct{ mixer }

// NewHGRN2 makes a layer. K and V of it are the projections of f and i.
func NewHGRN2(c HGRN2Config) (*HGRN2, error) {
	c.NumHeads = or(c.NumHeads, max(1, c.DModel/128))
	dim := c.DModel / max(1, c.NumHeads)
	m, _, err := newMixer(mixerConfig{
		layer: "HGRN2", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads, keyDim: or(c.HeadDim, dim), valDim: dim,
		kName: "f", vName: "i", normName: "g_norm", normAll: true, eps: or(c.NormEps, 1e-5), seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	return &HGRN2{m}, nil
}

// Params lists the weights under flash-linear-attention's names.
func (l *HGRN2) Params() nn.Params { return l.mixer.Params() }

// Forward is Mix without a lower bound, as in a model's first layer.
func (l *HGRN2) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor { return l.Mix(x, nil, st) }

// Mix mixes x [batch, length, DModel]. lower is the layer's row of LowerBounds, [NumHeads·HeadDim].
func (l *HGRN2) Mix(x, lower *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, f, v := l.project(x, st, false)
	g, k := forget(f.Reshape(x.Dim(0), x.Dim(1), l.heads*l.keyDim), lower)
	o := scan.Matrix(scan.MatrixInput{
		Q: tensor.SiLU(q), K: headed(k, l.heads), V: v, LogDecay: headed(g, l.heads), Scale: rootOf(l.keyDim),
	}, st.Part(0))
	return l.finish(o, nil, st)
}
