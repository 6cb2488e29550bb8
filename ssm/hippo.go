package ssm

import (
	"fmt"
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/mat"
)

// HiPPO names a measure of the past that a state of polynomial coefficients
// remembers best (arXiv 2008.07669).
type HiPPO uint8

const (
	LegS HiPPO = iota // all of the past alike, however long: S4's own
	LegT              // a window of the last moments
	LagT              // the past ever less
)

// Matrices are A [n, n] and B of the continuous system ẋ = A x + B u whose
// state is n coefficients (state-spaces/s4: models/s4/s4.py#transition).
func (m HiPPO) Matrices(n int) (A *mat.Dense, B []float64, err error) {
	if n < 1 || n > 4096 || m > LagT {
		return nil, nil, fmt.Errorf("ssm.HiPPO: measure %d with %d coefficients: want LegS, LegT or LagT, and 1 to 4096", m, n)
	}
	A, B = mat.NewDense(n, n, nil), make([]float64, n)
	for i := range n {
		r := math.Sqrt(float64(2*i + 1))
		B[i] = r
		for j := range n {
			q := r * math.Sqrt(float64(2*j+1))
			switch {
			case m == LegT && i < j && (j-i)%2 == 1:
				A.Set(i, j, q)
			case m == LegT, m == LegS && i > j:
				A.Set(i, j, -q)
			case m == LegS && i == j:
				A.Set(i, i, -float64(i+1))
			case m == LagT && i > j:
				A.Set(i, j, -1)
			case m == LagT && i == j:
				A.Set(i, i, -0.5)
			}
		}
		if m == LagT {
			B[i] = 1
		}
	}
	return A, B, nil
}

// NPLR is HiPPO-LegS with n coefficients, n even, in the basis in which it is
// normal plus a correction of rank one, A = V (diag(Λ) − P P*) V*: Λ has real
// parts −½, and of its conjugate pairs the n/2 with negative imaginary parts
// are given, the largest first, with P = V* p, p_k = √(k+½), and B
// (arXiv 2111.00396, theorem 1). An eigenvector's phase is free; here
// it makes B real and positive, where the reference holds large imaginary parts of B down.
func NPLR(n int) (lambda, P, B []complex128, V *mat.CDense, err error) {
	if n < 2 || n > 4096 || n%2 != 0 {
		return nil, nil, nil, nil, fmt.Errorf("ssm.NPLR: %d coefficients: want an even number from 2 to 4096", n)
	}
	// A + p pᵀ = −½ + K with K skew-symmetric, K_jk = ∓½√(2j+1)√(2k+1). The Hermitian −iK
	// is taken as a real symmetric matrix of twice the size, whose eigenvectors
	// (x, y) mean x + iy; each eigenvalue comes twice.
	sym := mat.NewSymDense(2*n, nil)
	for i := range n {
		for j := range n {
			if i != j {
				sym.SetSym(i, n+j, math.Copysign(0.5*math.Sqrt(float64((2*i+1)*(2*j+1))), float64(j-i)))
			}
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(sym, true) {
		return nil, nil, nil, nil, fmt.Errorf("ssm.NPLR: the eigenvalues of HiPPO-LegS with %d coefficients did not converge", n)
	}
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	values := eig.Values(nil) // ascending
	V = mat.NewCDense(n, n/2, nil)
	for k := range n / 2 {
		var p, b complex128
		for i := range n {
			v := complex(vectors.At(i, 2*k), -vectors.At(n+i, 2*k)) // of V*
			p += v * complex(math.Sqrt(float64(i)+0.5), 0)
			b += v * complex(math.Sqrt(float64(2*i+1)), 0)
		}
		turn := cmplx.Rect(1, -cmplx.Phase(b))
		for i := range n {
			V.Set(i, k, complex(vectors.At(i, 2*k), vectors.At(n+i, 2*k))*cmplx.Conj(turn))
		}
		lambda = append(lambda, complex(-0.5, values[2*k]))
		P, B = append(P, p*turn), append(B, complex(cmplx.Abs(b), 0))
	}
	return lambda, P, B, V, nil
}
