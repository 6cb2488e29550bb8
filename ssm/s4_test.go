package ssm_test

import (
	"fmt"
	"math"
	"math/cmplx"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

func newS4(t *testing.T, c ssm.S4Config) *ssm.S4 {
	t.Helper()
	l, err := ssm.NewS4(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The kernel from the roots of unity, of even and odd lengths, is the
// recurrence's answer to an impulse; folded weights change nothing.
func TestS4Kernel(t *testing.T) {
	for _, L := range []int{1, 2, 7, 64, 301} {
		for _, folded := range []int{0, 7, 64} {
			l := newS4(t, ssm.S4Config{DModel: 3, DState: 16, DtMin: 0.01, KernelLength: folded})
			what := fmt.Sprintf("length %d, weights folded at %d", L, folded)
			want := l.Kernel(tensor.NewScope(tensor.Float64()), L).Float64s()
			if e := gradcheck.Difference(l.Kernel(nil, L).Float64s(), want); !(e <= 3e-6) {
				t.Errorf("%s: kernel differs by %.2g", what, e)
			}
			if folded > 0 {
				l.Unfold()
				if e := gradcheck.Difference(l.Kernel(nil, L).Float64s(), want); !(e <= 3e-6) {
					t.Errorf("%s: unfolded kernel differs by %.2g", what, e)
				}
			}
			if L == 7 {
				gradcheck.Check(t, what, []*tensor.Tensor{l.InvDt, l.AReal, l.AImag, l.P, l.B, l.C},
					func(s *tensor.Scope) *tensor.Tensor { return l.Kernel(s, L) }, 0)
			}
		}
	}
}

// The dense step is the bilinear rule, (I − dt/2 A) Ā = I + dt/2 A, and gives the kernel.
func TestS4Dense(t *testing.T) {
	l := newS4(t, ssm.S4Config{DModel: 2, DState: 8})
	const L = 20
	K := l.Kernel(tensor.NewScope(tensor.Float64()), L)
	for h := range 2 {
		A, B, C := l.Dense(h)
		// Λ and P over the modes and their conjugates.
		dt := complex(math.Exp(l.InvDt.At(h, 0)), 0)
		var lambda, P []complex128
		for n := range 8 {
			re, im := -math.Exp(l.AReal.At(h, n%4)), -l.AImag.At(h, n%4)
			p := complex(l.P.At(0, h, n%4, 0), l.P.At(0, h, n%4, 1))
			if n >= 4 {
				im, p = -im, cmplx.Conj(p)
			}
			lambda, P = append(lambda, complex(re, im)), append(P, p)
		}
		for i := range 8 {
			for j := range 8 {
				sum := A.At(i, j) - dt/2*lambda[i]*A.At(i, j)
				for k := range 8 {
					sum += dt / 2 * P[i] * cmplx.Conj(P[k]) * A.At(k, j)
				}
				want := -dt / 2 * P[i] * cmplx.Conj(P[j])
				if i == j {
					want += 1 + dt/2*lambda[i]
				}
				if d := cmplx.Abs(sum - want); !(d <= 1e-9) {
					t.Fatalf("channel %d: (I − dt/2 A) Ā is off by %.2g at %d, %d", h, d, i, j)
				}
			}
		}
		x := B
		for i := range L {
			var y complex128
			for n := range x {
				y += C[n] * x[n]
			}
			if d := cmplx.Abs(y - complex(K.At(i, h), 0)); !(d <= 1e-9) {
				t.Fatalf("channel %d: K[%d] is %v, the dense step gives %v", h, i, K.At(i, h), y)
			}
			next := make([]complex128, len(x))
			for i := range next {
				for j := range x {
					next[i] += A.At(i, j) * x[j]
				}
			}
			x = next
		}
	}
}

// A long sequence by convolution is the recurrence.
func TestS4IsACausalConvolution(t *testing.T) {
	l := newS4(t, ssm.S4Config{DModel: 4, DState: 64})
	const T = 257
	u := tensor.New(1, T, 4)
	for i := range u.Data() {
		u.Data()[i] = float32((i*7919)%31) / 31
	}
	k := l.Kernel(nil, T)
	y := l.SSM(u, nil)
	want := make([]float64, T*4)
	for i := range T {
		for c := range 4 {
			want[i*4+c] = l.D.At(0, c) * u.At(0, i, c)
			for j := range i + 1 {
				want[i*4+c] += k.At(j, c) * u.At(0, i-j, c)
			}
		}
	}
	if e := gradcheck.Difference(y.Float64s(), want); !(e <= 1e-5) {
		t.Errorf("differs by %.2g", e)
	}
}
