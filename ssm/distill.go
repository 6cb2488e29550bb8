package ssm

import (
	"fmt"
	"math"
	"math/cmplx"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
	"gonum.org/v1/gonum/mat"
)

const (
	mostModes   = 512  // of a fit
	mostSamples = 4096 // of a kernel, in least squares
	fineSamples = 512  // of a kernel, where modes are refined, and of what comes after it

	// Beyond its end a fitted kernel ought to be zero: the weight of that where
	// the modes are not the kernel's own.
	tailWeight = 0.003

	// Fits worse than this are refined.
	roughFit = 1e-3
)

// FitModes fits a kernel by at most order complex modes,
//
//	k[l] ≈ Re Σ_n r_n λ_n^l,  |λ_n| ≤ 1,
//
// and reports the largest error as a part of the kernel's largest value. Of
// two kinds of modes the better fit counts. One is the kernel's own modes, for
// kernels that are sums of modes: the eigenvalues of the shift between the
// leading singular vectors of the kernel's Hankel matrix (Kung's realisation;
// matrix pencil), of every 2nd, 4th, … value, too, where the kernel is long. The
// other, for kernels that are just smooth, is a Fourier series of a period a
// little longer than the kernel, under a decay. The r are least squares; a
// fit that is still rough moves λ and r together to where the squares are
// least (Levenberg and Marquardt).
func FitModes(k []float64, order int) (lambda, r []complex128, worst float64, err error) {
	if order < 1 || order > mostModes {
		return nil, nil, 0, fmt.Errorf("ssm.FitModes: order %d: want 1 to %d", order, mostModes)
	}
	if len(k) < 2 {
		return nil, nil, 0, fmt.Errorf("ssm.FitModes: %d values: want at least 2", len(k))
	}
	var largest float64
	for i, v := range k {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, nil, 0, fmt.Errorf("ssm.FitModes: value %d is %v", i, v)
		}
		largest = max(largest, math.Abs(v))
	}
	if largest == 0 {
		return nil, nil, 0, nil
	}
	f := modalFit{k: make([]float64, len(k)), worst: math.Inf(1)}
	for i, v := range k {
		f.k[i] = v / largest
	}
	size := max(128, 4*order) // of Hankel matrices
	for stride := 1; stride == 1 || len(k)/stride >= size; stride *= 2 {
		var seen []float64
		for i := 0; i < len(k); i += stride {
			seen = append(seen, f.k[i])
		}
		l := shiftModes(seen, order, size)
		for i, z := range l {
			l[i] = cmplx.Pow(z, complex(1/float64(stride), 0))
			if a := cmplx.Abs(l[i]); a > 1 {
				l[i] /= complex(a, 0)
			}
		}
		f.try(l, f.residues(l, 0))
	}
	for _, period := range []float64{1.03, 1.1, 1.2} {
		l := make([]complex128, order)
		for n := range l {
			l[n] = cmplx.Exp(complex(-5, 2*math.Pi*float64(n)/period) / complex(float64(len(k)), 0))
		}
		f.try(l, f.residues(l, tailWeight))
	}
	if math.IsInf(f.worst, 1) {
		return nil, nil, 0, fmt.Errorf("ssm.FitModes: no %d modes found", order)
	}
	if f.worst > roughFit {
		f.refine()
	}
	for i := range f.r {
		f.r[i] *= complex(largest, 0)
	}
	return f.lambda, f.r, f.worst, nil
}

// modalFit is the best fit so far of a kernel whose largest value is 1.
type modalFit struct {
	k         []float64
	lambda, r []complex128
	worst     float64
}

func (f *modalFit) try(lambda, r []complex128) {
	if e := fitError(f.k, lambda, r); e < f.worst {
		f.lambda, f.r, f.worst = lambda, r, e
	}
}

// fitError is the largest difference, infinite for a fit that is none.
func fitError(k []float64, lambda, r []complex128) (worst float64) {
	if len(lambda) == 0 || len(r) != len(lambda) {
		return math.Inf(1)
	}
	p := append([]complex128(nil), r...)
	for _, v := range k {
		for n := range p {
			v -= real(p[n])
			p[n] *= lambda[n]
		}
		worst = max(worst, math.Abs(v)) // NaN stays NaN
	}
	if math.IsNaN(worst) {
		return math.Inf(1)
	}
	return worst
}

