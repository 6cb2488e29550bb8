package linattn

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// LogLinear is log-linear attention, arXiv 2506.04761, for q, k [B, T, G, K],
// v [B, T, H, V], G a divisor of H, and logDecay [B, T, H]. Token t sees the past
// in blocks as a Fenwick tree has them: itself (level 0), and for each bit ℓ−1
// that is set in t the 2^{ℓ−1} tokens before those of the lower bits (level ℓ),
// and weighs each block with a number of its own, levels [B, T, H, L]:
//
//	o_t = scale Σ_{ℓ<L} λ_t^ℓ (S_t^ℓ)ᵀ q_t,   S_t^ℓ = Σ_{s in block ℓ of t} e^{g_{s+1}+…+g_t} k_s v_sᵀ
//
// Tokens in the same aligned block of 64, levels 0 to 6, meet as products of
// matrices. A level above is a linear attention of its own, by [scan.Matrix]: it
// forgets everything where t is a multiple of 2^ℓ, and of the 2^ℓ tokens from
// there to the next multiple the first half is written to it and the second
// reads it. (fla-org/flash-linear-attention: fla/ops/log_linear_attn/naive.py has
// the same matrix of weights.) Up to 2^{L−1} tokens are as in the paper; at
// every multiple of that all that came before is forgotten.
//
// pos is the position of each sequence's first token, nil for 0; parts, nil for
// none, are what [LogLinearState] adds to a state.
func LogLinear(q, k, v, logDecay, levels *tensor.Tensor, scale float32, pos []int64, parts []*tensor.Part) *tensor.Tensor {
	const op = "linattn.LogLinear"
	tensor.Check(op, "v", v, -1, -1, -1, -1)
	B, T, H := v.Dim(0), v.Dim(1), v.Dim(2)
	tensor.Check(op, "q", q, B, T, -1, -1)
	G, K := q.Dim(2), q.Dim(3)
	tensor.Check(op, "k", k, B, T, G, K)
	tensor.Check(op, "logDecay", logDecay, B, T, H)
	tensor.Check(op, "levels", levels, B, T, H, -1)
	L := levels.Dim(3)
	near := nearLevels(L)
	if L < 1 || G < 1 || H%G != 0 || (parts != nil && len(parts) != 3+L-near) {
		panic(&tensor.ShapeError{Op: op, Arg: "levels, heads, parts", Got: []int{L, H, G, len(parts)}, Want: "at least one level, heads of q that divide v's, and LogLinearState's parts"})
	}
	part := func(i int) *tensor.Part {
		if parts == nil {
			return nil
		}
		return parts[i]
	}
	past := 1<<(near-1) - 1
	o := nearBlocks(q, withPast(k, past, part(0)), withPast(v, past, part(1)), withPast(logDecay, past, part(2)), levels.Narrow(-1, 0, near), scale, pos)
	for l := near; l < L; l++ {
		if parts == nil && pos == nil && 1<<(l-1) >= T {
			break // no token has this bit: nothing is read, and nothing kept
		}
		m := halves{op: op, like: v, pos: pos, block: 1 << l}
		y := scan.Matrix(scan.MatrixInput{
			Q: q, K: tensor.Mul(k, m.mark(1, 0, 0).Reshape(B, T, 1, 1)), V: v,
			LogDecay: tensor.Add(logDecay, m.mark(0, 0, math.Inf(-1))), Scale: scale,
		}, part(3+l-near))
		o = tensor.MulAdd(y, tensor.Mul(levels.Narrow(-1, l, l+1), m.mark(0, 1, 0).Reshape(B, T, 1, 1)), o)
	}
	return o
}

// nearLevels is how many of L levels are nearBlocks': up to blocks of 64.
func nearLevels(L int) int { return min(L, 7) }

// LogLinearState adds what LogLinear keeps between calls to st: the tokens of an
// unfinished block, "k", "v" and "g", at most 63, and a state "S7", "S8", …,
// [batch, H, K, V], for each level from 7 to levels−1.
func LogLinearState(st *tensor.State, batch, G, K, H, V, levels int) *tensor.State {
	near := nearLevels(levels)
	past := 1<<(near-1) - 1
	st.Add("k", tensor.New(batch, past, G, K)).Add("v", tensor.New(batch, past, H, V)).Add("g", tensor.New(batch, past, H))
	for l := near; l < levels; l++ {
		st.Add(fmt.Sprintf("S%d", l), tensor.New(batch, H, K, V))
	}
	return st
}

