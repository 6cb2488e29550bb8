package ssm

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// H3Config describes a layer of H3. Zero values mean the defaults, those of HazyResearch/H3.
type H3Config struct {
	DModel       int     // channels
	DState       int     // states of the shift and of the diagonal space, even; default 64
	HeadDim      int     // d, channels of a head, which divide DModel; default 1
	DtMin, DtMax float64 // range of the diagonal space's initial step; default 0.001, 0.1
	Seed         uint64  // of the initialisation
}

// H3 is "hungry hungry hippos" (HazyResearch/H3: src/models/ssm/h3.py): a state
// space that shifts, so that keys of the last DState tokens meet a value, and a
// diagonal one that remembers what met, between two gates. With H = DModel/d
// heads of d channels,
//
//	q, k, v = W_q u, W_k u, W_v u;   k = SSM_shift(k)
//	y = SSM_diag(k vᵀ)ᵀ q in each head;   out = W_o y
//
// where all d² products of a head go through one diagonal space, S4D-Lin with
// the bilinear rule; for d = 1 they are k ⊙ v. With d > 1 the channels of y are
// those of all heads' first, then of all heads' second channels, and so on.
// The shift's recurrence is a convolution with DState taps, its C.
//
// Its state, per sequence, is DModel·(DState·(1 + d) − 1) floats; a token costs
// DModel·DState·(1 + 4d) multiply-adds beside its projections.
type H3 struct {
	cfg        H3Config
	kind       string
	Q, K, V, O *nn.Linear
	Shift      *nn.ShortConv  // DState taps
	ShiftD     *tensor.Tensor // [DModel]
	Diag       *S4D           // of H channels, its state space alone
}

// NewH3 makes a layer with its authors' initialisation.
func NewH3(c H3Config) (*H3, error) {
	orDefault(&c.DState, 64)
	orDefault(&c.HeadDim, 1)
	if c.HeadDim < 1 || c.DModel%c.HeadDim != 0 {
		return nil, fmt.Errorf("ssm.H3Config: HeadDim %d: want a divisor of the %d channels", c.HeadDim, c.DModel)
	}
	diag, err := NewS4D(S4DConfig{DModel: c.DModel / c.HeadDim, DState: c.DState, Init: S4DLin, Discretization: Bilinear, DtMin: c.DtMin, DtMax: c.DtMax, Seed: c.Seed + 1})
	if err != nil {
		return nil, fmt.Errorf("ssm.H3Config: %w", err)
	}
	mk := newMaker(c.Seed, false)
	h := &H3{cfg: c, kind: fmt.Sprintf("ssm.H3/1 d_model=%d states=%d head_dim=%d", c.DModel, c.DState, c.HeadDim), Diag: diag,
		Q: mk.linear(c.DModel, c.DModel, true), K: mk.linear(c.DModel, c.DModel, true), V: mk.linear(c.DModel, c.DModel, true), O: mk.linear(c.DModel, c.DModel, true),
		Shift: mk.conv(c.DModel, c.DState, false, false), ShiftD: nn.Normal(mk.rng, 1, c.DModel)}
	return h, mk.err
}

// Params lists the weights; the kernels' are under the names of S4D's.
func (h *H3) Params() nn.Params {
	p := h.Q.Params().Prefix("q_proj")
	p = append(p, h.K.Params().Prefix("k_proj")...)
	p = append(p, h.V.Params().Prefix("v_proj")...)
	p = append(p, nn.Param{Name: "ssm_k_D", Tensor: h.ShiftD, NoDecay: true})
	p = append(p, h.Shift.Params().Prefix("ssm_k_kernel")...)
	for _, x := range h.Diag.Params() {
		if x.Tensor != h.Diag.Out.Weight && x.Tensor != h.Diag.Out.Bias {
			x.Name = "kernel." + x.Name
			p = append(p, x)
		}
	}
	return append(p, h.O.Params().Prefix("output_linear")...)
}

// NewState has the part "shift" [batch, DState−1, DModel] and the state of the
// diagonal space, d² sequences for each.
func (h *H3) NewState(batch int) *tensor.State {
	st := tensor.NewState(h.kind, batch).Add("shift", tensor.New(batch, h.cfg.DState-1, h.cfg.DModel))
	st.Sub = []*tensor.State{h.Diag.NewState(batch * h.cfg.HeadDim * h.cfg.HeadDim)}
	return st
}

// Forward mixes u [batch, length, DModel].
func (h *H3) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.H3", "u", u, -1, -1, h.cfg.DModel)
	st.Check(h.kind, u.Dim(0))
	q, k, v := h.Q.Forward(u), h.K.Forward(u), h.V.Forward(u)
	k = tensor.MulAdd(k, h.ShiftD, h.Shift.Forward(k, st.Part(0)))
	var y *tensor.Tensor
	if h.cfg.HeadDim == 1 {
		y = tensor.Mul(q, h.Diag.SSM(tensor.Mul(k, v), st.Inner(0)))
	} else {
		y = h.heads(q, k, v, st.Inner(0))
	}
	st.Inner(0).Advance(u.Dim(1))
	st.Advance(u.Dim(1))
	return h.O.Forward(y)
}

// heads is y for heads of several channels: all pairs of a key's and a value's
// are sequences of their own.
func (h *H3) heads(q, k, v *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	B, T, d := q.Dim(0), q.Dim(1), h.cfg.HeadDim
	H := h.cfg.DModel / d
	apart := func(x *tensor.Tensor) *tensor.Tensor { // [B, d, T, H]
		return tensor.Transpose(tensor.Transpose(x.Reshape(B, T, H, d), 2, 3), 1, 2)
	}
	q, k, v = apart(q).Reshape(B, d, 1, T, H), apart(k).Reshape(B, d, 1, T, H), apart(v).Reshape(B, 1, d, T, H)
	kv := h.Diag.SSM(tensor.Mul(k, v).Reshape(B*d*d, T, H), st).Reshape(B, d, d, T, H)
	y := tensor.Sum(tensor.Mul(q, kv), 1, false) // [B, d, T, H]
	return tensor.Transpose(y, 1, 2).Reshape(B, T, d*H)
}
