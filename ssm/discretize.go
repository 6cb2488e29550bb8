package ssm

import "math/cmplx"

// Discretization turns the continuous system into steps of dt.
type Discretization uint8

const (
	ZOH      Discretization = iota // zero-order hold: e^{dt A}
	Bilinear                       // (1 + dt A/2)/(1 − dt A/2)
)

// discretized is one mode in terms of z = ΛΔ: Λ̄ = f(z) and B̄ = Δ q(z) B, with
// their derivatives.
type discretized struct{ f, df, q, dq complex128 }

func (d Discretization) at(z complex128) (m discretized) {
	if d == Bilinear {
		c := 1 / (1 - z/2)
		return discretized{(1 + z/2) * c, c * c, c, c * c / 2}
	}
	m.f = cmplx.Exp(z)
	m.df, m.q = m.f, expm1Over(z)
	if cmplx.Abs(z) > 0.5 {
		m.dq = (m.f - m.q) / z // (e^z z − (e^z − 1))/z²
		return m
	}
	term := complex128(0.5) // Σ k z^{k−1}/(k+1)!
	for k := 1; k < 20; k++ {
		m.dq += complex(float64(k), 0) * term
		term *= z / complex(float64(k+2), 0)
	}
	return m
}

// expm1Over is (e^z − 1)/z, by its series where the difference would cancel.
func expm1Over(z complex128) complex128 {
	if cmplx.Abs(z) > 0.5 {
		return (cmplx.Exp(z) - 1) / z
	}
	sum, term := complex128(0), complex128(1)
	for k := 1; k < 20; k++ {
		sum += term
		term *= z / complex(float64(k+1), 0)
	}
	return sum
}
