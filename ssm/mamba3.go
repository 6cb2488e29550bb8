package ssm

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// Mamba3Config describes a layer of Mamba-3. Zero values mean the defaults, the authors' own.
type Mamba3Config struct {
	DModel       int     // channels of the residual stream
	DState       int     // N, rows of a head's state, even; default 128
	Expand       int     // inner channels E as a multiple of DModel; default 2
	HeadDim      int     // P, channels of a head; default 64
	Groups       int     // G, sets of B and C, each shared by the heads of a group; default 1
	Rank         int     // R, inputs and outputs of a head (MIMO; the authors take 4); 0 is one of each, without weights to make them (SISO)
	RopeFraction float64 // of the states that turn; default ½
	SoftplusA    bool    // A = −softplus(·), as checkpoints before mamba's #962 have it, instead of heavy tails
	AFloor       float64 // the least −A; default 1e-4
	OutNorm      bool    // an RMS norm over each head before the gate
	NormEps      float64 // default 1e-5
	Bias         bool    // on the projections in and out

	DtMin, DtMax, DtInitFloor float64 // range of the initial step; default 0.001, 0.1, 1e-4

	Seed  uint64 // of the initialisation
	Empty bool   // leave random weights at zero, for a checkpoint to fill
}

func (c Mamba3Config) withDefaults() (Mamba3Config, error) {
	orDefault(&c.DState, 128)
	orDefault(&c.Expand, 2)
	orDefault(&c.HeadDim, 64)
	orDefault(&c.Groups, 1)
	orDefault(&c.RopeFraction, 0.5)
	orDefault(&c.AFloor, 1e-4)
	orDefault(&c.NormEps, 1e-5)
	orDefault(&c.DtMin, 0.001)
	orDefault(&c.DtMax, 0.1)
	orDefault(&c.DtInitFloor, 1e-4)
	switch {
	case c.DModel < 1 || c.Expand < 1 || c.DModel > maxWidth || c.Expand > maxWidth/c.DModel:
		return c, fmt.Errorf("ssm.Mamba3Config: DModel %d times Expand %d: want 1 to %d", c.DModel, c.Expand, maxWidth)
	case c.HeadDim < 1 || c.Expand*c.DModel%c.HeadDim != 0:
		return c, fmt.Errorf("ssm.Mamba3Config: HeadDim %d: want a divisor of the %d inner channels", c.HeadDim, c.Expand*c.DModel)
	case c.Groups < 1 || c.Expand*c.DModel/c.HeadDim%c.Groups != 0:
		return c, fmt.Errorf("ssm.Mamba3Config: Groups %d: want a divisor of the %d heads", c.Groups, c.Expand*c.DModel/c.HeadDim)
	case c.DState < 2 || c.DState > 4096 || c.DState%2 != 0:
		return c, fmt.Errorf("ssm.Mamba3Config: DState %d: want an even number from 2 to 4096", c.DState)
	case c.Rank < 0 || c.Rank > maxRank:
		return c, fmt.Errorf("ssm.Mamba3Config: Rank %d: want 0 to %d", c.Rank, maxRank)
	case !(c.RopeFraction > 0 && c.RopeFraction <= 1):
		return c, fmt.Errorf("ssm.Mamba3Config: RopeFraction %v: want more than 0, at most 1", c.RopeFraction)
	case !(c.AFloor > 0 && c.AFloor < 1 && c.NormEps > 0 && c.NormEps < 1):
		return c, fmt.Errorf("ssm.Mamba3Config: AFloor %v, NormEps %v: want 0 to 1", c.AFloor, c.NormEps)
	case !(checkSteps(c.DtMin, c.DtMax) && c.DtInitFloor > 0):
		return c, fmt.Errorf("ssm.Mamba3Config: DtMin %v, DtMax %v, DtInitFloor %v: want 0 < DtMin ≤ DtMax < 1000 and a positive floor", c.DtMin, c.DtMax, c.DtInitFloor)
	}
	return c, nil
}