// shiftModes are at most order eigenvalues of the shift, one of each conjugate pair.
func shiftModes(k []float64, order, size int) []complex128 {
	m := min(size, len(k)/2)
	hankel, next := mat.NewDense(m, m, nil), mat.NewDense(m, m, nil)
	for i := range m {
		for j := range m {
			hankel.Set(i, j, k[i+j])
			next.Set(i, j, k[i+j+1])
		}
	}
	var svd mat.SVD
	if !svd.Factorize(hankel, mat.SVDThin) {
		return nil
	}
	var u, v, left, shift mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	left.Mul(u.T(), next)
	shift.Mul(&left, &v)
	sigma := svd.Values(nil)
	rank := 0
	for rank < min(2*order, m) && sigma[rank] > 1e-12*sigma[0] {
		rank++
	}
	// A real eigenvalue takes a mode, as a pair does: with fewer vectors there are fewer.
	for ; rank > 0; rank-- {
		a := mat.NewDense(rank, rank, nil)
		for i := range rank {
			for j := range rank {
				a.Set(i, j, shift.At(i, j)/math.Sqrt(sigma[i]*sigma[j]))
			}
		}
		var eig mat.Eigen
		if !eig.Factorize(a, mat.EigenNone) {
			continue
		}
		var modes []complex128
		for _, z := range eig.Values(nil) {
			if imag(z) >= 0 {
				modes = append(modes, z)
			}
		}
		if len(modes) <= order {
			return modes
		}
	}
	return nil
}

// residues are the least squares of the kernel over its modes; tail is the
// weight of the zeros after it.
func (f *modalFit) residues(lambda []complex128, tail float64) []complex128 {
	if len(lambda) == 0 {
		return nil
	}
	// The first values and, of many, some of the others, which count for those left out.
	var at []int
	var weight []float64
	L, dense := len(f.k), min(len(f.k), mostSamples/2)
	step := max(1, (L-dense)/(mostSamples/2))
	for l := 0; l < L; l++ {
		if l < dense {
			at, weight = append(at, l), append(weight, 1)
		} else if (l-dense)%step == 0 {
			at, weight = append(at, l), append(weight, math.Sqrt(float64(step)))
		}
	}
	if step := max(1, L/fineSamples); tail > 0 {
		for l := L; l < 2*L; l += step {
			at, weight = append(at, l), append(weight, tail*math.Sqrt(float64(step)))
		}
	}
	n := 2 * len(lambda)
	a, b := mat.NewDense(len(at)+n, n, nil), mat.NewVecDense(len(at)+n, nil)
	for i, l := range at {
		w := weight[i]
		if l < L {
			b.SetVec(i, w*f.k[l])
		}
		for j, z := range lambda {
			p := cmplx.Pow(z, complex(float64(l), 0))
			a.Set(i, 2*j, w*real(p))
			a.Set(i, 2*j+1, -w*imag(p))
		}
	}
	// Some damping keeps the r small where modes lie close together, which float32
	// could not tell apart, and those of real modes real.
	for j := range n {
		a.Set(len(at)+j, j, max(1e-7*mat.Norm(a.ColView(j), 2), 1e-14))
	}
	var qr mat.QR
	qr.Factorize(a)
	var x mat.VecDense
	if err := qr.SolveVecTo(&x, false, b); err != nil && x.Len() != n {
		return nil
	}
	r := make([]complex128, len(lambda))
	for j := range r {
		r[j] = complex(x.AtVec(2*j), x.AtVec(2*j+1))
	}
	return r
}

