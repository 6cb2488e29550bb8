package ssm

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// maxWidth bounds widths so that a hostile configuration is refused before memory is taken.
const maxWidth = 1 << 16

// MambaNorm says whether Mamba norms what its step, B and C are made of. The
// large models do, to keep training stable.
type MambaNorm uint8

const (
	NoNorm       MambaNorm = iota // Mamba
	PlainNorm                     // RMS norms without weights: Falcon-Mamba
	WeightedNorm                  // RMS norms with weights: Jamba
)

// MambaConfig describes a layer of Mamba. Zero values mean the defaults, the authors' own.
type MambaConfig struct {
	DModel     int  // channels of the residual stream
	DState     int  // N, numbers of state for each inner channel; default 16
	DConv      int  // width of the short convolution; default 4
	Expand     int  // inner channels E as a multiple of DModel; default 2
	DtRank     int  // R, channels that the step is made from; default ⌈DModel/16⌉
	Groups     int  // G, sets of B and C, each shared by E/G inner channels; default 1, as the authors have it
	NoConvBias bool // the convolution's bias is on by default
	Bias       bool // on the projections in and out

	Norm    MambaNorm // of δ, B and C
	NormEps float64   // default 1e-6

	DtMin, DtMax, DtInitFloor float64 // range of the initial step; default 0.001, 0.1, 1e-4

	Seed  uint64 // of the initialisation
	Empty bool   // leave random weights at zero, for a checkpoint to fill
}

func (c MambaConfig) withDefaults() (MambaConfig, error) {
	orDefault(&c.DState, 16)
	orDefault(&c.DConv, 4)
	orDefault(&c.Expand, 2)
	orDefault(&c.DtRank, (c.DModel+15)/16)
	orDefault(&c.Groups, 1)
	orDefault(&c.NormEps, 1e-6)
	orDefault(&c.DtMin, 0.001)
	orDefault(&c.DtMax, 0.1)
	orDefault(&c.DtInitFloor, 1e-4)
	switch {
	case c.DModel < 1 || c.Expand < 1 || c.DModel > maxWidth || c.Expand > maxWidth/c.DModel:
		return c, fmt.Errorf("ssm.MambaConfig: DModel %d times Expand %d: want 1 to %d", c.DModel, c.Expand, maxWidth)
	case c.DState < 1 || c.DState > 4096:
		return c, fmt.Errorf("ssm.MambaConfig: DState %d: want 1 to 4096", c.DState)
	case c.DConv < 1 || c.DConv > 1024:
		return c, fmt.Errorf("ssm.MambaConfig: DConv %d: want 1 to 1024", c.DConv)
	case c.DtRank < 1 || c.DtRank > maxWidth:
		return c, fmt.Errorf("ssm.MambaConfig: DtRank %d: want 1 to %d", c.DtRank, maxWidth)
	case c.Groups < 1 || c.Expand*c.DModel%c.Groups != 0:
		return c, fmt.Errorf("ssm.MambaConfig: Groups %d: want a divisor of the %d inner channels", c.Groups, c.Expand*c.DModel)
	case c.Norm > WeightedNorm || !(c.NormEps > 0 && c.NormEps < 1):
		return c, fmt.Errorf("ssm.MambaConfig: Norm %d, NormEps %v: want NoNorm, PlainNorm or WeightedNorm, and 0 to 1", c.Norm, c.NormEps)
	case !(checkSteps(c.DtMin, c.DtMax) && c.DtInitFloor > 0):
		return c, fmt.Errorf("ssm.MambaConfig: DtMin %v, DtMax %v, DtInitFloor %v: want 0 < DtMin ≤ DtMax < 1000 and a positive floor", c.DtMin, c.DtMax, c.DtInitFloor)
	}
	return c, nil
}

// Mamba is the selective state space layer (state-spaces/mamba:
// mamba_ssm/modules/mamba_simple.py). With E = Expand·DModel channels inside:
//
//	x, z = W_in u;   x = SiLU(conv(x))
//	δ, B, C = W_x x, each through an RMS norm if there is one;   dt = softplus(W_dt δ + b_dt)
//	h_t = e^{dt_t A} h_{t−1} + dt_t x_t B_t,   y_t = C_t·h_t + D x_t     (scan.SelectiveLog)
//	out = W_out (y ⊙ SiLU(z))
//
// Its state, per sequence, is E·(DState + DConv − 1) floats. A token costs 3·E·DState
// multiply-adds and E·DState exponentials beside its projections.
type Mamba struct {
	cfg            MambaConfig
	kind           string
	In, X, Dt, Out *nn.Linear
	Conv           *nn.ShortConv
	ALog           *tensor.Tensor // [E, DState]; A = −e^ALog
	D              *tensor.Tensor // [E]

	// DtNorm, BNorm and CNorm are nil without a norm; their weights are nil for Falcon-Mamba's.
	DtNorm, BNorm, CNorm *nn.RMSNorm
}

