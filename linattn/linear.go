package linattn

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// A FeatureMap maps the last axis of queries and keys [batch, length, heads, D]
// to features, whose inner products take the place of e^{q·k}.
type FeatureMap func(x *tensor.Tensor) *tensor.Tensor

// EluPlusOne is elu(x) + 1: x + 1 above zero, e^x below.
func EluPlusOne(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Add(tensor.ReLU(x), tensor.Exp(tensor.Neg(tensor.ReLU(tensor.Neg(x)))))
}

// Identity is the feature map of plain linear attention.
func Identity(x *tensor.Tensor) *tensor.Tensor { return x }

// LinearAttentionConfig describes a layer of linear attention. Zero values mean the defaults.
type LinearAttentionConfig struct {
	DModel       int        // channels of the residual stream
	NumHeads     int        // default 8
	HeadDim      int        // channels of q and k in a head; default DModel/NumHeads
	ValueDim     int        // channels of v in a head; default DModel/NumHeads
	FeatureMap   FeatureMap // default EluPlusOne; tensor.ReLU, Identity or your own
	Features     int        // channels of the map's result; default HeadDim
	Unnormalized bool       // leave out the normaliser
	OutputNorm   bool       // RMSNorm over the channels of each head of the result
	Eps          float64    // added to the normaliser; default 1e-10
	NormEps      float64    // of the output norm; default 1e-5
	Seed         uint64     // of the initialisation, torch's
}

// LinearAttention is the layer of arXiv 2006.16236
// (fla-org/flash-linear-attention: fla/layers/linear_attn.py), under a feature
// map φ and with c = HeadDim^{−½}:
//
//	y_t = W_o  c φ(q_t) Σ_{s≤t} φ(k_s) v_sᵀ / (c φ(q_t)·Σ_{s≤t} φ(k_s) + ε)
//
// Its state, per head, is the two sums: Features·(ValueDim+1) floats, or
// Features·ValueDim without the normaliser. A token costs 2 multiply-adds for
// each number of it beside the projections and the map.
type LinearAttention struct {
	mixer
	feature  FeatureMap
	features int
	eps      float32
	plain    bool
}

// NewLinearAttention makes a layer.
func NewLinearAttention(c LinearAttentionConfig) (*LinearAttention, error) {
	c.NumHeads, c.Eps = or(c.NumHeads, 8), or(c.Eps, 1e-10)
	dim := c.DModel / max(1, c.NumHeads)
	c.HeadDim = or(c.HeadDim, dim)
	c.Features = or(c.Features, c.HeadDim)
	if c.FeatureMap == nil {
		c.FeatureMap = EluPlusOne
	}
	if !(c.Eps >= 0 && c.Eps < 1) || c.Features < 1 || c.Features > maxWidth {
		return nil, fmt.Errorf("linattn.LinearAttentionConfig: Eps %v, Features %d: want less than 1, and 1 to %d", c.Eps, c.Features, maxWidth)
	}
	mc := mixerConfig{
		layer: "LinearAttention", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads,
		keyDim: c.HeadDim, valDim: or(c.ValueDim, dim), eps: or(c.NormEps, 1e-5), seed: c.Seed,
	}
	if c.OutputNorm {
		mc.normName = "norm"
	}
	m, _, err := newMixer(mc)
	if err != nil {
		return nil, err
	}
	m.kind = fmt.Sprintf("%s features=%d normalized=%v", m.kind, c.Features, !c.Unnormalized)
	return &LinearAttention{mixer: m, feature: c.FeatureMap, features: c.Features, eps: float32(c.Eps), plain: c.Unnormalized}, nil
}

// Params lists the weights under flash-linear-attention's names.
func (l *LinearAttention) Params() nn.Params { return l.mixer.Params() }

// NewState has one part, "kv" [batch, heads, features, ValueDim+1]; the last
// column is the normaliser's sum, absent without it.
func (l *LinearAttention) NewState(batch int) *tensor.State {
	cols := l.valDim + 1
	if l.plain {
		cols--
	}
	return tensor.NewState(l.kind, batch).Add("kv", tensor.New(batch, l.vHeads, l.features, cols))
}

