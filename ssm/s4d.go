package ssm

import (
	"fmt"
	"math"
	"math/cmplx"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// S4DInit names the eigenvalues that an S4D layer starts from. Their real parts are −½.
type S4DInit uint8

const (
	S4DLin  S4DInit = iota // imaginary parts π n
	S4DInv                 // (N/π)(N/(2n+1) − 1)
	S4DLegS                // those of HiPPO-LegS, the matrix that S4 starts from
	S4DReal                // real: −(n+1), no imaginary parts
)

// S4DConfig describes a layer of S4D. Zero values mean the defaults, those of state-spaces/s4.
type S4DConfig struct {
	DModel         int // channels
	DState         int // N, even: N/2 complex modes for each channel, their conjugates implied; default 64
	Init           S4DInit
	Discretization Discretization
	DtMin, DtMax   float64 // range of the initial step; default 0.001, 0.1
	Seed           uint64
}

func (c S4DConfig) withDefaults() (S4DConfig, error) {
	if c.DState == 0 {
		c.DState = 64
	}
	if c.DtMin == 0 {
		c.DtMin = 0.001
	}
	if c.DtMax == 0 {
		c.DtMax = 0.1
	}
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("ssm.S4DConfig: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.DState < 2 || c.DState > 4096 || c.DState%2 != 0:
		return c, fmt.Errorf("ssm.S4DConfig: DState %d: want an even number from 2 to 4096", c.DState)
	case c.Init > S4DReal || c.Discretization > Bilinear:
		return c, fmt.Errorf("ssm.S4DConfig: Init %d, Discretization %d: want S4DLin to S4DReal, ZOH or Bilinear", c.Init, c.Discretization)
	case !(c.DtMin > 0 && c.DtMin <= c.DtMax && c.DtMax < 1e3):
		return c, fmt.Errorf("ssm.S4DConfig: DtMin %v, DtMax %v: want 0 < DtMin ≤ DtMax < 1000", c.DtMin, c.DtMax)
	}
	return c, nil
}

// S4D is the diagonal state space layer (state-spaces/s4:
// models/s4/s4.py#SSMKernelDiag, S4Block). Each channel has N/2 complex modes,
//
//	A = −e^{A_real} − i A_imag,  dt = e^{inv_dt};   Ā, B̄ the discretisation of A, B
//	s_t = Ā s_{t−1} + B̄ u_t,   y_t = 2 Re(C·s_t) + D u_t
//	out = GLU(W GELU(y) + b)
//
// which over a whole sequence is the convolution with the kernel
// K_l = 2 Re(C·Ā^l B̄), see Kernel. Forward runs the recurrence, for whole
// sequences too: its lanes are channels, and it costs less than making a
// kernel of the sequence's length does. The state is DModel·DState floats for a
// sequence; a token costs 4·DModel·DState multiply-adds beside W.
type S4D struct {
	cfg          S4DConfig
	kind         string
	InvDt        *tensor.Tensor // [H, 1]: ln dt
	AReal, AImag *tensor.Tensor // [H, N/2]
	B, C         *tensor.Tensor // [1, H, N/2, 2]: real and imaginary
	D            *tensor.Tensor // [1, H]
	Out          *nn.Linear     // [2H, H], halves for GLU

	flatD *tensor.Tensor // D as [H]
	kept  kept           // what discretize last made for inference
}

// NewS4D makes a layer with its authors' initialisation.
func NewS4D(cfg S4DConfig) (*S4D, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	H, N := c.DModel, c.DState/2
	rng := nn.NewRNG(c.Seed)
	l := &S4D{
		cfg: c, kind: fmt.Sprintf("ssm.S4D/1 d_model=%d modes=%d", H, N),
		InvDt: nn.Uniform(rng, math.Log(c.DtMin), math.Log(c.DtMax), H, 1),
		AReal: tensor.New(H, N).Track(), AImag: tensor.New(H, N).Track(),
		B: tensor.New(1, H, N, 2).Track(),
		C: nn.Normal(rng, math.Sqrt(0.5), 1, H, N, 2),
		D: nn.Normal(rng, 1, 1, H),
	}
	re, im, err := l.eigenvalues()
	if err != nil {
		return nil, err
	}
	for i := range H * N {
		l.AReal.Data()[i] = float32(math.Log(re[i%N]))
		l.AImag.Data()[i] = float32(im[i%N])
		l.B.Data()[2*i] = 1
	}
	l.flatD = l.D.Reshape(H)
	l.Out, err = nn.NewLinear(H, 2*H, true, rng)
	return l, err
}

// eigenvalues gives −Re and |Im| of the initial A.
func (l *S4D) eigenvalues() (re, im []float64, err error) {
	n := l.cfg.DState / 2
	N := float64(l.cfg.DState)
	re, im = make([]float64, n), make([]float64, n)
	for i := range n {
		re[i] = 0.5
		switch l.cfg.Init {
		case S4DLin:
			im[i] = math.Pi * float64(i)
		case S4DInv:
			im[i] = N / math.Pi * (N/(2*float64(i)+1) - 1)
		case S4DReal:
			re[i] = float64(i + 1)
		}
	}
	if l.cfg.Init == S4DLegS {
		lambda, _, _, _, err := NPLR(l.cfg.DState)
		if err != nil {
			return nil, nil, err
		}
		for i, z := range lambda {
			im[n-1-i] = -imag(z)
		}
	}
	return re, im, nil
}

// Params lists the weights under the names of state-spaces/s4's S4Block.
func (l *S4D) Params() nn.Params {
	p := nn.Params{
		{Name: "layer.D", Tensor: l.D, NoDecay: true},
		{Name: "layer.kernel.A_real", Tensor: l.AReal, NoDecay: true},
		{Name: "layer.kernel.A_imag", Tensor: l.AImag, NoDecay: true},
		{Name: "layer.kernel.B", Tensor: l.B, NoDecay: true},
		{Name: "layer.kernel.C", Tensor: l.C, NoDecay: true},
		{Name: "layer.kernel.inv_dt", Tensor: l.InvDt, NoDecay: true},
	}
	return append(p, l.Out.Params().Prefix("output_linear.0")...)
}

// NewState has parts "re" and "im", [batch, N/2, DModel].
func (l *S4D) NewState(batch int) *tensor.State {
	n := l.cfg.DState / 2
	return tensor.NewState(l.kind, batch).
		Add("re", tensor.New(batch, n, l.cfg.DModel)).Add("im", tensor.New(batch, n, l.cfg.DModel))
}

// Forward maps u [batch, length, DModel] to the same shape.
func (l *S4D) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.S4D", "u", u, -1, -1, l.cfg.DModel)
	st.Check(l.kind, u.Dim(0))
	y := l.SSM(u, st)
	st.Advance(u.Dim(1))
	return nn.GLU(l.Out.Forward(tensor.GELU(y)))
}

