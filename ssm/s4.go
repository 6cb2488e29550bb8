package ssm

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// S4Config describes a layer of S4. Zero values mean the defaults, those of state-spaces/s4.
type S4Config struct {
	DModel       int     // channels
	DState       int     // N, even: N/2 complex numbers for each channel, their conjugates implied; default 64
	Sets         int     // of A, P and B, n_ssm, which divide the channels: channel h has set h mod Sets; default DModel
	DtMin, DtMax float64 // range of the initial step; default 0.001, 0.1

	// KernelLength L > 0 says that the weight C is the reference's C̃ =
	// C (I − Ā^L), as its checkpoints have it once they were trained on kernels of
	// L taps (their buffer l_kernel). Each change of weights then costs
	// N³ log L for a channel; Unfold turns C̃ into C once and for all.
	KernelLength int

	Seed uint64
}

func (c S4Config) withDefaults() (S4Config, error) {
	orDefault(&c.DState, 64)
	orDefault(&c.Sets, c.DModel)
	orDefault(&c.DtMin, 0.001)
	orDefault(&c.DtMax, 0.1)
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("ssm.S4Config: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.DState < 2 || c.DState > 4096 || c.DState%2 != 0:
		return c, fmt.Errorf("ssm.S4Config: DState %d: want an even number from 2 to 4096", c.DState)
	case c.Sets < 1 || c.DModel%c.Sets != 0:
		return c, fmt.Errorf("ssm.S4Config: Sets %d: want a divisor of the %d channels", c.Sets, c.DModel)
	case !checkSteps(c.DtMin, c.DtMax):
		return c, fmt.Errorf("ssm.S4Config: DtMin %v, DtMax %v: want 0 < DtMin ≤ DtMax < 1000", c.DtMin, c.DtMax)
	case c.KernelLength < 0 || c.KernelLength > 1<<30:
		return c, fmt.Errorf("ssm.S4Config: KernelLength %d: want 0 or a length", c.KernelLength)
	}
	return c, nil
}

// S4 is the structured state space layer, diagonal plus a correction of rank
// one (state-spaces/s4: models/s4/s4.py#SSMKernelDPLR, S4Block). Each channel has
// N/2 complex numbers x, and A = diag(Λ) − P P* on them and their conjugates,
//
//	Λ = −e^{A_real} − i A_imag,  dt = e^{inv_dt}
//	Ā = (I − dt/2 A)⁻¹ (I + dt/2 A),  B̄ = (I − dt/2 A)⁻¹ dt B
//	x_t = Ā x_{t−1} + B̄ u_t,   y_t = 2 Re(C·x_t) + D u_t
//	out = GLU(W GELU(y) + b)
//
// It starts as HiPPO-LegS. Ā is again diagonal plus rank one, so that a token
// costs 5·DModel·DState multiply-adds beside W. Forward runs the recurrence, for
// whole sequences too; Kernel is the convolution that it amounts to. The state
// is DModel·DState floats for a sequence.
type S4 struct {
	cfg          S4Config
	kind         string
	InvDt        *tensor.Tensor // [H, 1]: ln dt
	AReal, AImag *tensor.Tensor // [Sets, N/2]
	P, B         *tensor.Tensor // [1, Sets, N/2, 2]: real and imaginary
	C            *tensor.Tensor // [1, H, N/2, 2]
	D            *tensor.Tensor // [1, H]
	Out          *nn.Linear     // [2H, H], halves for GLU
	flatD        *tensor.Tensor // D as [H]
	kept         kept           // what discretize last made for inference
}

