package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/hwtest"
)

var eachLevel = hwtest.Levels

// guarded is a slice of n elements, off elements into its memory, with marked
// words around it; check fails if one of those has changed.
func guarded(n, off int) (x []float32, check func(t *testing.T)) {
	mem := make([]float32, off+n+32)
	for i := range mem {
		mem[i] = -12345
	}
	return mem[off+8 : off+8+n : off+8+n], func(t *testing.T) {
		t.Helper()
		for i, v := range mem {
			if (i < off+8 || i >= off+8+n) && v != -12345 {
				t.Errorf("n=%d: wrote outside, at %d", n, i-off-8)
			}
		}
	}
}

var sample = func() []float32 {
	rng := rand.New(rand.NewPCG(1, 1))
	inf := float32(math.Inf(1))
	x := []float32{0, float32(math.Copysign(0, -1)), 1, -1, inf, -inf, float32(math.NaN()), 1e-45, -1e-45, 1e-38, 3e38, -3e38, 88.7, 88.8, -87, -88, -100, -103.9, -104, -105, 1e-8, -1e-8, 0.5, -0.5,
		1e-40, 1.1754942e-38, 1.1754944e-38, 0.70710677, 0.7071068, 1.4142135, 1.4142137, 0.99999994, 1.0000001, -0.99999994, -1.0000001, -12.9, -14, -15, 15, -39, -41}
	for range 5000 {
		x = append(x, float32(rng.NormFloat64()*math.Exp(rng.NormFloat64()*3)))
	}
	for range 5000 {
		x = append(x, float32(rng.Float64()*200-105))
	}
	return x
}()

// ulp is the distance of got from the real number want, in units of want's last place.
func ulp(got float32, want float64) float64 {
	w := float32(want)
	if math.IsNaN(want) || math.IsInf(float64(w), 0) || w == 0 && want == 0 {
		if math.IsNaN(want) == (got != got) && (got != got || got == w) {
			return 0
		}
		return math.Inf(1)
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func gelu64(x float64) float64 {
	if x < -40 {
		return 0
	}
	return x * 0.5 * math.Erfc(-x/math.Sqrt2)
}

func TestUnary(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     func(dst, x []float32)
		want  func(x float64) float64
		ulps  float64 // measured 0.87 for exp, 1.9 for sigmoid, 2.1 for silu, 1.8 for softplus, 1.2 for tanh, 0.85 for log and log1p, 5.0 for GELU
		small float64 // below this, of the true value, only the absolute error counts
	}{
		{"Exp", Exp, math.Exp, 1, 0},
		{"Sigmoid", Sigmoid, sigmoid64, 2.5, 1e-37},
		{"SiLU", SiLU, func(x float64) float64 {
			if x < -700 {
				return math.Copysign(0, -1)
			}
			return x * sigmoid64(x)
		}, 3, 1e-35},
		{"Softplus", Softplus, func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }, 2.5, 1e-37},
		{"Tanh", Tanh, math.Tanh, 1.5, 0},
		{"GELUTanh", GELUTanh, func(x float64) float64 {
			if x < -40 {
				return 0
			}
			return x * sigmoid64(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))
		}, 20, 1e-6}, // a rounded exponent of up to 14
		{"Log", Log, math.Log, 1, 0},
		{"Log1p", Log1p, math.Log1p, 1, 0},
		{"GELU", GELU, gelu64, 5, 1e-37},
		{"GELU portable", geluGeneric, gelu64, 1, 1e-37},
		{"ReLU", ReLU, func(x float64) float64 { return max(x, 0) }, 0, 0},
		{"ReLU2", ReLU2, func(x float64) float64 { return max(x, 0) * max(x, 0) }, 0.5, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T) {
				y := make([]float32, len(sample))
				c.f(y, sample)
				worst := 0.0
				for i, x := range sample {
					want := c.want(float64(x))
					if math.Abs(want) < c.small && math.Abs(float64(y[i])) <= 2*c.small {
						continue
					}
					if e := ulp(y[i], want); e > worst {
						if worst = e; e > c.ulps {
							t.Errorf("f(%v) = %v, want %v: %.2f ulp", x, y[i], want, e)
						}
					}
				}
				t.Logf("largest error %.2f ulp", worst)
				// Any length and alignment gives the bits of the whole.
				for n := range 70 {
					for off := range 4 {
						lo := n * 7
						dst, check := guarded(n, off)
						c.f(dst, sample[lo:lo+n])
						check(t)
						same(t, fmt.Sprintf("n=%d", n), dst, y[lo:lo+n])
						copy(dst, sample[lo:lo+n])
						c.f(dst, dst)
						same(t, fmt.Sprintf("n=%d in place", n), dst, y[lo:lo+n])
					}
				}
			})
		})
	}
}

