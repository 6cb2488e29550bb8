package linattn

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// BasedConfig describes a layer of Based's linear attention. Zero values mean the defaults.
type BasedConfig struct {
	DModel     int     // channels of the residual stream
	NumHeads   int     // default 16, or DModel/64 if that is smaller, at least 1
	FeatureDim int     // channels of q and k in a head; default 16
	HeadDim    int     // channels of v in a head; default DModel/NumHeads
	Eps        float64 // added to the normaliser; default 1e-12
	Seed       uint64  // of the initialisation, uniform ±1/√in as torch's Linear
}

func (c BasedConfig) withDefaults() (BasedConfig, error) {
	if c.NumHeads == 0 {
		c.NumHeads = min(16, max(1, c.DModel/64))
	}
	if c.FeatureDim == 0 {
		c.FeatureDim = 16
	}
	if c.HeadDim == 0 && c.NumHeads > 0 {
		c.HeadDim = c.DModel / c.NumHeads
	}
	if c.Eps == 0 {
		c.Eps = 1e-12
	}
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("linattn.BasedConfig: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.NumHeads < 1 || c.HeadDim < 1 || c.NumHeads > maxWidth/c.HeadDim:
		return c, fmt.Errorf("linattn.BasedConfig: %d heads of %d channels: want 1 to %d in all", c.NumHeads, c.HeadDim, maxWidth)
	case c.FeatureDim < 1 || c.FeatureDim > 256:
		return c, fmt.Errorf("linattn.BasedConfig: FeatureDim %d: want 1 to 256, its square is the state", c.FeatureDim)
	case !(c.Eps >= 0 && c.Eps < 1):
		return c, fmt.Errorf("linattn.BasedConfig: Eps %v: want 0 to 1", c.Eps)
	}
	return c, nil
}

// Based is causal linear attention under the Taylor feature map φ
// (HazyResearch/based: based/models/mixers/linear_attention.py#LinearAttention):
//
//	y_t = W_o  φ(q_t) Σ_{s≤t} φ(k_s) v_sᵀ / (φ(q_t)·Σ_{s≤t} φ(k_s) + ε)
//
// Its state, per head, is the two sums, side by side: with the triangular map
// of d = FeatureDim, (1 + d + d(d+1)/2)·(HeadDim + 1) floats, 153·(HeadDim+1)
// for d = 16, whatever the length. A token costs 2 multiply-adds for each of
// them beside the projections.
type Based struct {
	cfg        BasedConfig
	kind       string
	Q, K, V, O *nn.Linear
}

