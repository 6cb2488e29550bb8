package linattn

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// LightningConfig describes a layer of lightning attention. Zero values mean the defaults.
type LightningConfig struct {
	DModel    int       // channels of the residual stream
	NumHeads  int       // default DModel/128, at least 1
	HeadDim   int       // channels of a head; default DModel/NumHeads
	Layer     int       // index of the layer, on which the decay depends
	NumLayers int       // layers of the model; default Layer+1
	Slopes    []float64 // −ln of each head's decay; default LightningSlopes
	NormEps   float64   // of the output norm; default 1e-6
	Seed      uint64    // of the initialisation, torch's
}

// Lightning is the lightning attention of MiniMax-01, arXiv 2501.08313
// (huggingface/transformers: modeling_minimax.py#MiniMaxLightningAttention):
//
//	q, k, v = SiLU(W_qkv x), head by head
//	S_t = e^{−slope_h} S_{t−1} + k_t v_tᵀ
//	y = W_o (RMSNorm(S_tᵀ q_t) ⊙ σ(W_g x)), the norm over all heads
//
// Its state is a matrix HeadDim×HeadDim for each head, and a token costs 3
// multiply-adds for each number of it beside the projections.
type Lightning struct {
	cfg          LightningConfig
	kind         string
	logDecay     []float64
	QKV, Gate, O *nn.Linear
	Norm         *nn.RMSNorm
}

// LightningSlopes are MiniMax's: 2^{−8(h+1)/heads}·(1 − layer/(layers−1)), and
// a little more than 0 in the last layer.
func LightningSlopes(heads, layer, layers int) []float64 {
	s := make([]float64, heads)
	for h := range s {
		s[h] = math.Exp2(-8*float64(h+1)/float64(heads)) * (1 - float64(layer)/(float64(layers-1)+1e-5) + 1e-5)
	}
	return s
}

// NewLightning makes a layer.
func NewLightning(c LightningConfig) (*Lightning, error) {
	c.NumHeads, c.NumLayers, c.NormEps = or(c.NumHeads, max(1, c.DModel/128)), or(c.NumLayers, c.Layer+1), or(c.NormEps, 1e-6)
	c.HeadDim = or(c.HeadDim, c.DModel/max(1, c.NumHeads))
	check := mixerConfig{layer: "Lightning", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads, keyDim: c.HeadDim, valDim: 3 * c.HeadDim, normName: "norm", eps: c.NormEps}
	if err := check.check(); err != nil {
		return nil, err
	}
	if c.Layer < 0 || c.NumLayers <= c.Layer {
		return nil, fmt.Errorf("linattn.LightningConfig: Layer %d of %d", c.Layer, c.NumLayers)
	}
	if c.Slopes == nil {
		c.Slopes = LightningSlopes(c.NumHeads, c.Layer, c.NumLayers)
	}
	if len(c.Slopes) != c.NumHeads {
		return nil, fmt.Errorf("linattn.LightningConfig: %d Slopes for %d heads", len(c.Slopes), c.NumHeads)
	}
	inner, mk := c.NumHeads*c.HeadDim, &maker{rng: nn.NewRNG(c.Seed)}
	l := &Lightning{
		cfg: c, kind: fmt.Sprintf("linattn.Lightning/1 heads=%d head_dim=%d", c.NumHeads, c.HeadDim),
		QKV: mk.linear(c.DModel, 3*inner, false), Gate: mk.linear(c.DModel, inner, false), O: mk.linear(inner, c.DModel, false),
		Norm: &nn.RMSNorm{Weight: nn.Full(1, inner), Eps: float32(c.NormEps)},
	}
	for _, s := range c.Slopes {
		l.logDecay = append(l.logDecay, -s)
	}
	return l, mk.err
}

// Params lists the weights under MiniMax's names.
func (l *Lightning) Params() nn.Params {
	p := l.QKV.Params().Prefix("qkv_proj")
	p = append(p, l.Gate.Params().Prefix("output_gate")...)
	p = append(p, l.Norm.Params().Prefix("norm")...)
	return append(p, l.O.Params().Prefix("out_proj")...)
}

// NewState has the part "S" [batch, heads, key, value].
func (l *Lightning) NewState(batch int) *tensor.State {
	return tensor.NewState(l.kind, batch).Add("S", tensor.New(batch, l.cfg.NumHeads, l.cfg.HeadDim, l.cfg.HeadDim))
}

// Forward attends over x [batch, length, DModel].
func (l *Lightning) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("linattn.Lightning", "x", x, -1, -1, l.cfg.DModel)
	st.Check(l.kind, x.Dim(0))
	D := l.cfg.HeadDim
	qkv := headed(tensor.SiLU(l.QKV.Forward(x)), l.cfg.NumHeads)
	o := scan.Matrix(scan.MatrixInput{
		Q: qkv.Narrow(-1, 0, D), K: qkv.Narrow(-1, D, 2*D), V: qkv.Narrow(-1, 2*D, 3*D), LogDecay: fixedDecay(x, l.logDecay),
	}, st.Part(0))
	st.Advance(x.Dim(1))
	o = l.Norm.Forward(o.Reshape(x.Dim(0), x.Dim(1), l.cfg.NumHeads*D))
	return l.O.Forward(tensor.Mul(o, tensor.Sigmoid(l.Gate.Forward(x))))
}