func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestBinary(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	x, y, z := make([]float32, 300), make([]float32, 300), make([]float32, 300)
	for i := range x {
		x[i], y[i], z[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64()), float32(rng.NormFloat64())
	}
	const a = 1.25
	for name, c := range map[string]struct {
		f    func(dst, x, y []float32)
		want func(d, x, y float64) float64
	}{
		"Add":     {Add, func(_, x, y float64) float64 { return x + y }},
		"Sub":     {Sub, func(_, x, y float64) float64 { return x - y }},
		"Mul":     {Mul, func(_, x, y float64) float64 { return x * y }},
		"Div":     {Div, func(_, x, y float64) float64 { return x / y }},
		"MulAdd":  {MulAdd, func(d, x, y float64) float64 { return d + x*y }},
		"FMA":     {func(d, x, y []float32) { FMA(d, x, y, append([]float32(nil), d...)) }, func(d, x, y float64) float64 { return d + x*y }},
		"Lerp":    {func(d, x, y []float32) { Lerp(d, x, y, append([]float32(nil), d...)) }, func(d, x, y float64) float64 { return x + d*(y-x) }},
		"SiLUMul": {SiLUMul, func(_, x, y float64) float64 { return x * y * sigmoid64(y) }},
		"Axpy":    {func(d, x, _ []float32) { Axpy(d, a, x) }, func(d, x, _ float64) float64 { return d + a*x }},
		"AxpyTo":  {func(d, x, y []float32) { AxpyTo(d, a, x, y) }, func(_, x, y float64) float64 { return a*x + y }},
		"Scale":   {func(d, x, _ []float32) { Scale(d, x, a) }, func(_, x, _ float64) float64 { return a * x }},
		"Offset":  {func(d, x, _ []float32) { Offset(d, x, a) }, func(_, x, _ float64) float64 { return a + x }},
	} {
		t.Run(name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T) {
				for n := range 100 {
					off := n % 5
					dst, check := guarded(n, off)
					copy(dst, z)
					c.f(dst, x[off:], y[off:])
					check(t)
					for i := range dst {
						want := c.want(float64(z[i]), float64(x[off+i]), float64(y[off+i]))
						if e := math.Abs(float64(dst[i]) - want); e > 4e-7*(1+math.Abs(want)) {
							t.Fatalf("n=%d: element %d is %v, want %v", n, i, dst[i], want)
						}
					}
				}
			})
		})
	}
}

func TestReductions(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	x, y := make([]float32, 1100), make([]float32, 1100)
	for i := range x {
		x[i], y[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
	}
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 129, 1000} {
			dot, sum, sq, abs, top := 0.0, 0.0, 0.0, 0.0, math.Inf(-1)
			for i := range n {
				a, b := float64(x[1+i]), float64(y[2+i])
				dot, sum, sq, abs, top = dot+a*b, sum+a, sq+a*a, abs+math.Abs(a)+math.Abs(a*b)+a*a, max(top, a)
			}
			for name, v := range map[string][2]float64{
				"Dot": {float64(Dot(x[1:1+n], y[2:])), dot}, "Sum": {float64(Sum(x[1 : 1+n])), sum},
				"SumSq": {float64(SumSq(x[1 : 1+n])), sq}, "Max": {float64(Max(x[1 : 1+n])), top},
			} {
				if !(v[0] == v[1] || math.Abs(v[0]-v[1]) <= 3e-7*abs) {
					t.Errorf("%s of %d: %v, want %v", name, n, v[0], v[1])
				}
			}
			e := make([]float32, n)
			got, want := ExpSub(e, x[1:1+n], 2), 0.0
			for i := range n {
				want += math.Exp(float64(x[1+i]) - 2)
			}
			if math.Abs(float64(got)-want) > 1e-6*want {
				t.Errorf("ExpSub of %d: %v, want %v", n, got, want)
			}
		}
		for n := 1; n < 70; n++ {
			x := make([]float32, n)
			x[n*2/3] = float32(math.NaN())
			if v := Max(x); v == v {
				t.Errorf("Max of %d with a NaN is %v", n, v)
			}
		}
	})
}

// Each e^(a·x+c), and the sum, of any length; what is around it stays.
func TestExpSum(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100, sumPiece - 1, sumPiece + 5} {
			const a, c = 0.125, -1.5
			dst, check := guarded(n, n%3)
			x := make([]float32, n)
			sum := 0.0
			for i := range x {
				x[i] = float32(math.Sin(float64(i))) * 40
			}
			got := ExpSum(dst, x, a, c)
			check(t)
			for i, v := range x {
				want := math.Exp(a*float64(v) + c)
				sum += want
				if math.Abs(float64(dst[i])-want) > 6e-7*want {
					t.Fatalf("element %d of %d: %v, want %v", i, n, dst[i], want)
				}
			}
			if math.Abs(float64(got)-sum) > 4e-7*sum {
				t.Errorf("sum of %d: %v, want %v", n, got, sum)
			}
			for i := range x { // what is masked has no weight at all
				x[i] = float32(math.Inf(-1))
			}
			if got := ExpSum(dst, x, a, c); got != 0 || slices.Max(append(dst, 0)) != 0 {
				t.Errorf("e^−∞ of %d: sum %v", n, got)
			}
		}
	})
}