// halves tells the places of tokens in aligned blocks.
type halves struct {
	op    string
	like  *tensor.Tensor // [B, T, …], of the tokens
	pos   []int64        // of the first ones; nil for 0
	block int64          // a power of two
}

// mark is [B, T, 1] with one number in the first half of a block and another
// in the second; start is added at its first token.
func (h *halves) mark(first, second, start float64) *tensor.Tensor {
	B, T := h.like.Dim(0), h.like.Dim(1)
	at := func(i int) float64 {
		p := int64(i % T)
		if h.pos != nil {
			p += h.pos[i/T]
		}
		switch p &= h.block - 1; {
		case p == 0:
			return first + start
		case p < h.block/2:
			return first
		}
		return second
	}
	m := tensor.OutIn(h.like.Scope(), h.op, []int{B, T, 1})
	if m.IsFloat64() {
		v := make([]float64, B*T)
		for i := range v {
			v[i] = at(i)
		}
		m.SetValues64(v)
		return m
	}
	for i, d := 0, m.Data(); i < len(d); i++ {
		d[i] = float32(at(i))
	}
	return m
}

// LogLinearConfig describes a layer of log-linear attention. Zero values mean the defaults.
type LogLinearConfig struct {
	DModel    int     // channels of the residual stream
	Expand    int     // inner channels as a multiple of DModel; default 2
	HeadDim   int     // P, channels of a head of values; default 64
	DState    int     // N, channels of keys and queries; default 128
	Groups    int     // sets of keys and queries, shared by the heads of a group; default 1
	ConvSize  int     // width of the short convolution; default 4
	ConvBias  bool    // on the convolution
	NoBias    bool    // on the projections in and out
	MaxLevels int     // L, levels of blocks; default 15: 16384 tokens are remembered
	NormEps   float64 // of the norm; default 1e-5
	Seed      uint64  // of the initialisation
}

// LogLinearMamba2 is Mamba-2 with log-linear attention for its recurrence
// (fla-org/flash-linear-attention: fla/layers/log_linear_mamba2.py):
//
//	z, xBC, dt, ℓ = W_in u;   x, k, q = SiLU(conv(xBC));   Δ = softplus(dt + dt_bias)
//	o = LogLinear(q, k, Δ x, levels softplus(L ⊙ ℓ)), scale N^{−½}, with log decay −e^{A_log} Δ
//	y = W_out RMSNorm((o + D x) ⊙ SiLU(z))
//
// Its state is the last inputs of the convolution, 63 tokens and MaxLevels−7
// matrices DState×HeadDim for each head, of fixed size, where the paper's grows
// with the logarithm of the length to the same. A token costs as much as
// MaxLevels−7 recurrences of Mamba-2 beside the projections: at 768 channels and
// 2048 tokens 2.3 times Mamba-2's time, 3 with gradients, 2.2 for a single token,
// which is 5.5, 8.7 and 6.4 times that of Based, the fastest with a matrix for a state.
type LogLinearMamba2 struct {
	cfg          LogLinearConfig
	kind         string
	heads        int
	In, Out      *nn.Linear
	Conv         *nn.ShortConv
	ALog, DtBias *tensor.Tensor // [H]
	D            *tensor.Tensor // [H]
	L            *tensor.Tensor // [H, MaxLevels]
	Norm         *nn.RMSNormGated
}

