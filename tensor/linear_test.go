package tensor_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/tensor"
)

// Everything that Linear does at once has the bits of the operators one after
// another, whatever path the product takes, and their gradients.
func TestLinear(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	noise := func(shape ...int) *tensor.Tensor {
		x := tensor.New(shape...)
		for i := range x.Data() {
			x.Data()[i] = float32(rng.NormFloat64())
		}
		return x.Track()
	}
	eachLevel(t, func(t *testing.T) {
		for _, size := range [][3]int{{1, 40, 64}, {9, 3, 64}, {70, 600, 64}, {300, 130, 96}} {
			m, n, k := size[0], size[1], size[2]
			x, w := noise(2, m, k), noise(n, k)
			gate, residual := noise(2, m, 2*n).Narrow(-1, n, 2*n), noise(2, m, n)
			for _, o := range []tensor.LinearOptions{
				{}, {Bias: noise(n)}, {Map: tensor.MapSiLU, Gate: gate},
				{Bias: noise(n), Map: tensor.MapSoftplus, Gate: gate, Residual: residual}, {Map: tensor.MapReLU2, Residual: residual},
			} {
				for _, d := range []tensor.DType{tensor.F32, tensor.BF16, tensor.Q8_0} {
					v := w
					if d != tensor.F32 {
						v = tensor.As(d, w)
					}
					want := tensor.MatMulT(x, v)
					if o.Bias != nil {
						want = tensor.Add(want, o.Bias)
					}
					switch o.Map {
					case tensor.MapSiLU:
						want = tensor.SiLU(want)
					case tensor.MapSoftplus:
						want = tensor.Softplus(want)
					case tensor.MapReLU2:
						want = tensor.ReLU2(want)
					}
					if o.Gate != nil {
						want = tensor.Mul(want, o.Gate)
					}
					if o.Residual != nil {
						want = tensor.Add(want, o.Residual)
					}
					if got := tensor.Linear(x, v, o); !slices.Equal(got.Data(), want.Data()) {
						t.Errorf("%v %v, options %+v: not the bits of the operators: off by %.2g", size, d, o,
							gradcheck.Difference(got.Float64s(), want.Float64s()))
					}
				}
			}
		}
	})
	x, w, bias, gate, residual := noise(3, 4), noise(5, 4), noise(5), noise(3, 5), noise(3, 5)
	gradcheck.Check(t, "Linear", []*tensor.Tensor{x, w, bias, gate, residual}, func(s *tensor.Scope) *tensor.Tensor {
		in := func(t *tensor.Tensor) *tensor.Tensor { return tensor.Enter(s, t) }
		return tensor.Linear(in(x), w, tensor.LinearOptions{Bias: bias, Map: tensor.MapGELU, Gate: in(gate), Residual: in(residual)})
	}, 1e-4)
}