// SSM is the state space part of Forward, without what comes after it.
func (l *S4D) SSM(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	leaves := l.leaves()
	abc := l.kept.of(u.Scope(), leaves[:], 3, l.discretize)
	return scan.ComplexDiagonal(u, abc[0], abc[1], abc[2], l.flatD, st.Part(0), st.Part(1))
}

// s4dMode is the discretised constants of one mode and what their gradient needs.
type s4dMode struct {
	a, ab, bb, c complex128 // A, Ā, B̄, C
	b            complex128
	dt           float64
	discretized
}

func (l *S4D) mode(h, n int) (m s4dMode) {
	N := l.cfg.DState / 2
	i := h*N + n
	at := func(t *tensor.Tensor, i int) float64 { return float64(t.Raw()[i]) }
	m.dt = math.Exp(at(l.InvDt, h))
	m.a = complex(-math.Exp(at(l.AReal, i)), -at(l.AImag, i))
	m.b = complex(at(l.B, 2*i), at(l.B, 2*i+1))
	m.c = complex(at(l.C, 2*i), at(l.C, 2*i+1))
	z := m.a * complex(m.dt, 0)
	m.discretized = l.cfg.Discretization.at(z)
	m.ab, m.bb = m.f, complex(m.dt, 0)*m.q*m.b
	return m
}

func (l *S4D) leaves() [5]*tensor.Tensor {
	return [5]*tensor.Tensor{l.InvDt, l.AReal, l.AImag, l.B, l.C}
}