// NewBased makes a layer.
func NewBased(cfg BasedConfig) (*Based, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	rng := nn.NewRNG(c.Seed)
	l := &Based{cfg: c, kind: fmt.Sprintf("linattn.Based/1 heads=%d features=%d head_dim=%d", c.NumHeads, c.FeatureDim, c.HeadDim)}
	for _, p := range []struct {
		to      **nn.Linear
		in, out int
	}{
		{&l.Q, c.DModel, c.NumHeads * c.FeatureDim},
		{&l.K, c.DModel, c.NumHeads * c.FeatureDim},
		{&l.V, c.DModel, c.NumHeads * c.HeadDim},
		{&l.O, c.NumHeads * c.HeadDim, c.DModel},
	} {
		if *p.to, err = nn.NewLinear(p.in, p.out, false, rng); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Params lists the weights under the names of Based's checkpoints.
func (l *Based) Params() nn.Params {
	var p nn.Params
	p = append(p, l.Q.Params().Prefix("proj_q")...)
	p = append(p, l.K.Params().Prefix("proj_k")...)
	p = append(p, l.V.Params().Prefix("proj_v")...)
	return append(p, l.O.Params().Prefix("out_proj")...)
}

// NewState has one part, "kv" [batch, heads, features, HeadDim+1]; the last
// column is the normaliser's sum.
func (l *Based) NewState(batch int) *tensor.State {
	return tensor.NewState(l.kind, batch).
		Add("kv", tensor.New(batch, l.cfg.NumHeads, TaylorDim(l.cfg.FeatureDim, true), l.cfg.HeadDim+1))
}

// Forward attends over x [batch, length, DModel].
func (l *Based) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("linattn.Based", "x", x, -1, -1, l.cfg.DModel)
	st.Check(l.kind, x.Dim(0))
	B, T, H := x.Dim(0), x.Dim(1), l.cfg.NumHeads
	q := Taylor(l.Q.Forward(x).Reshape(B, T, H, l.cfg.FeatureDim), true)
	k := Taylor(l.K.Forward(x).Reshape(B, T, H, l.cfg.FeatureDim), true)
	v := l.V.Forward(x).Reshape(B, T, H, l.cfg.HeadDim)
	y := Normalized(q, k, v, float32(l.cfg.Eps), st.Part(0))
	st.Advance(T)
	return l.O.Forward(y.Reshape(B, T, H*l.cfg.HeadDim))
}

// Normalized is causal linear attention with its normaliser, for features that
// are already mapped: q, k [B, T, H, F], v [B, T, H, V],
//
//	o_t = q_t Σ_{s≤t} k_s v_sᵀ / (q_t·Σ_{s≤t} k_s + eps)
//
// The normaliser rides along as one more value, 1. st, if not nil, is the sums
// so far, [B, H, F, V+1].
func Normalized(q, k, v *tensor.Tensor, eps float32, st *tensor.Part) *tensor.Tensor {
	V := v.Dim(-1)
	o := scan.Matrix(scan.MatrixInput{Q: q, K: k, V: withOne(v)}, st)
	return tensor.Div(o.Narrow(-1, 0, V), tensor.AddConst(o.Narrow(-1, V, V+1), eps))
}

// withOne appends a 1 to each row of the last axis.
func withOne(v *tensor.Tensor) *tensor.Tensor {
	const op = "linattn.Normalized"
	var shape [tensor.MaxRank]int
	rank := copy(shape[:], v.Shape())
	n := v.Dim(-1)
	shape[rank-1] = n + 1
	y := tensor.Out(op, shape[:rank], v)
	if y.IsFloat64() {
		in, out := v.Values64(), make([]float64, 0, y.Len())
		for ; len(out) < cap(out); in = in[n:] {
			out = append(append(out, in[:n]...), 1)
		}
		y.SetValues64(out)
		return y
	}
	v = tensor.Compact(v)
	src, rows, _, stride, _ := v.Rows()
	dst := y.Data()
	for r := range rows {
		copy(dst[r*(n+1):], src[r*stride:][:n])
		dst[r*(n+1)+n] = 1
	}
	if y.Recording() {
		in := v
		tensor.OnBackward(func() {
			dy := y.Grad().Data()
			dx, _, _, dstride, _ := in.Grad().Rows()
			for r := range rows {
				for i, g := range dy[r*(n+1):][:n] {
					dx[r*dstride+i] += g
				}
			}
		}, y)
	}
	return y
}

// BaseConvConfig describes Based's gated short convolution.
type BaseConvConfig struct {
	DModel int    // channels of the residual stream
	Expand int    // hidden channels as a multiple of DModel, half of them gates; default 4
	Width  int    // of the convolution; default 3
	Seed   uint64 // of the initialisation
}

// BaseConv is Based's gated short convolution
// (HazyResearch/based: based/models/mixers/base_conv.py):
//
//	u, g = W_in x + b;   y = W_out (SiLU(conv(u)) ⊙ g)
//
// Its state is the last Width−1 inputs of the convolution, ½·Expand·DModel
// floats each; a token costs its two projections.
type BaseConv struct {
	cfg     BaseConvConfig
	kind    string
	In, Out *nn.Linear
	Conv    *nn.ShortConv
}

// NewBaseConv makes a layer.
func NewBaseConv(cfg BaseConvConfig) (*BaseConv, error) {
	if cfg.Expand == 0 {
		cfg.Expand = 4
	}
	if cfg.Width == 0 {
		cfg.Width = 3
	}
	if cfg.DModel < 1 || cfg.Expand < 1 || cfg.DModel > maxWidth/cfg.Expand || cfg.DModel*cfg.Expand%2 != 0 || cfg.Width < 1 || cfg.Width > 1024 {
		return nil, fmt.Errorf("linattn.BaseConvConfig: DModel %d, Expand %d, Width %d: want an even product up to %d and a width from 1 to 1024", cfg.DModel, cfg.Expand, cfg.Width, maxWidth)
	}
	rng := nn.NewRNG(cfg.Seed)
	inner := cfg.DModel * cfg.Expand / 2
	l := &BaseConv{cfg: cfg, kind: fmt.Sprintf("linattn.BaseConv/1 inner=%d width=%d", inner, cfg.Width)}
	var err error
	if l.In, err = nn.NewLinear(cfg.DModel, 2*inner, true, rng); err != nil {
		return nil, err
	}
	if l.Conv, err = nn.NewShortConv(inner, cfg.Width, false, true, rng); err != nil {
		return nil, err
	}
	if l.Out, err = nn.NewLinear(inner, cfg.DModel, true, rng); err != nil {
		return nil, err
	}
	return l, nil
}

// Params lists the weights.
func (l *BaseConv) Params() nn.Params {
	p := l.In.Params().Prefix("in_proj")
	p = append(p, l.Conv.Params().Prefix("conv")...)
	return append(p, l.Out.Params().Prefix("out_proj")...)
}

// NewState has one part, "conv" [batch, Width−1, inner].
func (l *BaseConv) NewState(batch int) *tensor.State {
	return tensor.NewState(l.kind, batch).Add("conv", tensor.New(batch, l.cfg.Width-1, l.cfg.DModel*l.cfg.Expand/2))
}

// Forward convolves x [batch, length, DModel].
func (l *BaseConv) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("linattn.BaseConv", "x", x, -1, -1, l.cfg.DModel)
	st.Check(l.kind, x.Dim(0))
	ug := l.In.Forward(x)
	inner := ug.Dim(-1) / 2
	u, g := ug.Narrow(-1, 0, inner), ug.Narrow(-1, inner, 2*inner)
	y := tensor.Mul(l.Conv.Forward(u, st.Part(0)), g)
	st.Advance(x.Dim(1))
	return l.Out.Forward(y)
}

