package ssm

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// Mamba2Config describes a layer of Mamba-2. Zero values mean the defaults, the authors' own.
type Mamba2Config struct {
	DModel  int // channels of the residual stream
	DState  int // N, rows of a head's state; default 128
	DConv   int // width of the short convolution; default 4
	Expand  int // inner channels as a multiple of DModel; default 2
	DInner  int // inner channels, if they are no multiple of DModel; default Expand·DModel
	DSSM    int // E, inner channels that go through the state space, the rest through a gated MLP; default DInner
	HeadDim int // P, channels of a head; default 64
	Groups  int // G, sets of B and C, each shared by the heads of a group; default 1

	DPerChannel bool // D for each channel instead of each head

	NoNorm         bool    // gate only: y ⊙ SiLU(z)
	NormBeforeGate bool    // RMS(y) ⊙ SiLU(z) instead of RMS(y ⊙ SiLU(z))
	FullNorm       bool    // norm over all E channels, as Hugging Face does, instead of E/G
	NormEps        float64 // default 1e-5

	NoConvBias bool // the convolution's bias is on by default
	Bias       bool // on the projections in and out

	AMin, AMax                float64 // range of the initial −A; default 1, 16
	DtMin, DtMax, DtInitFloor float64 // range of the initial step; default 0.001, 0.1, 1e-4
	DtLimitMin, DtLimitMax    float64 // what steps are held to; a DtLimitMax of 0 means no upper limit

	Seed  uint64 // of the initialisation
	Empty bool   // leave random weights at zero, for a checkpoint to fill
}

func (c Mamba2Config) withDefaults() (Mamba2Config, error) {
	orDefault(&c.DState, 128)
	orDefault(&c.DConv, 4)
	orDefault(&c.Expand, 2)
	orDefault(&c.HeadDim, 64)
	orDefault(&c.Groups, 1)
	orDefault(&c.NormEps, 1e-5)
	orDefault(&c.AMin, 1)
	orDefault(&c.AMax, 16)
	orDefault(&c.DtMin, 0.001)
	orDefault(&c.DtMax, 0.1)
	orDefault(&c.DtInitFloor, 1e-4)
	orDefault(&c.DtLimitMax, math.Inf(1))
	if c.DModel < 1 || c.Expand < 1 || c.DModel > maxWidth || c.Expand > maxWidth/c.DModel {
		return c, fmt.Errorf("ssm.Mamba2Config: DModel %d times Expand %d: want 1 to %d", c.DModel, c.Expand, maxWidth)
	}
	orDefault(&c.DInner, c.Expand*c.DModel)
	orDefault(&c.DSSM, c.DInner)
	switch {
	case c.DInner < 1 || c.DInner > maxWidth || c.DSSM < 1 || c.DSSM > c.DInner:
		return c, fmt.Errorf("ssm.Mamba2Config: DInner %d, DSSM %d: want 1 ≤ DSSM ≤ DInner ≤ %d", c.DInner, c.DSSM, maxWidth)
	case c.HeadDim < 1 || c.DSSM%c.HeadDim != 0:
		return c, fmt.Errorf("ssm.Mamba2Config: HeadDim %d: want a divisor of the %d inner channels", c.HeadDim, c.DSSM)
	case c.Groups < 1 || c.DSSM/c.HeadDim%c.Groups != 0:
		return c, fmt.Errorf("ssm.Mamba2Config: Groups %d: want a divisor of the %d heads", c.Groups, c.DSSM/c.HeadDim)
	case c.DState < 1 || c.DState > 4096:
		return c, fmt.Errorf("ssm.Mamba2Config: DState %d: want 1 to 4096", c.DState)
	case c.DConv < 1 || c.DConv > 1024:
		return c, fmt.Errorf("ssm.Mamba2Config: DConv %d: want 1 to 1024", c.DConv)
	case !(c.NormEps > 0 && c.NormEps < 1):
		return c, fmt.Errorf("ssm.Mamba2Config: NormEps %v: want 0 to 1", c.NormEps)
	case !(c.AMin > 0 && c.AMin <= c.AMax && c.AMax < 1e9):
		return c, fmt.Errorf("ssm.Mamba2Config: AMin %v, AMax %v: want 0 < AMin ≤ AMax", c.AMin, c.AMax)
	case !(checkSteps(c.DtMin, c.DtMax) && c.DtInitFloor > 0):
		return c, fmt.Errorf("ssm.Mamba2Config: DtMin %v, DtMax %v, DtInitFloor %v: want 0 < DtMin ≤ DtMax < 1000 and a positive floor", c.DtMin, c.DtMax, c.DtInitFloor)
	case !(c.DtLimitMin >= 0 && c.DtLimitMin < c.DtLimitMax):
		return c, fmt.Errorf("ssm.Mamba2Config: DtLimitMin %v, DtLimitMax %v: want 0 ≤ DtLimitMin < DtLimitMax", c.DtLimitMin, c.DtLimitMax)
	}
	return c, nil
}