// Forward attends over x [batch, length, DModel].
func (l *LinearAttention) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, false)
	q, k = l.feature(q), l.feature(k)
	tensor.Check("linattn.LinearAttention", "FeatureMap's result", q, x.Dim(0), x.Dim(1), l.heads, l.features)
	scale := rootOf(l.keyDim)
	if l.plain {
		return l.finish(scan.Matrix(scan.MatrixInput{Q: q, K: k, V: v, Scale: scale}, st.Part(0)), nil, st)
	}
	return l.finish(Normalized(tensor.Scale(q, scale), k, v, l.eps, st.Part(0)), nil, st)
}

// RebasedConfig describes a layer of ReBased. Zero values mean the defaults.
type RebasedConfig struct {
	DModel     int     // channels of the residual stream
	NumHeads   int     // default 16, or DModel/64 if that is smaller, at least 1
	FeatureDim int     // channels of q and k in a head; default 16
	HeadDim    int     // channels of v in a head; default DModel/NumHeads
	Eps        float64 // added to the normaliser; default 1e-5
	Seed       uint64  // of the initialisation, torch's
}

// Rebased is Based with a learned quadratic kernel, arXiv 2402.10644
// (fla-org/flash-linear-attention: fla/layers/rebased.py): q and k through one
// LayerNorm with weight γ and bias β, and then
//
//	y_t = W_o Σ_{s≤t} (q_t·k_s)² v_s/d / (Σ_{s≤t} (q_t·k_s)²/d + ε)
//
// as linear attention over the d(d+1)/2 products of channels. Its state is
// d(d+1)/2·(HeadDim+1) floats for each head, and a token costs 2 multiply-adds
// for each of them beside the projections.
type Rebased struct {
	mixer
	eps        float32
	FeatureMap *nn.LayerNorm // γ and β
}

// NewRebased makes a layer.
func NewRebased(c RebasedConfig) (*Rebased, error) {
	c.NumHeads, c.FeatureDim, c.Eps = or(c.NumHeads, min(16, max(1, c.DModel/64))), or(c.FeatureDim, 16), or(c.Eps, 1e-5)
	if !(c.Eps >= 0 && c.Eps < 1) || c.FeatureDim < 1 || c.FeatureDim > 256 {
		return nil, fmt.Errorf("linattn.RebasedConfig: Eps %v, FeatureDim %d: want less than 1, and 1 to 256, its square is the state", c.Eps, c.FeatureDim)
	}
	m, _, err := newMixer(mixerConfig{
		layer: "Rebased", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads,
		keyDim: c.FeatureDim, valDim: or(c.HeadDim, c.DModel/max(1, c.NumHeads)), seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	norm := &nn.LayerNorm{Weight: nn.Full(1, c.FeatureDim), Bias: nn.Full(0, c.FeatureDim), Eps: 1e-5}
	return &Rebased{mixer: m, eps: float32(c.Eps), FeatureMap: norm}, nil
}

// Params lists the weights under flash-linear-attention's names.
func (l *Rebased) Params() nn.Params {
	return append(l.mixer.Params(),
		nn.Param{Name: "feature_map.gamma", Tensor: l.FeatureMap.Weight, NoDecay: true},
		nn.Param{Name: "feature_map.beta", Tensor: l.FeatureMap.Bias, NoDecay: true})
}

// NewState has one part, "kv" [batch, heads, d(d+1)/2, HeadDim+1]; the last
// column is the normaliser's sum.
func (l *Rebased) NewState(batch int) *tensor.State {
	return tensor.NewState(l.kind, batch).Add("kv", tensor.New(batch, l.heads, l.keyDim*(l.keyDim+1)/2, l.valDim+1))
}

// Forward attends over x [batch, length, DModel].
func (l *Rebased) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, false)
	return l.finish(Normalized(l.square(q), l.square(k), v, l.eps, st.Part(0)), nil, st)
}

// square is φ with φ(q)·φ(k) = (q·k)²/d: the second-order part of Taylor's map, whose products are half of that.
func (l *Rebased) square(x *tensor.Tensor) *tensor.Tensor {
	d := l.keyDim
	return tensor.Scale(Taylor(l.FeatureMap.Forward(x), true).Narrow(-1, 1+d, TaylorDim(d, true)), math.Sqrt2)
}