// Mamba3 is the state space layer whose states turn, discretised by the
// trapezoidal rule (state-spaces/mamba: mamba_ssm/modules/mamba3.py):
//
//	z, x, B, C, δ, a, trap, angles = W_in u;   B, C = RMSNorm(B), RMSNorm(C)
//	Δ = softplus(δ + dt_bias),   A = −f(a), f(a) = 1+a for a ≥ 0, else 1/(1−a)
//	y = Trapezoid(…) + D x;   out = W_out (y ⊙ SiLU(z))
//
// With a Rank R, B and C are R vectors for each group, and a head has R inputs,
// gates and outputs, made of one by weights for each channel (MIMO: R writes
// and R reads of a state for one reading of it from memory):
//
//	x_r = mimo_x,r ⊙ x,   z_r = mimo_z,r ⊙ z
//	y_r = Trapezoid(…)_r + D x_r;   out = W_out Σ_r mimo_o,r ⊙ y_r ⊙ SiLU(z_r)
//
// and the states that turn together are i and i + N/2 instead of neighbours.
// With OutNorm, y, or each y_r, goes through an RMS norm over the head's P
// channels before the gate.
//
// Its state, per sequence, is H·(N·P + R·N + R·P + 2A) floats, with H = E/P heads
// and A = RopeFraction·N/2 angles. A token costs 2·R·E·N multiply-adds beside
// its projections, one that comes alone twice that. The first form is that of R = 1.
type Mamba3 struct {
	cfg                 Mamba3Config
	kind                string
	H, A                int // heads, angles
	In, Out             *nn.Linear
	BNorm, CNorm        *nn.RMSNorm      // over N
	BBias, CBias        *tensor.Tensor   // [H, R, N]
	D, DtBias           *tensor.Tensor   // [H]
	MimoX, MimoZ, MimoO *tensor.Tensor   // [H, R, P], nil for Rank 0
	Norm                *nn.RMSNormGated // nil without OutNorm
}

// NewMamba3 makes a layer with its authors' initialisation.
func NewMamba3(cfg Mamba3Config) (*Mamba3, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	E, N, R := c.Expand*c.DModel, c.DState, max(1, c.Rank)
	H, A := E/c.HeadDim, max(1, int(c.RopeFraction*float64(N)/2))
	mk := newMaker(c.Seed, c.Empty)
	norm := func() *nn.RMSNorm { return &nn.RMSNorm{Weight: nn.Full(1, N), Eps: float32(c.NormEps)} }
	m := &Mamba3{
		cfg: c, H: H, A: A,
		kind:  fmt.Sprintf("ssm.Mamba3/2 heads=%d head_dim=%d states=%d angles=%d", H, c.HeadDim, N, A),
		In:    mk.linear(c.DModel, 2*E+2*R*c.Groups*N+3*H+A, c.Bias),
		Out:   mk.linear(E, c.DModel, c.Bias),
		BNorm: norm(), CNorm: norm(),
		BBias: nn.Full(1, H, R, N), CBias: nn.Full(1, H, R, N),
		D:      nn.Full(1, H),
		DtBias: mk.dtBias(c.DtMin, c.DtMax, c.DtInitFloor, H),
	}
	if c.Rank > 0 {
		m.kind += fmt.Sprintf(" rank=%d", R)
		m.MimoX, m.MimoZ, m.MimoO = nn.Full(1/float64(R), H, R, c.HeadDim), nn.Full(1, H, R, c.HeadDim), nn.Full(1/float64(R), H, R, c.HeadDim)
	}
	if c.OutNorm {
		m.Norm = &nn.RMSNormGated{Weight: nn.Full(1, E), Eps: float32(c.NormEps), GroupSize: c.HeadDim, NormBeforeGate: true}
	}
	return m, mk.err
}