// Mamba2 is the state space layer with a scalar decay for each head, which
// makes it a kind of linear attention (state-spaces/mamba:
// mamba_ssm/modules/mamba2.py). With E channels in H = E/P heads:
//
//	z, x, B, C, dt = W_in u;   x, B, C = SiLU(conv(x, B, C))
//	dt = clamp(softplus(dt + dt_bias)),   A = −e^{A_log}
//	h_t = e^{dt_t A} h_{t−1} + B_t (dt_t x_t)ᵀ,   y_t = h_tᵀ C_t + D x_t     (scan.Matrix)
//	out = W_out RMSNorm(y ⊙ SiLU(z))
//
// Its state, per sequence, is E·N + (DConv−1)(E + 2GN) floats. A token costs
// 2·E·N multiply-adds beside its projections.
type Mamba2 struct {
	cfg     Mamba2Config
	kind    string
	clamp   bool
	In, Out *nn.Linear
	Conv    *nn.ShortConv
	ALog    *tensor.Tensor // [H]
	D       *tensor.Tensor // [H], or [E] with DPerChannel
	DtBias  *tensor.Tensor // [H]
	Norm    *nn.RMSNormGated
}

// NewMamba2 makes a layer with its authors' initialisation.
func NewMamba2(cfg Mamba2Config) (*Mamba2, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	E, H, GN := c.DSSM, c.DSSM/c.HeadDim, c.Groups*c.DState
	mk := newMaker(c.Seed, c.Empty)
	m := &Mamba2{
		cfg:    c,
		kind:   fmt.Sprintf("ssm.Mamba2/1 heads=%d head_dim=%d states=%d groups=%d conv=%d", H, c.HeadDim, c.DState, c.Groups, c.DConv),
		clamp:  c.DtLimitMin > 0 || !math.IsInf(c.DtLimitMax, 1),
		In:     mk.linear(c.DModel, 2*c.DInner+2*GN+H, c.Bias),
		Conv:   mk.conv(E+2*GN, c.DConv, !c.NoConvBias, true),
		ALog:   mk.fill(func(int) float64 { return math.Log(c.AMin + mk.rng.Float64()*(c.AMax-c.AMin)) }, H),
		DtBias: mk.dtBias(c.DtMin, c.DtMax, c.DtInitFloor, H),
		D:      nn.Full(1, H),
		Out:    mk.linear(c.DInner, c.DModel, c.Bias),
	}
	if c.DPerChannel {
		m.D = nn.Full(1, E)
	}
	if !c.NoNorm {
		m.Norm = &nn.RMSNormGated{Weight: nn.Full(1, E), Eps: float32(c.NormEps), NormBeforeGate: c.NormBeforeGate}
		if !c.FullNorm {
			m.Norm.GroupSize = E / c.Groups
		}
	}
	return m, mk.err
}

