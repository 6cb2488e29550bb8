package ssm

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// S5Config describes a layer of S5. Zero values mean the defaults, those of lindermanlab/S5.
type S5Config struct {
	DModel         int // H, channels
	DState         int // of the state, all together, even: half as many complex numbers, their conjugates implied; default DModel, made even
	Blocks         int // copies of HiPPO-LegS that the state starts as; by default of at most 64 numbers each
	Discretization Discretization
	DtMin, DtMax   float64 // range of the initial step; default 0.001, 0.1
	ClipEigs       bool    // hold Re Λ to at most −1e-4
	Seed           uint64
}

func (c S5Config) withDefaults() (S5Config, error) {
	orDefault(&c.DState, (c.DModel+1)/2*2)
	if c.Blocks == 0 && c.DState > 0 && c.DState <= maxWidth {
		for c.Blocks = 1; c.Blocks < c.DState/2 && (c.DState%(2*c.Blocks) != 0 || c.DState/c.Blocks > 64); c.Blocks++ {
		}
	}
	orDefault(&c.DtMin, 0.001)
	orDefault(&c.DtMax, 0.1)
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("ssm.S5Config: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.Blocks < 1 || c.DState < 2 || c.DState > maxWidth || c.DState%(2*c.Blocks) != 0 || c.DState/c.Blocks > 4096:
		return c, fmt.Errorf("ssm.S5Config: DState %d, Blocks %d: want blocks of an even size up to 4096", c.DState, c.Blocks)
	case c.Discretization > Bilinear:
		return c, fmt.Errorf("ssm.S5Config: Discretization %d: want ZOH or Bilinear", c.Discretization)
	case !checkSteps(c.DtMin, c.DtMax):
		return c, fmt.Errorf("ssm.S5Config: DtMin %v, DtMax %v: want 0 < DtMin ≤ DtMax < 1000", c.DtMin, c.DtMax)
	}
	return c, nil
}

// S5 is one state space for all channels, with diagonal Λ (lindermanlab/S5:
// s5/ssm.py, s5/layers.py). With P = DState/2 complex numbers and a step Δ for
// each, Δ = e^{log_step},
//
//	Λ̄ = e^{ΛΔ},  κ = (Λ̄ − 1)/Λ           or, bilinear, with z = ΛΔ,
//	Λ̄ = (1 + z/2)/(1 − z/2),  κ = Δ/(1 − z/2)
//	h_t = Λ̄⊙h_{t−1} + κ⊙(B u_t),   y_t = 2 Re(C h_t) + D⊙u_t
//	g = GELU(y),   out = g ⊙ σ(W g + b)
//
// Its state is DState floats for a sequence; a token costs 2·DModel·DState
// multiply-adds beside W.
type S5 struct {
	cfg                S5Config
	kind               string
	LambdaRe, LambdaIm *tensor.Tensor // [P]
	LogStep            *tensor.Tensor // [P]
	BRe, BIm           *tensor.Tensor // [P, H]
	CRe, CIm           *tensor.Tensor // [H, P]
	D                  *tensor.Tensor // [H]
	Out                *nn.Linear
	kept               kept
}

// NewS5 makes a layer with its authors' initialisation: B and C are random in
// the basis of HiPPO-LegS, and turned into that of its eigenvectors.
func NewS5(cfg S5Config) (*S5, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	H, P, size := c.DModel, c.DState/2, c.DState/c.Blocks
	lambda, _, _, V, err := NPLR(size)
	if err != nil {
		return nil, err
	}
	mk := newMaker(c.Seed, false)
	half := size / 2
	l := &S5{
		cfg: c, kind: fmt.Sprintf("ssm.S5/1 modes=%d", P),
		LambdaRe: mk.fill(func(i int) float64 { return real(lambda[i%half]) }, P),
		LambdaIm: mk.fill(func(i int) float64 { return imag(lambda[i%half]) }, P),
		LogStep:  nn.Uniform(mk.rng, math.Log(c.DtMin), math.Log(c.DtMax), P),
		BRe:      tensor.New(P, H).Track(), BIm: tensor.New(P, H).Track(),
		CRe: tensor.New(H, P).Track(), CIm: tensor.New(H, P).Track(),
		D: nn.Normal(mk.rng, 1, H),
	}
	std := 1 / math.Sqrt(float64(c.DState))
	for h := range H {
		for block := range c.Blocks {
			for i := range size {
				b := complex(mk.truncated(std), 0)
				z := complex(mk.truncated(std), mk.truncated(std))
				for k := range half {
					v, p := V.At(i, k), block*half+k
					bv, zv := conj(v)*b, z*v
					l.BRe.Data()[p*H+h] += float32(real(bv))
					l.BIm.Data()[p*H+h] += float32(imag(bv))
					l.CRe.Data()[h*P+p] += float32(real(zv))
					l.CIm.Data()[h*P+p] += float32(imag(zv))
				}
			}
		}
	}
	l.Out = mk.linear(H, H, true)
	return l, mk.err
}

