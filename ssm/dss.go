package ssm

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// DSSConfig describes a layer of DSS. Zero values mean the defaults, those of ag1988/dss.
type DSSConfig struct {
	DModel       int     // H, channels
	DState       int     // N, complex modes for each channel; default 64
	DtMin, DtMax float64 // range of the initial step; default 0.001, 0.1
	Seed         uint64
}

func (c DSSConfig) withDefaults() (DSSConfig, error) {
	orDefault(&c.DState, 64)
	orDefault(&c.DtMin, 0.001)
	orDefault(&c.DtMax, 0.1)
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("ssm.DSSConfig: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.DState < 1 || c.DState > 2048:
		return c, fmt.Errorf("ssm.DSSConfig: DState %d: want 1 to 2048", c.DState)
	case !checkSteps(c.DtMin, c.DtMax):
		return c, fmt.Errorf("ssm.DSSConfig: DtMin %v, DtMax %v: want 0 < DtMin ≤ DtMax < 1000", c.DtMin, c.DtMax)
	}
	return c, nil
}

// DSS is the diagonal state space in its authors' form DSS-EXP (ag1988/dss:
// src/models/sequence/ss/standalone/dss.py#DSSKernel, version "exp"; arXiv
// 2203.14343). All channels share N modes Λ; each has weights W and two steps,
// one for the decay and one for the turning:
//
//	Λ = −e^{Lambda_log_neg_re} + i Lambda_im,   z = e^{log_dt_0} Re Λ + i e^{log_dt_1} Im Λ
//	s_t = e^z s_{t−1} + (e^z − 1)/Λ u_t,   y_t = Re(W·s_t) + D u_t
//	out = W_out GELU(y)
//
// Conjugates are not implied, unlike S4D's. The form DSS-SOFTMAX, whose kernel
// depends on the length of the sequence, cannot be continued and is not here.
//
// Its state is 2·DModel·DState floats for a sequence; a token costs
// 8·DModel·DState multiply-adds beside W_out.
type DSS struct {
	cfg       DSSConfig
	kind      string
	LogDt     *tensor.Tensor // [H, 2]
	LogRe, Im *tensor.Tensor // [N]
	W         *tensor.Tensor // [1, H, N, 2]: real and imaginary
	D         *tensor.Tensor // [1, H]
	Out       *nn.Linear
	flatD     *tensor.Tensor // D as [H]
	kept      kept
}

// NewDSS makes a layer with its authors' initialisation: the modes of
// HiPPO-LegS with 2N coefficients that turn one way, W normally distributed.
func NewDSS(cfg DSSConfig) (*DSS, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	H, N := c.DModel, c.DState
	lambda, _, _, _, err := NPLR(2 * N)
	if err != nil {
		return nil, err
	}
	mk := newMaker(c.Seed, false)
	l := &DSS{
		cfg: c, kind: fmt.Sprintf("ssm.DSS/1 d_model=%d modes=%d", H, N),
		LogRe: mk.fill(func(n int) float64 { return math.Log(-real(lambda[n])) }, N),
		Im:    mk.fill(func(n int) float64 { return -imag(lambda[n]) }, N),
		W:     nn.Normal(mk.rng, 1, 1, H, N, 2),
		D:     nn.Normal(mk.rng, 1, 1, H),
	}
	last := 0.0
	l.LogDt = mk.fill(func(i int) float64 { // both steps of a channel start alike
		if i%2 == 0 {
			last = math.Log(c.DtMin) + mk.rng.Float64()*(math.Log(c.DtMax)-math.Log(c.DtMin))
		}
		return last
	}, H, 2)
	l.Out = mk.linear(H, H, true)
	l.flatD = l.D.Reshape(H)
	return l, mk.err
}

// Params lists the weights under the names of checkpoints.
func (l *DSS) Params() nn.Params {
	p := nn.Params{
		{Name: "D", Tensor: l.D, NoDecay: true},
		{Name: "kernel.log_dt", Tensor: l.LogDt, NoDecay: true},
		{Name: "kernel.Lambda_log_neg_re", Tensor: l.LogRe, NoDecay: true},
		{Name: "kernel.Lambda_im", Tensor: l.Im, NoDecay: true},
		{Name: "kernel.W", Tensor: l.W, NoDecay: true},
	}
	return append(p, l.Out.Params().Prefix("output_linear")...)
}