// NewLogLinearMamba2 makes a layer: A from 1 to H, steps log-uniform from
// 0.001 to 0.1, L and D ones, the projections torch's.
func NewLogLinearMamba2(c LogLinearConfig) (*LogLinearMamba2, error) {
	c.Expand, c.HeadDim, c.DState, c.Groups = or(c.Expand, 2), or(c.HeadDim, 64), or(c.DState, 128), or(c.Groups, 1)
	c.ConvSize, c.MaxLevels, c.NormEps = or(c.ConvSize, 4), or(c.MaxLevels, 15), or(c.NormEps, 1e-5)
	if c.Expand < 1 || c.HeadDim < 1 || c.DModel < 1 || c.DModel > maxWidth/c.Expand || c.DModel*c.Expand%c.HeadDim != 0 {
		return nil, fmt.Errorf("linattn.LogLinearConfig: DModel %d, Expand %d, HeadDim %d: want whole heads in 1 to %d channels", c.DModel, c.Expand, c.HeadDim, maxWidth)
	}
	inner := c.DModel * c.Expand
	H := inner / c.HeadDim
	check := mixerConfig{layer: "LogLinear", dModel: c.DModel, heads: c.Groups, vHeads: H, keyDim: c.DState, valDim: c.HeadDim, conv: c.ConvSize, normName: "norm", eps: c.NormEps}
	if err := check.check(); err != nil {
		return nil, err
	}
	if c.ConvSize < 1 || c.MaxLevels < 1 || c.MaxLevels > 40 {
		return nil, fmt.Errorf("linattn.LogLinearConfig: ConvSize %d, MaxLevels %d: want at least 1, and 1 to 40", c.ConvSize, c.MaxLevels)
	}
	mk, wide := &maker{rng: nn.NewRNG(c.Seed)}, inner+2*c.Groups*c.DState
	l := &LogLinearMamba2{
		cfg: c, heads: H,
		kind: fmt.Sprintf("linattn.LogLinearMamba2/1 heads=%d key=%d value=%d conv=%d levels=%d", H, c.DState, c.HeadDim, c.ConvSize, c.MaxLevels),
		In:   mk.linear(c.DModel, inner+wide+H*(c.MaxLevels+1), !c.NoBias), Out: mk.linear(inner, c.DModel, !c.NoBias),
		Conv: mk.conv(wide, c.ConvSize, c.ConvBias),
		ALog: nn.Full(0, H), DtBias: stepBias(mk.rng, H), D: nn.Full(1, H), L: nn.Full(1, H, c.MaxLevels),
		Norm: &nn.RMSNormGated{Weight: nn.Full(1, inner), Eps: float32(c.NormEps)},
	}
	for h := range H {
		l.ALog.Data()[h] = float32(math.Log(float64(h + 1)))
	}
	return l, mk.err
}

// Params lists the weights under flash-linear-attention's names.
func (l *LogLinearMamba2) Params() nn.Params {
	p := append(l.In.Params().Prefix("in_proj"), l.Conv.Params().Prefix("conv1d")...)
	p = append(p, nn.Param{Name: "dt_bias", Tensor: l.DtBias, NoDecay: true}, nn.Param{Name: "A_log", Tensor: l.ALog, NoDecay: true},
		nn.Param{Name: "L", Tensor: l.L, NoDecay: true}, nn.Param{Name: "D", Tensor: l.D, NoDecay: true})
	p = append(p, l.Norm.Params().Prefix("norm")...)
	return append(p, l.Out.Params().Prefix("out_proj")...)
}

// NewState has the part "conv" [batch, ConvSize−1, channels] and those of LogLinearState.
func (l *LogLinearMamba2) NewState(batch int) *tensor.State {
	c := &l.cfg
	st := tensor.NewState(l.kind, batch).Add("conv", tensor.New(batch, c.ConvSize-1, l.heads*c.HeadDim+2*c.Groups*c.DState))
	return LogLinearState(st, batch, c.Groups, c.DState, l.heads, c.HeadDim, c.MaxLevels)
}

// Forward mixes u [batch, length, DModel].
func (l *LogLinearMamba2) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("linattn.LogLinearMamba2", "u", u, -1, -1, l.cfg.DModel)
	st.Check(l.kind, u.Dim(0))
	B, T, H, P, G, N, L := u.Dim(0), u.Dim(1), l.heads, l.cfg.HeadDim, l.cfg.Groups, l.cfg.DState, l.cfg.MaxLevels
	E := H * P
	in, lo := l.In.Forward(u), 0
	take := func(n int) *tensor.Tensor {
		lo += n
		return in.Narrow(-1, lo-n, lo)
	}
	z, xBC := take(E), l.Conv.Forward(take(E+2*G*N), st.Part(0))
	dt := tensor.Softplus(tensor.Add(take(H), l.DtBias))
	levels := tensor.Softplus(tensor.Mul(take(H*L).Reshape(B, T, H, L), l.L))
	x := xBC.Narrow(-1, 0, E).Reshape(B, T, H, P)
	k, q := xBC.Narrow(-1, E, E+G*N).Reshape(B, T, G, N), xBC.Narrow(-1, E+G*N, E+2*G*N).Reshape(B, T, G, N)
	decay := tensor.Mul(dt, tensor.Neg(tensor.Exp(tensor.Enter(u.Scope(), l.ALog))))
	var pos []int64
	var parts []*tensor.Part
	if st != nil {
		pos, parts = st.Pos, st.Parts[1:]
	}
	o := LogLinear(q, k, tensor.Mul(x, dt.Reshape(B, T, H, 1)), decay, levels, rootOf(N), pos, parts)
	st.Advance(T)
	o = tensor.MulAdd(x, tensor.Enter(u.Scope(), l.D).Reshape(H, 1), o)
	return l.Out.Forward(l.Norm.Forward(o.Reshape(B, T, E), z))
}