// refine goes on from the best fit by least squares in r and log λ, whose real
// parts stay at most 0.
func (f *modalFit) refine() {
	lambda, r := f.lambda, f.r
	N, L := len(lambda), len(f.k)
	step := max(1, L/fineSamples)
	rows := (2*L + step - 1) / step
	jacobian, rest := mat.NewDense(rows, 4*N, nil), mat.NewVecDense(rows, nil)
	// at is the remaining squares, and what they change by where wanted; log λ counts L times.
	at := func(lambda, r []complex128, jacobian *mat.Dense) (squares float64) {
		for i := range rows {
			l, w, v := i*step, 10*tailWeight, 0.0
			if l < L {
				w, v = 1, f.k[l]
			}
			x := float64(l) / float64(L)
			for n := range N {
				p := cmplx.Pow(lambda[n], complex(float64(l), 0))
				q := r[n] * p
				v -= real(q)
				if jacobian != nil {
					jacobian.Set(i, 4*n, w*real(p))
					jacobian.Set(i, 4*n+1, -w*imag(p))
					jacobian.Set(i, 4*n+2, w*x*real(q))
					jacobian.Set(i, 4*n+3, -w*x*imag(q))
				}
			}
			if jacobian != nil {
				rest.SetVec(i, w*v)
			}
			squares += w * w * v * v
		}
		return squares
	}
	damping := 1e-3
	for range 30 {
		now := at(lambda, r, jacobian)
		var slope, d mat.VecDense
		slope.MulVec(jacobian.T(), rest)
		var normal mat.SymDense
		normal.SymOuterK(1, jacobian.T())
		better := false
		for range 8 {
			a := mat.NewSymDense(4*N, nil)
			a.CopySym(&normal)
			for i := range 4 * N {
				a.SetSym(i, i, normal.At(i, i)*(1+damping)+1e-12)
			}
			var c mat.Cholesky
			if c.Factorize(a) {
				if err := c.SolveVecTo(&d, &slope); err == nil {
					l2, r2 := make([]complex128, N), make([]complex128, N)
					for n := range N {
						r2[n] = r[n] + complex(d.AtVec(4*n), d.AtVec(4*n+1))
						z := cmplx.Log(lambda[n]) + complex(d.AtVec(4*n+2), d.AtVec(4*n+3))/complex(float64(L), 0)
						l2[n] = cmplx.Exp(complex(min(0, real(z)), imag(z)))
					}
					if at(l2, r2, nil) < now {
						lambda, r, better = l2, r2, true
						damping = max(damping/5, 1e-9)
						break
					}
				}
			}
			damping *= 5
		}
		if !better {
			break
		}
	}
	f.try(lambda, r)
}

// ModalHyena is a Hyena whose filters are sums of a few complex modes
// ("Laughing Hyena", arXiv 2310.18780), Hyena.Distill's result:
//
//	k_l = Re Σ_n r_n λ_n^l + skip [l=0]
//
// Tokens are a recurrence: its state is (2·order+6)·DModel floats for a
// sequence, and a token costs order complex multiply-adds a channel, whatever L was.
// Modes have no end, where a Hyena forgets after L tokens: Tails says what is
// left of them. The projections are the Hyena's own, not copies. It may be trained
// further; then nothing but its gradients keeps |λ| ≤ 1.
type ModalHyena struct {
	d, order int
	kind     string
	In, Out  *nn.Linear
	Short    *nn.ShortConv
	Lambda   *tensor.Tensor // [2, order, DModel], real and imaginary parts
	Residue  *tensor.Tensor // [2, order, DModel], r/2
	Skip     *tensor.Tensor // [DModel]
	Errors   []float64      // of each channel's fit: the largest error as a part of the filter's largest value
	Tails    []float64      // likewise the largest value from L to 2L, where a Hyena's filter has ended

	one *tensor.Tensor // [2, order, DModel], what an input adds to a mode
}

