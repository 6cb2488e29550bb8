package linattn

import (
	"fmt"
	"slices"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// JRTConfig describes a layer of prefix linear attention. Zero values mean the defaults.
type JRTConfig struct {
	DModel     int     // channels of the residual stream
	NumHeads   int     // default 16, or DModel/64 if that is smaller, at least 1
	FeatureDim int     // channels of q and k in a head; default 16
	HeadDim    int     // channels of v in a head; default DModel/NumHeads
	EncLength  int     // tokens of the prefix that every token sees; default 1024
	Eps        float64 // added to the normaliser; default 1e-12
	Seed       uint64  // of the initialisation, uniform ±1/√in as torch's Linear
}

// JRT is JRT-RNN's prefix linear attention, arXiv 2407.05483
// (HazyResearch/prefix-linear-attention:
// based/models/mixers/prefix_linear_attention.py): Based, to whose sums every
// token, also one of the prefix, adds those over the first M = EncLength
// tokens, from projections of their own:
//
//	y_t = W_o  φ(q_t) (Σ_{s≤t} φ(k_s) v_sᵀ + Σ_{s≤M} φ(k′_s) v′_sᵀ) / (φ(q_t)·(Σ_{s≤t} φ(k_s) + Σ_{s≤M} φ(k′_s)) + ε)
//
// The sums over the prefix are where the state starts, so that the state is as
// large as Based's, and so is the cost of a token, but for one of the prefix,
// which is read twice. A sequence's first call to Forward must therefore hold the
// whole prefix: of fewer tokens than M all are the prefix. ForwardPrefix takes
// prefixes of different lengths.
type JRT struct {
	cfg        JRTConfig
	kind       string
	Q, K, V, O *nn.Linear
	KEnc, VEnc *nn.Linear
}

// NewJRT makes a layer.
func NewJRT(c JRTConfig) (*JRT, error) {
	c.EncLength = or(c.EncLength, 1024)
	if c.EncLength < 0 {
		return nil, fmt.Errorf("linattn.JRTConfig: EncLength %d: want 1 or more", c.EncLength)
	}
	b, err := NewBased(BasedConfig{DModel: c.DModel, NumHeads: c.NumHeads, FeatureDim: c.FeatureDim, HeadDim: c.HeadDim, Eps: c.Eps, Seed: c.Seed})
	if err != nil {
		return nil, fmt.Errorf("linattn.JRTConfig: %w", err)
	}
	c.NumHeads, c.FeatureDim, c.HeadDim, c.Eps = b.cfg.NumHeads, b.cfg.FeatureDim, b.cfg.HeadDim, b.cfg.Eps
	mk := &maker{rng: nn.NewRNG(c.Seed + 1)}
	l := &JRT{
		cfg: c, kind: fmt.Sprintf("linattn.JRT/1 heads=%d features=%d head_dim=%d prefix=%d", c.NumHeads, c.FeatureDim, c.HeadDim, c.EncLength),
		Q: b.Q, K: b.K, V: b.V, O: b.O,
		KEnc: mk.linear(c.DModel, c.NumHeads*c.FeatureDim, false), VEnc: mk.linear(c.DModel, c.NumHeads*c.HeadDim, false),
	}
	return l, mk.err
}

// Params lists the weights under the names of JRT's checkpoints.
func (l *JRT) Params() nn.Params {
	p := l.Q.Params().Prefix("proj_q")
	p = append(p, l.K.Params().Prefix("proj_k")...)
	p = append(p, l.V.Params().Prefix("proj_v")...)
	p = append(p, l.KEnc.Params().Prefix("proj_k_enc")...)
	p = append(p, l.VEnc.Params().Prefix("proj_v_enc")...)
	return append(p, l.O.Params().Prefix("out_proj")...)
}

// NewState has one part, "kv" [batch, heads, features, HeadDim+1]; the last
// column is the normaliser's sum.
func (l *JRT) NewState(batch int) *tensor.State {
	return tensor.NewState(l.kind, batch).
		Add("kv", tensor.New(batch, l.cfg.NumHeads, TaylorDim(l.cfg.FeatureDim, true), l.cfg.HeadDim+1))
}

// Forward attends over x [batch, length, DModel]. Where the state has seen
// nothing yet, x starts with the whole prefix, EncLength tokens or all there are.
func (l *JRT) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	return l.ForwardPrefix(x, nil, st)
}

// ForwardPrefix is Forward for sequences whose prefixes differ in length, one
// for each of the batch, at most that of x; nil means Forward's. A call that
// goes on from a state that has seen tokens does not look at them.
func (l *JRT) ForwardPrefix(x *tensor.Tensor, lengths []int, st *tensor.State) *tensor.Tensor {
	tensor.Check("linattn.JRT", "x", x, -1, -1, l.cfg.DModel)
	B, T, H := x.Dim(0), x.Dim(1), l.cfg.NumHeads
	st.Check(l.kind, B)
	if st == nil {
		st = l.NewState(B)
	}
	if fresh := B > 0 && st.Pos[0] == 0; fresh && T > 0 {
		if slices.Max(st.Pos) > 0 {
			panic(&tensor.ShapeError{Op: "linattn.JRT", Arg: "state", Got: []int{int(slices.Max(st.Pos))}, Want: "sequences that start together"})
		}
		l.encode(x, lengths, st)
	}
	q, k := Taylor(headed(l.Q.Forward(x), H), true), Taylor(headed(l.K.Forward(x), H), true)
	y := Normalized(q, k, headed(l.V.Forward(x), H), float32(l.cfg.Eps), st.Part(0))
	st.Advance(T)
	return l.O.Forward(y.Reshape(B, T, H*l.cfg.HeadDim))
}

// encode adds the sums over the prefixes of x to the state.
func (l *JRT) encode(x *tensor.Tensor, lengths []int, st *tensor.State) {
	B, T, H := x.Dim(0), x.Dim(1), l.cfg.NumHeads
	n := min(T, l.cfg.EncLength)
	if lengths != nil {
		if len(lengths) != B || slices.Min(lengths) < 0 || slices.Max(lengths) > T {
			panic(&tensor.ShapeError{Op: "linattn.JRT", Arg: "lengths", Got: slices.Clone(lengths), Want: fmt.Sprintf("%d numbers from 0 to %d", B, T)})
		}
		n = slices.Max(lengths)
	}
	prefix := x.Narrow(1, 0, n)
	k, v := Taylor(headed(l.KEnc.Forward(prefix), H), true), withOne(headed(l.VEnc.Forward(prefix), H))
	if lengths != nil && slices.Min(lengths) < n {
		v = tensor.Mul(v, within(x.Scope(), lengths, n))
	}
	scan.Matrix(scan.MatrixInput{Q: k, K: k, V: v}, st.Part(0))
}

// within is [batch, n, 1, 1], 1 for the first lengths[b] tokens and 0 for the rest.
func within(s *tensor.Scope, lengths []int, n int) *tensor.Tensor {
	m := tensor.OutIn(s, "linattn.JRT", []int{len(lengths), n, 1, 1})
	v := make([]float64, m.Len())
	for i := range v {
		if i%n < lengths[i/n] {
			v[i] = 1
		}
	}
	m.SetFloat64s(v)
	return m
}

// JRTPrompt is "just read twice" for a model as it is, without training: the
// parts, a document and its question, say, and then the same again, so that a
// model with a fixed state knows what to keep when it reads for the second time.
func JRTPrompt(parts ...[]int) []int {
	once := slices.Concat(parts...)
	return slices.Concat(once, once)
}