// NewS4 makes a layer with its authors' initialisation.
func NewS4(cfg S4Config) (*S4, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	lambda, P, B, _, err := NPLR(c.DState)
	if err != nil {
		return nil, err
	}
	H, N := c.DModel, c.DState/2
	mk := newMaker(c.Seed, false)
	pairs := func(z []complex128) *tensor.Tensor { // the same for every set
		return mk.fill(func(i int) float64 {
			if i%2 == 0 {
				return real(z[i/2%N])
			}
			return imag(z[i/2%N])
		}, 1, c.Sets, N, 2)
	}
	l := &S4{
		cfg: c, kind: fmt.Sprintf("ssm.S4/1 d_model=%d modes=%d", H, N),
		InvDt: nn.Uniform(mk.rng, math.Log(c.DtMin), math.Log(c.DtMax), H, 1),
		AReal: mk.fill(func(i int) float64 { return math.Log(-real(lambda[i%N])) }, c.Sets, N),
		AImag: mk.fill(func(i int) float64 { return -imag(lambda[i%N]) }, c.Sets, N),
		P:     pairs(P), B: pairs(B),
		C:   nn.Normal(mk.rng, math.Sqrt(0.5), 1, H, N, 2),
		D:   nn.Normal(mk.rng, 1, 1, H),
		Out: mk.linear(H, 2*H, true),
	}
	l.flatD = l.D.Reshape(H)
	return l, mk.err
}

// Params lists the weights under the names of state-spaces/s4's S4Block.
func (l *S4) Params() nn.Params {
	p := nn.Params{
		{Name: "layer.D", Tensor: l.D, NoDecay: true},
		{Name: "layer.kernel.A_real", Tensor: l.AReal, NoDecay: true},
		{Name: "layer.kernel.A_imag", Tensor: l.AImag, NoDecay: true},
		{Name: "layer.kernel.P", Tensor: l.P, NoDecay: true},
		{Name: "layer.kernel.B", Tensor: l.B, NoDecay: true},
		{Name: "layer.kernel.C", Tensor: l.C, NoDecay: true},
		{Name: "layer.kernel.inv_dt", Tensor: l.InvDt, NoDecay: true},
	}
	return append(p, l.Out.Params().Prefix("output_linear.0")...)
}

// NewState has parts "re" and "im", [batch, N/2, DModel].
func (l *S4) NewState(batch int) *tensor.State {
	n := l.cfg.DState / 2
	return tensor.NewState(l.kind, batch).
		Add("re", tensor.New(batch, n, l.cfg.DModel)).Add("im", tensor.New(batch, n, l.cfg.DModel))
}

// Forward maps u [batch, length, DModel] to the same shape.
func (l *S4) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.S4", "u", u, -1, -1, l.cfg.DModel)
	st.Check(l.kind, u.Dim(0))
	y := l.SSM(u, st)
	st.Advance(u.Dim(1))
	return nn.GLU(l.Out.Forward(tensor.GELU(y)))
}

// SSM is the state space part of Forward, without what comes after it.
func (l *S4) SSM(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	leaves := l.leaves()
	m := l.kept.of(u.Scope(), leaves[:], 1, l.discretize)[0]
	return dplr(u, m, l.flatD, st.Part(0), st.Part(1))
}

// Dense are Ā [N, N], B̄ and C of a channel as matrices, over the N/2 numbers
// of the state and their conjugates: x_t = Ā x_{t−1} + B̄ u_t, y_t = C·x_t.
func (l *S4) Dense(channel int) (A *mat.CDense, B, C []complex128) {
	c := l.channel(channel)
	N := l.cfg.DState / 2
	A = mat.NewCDense(2*N, 2*N, nil)
	B, C = make([]complex128, 2*N), make([]complex128, 2*N)
	for i := range N {
		for j := range N {
			A.Set(i, j, -c.p[i]*c.q[j])
			A.Set(i, N+j, -c.p[i]*conj(c.q[j]))
		}
		A.Set(i, i, A.At(i, i)+c.alpha[i])
		for j := range 2 * N { // the conjugates' rows
			A.Set(N+i, (N+j)%(2*N), conj(A.At(i, j)))
		}
		B[i], B[N+i] = c.b[i], conj(c.b[i])
		C[i], C[N+i] = c.c[i], conj(c.c[i])
	}
	return A, B, C
}

