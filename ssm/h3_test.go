package ssm_test

import (
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// H3 as HazyResearch/H3 writes it (src/models/ssm/h3.py#H3.forward), with the
// sums over past tokens as they stand; channel h·d+i is channel i of head h,
// and channel j·H+h of the result is its channel j.
func TestH3IsItsEquation(t *testing.T) {
	for _, d := range []int{1, 3} {
		const D, N, T = 6, 4, 13
		H := D / d
		l, err := ssm.NewH3(ssm.H3Config{DModel: D, DState: N, HeadDim: d, DtMin: 0.05, Seed: 2})
		if err != nil {
			t.Fatal(err)
		}
		u := noise(1, T, D)
		linear := func(p *nn.Linear, x []float64) (y []float64) {
			for i := range D {
				sum := p.Bias.At(i)
				for j, v := range x {
					sum += p.Weight.At(i, j) * v
				}
				y = append(y, sum)
			}
			return y
		}
		kernel := l.Diag.Kernel(tensor.NewScope(tensor.Float64()), T) // [T, H]
		var ks [][]float64                                            // keys before the shift
		var kvs [][][]float64                                         // [T][head, i, j]
		var want []float64
		for now := range T {
			in := u.Float64s()[now*D:][:D]
			q, v := linear(l.Q, in), linear(l.V, in)
			ks = append(ks, linear(l.K, in))
			kv := make([][]float64, H)
			for h := range H {
				for i := range d {
					c := h*d + i
					k := l.ShiftD.At(c) * ks[now][c]
					for back := range min(N, now+1) {
						k += l.Shift.Weight.At(c, N-1-back) * ks[now-back][c]
					}
					for j := range d {
						kv[h] = append(kv[h], k*v[h*d+j])
					}
				}
			}
			kvs = append(kvs, kv)
			y := make([]float64, D)
			for h := range H {
				for i := range d {
					for j := range d {
						sum := l.Diag.D.At(0, h) * kv[h][i*d+j]
						for back := range now + 1 {
							sum += kernel.At(back, h) * kvs[now-back][h][i*d+j]
						}
						y[j*H+h] += q[h*d+i] * sum
					}
				}
			}
			want = append(want, linear(l.O, y)...)
		}
		if e := gradcheck.Difference(inFloat64(l, u, nil), want); !(e <= 1e-9) {
			t.Errorf("heads of %d channels: differs by %.2g", d, e)
		}
	}
}
