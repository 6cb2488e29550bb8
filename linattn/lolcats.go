package linattn

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// LoLCATsConfig describes a layer of LoLCATs' hybrid. Zero values mean the defaults.
type LoLCATsConfig struct {
	DModel     int     // channels of the residual stream
	NumHeads   int     // query heads; default DModel/64, at least 1
	NumKVHeads int     // key and value heads, a divisor of NumHeads; default NumHeads
	HeadDim    int     // channels of a head; default DModel/NumHeads
	RopeBase   float64 // base of the rotary embedding; 0 means none
	Bias       bool    // on q, k and v
	Window     int     // keys that softmax attention sees, the token itself included; default 64
	FeatureDim int     // half the features of a head; default HeadDim
	Affine     bool    // the linear part counts 1 − σ(f), not 1
	Seed       uint64  // of the initialisation
}

// LoLCATs is softmax attention over a window and linear attention over all
// before it, under one denominator, arXiv 2410.10254 (HazyResearch/lolcats:
// src/model/linear_attention/linear_window_attention_sw.py):
//
//	y_t = W_o (σ(f) Σ_{s in window} e^{q_t·k_s/√D − m_t} v_s + Σ_{s before} φ(q_t)·φ(k_s) v_s) / (the same without v)
//
// with m_t the largest score of the window, f learned for each head, and
// Hedgehog's map φ(x) = [softmax(x W), softmax(−x W)], learned for each head,
// one for q and one for k. The projections bear Llama's names, so that a
// model's own attention can be converted by training f and the W alone.
//
// Its state is the keys and values of Window tokens, 2·NumKVHeads·HeadDim floats
// each (values have one more a head), and for each head 2·FeatureDim·(HeadDim+1).
// A token costs 2·Window·HeadDim multiply-adds a head for the window and 2 for
// each number of the sums, beside the projections.
type LoLCATs struct {
	attn             *Attention
	kind             string
	window, features int
	affine           bool
	MapQ, MapK       *tensor.Tensor // [NumHeads, HeadDim, FeatureDim]
	Factors          *tensor.Tensor // f, [NumHeads, 1]
}

// NewLoLCATs makes a layer: maps uniform ±√(6/(HeadDim·FeatureDim)), f = 0, the rest as Attention.
func NewLoLCATs(c LoLCATsConfig) (*LoLCATs, error) {
	c.Window = or(c.Window, 64)
	a, err := NewAttention(AttentionConfig{
		DModel: c.DModel, NumHeads: c.NumHeads, NumKVHeads: c.NumKVHeads, HeadDim: c.HeadDim,
		RopeBase: c.RopeBase, Bias: c.Bias, Window: c.Window, Seed: c.Seed,
	})
	if err != nil {
		return nil, fmt.Errorf("linattn.LoLCATsConfig: %w", err)
	}
	H, D := a.cfg.NumHeads, a.cfg.HeadDim
	F := or(c.FeatureDim, D)
	if F < 1 || F > maxWidth/H {
		return nil, fmt.Errorf("linattn.LoLCATsConfig: FeatureDim %d for %d heads: want 1 to %d in all", F, H, maxWidth)
	}
	rng, bound := nn.NewRNG(c.Seed+1), math.Sqrt(6/float64(D*F))
	return &LoLCATs{
		attn: a, window: c.Window, features: F, affine: c.Affine,
		kind: fmt.Sprintf("linattn.LoLCATs/1 heads=%d kv_heads=%d head_dim=%d features=%d window=%d", H, a.cfg.NumKVHeads, D, F, c.Window),
		MapQ: nn.Uniform(rng, -bound, bound, H, D, F), MapK: nn.Uniform(rng, -bound, bound, H, D, F), Factors: nn.Full(0, H, 1),
	}, nil
}

