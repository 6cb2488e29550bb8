package linattn

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// RetNetConfig describes a layer of multi-scale retention. Zero values mean the defaults.
type RetNetConfig struct {
	DModel   int     // channels of the residual stream
	NumHeads int     // default 8
	HeadDim  int     // channels of q and k in a head, even; default DModel/NumHeads
	ValueDim int     // channels of v in a head; default 2·DModel/NumHeads
	RopeBase float64 // of the rotary embedding; default 10000
	Original bool    // torchscale's details instead of flash-linear-attention's
	ConvSize int     // width of short convolutions; 0 means none
	NormEps  float64 // of the output norm; default 1e-5
	Seed     uint64  // of the initialisation, torch's
}

// RetNet is multi-scale retention, arXiv 2307.08621
// (fla-org/flash-linear-attention: fla/layers/multiscale_retention.py), linear
// attention with a fixed decay for each head:
//
//	q, k = RoPE(W_q x), RoPE(W_k x);   γ_h = 1 − 2^{−5−h}
//	S_t = γ_h S_{t−1} + k_t v_tᵀ
//	y = W_o (RMSNorm(K^{−½} S_tᵀ q_t) ⊙ SiLU(W_g x))
//
// With Original it is the authors' code (microsoft/torchscale:
// torchscale/component/multiscale_retention.py): pairs of channels that are
// turned lie side by side, the slowest by 1/RopeBase a token, and the norm,
// GroupNorm in the paper and RMSNorm there, has no weight.
//
// Its state is a matrix HeadDim×ValueDim for each head, and a token costs 3
// multiply-adds for each number of it beside the projections. A single token at
// 768 channels takes 4 times that of Based: values twice as wide make 3 times
// the weights to read.
type RetNet struct {
	mixer
	original bool
	base     float64
	logDecay []float64
}

// NewRetNet makes a layer.
func NewRetNet(c RetNetConfig) (*RetNet, error) {
	c.NumHeads, c.RopeBase = or(c.NumHeads, 8), or(c.RopeBase, 10000)
	c.HeadDim = or(c.HeadDim, c.DModel/max(1, c.NumHeads))
	if !(c.RopeBase > 1 && c.RopeBase < 1e15) || c.HeadDim%2 != 0 {
		return nil, fmt.Errorf("linattn.RetNetConfig: RopeBase %v, HeadDim %d: want more than 1 and an even number", c.RopeBase, c.HeadDim)
	}
	m, _, err := newMixer(mixerConfig{
		layer: "RetNet", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads, keyDim: c.HeadDim, valDim: or(c.ValueDim, 2*c.DModel/max(1, c.NumHeads)),
		conv: c.ConvSize, normName: "g_norm_swish_gate", eps: or(c.NormEps, 1e-5), gated: true, seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	l := &RetNet{mixer: m, base: c.RopeBase, original: c.Original}
	if l.original {
		l.kind += " original"
		l.Norm.Weight = nil
		if d := float64(c.HeadDim); d > 2 { // base^{−i/(d/2−1)} is this to the power of −2i/d
			l.base = math.Pow(l.base, d/(d-2))
		}
	}
	for h := range c.NumHeads {
		l.logDecay = append(l.logDecay, math.Log1p(-math.Exp2(float64(-5-h))))
	}
	return l, nil
}

// Params lists the weights under flash-linear-attention's names.
func (l *RetNet) Params() nn.Params { return l.mixer.Params() }

// Forward mixes x [batch, length, DModel].
func (l *RetNet) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, false)
	var pos []int64
	if st != nil {
		pos = st.Pos
	}
	q, k = nn.RoPE(q, pos, l.base, l.original), nn.RoPE(k, pos, l.base, l.original)
	o := scan.Matrix(scan.MatrixInput{Q: q, K: k, V: v, LogDecay: fixedDecay(x, l.logDecay), Scale: rootOf(l.keyDim)}, st.Part(0))
	return l.swish(o, x, st)
}

// fixedDecay is the same log decay of each head for all tokens of x, [batch, length, heads].
func fixedDecay(x *tensor.Tensor, heads []float64) *tensor.Tensor {
	g := tensor.OutIn(x.Scope(), "linattn.fixedDecay", []int{x.Dim(0), x.Dim(1), len(heads)})
	if g.IsFloat64() {
		v := make([]float64, g.Len())
		for i := range v {
			v[i] = heads[i%len(heads)]
		}
		g.SetValues64(v)
		return g
	}
	d := g.Data()
	for i := range d {
		d[i] = float32(heads[i%len(heads)])
	}
	return g
}