// Unfold turns the weight from C̃ into C and KernelLength to 0, which changes
// nothing but the cost.
func (l *S4) Unfold() {
	N := l.cfg.DState / 2
	for h := range l.cfg.DModel {
		for n, z := range l.channel(h).c {
			i := 2 * (h*N + n)
			l.C.Data()[i], l.C.Data()[i+1] = float32(real(z)), float32(imag(z))
		}
	}
	l.cfg.KernelLength = 0
}

// s4Channel is one channel, discretised: Ā = diag(α) − p q over the N/2 numbers
// and their conjugates, that is x ← α⊙x − p·2Re(q·x) + b u. With the diagonal
//
//	d = (2/dt − Λ)⁻¹,  κ = 2 Re Σ |P|² d,  σ = 1/(1 + κ),  w = 2 Re Σ P* d B
//
// Woodbury's identity gives
//
//	α = (2/dt + Λ) d,  p = P d,  q = 4σ/dt P* d,  b = 2(B d − σ w p)
type s4Channel struct {
	dt, kappa, sigma, w float64
	lambda, P, B, raw   []complex128 // raw is the weight C, be it C or C̃
	d, alpha, p, q, b   []complex128
	c                   []complex128
}

func (l *S4) leaves() [6]*tensor.Tensor {
	return [6]*tensor.Tensor{l.InvDt, l.AReal, l.AImag, l.P, l.B, l.C}
}

func conj(z complex128) complex128 { return complex(real(z), -imag(z)) }

// continuous is the channel before it is discretised.
func (l *S4) continuous(h int) *s4Channel {
	N := l.cfg.DState / 2
	set := h % l.cfg.Sets
	pairs := func(t *tensor.Tensor, row int) []complex128 {
		out := make([]complex128, N)
		for n := range out {
			v := t.Data()[2*(row*N+n):]
			out[n] = complex(float64(v[0]), float64(v[1]))
		}
		return out
	}
	c := &s4Channel{dt: math.Exp(float64(l.InvDt.Data()[h])), lambda: make([]complex128, N), P: pairs(l.P, set), B: pairs(l.B, set), raw: pairs(l.C, h)}
	for n := range c.lambda {
		c.lambda[n] = complex(-math.Exp(float64(l.AReal.Data()[set*N+n])), -float64(l.AImag.Data()[set*N+n]))
	}
	return c
}

func (l *S4) channel(h int) *s4Channel {
	c := l.continuous(h)
	N := len(c.lambda)
	for _, z := range []*[]complex128{&c.d, &c.alpha, &c.p, &c.q, &c.b, &c.c} {
		*z = make([]complex128, N)
	}
	rate := complex(2/c.dt, 0)
	for n, z := range c.lambda {
		c.d[n] = 1 / (rate - z)
		c.alpha[n] = (rate + z) * c.d[n]
		c.p[n] = c.P[n] * c.d[n]
		c.kappa += 2 * real(conj(c.P[n])*c.p[n])
		c.w += 2 * real(conj(c.P[n])*c.d[n]*c.B[n])
	}
	c.sigma = 1 / (1 + c.kappa)
	for n, d := range c.d {
		c.q[n] = complex(4*c.sigma/c.dt, 0) * conj(c.P[n]) * d
		c.b[n] = 2 * (d*c.B[n] - complex(c.sigma*c.w, 0)*c.p[n])
	}
	copy(c.c, c.raw)
	if L := l.cfg.KernelLength; L > 0 {
		c.c = fromReal(c.solve(L, false, toReal(c.raw)))
	}
	return c
}