// Gradients against the derivatives in float64.
func TestGradients(t *testing.T) {
	phi := func(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
	bound := func(x float64) float64 { return max(min(x, 40), -40) }
	for _, c := range []struct {
		name string
		f    func(dst, dy, x []float32)
		want func(x float64) float64
	}{
		{"Sigmoid", SigmoidGrad, func(y float64) float64 { return y * (1 - y) }},
		{"Tanh", TanhGrad, func(y float64) float64 { return 1 - y*y }},
		{"SiLU", SiLUGrad, func(x float64) float64 { x = bound(x); return sigmoid64(x) * (1 + x*sigmoid64(-x)) }},
		{"Softplus", SoftplusGrad, sigmoid64},
		{"GELU", GELUGrad, func(x float64) float64 { x = bound(x); return math.Erfc(-x/math.Sqrt2)/2 + x*phi(x) }},
		{"GELUTanh", GELUTanhGrad, func(x float64) float64 {
			x = bound(x)
			u := math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
			return sigmoid64(2*u) + x*2*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)*sigmoid64(2*u)*sigmoid64(-2*u)
		}},
		{"ReLU2", ReLU2Grad, func(x float64) float64 { return 2 * max(x, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T) {
				x := sample
				if c.name == "Sigmoid" || c.name == "Tanh" { // of their values
					x = make([]float32, len(sample))
					Tanh(x, sample)
				}
				d, dy := make([]float32, len(x)), make([]float32, len(x))
				for i := range dy {
					dy[i] = 1
				}
				c.f(d, dy, x)
				worst := 0.0
				for i, v := range x {
					want := c.want(float64(v))
					if e := math.Abs(float64(d[i])-want) / (1 + math.Abs(want)); !(e <= 2e-7) && want == want && d[i] != float32(want) {
						t.Errorf("%s′(%v) = %v, want %v", c.name, v, d[i], want)
					} else if want != want && d[i] == d[i] {
						t.Errorf("%s′(%v) = %v", c.name, v, d[i])
					} else if e == e {
						worst = max(worst, e)
					}
				}
				t.Logf("largest error %.2g", worst)
				// Any length and alignment gives the bits of the whole, which is added to.
				for i := range d {
					d[i], dy[i] = float32(i%7)-3, float32(i%5)-2
				}
				from := append([]float32(nil), d...)
				c.f(d, dy, x)
				for n := range 70 {
					for off := range 4 {
						lo := n * 7
						dst, check := guarded(n, off)
						copy(dst, from[lo:])
						c.f(dst, dy[lo:lo+n], x[lo:lo+n])
						check(t)
						same(t, fmt.Sprintf("n=%d", n), dst, d[lo:lo+n])
					}
				}
			})
		})
	}
}

func BenchmarkVec(b *testing.B) {
	x, y, u := make([]float32, 4096), make([]float32, 4096), make([]float32, 4096)
	for i := range x {
		x[i] = float32(i%200)/10 - 10
		u[i] = float32(i%200+1) / 10
	}
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"Exp", func() { Exp(y, x) }}, {"Sigmoid", func() { Sigmoid(y, x) }}, {"SiLU", func() { SiLU(y, x) }},
		{"Softplus", func() { Softplus(y, x) }}, {"Tanh", func() { Tanh(y, x) }}, {"GELU", func() { GELU(y, x) }},
		{"GELUTanh", func() { GELUTanh(y, x) }}, {"Log", func() { Log(y, u) }}, {"Log1p", func() { Log1p(y, u) }}, {"Mul", func() { Mul(y, x, x) }}, {"Dot", func() { Dot(x, y) }},
		{"SiLUGrad", func() { SiLUGrad(y, u, x) }}, {"SoftplusGrad", func() { SoftplusGrad(y, u, x) }}, {"TanhGrad", func() { TanhGrad(y, u, x) }},
		{"GELUGrad", func() { GELUGrad(y, u, x) }}, {"GELUTanhGrad", func() { GELUTanhGrad(y, u, x) }},
	} {
		was := hw.Current()
		for _, l := range hw.Levels() {
			b.Run(fmt.Sprintf("f=%s/n=4096/hw=%s", c.name, l), func(b *testing.B) {
				hw.Set(l)
				for b.Loop() {
					c.f()
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/4096, "ns/element")
			})
		}
		hw.Set(was)
	}
}