// BasedStackConfig describes one round of Based's layers.
type BasedStackConfig struct {
	DModel int
	Linear BasedConfig     // DModel and Seed are filled in
	Local  AttentionConfig // likewise; Window defaults to 64 keys
	Conv   BaseConvConfig  // likewise
	Seed   uint64
}

// BasedStack is what makes Based recall: a short convolution for neighbours,
// linear attention for everything before, and softmax attention over a small
// window for exact local shifts, each as x ← x + layer(RMSNorm(x)). (The paper
// mixes the three over a model's depth; this is one round of them.) Its state
// and the cost of a token are those of the three together.
type BasedStack struct {
	kind   string
	layers []nn.Layer
	names  []string
	norms  []*nn.RMSNorm
}

// NewBasedStack makes a round of layers.
func NewBasedStack(cfg BasedStackConfig) (*BasedStack, error) {
	cfg.Conv.DModel, cfg.Linear.DModel, cfg.Local.DModel = cfg.DModel, cfg.DModel, cfg.DModel
	cfg.Conv.Seed, cfg.Linear.Seed, cfg.Local.Seed = cfg.Seed, cfg.Seed+1, cfg.Seed+2
	if cfg.Local.Window == 0 {
		cfg.Local.Window = 64
	}
	conv, err := NewBaseConv(cfg.Conv)
	if err != nil {
		return nil, err
	}
	lin, err := NewBased(cfg.Linear)
	if err != nil {
		return nil, err
	}
	local, err := NewAttention(cfg.Local)
	if err != nil {
		return nil, err
	}
	b := &BasedStack{
		kind:   fmt.Sprintf("linattn.BasedStack/1 d_model=%d", cfg.DModel),
		layers: []nn.Layer{conv, lin, local},
		names:  []string{"conv", "linear", "local"},
	}
	for range b.layers {
		b.norms = append(b.norms, &nn.RMSNorm{Weight: nn.Full(1, cfg.DModel), Eps: 1e-5})
	}
	return b, nil
}

// Params lists the weights of the three layers and their norms.
func (b *BasedStack) Params() nn.Params {
	var p nn.Params
	for i, l := range b.layers {
		p = append(p, b.norms[i].Params().Prefix(b.names[i]+".norm")...)
		p = append(p, l.Params().Prefix(b.names[i]+".mixer")...)
	}
	return p
}

// NewState holds the states of the three layers.
func (b *BasedStack) NewState(batch int) *tensor.State {
	st := tensor.NewState(b.kind, batch)
	for _, l := range b.layers {
		st.Sub = append(st.Sub, l.NewState(batch))
	}
	return st
}

// Forward runs x [batch, length, DModel] through the three layers.
func (b *BasedStack) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	st.Check(b.kind, x.Dim(0))
	for i, l := range b.layers {
		x = tensor.Add(x, l.Forward(b.norms[i].Forward(x), st.Inner(i)))
	}
	st.Advance(x.Dim(1))
	return x
}