// discretize is Ā, B̄ and C in one, [6, N/2, H], real and imaginary parts in
// turn, channels side by side.
func (l *S4D) discretize(s *tensor.Scope) *tensor.Tensor {
	H, N := l.cfg.DModel, l.cfg.DState/2
	leaves := l.leaves()
	y := tensor.OutIn(s, "ssm.S4D", []int{6, N, H}, leaves[:]...)
	v := make([]float64, 6*N*H)
	for h := range H {
		for n := range N {
			m := l.mode(h, n)
			for k, c := range [...]complex128{m.ab, m.bb, m.c} {
				v[(2*k*N+n)*H+h], v[((2*k+1)*N+n)*H+h] = real(c), imag(c)
			}
		}
	}
	y.SetFloat64s(v)
	if y.Recording() {
		tensor.OnBackward(func() {
			g := y.Grad().Data()
			grads := gradsOf(leaves[:])
			at := func(k, n, h int) complex128 {
				return complex(float64(g[(2*k*N+n)*H+h]), float64(g[((2*k+1)*N+n)*H+h]))
			}
			for h := range H {
				for n := range N {
					l.modeBackward(grads, h, n, at(0, n, h), at(1, n, h), at(2, n, h))
				}
			}
		}, y)
	}
	return y
}

// modeBackward adds to the parameters' gradients, given those of Ā, B̄ and C.
// The gradient of a real loss with respect to a complex number w is taken as
// ∂L/∂Re w + i ∂L/∂Im w; through a holomorphic w(z) it becomes g·conj(w′(z)).
func (l *S4D) modeBackward(grads [][]float32, h, n int, gA, gB, gC complex128) {
	N := l.cfg.DState / 2
	i := h*N + n
	m := l.mode(h, n)
	dt := complex(m.dt, 0)
	gz := gA*cmplx.Conj(m.df) + gB*cmplx.Conj(dt*m.dq*m.b)
	gb := gB * cmplx.Conj(dt*m.q)
	ga := gz * cmplx.Conj(dt)
	gdt := real(gz*cmplx.Conj(m.a)) + real(gB*cmplx.Conj(m.q*m.b))
	add := func(leaf, i int, v float64) {
		if grads[leaf] != nil {
			grads[leaf][i] += float32(v)
		}
	}
	add(0, h, gdt*m.dt)
	add(1, i, real(ga)*real(m.a)) // Re a = −e^{A_real}
	add(2, i, -imag(ga))
	add(3, 2*i, real(gb))
	add(3, 2*i+1, imag(gb))
	add(4, 2*i, real(gC))
	add(4, 2*i+1, imag(gC))
}

// Kernel is the convolution kernel K_l = 2 Re(C·Ā^l B̄) for l < length, [length,
// DModel], in scope s: fft.CausalConv with it is SSM without D and state.
func (l *S4D) Kernel(s *tensor.Scope, length int) *tensor.Tensor {
	m := l.discretize(s)
	H, N := l.cfg.DModel, l.cfg.DState/2
	y := tensor.Out("ssm.S4D.Kernel", []int{length, H}, m)
	v := m.Values64()
	at := func(k, n, h int) complex128 { return complex(v[(2*k*N+n)*H+h], v[((2*k+1)*N+n)*H+h]) }
	out := make([]float64, length*H)
	for h := range H {
		for n := range N {
			a, p := at(0, n, h), at(1, n, h)*at(2, n, h)
			for t := range length {
				out[t*H+h] += 2 * real(p)
				if p *= a; max(math.Abs(real(p)), math.Abs(imag(p))) < 1e-100 {
					break // before it becomes denormal numbers, which are slow
				}
			}
		}
	}
	y.SetFloat64s(out)
	if y.Recording() {
		tensor.OnBackward(func() { // dK/dĀ = 2 Re(l C B̄ Ā^{l−1})
			g, d := y.Grad().Data(), m.Grad().Raw()
			put := func(k, n, h int, w complex128) {
				d[(2*k*N+n)*H+h] += float32(real(w))
				d[((2*k+1)*N+n)*H+h] += float32(imag(w))
			}
			for h := range H {
				for n := range N {
					a, b, c := at(0, n, h), at(1, n, h), at(2, n, h)
					var ga, gbc complex128
					p, dp := complex128(1), complex128(0) // Ā^l and its derivative
					for t := range length {
						w := complex(2*float64(g[t*H+h]), 0)
						gbc += w * cmplx.Conj(p)
						ga += w * cmplx.Conj(dp*b*c)
						dp = dp*a + p
						p *= a
					}
					put(0, n, h, ga)
					put(1, n, h, gbc*cmplx.Conj(c))
					put(2, n, h, gbc*cmplx.Conj(b))
				}
			}
		}, y)
	}
	return y
}
