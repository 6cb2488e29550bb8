package ssm_test

import (
	"math"
	"math/cmplx"
	"testing"

	"github.com/subquad/subquad/ssm"
)

// A = V (diag(Λ) − P P*) V* over both halves of the conjugate pairs, and B = V B̃.
func TestNPLRIsHiPPO(t *testing.T) {
	for _, n := range []int{2, 8, 64} {
		A, B, err := ssm.LegS.Matrices(n)
		if err != nil {
			t.Fatal(err)
		}
		lambda, P, b, V, err := ssm.NPLR(n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			// Row i of V times the middle, both halves: w, and the sum of the conjugates.
			var vp, vb complex128
			for k := range n / 2 {
				vp += V.At(i, k) * P[k]
				vb += V.At(i, k) * b[k]
			}
			if math.Abs(2*real(vb)-B[i]) > 1e-9*float64(n) {
				t.Errorf("n %d: B[%d] is %v, want %v", n, i, 2*real(vb), B[i])
			}
			for j := range n {
				var sum, pv complex128
				for k := range n / 2 {
					sum += V.At(i, k) * lambda[k] * cmplx.Conj(V.At(j, k))
					pv += V.At(j, k) * P[k]
				}
				if got := 2*real(sum) - 4*real(vp)*real(pv); math.Abs(got-A.At(i, j)) > 1e-9*float64(n) {
					t.Fatalf("n %d: A[%d,%d] is %v, want %v", n, i, j, got, A.At(i, j))
				}
			}
		}
	}
}

// A window and a fading past: the matrices of n = 3 by hand.
func TestHiPPOMatrices(t *testing.T) {
	s3, s5, s15 := math.Sqrt(3), math.Sqrt(5), math.Sqrt(15)
	for _, c := range []struct {
		m    ssm.HiPPO
		A, B []float64
	}{
		{ssm.LegT, []float64{-1, s3, -s5, -s3, -3, s15, -s5, -s15, -5}, []float64{1, s3, s5}},
		{ssm.LagT, []float64{-0.5, 0, 0, -1, -0.5, 0, -1, -1, -0.5}, []float64{1, 1, 1}},
		{ssm.LegS, []float64{-1, 0, 0, -s3, -2, 0, -s5, -s15, -3}, []float64{1, s3, s5}},
	} {
		A, B, err := c.m.Matrices(3)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.A {
			if got := A.At(i/3, i%3); math.Abs(got-want) > 1e-12 {
				t.Errorf("measure %d: A[%d,%d] is %v, want %v", c.m, i/3, i%3, got, want)
			}
		}
		for i, want := range c.B {
			if math.Abs(B[i]-want) > 1e-12 {
				t.Errorf("measure %d: B[%d] is %v, want %v", c.m, i, B[i], want)
			}
		}
	}
	if _, _, err := ssm.HiPPO(9).Matrices(3); err == nil {
		t.Error("measure 9 is no error")
	}
	if _, _, _, _, err := ssm.NPLR(7); err == nil {
		t.Error("an odd NPLR is no error")
	}
}