// NewMamba makes a layer with its authors' initialisation.
func NewMamba(cfg MambaConfig) (*Mamba, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	E, N, R := c.Expand*c.DModel, c.DState, c.DtRank
	mk := newMaker(c.Seed, c.Empty)
	bound := 1 / math.Sqrt(float64(R))
	m := &Mamba{
		cfg:  c,
		kind: fmt.Sprintf("ssm.Mamba/1 inner=%d states=%d conv=%d", E, N, c.DConv),
		In:   mk.linear(c.DModel, 2*E, c.Bias),
		X:    mk.linear(E, R+2*c.Groups*N, false),
		Out:  mk.linear(E, c.DModel, c.Bias),
		Conv: mk.conv(E, c.DConv, !c.NoConvBias, true),
		// S4D-Real: A_n = −n, for every channel.
		ALog: mk.fill(func(i int) float64 { return math.Log(float64(i%N + 1)) }, E, N),
		D:    nn.Full(1, E),
		Dt:   &nn.Linear{Weight: nn.Uniform(mk.rng, -bound, bound, E, R), Bias: mk.dtBias(c.DtMin, c.DtMax, c.DtInitFloor, E)},
	}
	norm := func(n int) *nn.RMSNorm {
		l := &nn.RMSNorm{Eps: float32(c.NormEps)}
		if c.Norm == WeightedNorm {
			l.Weight = nn.Full(1, n)
		}
		return l
	}
	if c.Norm != NoNorm {
		m.DtNorm, m.BNorm, m.CNorm = norm(R), norm(N), norm(N)
	}
	return m, mk.err
}

// Params lists the weights under the names of checkpoints.
func (m *Mamba) Params() nn.Params {
	p := nn.Params{{Name: "A_log", Tensor: m.ALog, NoDecay: true}, {Name: "D", Tensor: m.D, NoDecay: true}}
	p = append(p, m.In.Params().Prefix("in_proj")...)
	p = append(p, m.Conv.Params().Prefix("conv1d")...)
	p = append(p, m.X.Params().Prefix("x_proj")...)
	p = append(p, m.Dt.Params().Prefix("dt_proj")...)
	if m.DtNorm != nil {
		p = append(p, m.DtNorm.Params().Prefix("dt_layernorm")...)
		p = append(p, m.BNorm.Params().Prefix("b_layernorm")...)
		p = append(p, m.CNorm.Params().Prefix("c_layernorm")...)
	}
	return append(p, m.Out.Params().Prefix("out_proj")...)
}

// NewState has parts "conv" [batch, DConv−1, E] and "ssm" [batch, DState, E].
func (m *Mamba) NewState(batch int) *tensor.State {
	E := m.D.Len()
	return tensor.NewState(m.kind, batch).
		Add("conv", tensor.New(batch, m.cfg.DConv-1, E)).
		Add("ssm", tensor.New(batch, m.cfg.DState, E))
}

// Forward maps u [batch, length, DModel] to the same shape.
func (m *Mamba) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.Mamba", "u", u, -1, -1, m.cfg.DModel)
	st.Check(m.kind, u.Dim(0))
	E, N, R, G := m.D.Len(), m.cfg.DState, m.cfg.DtRank, m.cfg.Groups
	xz := m.In.Forward(u)
	x, z := xz.Narrow(-1, 0, E), xz.Narrow(-1, E, 2*E)
	x = m.Conv.Forward(x, st.Part(0))
	dbc := m.X.Forward(x)
	groups := func(lo int) *tensor.Tensor { return dbc.Narrow(-1, lo, lo+G*N).Reshape(x.Dim(0), x.Dim(1), G, N) }
	delta, B, C := dbc.Narrow(-1, 0, R), groups(R), groups(R+G*N)
	if m.DtNorm != nil {
		delta, B, C = m.DtNorm.Forward(delta), m.BNorm.Forward(B), m.CNorm.Forward(C)
	}
	dt := m.Dt.Then(delta, tensor.LinearOptions{Map: tensor.MapSoftplus})
	y := scan.SelectiveLog(x, dt, m.ALog, B, C, m.D, st.Part(1))
	st.Advance(u.Dim(1))
	return m.Out.Forward(tensor.SiLUMul(y, z))
}
