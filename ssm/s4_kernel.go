package ssm

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/fft"
	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/tensor"
)

// Kernel is the convolution kernel K_l = 2 Re(C·Ā^l B̄) for l < length, [length,
// DModel], in scope s: fft.CausalConv with it is SSM without D and state.
//
// Its transform at a root of unity ω is, with C̃ = C (I − Ā^length), a product with
// (I − ω Ā)⁻¹, hence sums Σ v/(g − hΛ) over the modes and their conjugates:
//
//	g = 2(1 − ω),  h = dt(1 + ω)
//	K̂(ω) = 2 dt (k_CB − h k_CP k_PB/(1 + h k_PP))
//
// with v = C̃B, C̃P, P*B and P*P. In this form nothing is divided by 1 + ω, which
// is zero at ω = −1. Where gradients are recorded the kernel is the
// recurrence's answer to an impulse, the same numbers, and gradients are the
// recurrence's.
func (l *S4) Kernel(s *tensor.Scope, length int) *tensor.Tensor {
	H := l.cfg.DModel
	if length < 1 || length > fft.MaxLen {
		panic(&tensor.ShapeError{Op: "ssm.S4.Kernel", Arg: "length", Got: []int{length}, Want: fmt.Sprintf("1 to %d", fft.MaxLen)})
	}
	if s.Recording() || s.IsFloat64() {
		impulse := s.New(1, length, H)
		impulse.Narrow(1, 0, 1).SetFrom(tensor.Enter(s, unit(H)))
		leaves := l.leaves()
		m := l.kept.of(s, leaves[:], 1, l.discretize)[0]
		return dplr(impulse, m, tensor.Enter(s, tensor.New(H)), nil, nil).Reshape(length, H)
	}
	bins := length/2 + 1
	re, im := make([]float32, bins*H), make([]float32, bins*H)
	hw.Parallel(s.Workers(), H, func(h int) { l.spectrum(h, length, re[h:], im[h:]) })
	y := s.New(length, H)
	plan, err := fft.NewRealPlan(length)
	if err != nil {
		panic(err) // the length has been checked
	}
	plan.Inverse(y.Data(), re, im, H)
	return y
}

// unit is an impulse on every channel.
func unit(channels int) *tensor.Tensor {
	t := tensor.New(1, 1, channels)
	for i := range t.Data() {
		t.Data()[i] = 1
	}
	return t
}

// spectrum is K̂ of a channel at e^{−2πij/length}, j ≤ length/2, in every H-th element.
func (l *S4) spectrum(h, length int, re, im []float32) {
	c := l.continuous(h)
	N := len(c.lambda)
	folded := c.raw
	if length != l.cfg.KernelLength {
		folded = l.channel(h).fold(length)
	}
	v := make([][4]complex128, N)
	for n := range v {
		p := conj(c.P[n])
		v[n] = [4]complex128{folded[n] * c.B[n], folded[n] * c.P[n], p * c.B[n], p * c.P[n]}
	}
	for j := range length/2 + 1 {
		sin, cos := math.Sincos(-2 * math.Pi * float64(j) / float64(length))
		if 2*j == length {
			sin, cos = 0, -1
		}
		omega := complex(cos, sin)
		g, h := 2*(1-omega), complex(c.dt, 0)*(1+omega)
		var k [4]complex128
		for n, lambda := range c.lambda {
			a, b := 1/(g-h*lambda), 1/(g-h*conj(lambda))
			for i, v := range v[n] {
				k[i] += v*a + conj(v)*b
			}
		}
		z := complex(2*c.dt, 0) * (k[0] - h*k[1]*k[2]/(1+h*k[3]))
		re[j*l.cfg.DModel], im[j*l.cfg.DModel] = float32(real(z)), float32(imag(z))
	}
}