// Params lists the weights under the names of checkpoints.
func (m *Mamba2) Params() nn.Params {
	p := nn.Params{
		{Name: "A_log", Tensor: m.ALog, NoDecay: true},
		{Name: "D", Tensor: m.D, NoDecay: true},
		{Name: "dt_bias", Tensor: m.DtBias, NoDecay: true},
	}
	p = append(p, m.In.Params().Prefix("in_proj")...)
	p = append(p, m.Conv.Params().Prefix("conv1d")...)
	if m.Norm != nil {
		p = append(p, m.Norm.Params().Prefix("norm")...)
	}
	return append(p, m.Out.Params().Prefix("out_proj")...)
}

// NewState has parts "conv" [batch, DConv−1, E+2GN] and "ssm" [batch, H, DState, HeadDim].
func (m *Mamba2) NewState(batch int) *tensor.State {
	c := &m.cfg
	return tensor.NewState(m.kind, batch).
		Add("conv", tensor.New(batch, c.DConv-1, c.DSSM+2*c.Groups*c.DState)).
		Add("ssm", tensor.New(batch, c.DSSM/c.HeadDim, c.DState, c.HeadDim))
}

// Forward maps u [batch, length, DModel] to the same shape.
func (m *Mamba2) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.Mamba2", "u", u, -1, -1, m.cfg.DModel)
	st.Check(m.kind, u.Dim(0))
	c := &m.cfg
	B, T, E, P, G, N := u.Dim(0), u.Dim(1), c.DSSM, c.HeadDim, c.Groups, c.DState
	H, mlp := E/P, c.DInner-E
	in := m.In.Forward(u)
	lo := 2 * mlp
	z := in.Narrow(-1, lo, lo+E)
	lo += E
	xBC := m.Conv.Forward(in.Narrow(-1, lo, lo+E+2*G*N), st.Part(0))
	lo += E + 2*G*N
	dt := tensor.Softplus(tensor.Add(in.Narrow(-1, lo, lo+H), m.DtBias))
	if m.clamp {
		dt = clamp(dt, c.DtLimitMin, c.DtLimitMax)
	}
	x := xBC.Narrow(-1, 0, E).Reshape(B, T, H, P)
	A := tensor.Neg(tensor.Exp(tensor.Enter(u.Scope(), m.ALog)))
	y := scan.Matrix(scan.MatrixInput{
		K: xBC.Narrow(-1, E, E+G*N).Reshape(B, T, G, N),
		Q: xBC.Narrow(-1, E+G*N, E+2*G*N).Reshape(B, T, G, N),
		V: tensor.Mul(x, dt.Reshape(B, T, H, 1)), LogDecay: tensor.Mul(dt, A),
	}, st.Part(1))
	D := tensor.Enter(u.Scope(), m.D).Reshape(H, m.D.Len()/H)
	y = tensor.MulAdd(x, D, y).Reshape(B, T, E)
	if m.Norm != nil {
		y = m.Norm.Forward(y, z)
	} else {
		y = tensor.SiLUMul(y, z)
	}
	if mlp > 0 {
		y = tensor.Concat(-1, tensor.SiLUMul(in.Narrow(-1, mlp, 2*mlp), in.Narrow(-1, 0, mlp)), y)
	}
	st.Advance(T)
	return m.Out.Forward(y)
}

// clamp holds x to lo … hi; outside, its gradient is zero.
func clamp(x *tensor.Tensor, lo, hi float64) *tensor.Tensor {
	y := tensor.Out("ssm.clamp", x.Shape(), x)
	if y.IsFloat64() {
		v := x.Float64s()
		for i := range v {
			v[i] = min(max(v[i], lo), hi)
		}
		y.SetValues64(v)
		return y
	}
	x = tensor.Contiguous(x)
	a, b := float32(lo), float32(hi)
	for i, v := range x.Data() {
		y.Data()[i] = min(max(v, a), b)
	}
	if y.Recording() {
		from := x
		tensor.OnBackward(func() {
			if !from.NeedsGrad() {
				return
			}
			dx := from.Grad().Data()
			for i, g := range y.Grad().Data() {
				if v := from.Data()[i]; v >= a && v <= b {
					dx[i] += g
				}
			}
		}, y)
	}
	return y
}