// NewState has parts "re" and "im", [batch, DState, DModel].
func (l *DSS) NewState(batch int) *tensor.State {
	return tensor.NewState(l.kind, batch).
		Add("re", tensor.New(batch, l.cfg.DState, l.cfg.DModel)).Add("im", tensor.New(batch, l.cfg.DState, l.cfg.DModel))
}

// Forward maps u [batch, length, DModel] to the same shape.
func (l *DSS) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.DSS", "u", u, -1, -1, l.cfg.DModel)
	st.Check(l.kind, u.Dim(0))
	leaves := [4]*tensor.Tensor{l.LogDt, l.LogRe, l.Im, l.W}
	abc := l.kept.of(u.Scope(), leaves[:], 3, l.discretize)
	y := scan.ComplexDiagonal(u, abc[0], abc[1], abc[2], l.flatD, st.Part(0), st.Part(1))
	st.Advance(u.Dim(1))
	return l.Out.Forward(tensor.GELU(y))
}

// discretize is Ā = e^z, B̄ = (e^z − 1)/Λ and W/2 in one, [6, N, H], real and
// imaginary parts in turn, channels side by side; the engine doubles real parts.
func (l *DSS) discretize(s *tensor.Scope) *tensor.Tensor {
	H, N := l.cfg.DModel, l.cfg.DState
	leaves := []*tensor.Tensor{l.LogDt, l.LogRe, l.Im, l.W}
	y := tensor.OutIn(s, "ssm.DSS", []int{6, N, H}, leaves...)
	at := func(leaf, i int) float64 { return float64(leaves[leaf].Data()[i]) }
	// mode h, n: Λ, both steps, z, and with q(z) = (e^z − 1)/z, B̄ = q z/Λ.
	mode := func(h, n int) (lambda complex128, dt [2]float64, z complex128, d discretized) {
		lambda = complex(-math.Exp(at(1, n)), at(2, n))
		dt = [2]float64{math.Exp(at(0, 2*h)), math.Exp(at(0, 2*h+1))}
		z = complex(dt[0]*real(lambda), dt[1]*imag(lambda))
		return lambda, dt, z, ZOH.at(z)
	}
	v := make([]float64, 6*N*H)
	for h := range H {
		for n := range N {
			lambda, _, z, d := mode(h, n)
			w := complex(at(3, 2*(h*N+n)), at(3, 2*(h*N+n)+1))
			for k, c := range [...]complex128{d.f, d.q * z / lambda, w / 2} {
				v[(2*k*N+n)*H+h], v[((2*k+1)*N+n)*H+h] = real(c), imag(c)
			}
		}
	}
	y.SetFloat64s(v)
	if y.Recording() {
		tensor.OnBackward(func() {
			g, grads := y.Grad().Data(), gradsOf(leaves)
			add := func(leaf, i int, v float64) {
				if grads[leaf] != nil {
					grads[leaf][i] += float32(v)
				}
			}
			for h := range H {
				for n := range N {
					at := func(k int) complex128 {
						return complex(float64(g[(2*k*N+n)*H+h]), float64(g[((2*k+1)*N+n)*H+h]))
					}
					lambda, dt, z, d := mode(h, n)
					gA, gB, gW := at(0), at(1), at(2)/2
					gz := gA*conj(d.df) + gB*conj(d.dq*z/lambda+d.q/lambda)
					gl := -gB * conj(d.q*z/(lambda*lambda))
					add(0, 2*h, real(gz)*real(z))
					add(0, 2*h+1, imag(gz)*imag(z))
					add(1, n, (real(gl)+real(gz)*dt[0])*real(lambda)) // Re Λ = −e^…
					add(2, n, imag(gl)+imag(gz)*dt[1])
					add(3, 2*(h*N+n), real(gW))
					add(3, 2*(h*N+n)+1, imag(gW))
				}
			}
		}, y)
	}
	return y
}