// Params lists the weights under LoLCATs' names.
func (l *LoLCATs) Params() nn.Params {
	return append(l.attn.Params(),
		nn.Param{Name: "feature_map_q.mlp.layer", Tensor: l.MapQ},
		nn.Param{Name: "feature_map_k.mlp.layer", Tensor: l.MapK},
		nn.Param{Name: "window_factors", Tensor: l.Factors, NoDecay: true})
}

// NewState has the parts "kv" [batch, heads, features, HeadDim+1], the sums
// over what has left the window, and "k" [batch, Window, NumKVHeads, HeadDim]
// and "v" [batch, Window, NumKVHeads, HeadDim+1], the last tokens in order. The
// last column of values is 1, and 0 where there is no token yet.
func (l *LoLCATs) NewState(batch int) *tensor.State {
	c := l.attn.cfg
	return tensor.NewState(l.kind, batch).
		Add("kv", tensor.New(batch, c.NumHeads, 2*l.features, c.HeadDim+1)).
		Add("k", tensor.New(batch, l.window, c.NumKVHeads, c.HeadDim)).
		Add("v", tensor.New(batch, l.window, c.NumKVHeads, c.HeadDim+1))
}

// Forward attends over x [batch, length, DModel].
func (l *LoLCATs) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("linattn.LoLCATs", "x", x, -1, -1, l.attn.cfg.DModel)
	B, T, H, D := x.Dim(0), x.Dim(1), l.attn.cfg.NumHeads, l.attn.cfg.HeadDim
	st.Check(l.kind, B)
	q, k, v := l.attn.project(x, st)
	// Row i of keys and values is token i − Window, counted from this call's first.
	keys := nn.RepeatHeads(withPast(k, l.window, st.Part(1)), H)
	values := nn.RepeatHeads(withPast(withOne(v), l.window, st.Part(2)), H)
	near := windowSums(q, keys, values, l.window)
	far := scan.Matrix(scan.MatrixInput{
		Q: l.feature(q, l.MapQ), K: l.feature(keys.Narrow(1, 0, T), l.MapK), V: values.Narrow(1, 0, T),
	}, st.Part(0))
	st.Advance(T)

	f := tensor.Sigmoid(tensor.Enter(x.Scope(), l.Factors))
	if l.affine {
		far = tensor.Mul(far, tensor.AddConst(tensor.Neg(f), 1))
	}
	y := tensor.MulAdd(near, f, far)
	y = tensor.Div(y.Narrow(-1, 0, D), y.Narrow(-1, D, D+1))
	return l.attn.O.Forward(y.Reshape(B, T, H*D))
}

// withPast puts the n rows that the part holds, zeros without one, before x,
// [batch, length, …], and leaves the last n rows in it.
func withPast(x *tensor.Tensor, n int, p *tensor.Part) *tensor.Tensor {
	s := x.Scope()
	var past *tensor.Tensor
	if p != nil {
		past = p.Read(s)
	} else {
		var shape [tensor.MaxRank]int
		copy(shape[:], x.Shape())
		shape[1] = n
		past = s.New(shape[:x.Rank()]...)
	}
	all := tensor.Concat(1, past, x)
	if p != nil {
		p.Write(tensor.Contiguous(all.Narrow(1, x.Dim(1), x.Dim(1)+n)))
	}
	return all
}

// feature is φ(x) of x [batch, length, heads, D] under w [heads, D, F].
func (l *LoLCATs) feature(x, w *tensor.Tensor) *tensor.Tensor {
	B, T, H := x.Dim(0), x.Dim(1), x.Dim(2)
	rows := tensor.Contiguous(x).Reshape(B*T, H, x.Dim(3))
	z := tensor.MatMul(tensor.Transpose(rows, 0, 1), w) // [heads, B·T, F]
	z = tensor.Transpose(z, 0, 1).Reshape(B, T, H, l.features)
	return tensor.Concat(-1, tensor.Softmax(z), tensor.Softmax(tensor.Neg(z)))
}