// Params lists the weights under the names of checkpoints.
func (m *Mamba3) Params() nn.Params {
	p := nn.Params{
		{Name: "dt_bias", Tensor: m.DtBias, NoDecay: true},
		{Name: "B_bias", Tensor: m.BBias, NoDecay: true},
		{Name: "C_bias", Tensor: m.CBias, NoDecay: true},
		{Name: "D", Tensor: m.D, NoDecay: true},
	}
	if m.MimoX != nil {
		p = append(p, nn.Param{Name: "mimo_x", Tensor: m.MimoX}, nn.Param{Name: "mimo_z", Tensor: m.MimoZ}, nn.Param{Name: "mimo_o", Tensor: m.MimoO})
	}
	p = append(p, m.In.Params().Prefix("in_proj")...)
	p = append(p, m.BNorm.Params().Prefix("B_norm")...)
	p = append(p, m.CNorm.Params().Prefix("C_norm")...)
	if m.Norm != nil {
		p = append(p, m.Norm.Params().Prefix("norm")...)
	}
	return append(p, m.Out.Params().Prefix("out_proj")...)
}

// NewState has parts "angle" [batch, H, A], "ssm" [batch, H, N, P], "k" [batch,
// R·H·N], "v" [batch, R·H·P] and "angle_low" [batch, H, A]: see Trapezoid.
func (m *Mamba3) NewState(batch int) *tensor.State {
	return trapezoidState(tensor.NewState(m.kind, batch), batch, max(1, m.cfg.Rank), m.H, m.cfg.DState, m.cfg.HeadDim, m.A)
}

// Forward maps u [batch, length, DModel] to the same shape.
func (m *Mamba3) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.Mamba3", "u", u, -1, -1, m.cfg.DModel)
	st.Check(m.kind, u.Dim(0))
	B, T, R, H, P, G, N := u.Dim(0), u.Dim(1), max(1, m.cfg.Rank), m.H, m.cfg.HeadDim, m.cfg.Groups, m.cfg.DState
	in, lo := m.In.Forward(u), 0
	next := func(n int) *tensor.Tensor { lo += n; return in.Narrow(-1, lo-n, lo) }
	z, x := next(H*P).Reshape(B, T, 1, H, P), next(H*P).Reshape(B, T, 1, H, P)
	Bm, C := m.BNorm.Forward(next(R*G*N).Reshape(B, T, R, G, N)), m.CNorm.Forward(next(R*G*N).Reshape(B, T, R, G, N))
	dt := tensor.Softplus(tensor.Add(next(H), m.DtBias))
	a, trap, angles := next(H), next(H), next(m.A)
	if m.cfg.SoftplusA {
		a = tensor.Softplus(a)
	} else { // max(a, 0) + 1/(1 + max(−a, 0))
		inverse := tensor.Exp(tensor.Neg(tensor.Log(tensor.AddConst(tensor.ReLU(tensor.Neg(a)), 1))))
		a = tensor.Add(tensor.ReLU(a), inverse)
	}
	floor := float32(m.cfg.AFloor)
	a = tensor.AddConst(tensor.ReLU(tensor.AddConst(a, -floor)), floor)
	x, z = m.ranks(x, m.MimoX), m.ranks(z, m.MimoZ)
	y := Trapezoid(TrapezoidInput{C: C, Bm: Bm, X: x, ADt: tensor.Neg(tensor.Mul(a, dt)), Dt: dt, Trap: trap,
		CBias: m.CBias, BBias: m.BBias, Angles: angles.Reshape(B, T, 1, m.A), Halves: m.cfg.Rank > 0}, st, 0)
	y = tensor.Add(y, tensor.Mul(x, tensor.Enter(u.Scope(), m.D).Reshape(H, 1)))
	if m.Norm != nil {
		y = m.Norm.Forward(y.Reshape(B, T, R, H*P), z.Reshape(B, T, R, H*P)).Reshape(B, T, R, H, P)
	} else {
		y = tensor.SiLUMul(y, z)
	}
	if m.MimoO != nil {
		y = tensor.Sum(m.ranks(y, m.MimoO), 2, false)
	}
	st.Advance(T)
	return m.Out.Forward(y.Reshape(B, T, H*P))
}

// ranks weights x [B, T, R or 1, H, P] by w, an R×P matrix a head, if there is one.
func (m *Mamba3) ranks(x, w *tensor.Tensor) *tensor.Tensor {
	if w == nil {
		return x
	}
	return tensor.Mul(x, tensor.Transpose(tensor.Enter(x.Scope(), w), 0, 1))
}