// backward adds to the gradients of leaves, given those of α, p, q, b and c. The
// gradient with respect to a complex number is ∂/∂Re + i ∂/∂Im, as for S4D.
func (c *s4Channel) backward(l *S4, h int, grads [][]float32, ga, gp, gq, gb, gc []complex128) {
	N := len(c.d)
	if L := l.cfg.KernelLength; L > 0 {
		gc = c.solveBackward(L, gc, ga, gp, gq)
	}
	gd, gP, gB := make([]complex128, N), make([]complex128, N), make([]complex128, N)
	re := func(x float64) complex128 { return complex(x, 0) }
	var gsw, gdt float64 // of σw, dt
	for n, d := range c.d {
		gd[n] += gb[n] * conj(2*c.B[n])
		gB[n] += gb[n] * conj(2*d)
		gp[n] -= gb[n] * re(2*c.sigma*c.w)
		gsw -= real(gb[n] * conj(2*c.p[n]))
	}
	gw, gsigma, k := 2*gsw*c.sigma, gsw*c.w, 4*c.sigma/c.dt
	var gk float64
	for n, d := range c.d {
		P := c.P[n]
		gd[n] += re(gw)*P*conj(c.B[n]) + re(k)*gq[n]*P
		gB[n] += re(gw) * P * conj(d)
		gP[n] += re(gw)*d*c.B[n] + re(k)*conj(gq[n])*d
		gk += real(gq[n] * conj(conj(P)*d))
	}
	gsigma += gk * 4 / c.dt
	gdt -= gk * k / c.dt
	gkappa := -c.sigma * c.sigma * gsigma
	add := func(leaf, i int, v float64) {
		if grads[leaf] != nil {
			grads[leaf][i] += float32(v)
		}
	}
	rate := 2 / c.dt
	for n, d := range c.d {
		P := c.P[n]
		gd[n] += gp[n]*conj(P) + re(2*gkappa)*P*conj(P) + ga[n]*conj(re(rate)+c.lambda[n])
		gP[n] += gp[n]*conj(d) + re(4*gkappa*real(d))*P
		ge, gden := ga[n]*conj(d), -gd[n]*conj(d*d) // of 2/dt + Λ and of 2/dt − Λ
		gdt -= real(ge+gden) * rate / c.dt
		glambda, i := ge-gden, h%l.cfg.Sets*N+n
		add(1, i, real(glambda)*real(c.lambda[n]))
		add(2, i, -imag(glambda))
		add(3, 2*i, real(gP[n]))
		add(3, 2*i+1, imag(gP[n]))
		add(4, 2*i, real(gB[n]))
		add(4, 2*i+1, imag(gB[n]))
		add(5, 2*(h*N+n), real(gc[n]))
		add(5, 2*(h*N+n)+1, imag(gc[n]))
	}
	add(0, h, gdt*c.dt)
}

// discretize is [10, N/2, H]: real and imaginary parts of α, p, q, b and c, the
// latter of q and c so that 2 Re(q·x) is the product with x's real and
// imaginary parts: 2 Re q and −2 Im q.
func (l *S4) discretize(s *tensor.Scope) *tensor.Tensor {
	H, N := l.cfg.DModel, l.cfg.DState/2
	leaves := l.leaves()
	y := tensor.OutIn(s, "ssm.S4", []int{10, N, H}, leaves[:]...)
	v := make([]float64, 10*N*H)
	for h := range H {
		c := l.channel(h)
		for k, z := range [...][]complex128{c.alpha, c.p, c.q, c.b, c.c} {
			re, im := 1.0, 1.0
			if k == 2 || k == 4 {
				re, im = 2, -2
			}
			for n, z := range z {
				v[(2*k*N+n)*H+h], v[((2*k+1)*N+n)*H+h] = re*real(z), im*imag(z)
			}
		}
	}
	y.SetFloat64s(v)
	if y.Recording() {
		tensor.OnBackward(func() {
			g := y.Grad().Data()
			grads := gradsOf(leaves[:])
			for h := range H {
				var z [5][]complex128
				for k := range z {
					re, im := 1.0, 1.0
					if k == 2 || k == 4 {
						re, im = 2, -2
					}
					for n := range N {
						z[k] = append(z[k], complex(re*float64(g[(2*k*N+n)*H+h]), im*float64(g[((2*k+1)*N+n)*H+h])))
					}
				}
				l.channel(h).backward(l, h, grads, z[0], z[1], z[2], z[3], z[4])
			}
		}, y)
	}
	return y
}
