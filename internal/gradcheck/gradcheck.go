// Package gradcheck compares what operators compute in float32 with their plain
// forms in float64: values directly, gradients with central differences.
package gradcheck

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/tensor"
)

// A Func computes something of its leaves in scope s. It brings inputs in with
// tensor.Enter, or uses them as weights.
type Func func(s *tensor.Scope) *tensor.Tensor

const (
	valueTolerance = 1e-5
	gradTolerance  = 1e-4
)

// probes is how many elements of a leaf have their gradient checked.
func probes() int {
	if testing.Short() {
		return 8
	}
	return 40
}

// Forward compares f in float32 with f in a Float64 scope: the largest
// difference over the largest value must be at most tol, by default 1e-5.
func Forward(t testing.TB, name string, f Func, tol float64) {
	t.Helper()
	if tol == 0 {
		tol = valueTolerance
	}
	got, want := f(tensor.NewScope()).Float64s(), f(tensor.NewScope(tensor.Float64())).Float64s()
	e := Difference(got, want)
	t.Logf("%s: value error %.1e", name, e)
	if !(e <= tol) {
		t.Errorf("%s: value error %.2g, tolerance %g", name, e, tol)
	}
}

// Difference is the largest difference of an element over the largest element of want.
func Difference(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	worst, scale := 0.0, 0.0
	for i, w := range want {
		d := math.Abs(got[i] - w)
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst, scale = max(worst, d), max(scale, math.Abs(w))
	}
	if scale == 0 {
		return worst
	}
	return worst / scale
}

// Check compares the gradients of Σ c⊙f, with fixed random c, with respect to
// every leaf, as f records them in float32, with differences of the same sum
// in float64, whose steps are the float32 ones that were really taken. Errors
// are relative to the leaf's largest gradient; tol is 1e-4 by default.
func Check(t testing.TB, name string, leaves []*tensor.Tensor, f Func, tol float64) {
	t.Helper()
	if tol == 0 {
		tol = gradTolerance
	}
	for _, l := range leaves {
		l.Track().ZeroGrad()
	}
	s := tensor.NewScope(tensor.Record())
	y := f(s)
	rng := rand.New(rand.NewPCG(uint64(y.Len()), 3))
	c := make([]float32, y.Len())
	for i := range c {
		c[i] = float32(rng.NormFloat64())
	}
	s.Backward(tensor.SumAll(tensor.Mul(y, s.From(c, y.Shape()...))))
	loss := func() float64 {
		sum := 0.0
		for i, v := range f(tensor.NewScope(tensor.Float64())).Float64s() {
			sum += v * float64(c[i])
		}
		return sum
	}
	for k, l := range leaves {
		grad, data := l.Grad().Float64s(), l.Data()
		var got, want []float64
		some := min(len(data), probes())
		for n := range some {
			i := n * len(data) / some
			got, want = append(got, grad[i]), append(want, slope(data, i, loss))
		}
		// Relative to the largest of all, not only of those probed.
		scale := 0.0
		for _, g := range grad {
			scale = max(scale, math.Abs(g))
		}
		worst := 0.0
		for i := range got {
			worst = max(worst, math.Abs(got[i]-want[i]))
			if math.IsNaN(got[i]) {
				worst = math.Inf(1)
			}
		}
		if scale > 0 {
			worst /= scale
		}
		t.Logf("%s: gradient of leaf %d %v: error %.1e", name, k, l.Shape(), worst)
		if !(worst <= tol) {
			t.Errorf("%s: gradient of leaf %d %v: error %.2g, tolerance %g", name, k, l.Shape(), worst, tol)
		}
	}
}

// slope is the derivative of loss with respect to data[i], from two central
// differences whose leading errors cancel (Richardson). Where these disagree,
// a kink may lie between (two scores that change places as the largest), and a
// smaller step keeps to this side of it.
func slope(data []float32, i int, loss func() float64) (d float64) {
	at := data[i]
	central := func(h float64) float64 {
		hi, lo := float32(float64(at)+h), float32(float64(at)-h)
		data[i] = hi
		a := loss()
		data[i] = lo
		b := loss()
		data[i] = at
		return (a - b) / (float64(hi) - float64(lo))
	}
	h := math.Ldexp(1, -9) * max(1, math.Abs(float64(at)))
	least := math.Inf(1)
	for range 3 {
		wide, narrow := central(h), central(h/2)
		if gap := math.Abs(wide - narrow); gap < least {
			d, least = (4*narrow-wide)/3, gap
		}
		if least <= 1e-4*max(math.Abs(wide), math.Abs(narrow)) {
			break
		}
		h /= 16
	}
	return d
}