// Params lists the weights under the reference's names, B and C in parts.
func (l *S5) Params() nn.Params {
	p := nn.Params{
		{Name: "Lambda_re", Tensor: l.LambdaRe, NoDecay: true},
		{Name: "Lambda_im", Tensor: l.LambdaIm, NoDecay: true},
		{Name: "log_step", Tensor: l.LogStep, NoDecay: true},
		{Name: "B_re", Tensor: l.BRe, NoDecay: true}, {Name: "B_im", Tensor: l.BIm, NoDecay: true},
		{Name: "C_re", Tensor: l.CRe}, {Name: "C_im", Tensor: l.CIm},
		{Name: "D", Tensor: l.D, NoDecay: true},
	}
	return append(p, l.Out.Params().Prefix("out2")...)
}

// NewState has parts "re" and "im", [batch, DState/2].
func (l *S5) NewState(batch int) *tensor.State { return modesState(l.kind, batch, l.cfg.DState/2) }

// Forward maps u [batch, length, DModel] to the same shape.
func (l *S5) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.S5", "u", u, -1, -1, l.cfg.DModel)
	st.Check(l.kind, u.Dim(0))
	leaves := [3]*tensor.Tensor{l.LambdaRe, l.LambdaIm, l.LogStep}
	m := l.kept.of(u.Scope(), leaves[:], 1, l.discretize)[0]
	h := modes(m, tensor.MatMulT(u, l.BRe), tensor.MatMulT(u, l.BIm), st.Part(0), st.Part(1))
	y := tensor.GELU(tensor.Add(ofModes(h, l.CRe, l.CIm, 2), tensor.Mul(u, l.D)))
	st.Advance(u.Dim(1))
	return tensor.Mul(y, tensor.Sigmoid(l.Out.Forward(y)))
}

const maxReal = -1e-4 // of Λ, with ClipEigs

// discretize is Λ̄ and κ as modes wants them, [4, P].
func (l *S5) discretize(s *tensor.Scope) *tensor.Tensor {
	P := l.cfg.DState / 2
	leaves := []*tensor.Tensor{l.LambdaRe, l.LambdaIm, l.LogStep}
	y := tensor.OutIn(s, "ssm.S5", []int{4, P}, leaves...)
	v := make([]float64, 4*P)
	// mode n: Λ, Δ, whether Re Λ was clipped, Λ̄ and its derivative in z = ΛΔ, q with κ = Δ q(z), and q′.
	mode := func(n int) (lambda complex128, step float64, clipped bool, d discretized) {
		re, im := float64(l.LambdaRe.Data()[n]), float64(l.LambdaIm.Data()[n])
		if clipped = l.cfg.ClipEigs && re > maxReal; clipped {
			re = maxReal
		}
		lambda, step = complex(re, im), math.Exp(float64(l.LogStep.Data()[n]))
		return lambda, step, clipped, l.cfg.Discretization.at(lambda * complex(step, 0))
	}
	for n := range P {
		_, step, _, d := mode(n)
		kappa := complex(step, 0) * d.q
		v[n], v[P+n], v[2*P+n], v[3*P+n] = real(d.f), imag(d.f), real(kappa), imag(kappa)
	}
	y.SetFloat64s(v)
	if y.Recording() {
		tensor.OnBackward(func() {
			g, grads := y.Grad().Data(), gradsOf(leaves)
			for n := range P {
				lambda, step, clipped, d := mode(n)
				gf, gk := complex(float64(g[n]), float64(g[P+n])), complex(float64(g[2*P+n]), float64(g[3*P+n]))
				gz := gf*conj(d.df) + gk*conj(complex(step, 0)*d.dq)
				gl := gz * complex(step, 0)
				gstep := real(gz*conj(lambda)) + real(gk*conj(d.q))
				if clipped {
					gl = complex(0, imag(gl))
				}
				for k, v := range [...]float64{real(gl), imag(gl), gstep * step} {
					if grads[k] != nil {
						grads[k][n] += float32(v)
					}
				}
			}
		}, y)
	}
	return y
}
