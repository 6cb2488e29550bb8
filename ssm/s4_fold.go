package ssm

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// The linear forms c of a channel's state, y = 2 Re(c·x), as rows of real
// numbers: 2 Re c, then −2 Im c, so that y is the product with x's real parts,
// then its imaginary ones.
func toReal(c []complex128) []float64 {
	v := make([]float64, 2*len(c))
	for n, z := range c {
		v[n], v[len(c)+n] = 2*real(z), -2*imag(z)
	}
	return v
}

func fromReal(v []float64) []complex128 {
	c := make([]complex128, len(v)/2)
	for n := range c {
		c[n] = complex(v[n]/2, -v[len(c)+n]/2)
	}
	return c
}

// step is x ← Ā x.
func (c *s4Channel) step(x []complex128) {
	s := 0.0
	for n, z := range x {
		s += 2 * real(c.q[n]*z)
	}
	for n := range x {
		x[n] = c.alpha[n]*x[n] - c.p[n]*complex(s, 0)
	}
}

// stepForm is f ← f Ā for a linear form: f(Āx) = 2 Re(f·αx) − 2 Re(f·p) 2 Re(q·x).
func (c *s4Channel) stepForm(f []complex128) {
	s := 0.0
	for n, z := range f {
		s += 2 * real(z*c.p[n])
	}
	for n := range f {
		f[n] = f[n]*c.alpha[n] - complex(s, 0)*c.q[n]
	}
}

// fold is C̃ = C (I − Ā^L).
func (c *s4Channel) fold(L int) []complex128 {
	f := append([]complex128(nil), c.c...)
	for range L {
		if c.stepForm(f); gone(f) {
			clear(f)
			break
		}
	}
	for n := range f {
		f[n] = c.c[n] - f[n]
	}
	return f
}

// gone says whether all of f is zero beside one. Long before float64 ends: what
// decays further becomes denormal numbers, which are slow.
func gone(f []complex128) bool {
	for _, z := range f {
		if max(math.Abs(real(z)), math.Abs(imag(z))) > 1e-100 {
			return false
		}
	}
	return true
}

// solve is v W⁻¹ for a row v, or W⁻¹ v for a column, with W = I − Ā^L over real and imaginary parts.
func (c *s4Channel) solve(L int, column bool, v []float64) []float64 {
	N := len(c.d)
	A := mat.NewDense(2*N, 2*N, nil)
	for j := range 2 * N { // column j is Ā times the unit vector
		x := make([]complex128, N)
		if j < N {
			x[j] = 1
		} else {
			x[j-N] = 1i
		}
		c.step(x)
		for n, z := range x {
			A.Set(n, j, real(z))
			A.Set(N+n, j, imag(z))
		}
	}
	var W mat.Dense
	W.Pow(A, L)
	W.Scale(-1, &W)
	for i := range 2 * N {
		W.Set(i, i, 1+W.At(i, i))
	}
	var lu mat.LU
	lu.Factorize(&W)
	out := mat.NewVecDense(2*N, nil)
	// An error says that W is near singular: Ā^L ≈ I for some mode. The weights
	// C̃ do then not say what C is, and the best answer is the one found.
	_ = lu.SolveVecTo(out, !column, mat.NewVecDense(2*N, v))
	return out.RawVector().Data
}

// solveBackward takes the gradient g of c = C̃ W⁻¹ to that of C̃, which it returns, and adds
// what reaches Ā through W to those of α, p and q. With f the row c and the column h = W⁻¹ g,
// the loss changes by f d(Ā^L) h = Σ_i (f Ā^i) dĀ (Ā^{L−1−i} h).
func (c *s4Channel) solveBackward(L int, g, ga, gp, gq []complex128) []complex128 {
	N := len(c.d)
	col := make([]float64, 2*N)
	for n, z := range g {
		// y = 2 Re c · Re x − …: the gradient of the row's entries.
		col[n], col[N+n] = real(z)/2, -imag(z)/2
	}
	h := c.solve(L, true, col)
	out, x := make([]complex128, N), make([]complex128, N)
	for n := range out {
		out[n] = complex(2*h[n], -2*h[N+n])
		x[n] = complex(h[n], h[N+n])
	}
	xs := make([][]complex128, L) // Ā^j h
	for j := range xs {
		xs[j] = append([]complex128(nil), x...)
		c.step(x)
	}
	f := append([]complex128(nil), c.c...)
	for i := range L {
		x := xs[L-1-i]
		var qx, fp float64
		for n := range x {
			qx += 2 * real(c.q[n]*x[n])
			fp += 2 * real(f[n]*c.p[n])
		}
		// 2 Re(f·dα x) − 2 Re(f·dp) qx − fp 2 Re(dq·x); the gradient of 2 Re(a z) in a is 2 z*.
		for n := range x {
			ga[n] += 2 * conj(f[n]*x[n])
			gp[n] -= 2 * conj(f[n]) * complex(qx, 0)
			gq[n] -= 2 * conj(x[n]) * complex(fp, 0)
		}
		c.stepForm(f)
	}
	return out
}