// Distill fits this layer's filters, as they are now, by order modes each (the
// authors use 8 to 64), and reports the largest relative error of all, which
// Errors has by channel. See FitModes. The filters of untrained layers, of 256
// and 1024 taps and 8 channels, which are smooth noise, were fitted to 0.2 by 8
// modes, 0.06 and 0.09 by 16, 0.06 by 32 and 2e-4 and 3e-4 by 64, in some
// tenths of a second a channel.
func (h *Hyena) Distill(order int) (m *ModalHyena, worst float64, err error) {
	D, L := h.cfg.DModel, h.cfg.Length
	if order < 1 || order > mostModes {
		return nil, 0, fmt.Errorf("ssm.Hyena.Distill: order %d: want 1 to %d", order, mostModes)
	}
	m = &ModalHyena{d: D, order: order, kind: fmt.Sprintf("ssm.ModalHyena/1 d_model=%d order=%d", D, order),
		In: h.In, Out: h.Out, Short: h.Short, Errors: make([]float64, D), Tails: make([]float64, D),
		Lambda: tensor.New(2, order, D).Track(), Residue: tensor.New(2, order, D).Track(), Skip: tensor.New(D).Track(), one: tensor.New(2, order, D)}
	for i := range order * D {
		m.one.Data()[i] = 1
	}
	k := h.filters(nil).Data()
	errs := make([]error, D)
	hw.Parallel(0, D, func(d int) {
		filter := make([]float64, L)
		for l := range filter {
			filter[l] = float64(k[l*D+d])
		}
		errs[d] = m.fit(d, filter, float64(h.Bias.Data()[d]))
	})
	for d, e := range errs {
		if e != nil {
			return nil, 0, fmt.Errorf("ssm.Hyena.Distill: channel %d: %w", d, e)
		}
		worst = max(worst, m.Errors[d])
	}
	return m, worst, nil
}

// fit sets channel d. The first tap is exact: the skip takes what modes leave of it.
func (m *ModalHyena) fit(d int, k []float64, bias float64) error {
	lambda, r, _, err := FitModes(k, m.order)
	if err != nil {
		return err
	}
	l32, r32 := make([]complex128, len(lambda)), make([]complex128, len(r)) // as float32 has them
	first := k[0]
	for n, z := range lambda {
		if cmplx.Abs(complex128(complex64(z))) > 1 {
			z *= 1 - 1e-7
		}
		put := func(t *tensor.Tensor, z complex64) {
			t.Data()[n*m.d+d], t.Data()[(m.order+n)*m.d+d] = real(z), imag(z)
		}
		put(m.Lambda, complex64(z))
		put(m.Residue, complex64(r[n]/2))
		l32[n], r32[n] = complex128(complex64(z)), 2*complex128(complex64(r[n]/2))
		first -= real(r32[n])
	}
	m.Skip.Data()[d] = float32(bias + first)
	var largest float64
	for _, v := range k {
		largest = max(largest, math.Abs(v))
	}
	if largest > 0 {
		rest := append([]float64(nil), k...)
		rest[0] -= first
		m.Errors[d] = fitError(rest, l32, r32) / largest
		for n := range r32 {
			r32[n] *= cmplx.Pow(l32[n], complex(float64(len(k)), 0))
		}
		m.Tails[d] = fitError(make([]float64, len(k)), l32, r32) / largest
	}
	return nil
}

// Params lists the weights; the projections are under Hyena's names.
func (m *ModalHyena) Params() nn.Params {
	p := m.In.Params().Prefix("in_proj")
	p = append(p, m.Out.Params().Prefix("out_proj")...)
	p = append(p, m.Short.Params().Prefix("short_filter")...)
	return append(p, nn.Param{Name: "modes.lambda", Tensor: m.Lambda, NoDecay: true},
		nn.Param{Name: "modes.residue", Tensor: m.Residue, NoDecay: true},
		nn.Param{Name: "modes.skip", Tensor: m.Skip, NoDecay: true})
}

// NewState has the parts "short" [batch, 2, 3·DModel] and "re" and "im" [batch, order, DModel].
func (m *ModalHyena) NewState(batch int) *tensor.State {
	return tensor.NewState(m.kind, batch).Add("short", tensor.New(batch, 2, 3*m.d)).
		Add("re", tensor.New(batch, m.order, m.d)).Add("im", tensor.New(batch, m.order, m.d))
}

// Forward mixes u [batch, length, DModel].
func (m *ModalHyena) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.ModalHyena", "u", u, -1, -1, m.d)
	st.Check(m.kind, u.Dim(0))
	x := m.Short.Forward(m.In.Forward(u), st.Part(0))
	x0, x1, v := x.Narrow(-1, 0, m.d), x.Narrow(-1, m.d, 2*m.d), x.Narrow(-1, 2*m.d, 3*m.d)
	y := scan.ComplexDiagonal(tensor.Mul(v, x1), m.Lambda, m.one, m.Residue, m.Skip, st.Part(1), st.Part(2))
	st.Advance(u.Dim(1))
	return m.Out.Forward(tensor.Mul(y, x0))
}
