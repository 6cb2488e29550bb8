package ssm

import (
	"fmt"
	"math"
	"math/cmplx"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// LRUConfig describes a layer of the LRU. Zero values mean the defaults, those of the paper.
type LRUConfig struct {
	DModel     int     // channels
	DState     int     // N, complex numbers of state; default DModel
	RMin, RMax float64 // range of the initial |λ|; default 0.9, 0.999
	MaxPhase   float64 // range of the initial arg λ; default 2π
	Seed       uint64
}

func (c LRUConfig) withDefaults() (LRUConfig, error) {
	orDefault(&c.DState, c.DModel)
	orDefault(&c.RMin, 0.9)
	orDefault(&c.RMax, 0.999)
	orDefault(&c.MaxPhase, 2*math.Pi)
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("ssm.LRUConfig: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.DState < 1 || c.DState > maxWidth:
		return c, fmt.Errorf("ssm.LRUConfig: DState %d: want 1 to %d", c.DState, maxWidth)
	case !(c.RMin >= 0 && c.RMin < c.RMax && c.RMax < 1):
		return c, fmt.Errorf("ssm.LRUConfig: RMin %v, RMax %v: want 0 ≤ RMin < RMax < 1", c.RMin, c.RMax)
	case !(c.MaxPhase > 0 && c.MaxPhase < 1e3):
		return c, fmt.Errorf("ssm.LRUConfig: MaxPhase %v: want 0 to 1000", c.MaxPhase)
	}
	return c, nil
}

// LRU is the linear recurrent unit (arXiv 2303.06349), N complex numbers that
// all channels share:
//
//	λ = exp(−e^ν + i e^θ),  γ = e^{gamma_log}
//	h_t = λ⊙h_{t−1} + γ⊙(B u_t),   y_t = Re(C h_t) + D⊙u_t
//	out = GLU(W GELU(y) + b)
//
// Its state is 2·DState floats for a sequence; a token costs 4·DModel·DState
// multiply-adds beside W.
type LRU struct {
	cfg                    LRUConfig
	kind                   string
	NuLog, ThetaLog, Gamma *tensor.Tensor // [N]: ν, θ, ln γ
	BRe, BIm               *tensor.Tensor // [N, H]
	CRe, CIm               *tensor.Tensor // [H, N]
	D                      *tensor.Tensor // [H]
	Out                    *nn.Linear     // [2H, H], halves for GLU
	kept                   kept
}

// NewLRU makes a layer with its authors' initialisation: λ evenly spread over a
// ring of the unit disk, γ so that states keep the size of inputs.
func NewLRU(cfg LRUConfig) (*LRU, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	H, N := c.DModel, c.DState
	mk := newMaker(c.Seed, false)
	l := &LRU{cfg: c, kind: fmt.Sprintf("ssm.LRU/1 modes=%d", N)}
	l.NuLog = mk.fill(func(int) float64 {
		r2 := c.RMin*c.RMin + mk.rng.Float64()*(c.RMax*c.RMax-c.RMin*c.RMin)
		return math.Log(-0.5 * math.Log(r2))
	}, N)
	l.ThetaLog = mk.fill(func(int) float64 { return math.Log(c.MaxPhase * (1 - mk.rng.Float64())) }, N)
	l.Gamma = mk.fill(func(n int) float64 {
		return 0.5 * math.Log(-math.Expm1(-2*math.Exp(float64(l.NuLog.Data()[n]))))
	}, N)
	b, cs := 1/math.Sqrt(2*float64(H)), 1/math.Sqrt(float64(N))
	l.BRe, l.BIm = nn.Normal(mk.rng, b, N, H), nn.Normal(mk.rng, b, N, H)
	l.CRe, l.CIm = nn.Normal(mk.rng, cs, H, N), nn.Normal(mk.rng, cs, H, N)
	l.D = nn.Normal(mk.rng, 1, H)
	l.Out = mk.linear(H, 2*H, true)
	return l, mk.err
}

// Params lists the weights under the paper's names.
func (l *LRU) Params() nn.Params {
	p := nn.Params{
		{Name: "nu_log", Tensor: l.NuLog, NoDecay: true},
		{Name: "theta_log", Tensor: l.ThetaLog, NoDecay: true},
		{Name: "gamma_log", Tensor: l.Gamma, NoDecay: true},
		{Name: "B_re", Tensor: l.BRe}, {Name: "B_im", Tensor: l.BIm},
		{Name: "C_re", Tensor: l.CRe}, {Name: "C_im", Tensor: l.CIm},
		{Name: "D", Tensor: l.D, NoDecay: true},
	}
	return append(p, l.Out.Params().Prefix("output_linear")...)
}

// NewState has parts "re" and "im", [batch, DState].
func (l *LRU) NewState(batch int) *tensor.State { return modesState(l.kind, batch, l.cfg.DState) }

func modesState(kind string, batch, n int) *tensor.State {
	return tensor.NewState(kind, batch).Add("re", tensor.New(batch, n)).Add("im", tensor.New(batch, n))
}

// Forward maps u [batch, length, DModel] to the same shape.
func (l *LRU) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.LRU", "u", u, -1, -1, l.cfg.DModel)
	st.Check(l.kind, u.Dim(0))
	leaves := [3]*tensor.Tensor{l.NuLog, l.ThetaLog, l.Gamma}
	m := l.kept.of(u.Scope(), leaves[:], 1, l.constants)[0]
	h := modes(m, tensor.MatMulT(u, l.BRe), tensor.MatMulT(u, l.BIm), st.Part(0), st.Part(1))
	y := tensor.Add(ofModes(h, l.CRe, l.CIm, 1), tensor.Mul(u, l.D))
	st.Advance(u.Dim(1))
	return nn.GLU(l.Out.Forward(tensor.GELU(y)))
}

// constants are λ and γ as modes wants them, [4, N].
func (l *LRU) constants(s *tensor.Scope) *tensor.Tensor {
	N := l.cfg.DState
	leaves := []*tensor.Tensor{l.NuLog, l.ThetaLog, l.Gamma}
	y := tensor.OutIn(s, "ssm.LRU", []int{4, N}, leaves...)
	at := func(k, n int) float64 { return math.Exp(float64(leaves[k].Data()[n])) }
	v := make([]float64, 4*N)
	for n := range N {
		lambda := cmplx.Exp(complex(-at(0, n), at(1, n)))
		v[n], v[N+n], v[2*N+n] = real(lambda), imag(lambda), at(2, n)
	}
	y.SetFloat64s(v)
	if y.Recording() {
		tensor.OnBackward(func() {
			g, grads := y.Grad().Data(), gradsOf(leaves)
			for n := range N {
				// ∂λ = λ (−e^ν ∂ν + i e^θ ∂θ)
				z := complex(float64(g[n]), float64(g[N+n])) * conj(complex(v[n], v[N+n]))
				for k, d := range [...]float64{-at(0, n) * real(z), at(1, n) * imag(z), at(2, n) * float64(g[2*N+n])} {
					if grads[k] != nil {
						grads[k][n] += float32(d)
					}
				}
			}
		}, y)
	}
	return y
}
