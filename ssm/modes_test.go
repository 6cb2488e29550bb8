package ssm_test

import (
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// impulse is a layer's answer to a one on one channel, in float64.
func impulse(l nn.Layer, T, H, channel int) *tensor.Tensor {
	u := tensor.New(1, T, H)
	u.Data()[channel] = 1
	return l.Forward(tensor.Enter(tensor.NewScope(tensor.Float64()), u), nil)
}

func gelu(x float64) float64 { return x * 0.5 * math.Erfc(-x/math.Sqrt2) }

func pair(re, im *tensor.Tensor, i, j int) complex128 { return complex(re.At(i, j), im.At(i, j)) }

// The answer to an impulse on one channel, from the definition: C λ^t γ B.
func TestLRUImpulse(t *testing.T) {
	const T, H, N = 12, 4, 3
	l, err := ssm.NewLRU(ssm.LRUConfig{DModel: H, DState: N})
	if err != nil {
		t.Fatal(err)
	}
	// GLU of the identity beside a gate that is open: out = GELU(y).
	clear(l.Out.Weight.Data())
	for i := range H {
		l.Out.Weight.Data()[i*H+i] = 1
		l.Out.Bias.Data()[i], l.Out.Bias.Data()[H+i] = 0, 100
	}
	const channel = 2
	var want []float64
	for i := range T {
		for h := range H {
			var y float64
			for n := range N {
				lambda := cmplx.Exp(complex(-math.Exp(l.NuLog.At(n)), math.Exp(l.ThetaLog.At(n))))
				z := pair(l.CRe, l.CIm, h, n) * cmplx.Pow(lambda, complex(float64(i), 0)) * pair(l.BRe, l.BIm, n, channel)
				y += real(z) * math.Exp(l.Gamma.At(n))
			}
			if i == 0 && h == channel {
				y += l.D.At(h)
			}
			want = append(want, gelu(y))
		}
	}
	if e := gradcheck.Difference(impulse(l, T, H, channel).Float64s(), want); !(e <= 1e-9) {
		t.Errorf("differs by %.2g", e)
	}
}

// The same for S5, whose step is that of dx/dt = Λx + Bu held for Δ.
func TestS5Impulse(t *testing.T) {
	const T, H, P = 12, 4, 3
	l, err := ssm.NewS5(ssm.S5Config{DModel: H, DState: 2 * P})
	if err != nil {
		t.Fatal(err)
	}
	clear(l.Out.Weight.Data())
	for i := range H {
		l.Out.Bias.Data()[i] = 100
	}
	const channel = 1
	var want []float64
	for i := range T {
		for h := range H {
			var y float64
			for n := range P {
				lambda, step := complex(l.LambdaRe.At(n), l.LambdaIm.At(n)), complex(math.Exp(l.LogStep.At(n)), 0)
				kappa := (cmplx.Exp(lambda*step) - 1) / lambda
				y += 2 * real(pair(l.CRe, l.CIm, h, n)*cmplx.Exp(lambda*step*complex(float64(i), 0))*kappa*pair(l.BRe, l.BIm, n, channel))
			}
			if i == 0 && h == channel {
				y += l.D.At(h)
			}
			want = append(want, gelu(y))
		}
	}
	if e := gradcheck.Difference(impulse(l, T, H, channel).Float64s(), want); !(e <= 1e-9) {
		t.Errorf("differs by %.2g", e)
	}
}

// The state of an LRU keeps the size of its inputs.
func TestLRUInitialisation(t *testing.T) {
	l, err := ssm.NewLRU(ssm.LRUConfig{DModel: 2, DState: 500})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 500 {
		r := math.Exp(-math.Exp(l.NuLog.At(n)))
		if gamma := math.Exp(l.Gamma.At(n)); r < 0.8999 || r > 0.9991 || math.Abs(gamma*gamma-(1-r*r)) > 1e-5 {
			t.Fatalf("mode %d: |λ| %v, γ %v", n, r, gamma)
		}
	}
}

// RG-LRU by its definition, token by token, in float64.
func TestRGLRUIsItsEquation(t *testing.T) {
	const T, D, H, n = 9, 5, 2, 3
	const W = H * n
	l, err := ssm.NewRGLRU(ssm.RGLRUConfig{DModel: D, Width: W, Heads: H, DConv: 2, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	u := tensor.New(1, T, D)
	for i := range u.Data() {
		u.Data()[i] = float32(math.Sin(float64(7 * i)))
	}
	got := l.Forward(tensor.Enter(tensor.NewScope(tensor.Float64()), u), nil).Float64s()
	linear := func(p *nn.Linear, x []float64) (y []float64) {
		for i := range p.Weight.Dim(0) {
			sum := p.Bias.At(i)
			for j, v := range x {
				sum += p.Weight.At(i, j) * v
			}
			y = append(y, sum)
		}
		return y
	}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	h, last := make([]float64, W), make([]float64, W)
	var want []float64
	for i := range T {
		in := u.Float64s()[i*D:][:D]
		wx, x := linear(l.X, in), make([]float64, W)
		for c := range W {
			x[c] = l.Conv.Weight.At(c, 0)*last[c] + l.Conv.Weight.At(c, 1)*wx[c] + l.Conv.Bias.At(c)
		}
		last = wx
		y := linear(l.Y, in)
		for c := range W {
			ri, ii := l.RecurrentGateBias.At(c/n, c%n), l.InputGateBias.At(c/n, c%n)
			for j := range n {
				ri += x[c/n*n+j] * l.RecurrentGate.At(c/n, j, c%n)
				ii += x[c/n*n+j] * l.InputGate.At(c/n, j, c%n)
			}
			a := math.Exp(-8 * math.Log1p(math.Exp(l.Lambda.At(c))) * sigmoid(ri))
			gain := math.Sqrt(1 - a*a)
			if i == 0 {
				gain = 1
			}
			h[c] = a*h[c] + gain*sigmoid(ii)*x[c]
		}
		for c := range W {
			y[c] = 0.5 * y[c] * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(y[c]+0.044715*y[c]*y[c]*y[c]))) * h[c]
		}
		want = append(want, linear(l.Out, y)...)
	}
	if e := gradcheck.Difference(got, want); !(e <= 1e-9) {
		t.Errorf("differs by %.2g", e)
	}
}

// Enough modes, angles and tokens for several workers: the bits of one.
func TestLongWorkers(t *testing.T) {
	for _, l := range []nn.Layer{
		must(ssm.NewLRU(ssm.LRUConfig{DModel: 6, DState: 150})),
		must(ssm.NewMamba3(ssm.Mamba3Config{DModel: 6, DState: 32, HeadDim: 3, Rank: 2})),
	} {
		longWorkers(t, l)
	}
}

func longWorkers(t *testing.T, l nn.Layer) {
	t.Helper()
	u := noise(2, 700, 6)
	some := []int{1, 2, 7}
	if testing.Short() {
		some = some[:2]
	}
	var want [][]float64
	for _, workers := range some {
		l.Params().ZeroGrad()
		s, st := tensor.NewScope(tensor.Record(), tensor.Workers(workers)), l.NewState(2)
		y := l.Forward(tensor.Enter(s, u), st)
		s.Backward(tensor.SumAll(tensor.Square(y)))
		got := [][]float64{y.Float64s(), st.Parts[0].Value.Float64s(), st.Parts[1].Value.Float64s()}
		for _, p := range l.Params() {
			got = append(got, p.Grad().Float64s())
		}
		if want == nil {
			want = got
		}
		for i := range got {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("%T: %d workers: result %d differs by %.2g", l, workers, i, gradcheck.Difference(got[i], want[i]))
			}
		}
	}
}

// The same for DSS, whose modes decay and turn by steps of their own.
func TestDSSImpulse(t *testing.T) {
	const T, H, N = 12, 3, 4
	l, err := ssm.NewDSS(ssm.DSSConfig{DModel: H, DState: N, DtMin: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	clear(l.Out.Weight.Data())
	clear(l.Out.Bias.Data())
	for h := range H {
		l.Out.Weight.Data()[h*H+h] = 1
		l.LogDt.Data()[2*h+1] += 0.5
	}
	const channel = 1
	var want []float64
	for i := range T {
		for h := range H {
			y := 0.0
			if h == channel {
				for n := range N {
					lambda := complex(-math.Exp(l.LogRe.At(n)), l.Im.At(n))
					z := complex(math.Exp(l.LogDt.At(h, 0))*real(lambda), math.Exp(l.LogDt.At(h, 1))*imag(lambda))
					w := complex(l.W.At(0, h, n, 0), l.W.At(0, h, n, 1))
					y += real(w * (cmplx.Exp(z) - 1) / lambda * cmplx.Exp(z*complex(float64(i), 0)))
				}
				if i == 0 {
					y += l.D.At(0, h)
				}
			}
			want = append(want, gelu(y))
		}
	}
	if e := gradcheck.Difference(impulse(l, T, H, channel).Float64s(), want); !(e <= 1e-9) {
		t.Errorf("differs by %.2g", e)
	}
	// The modes are those of HiPPO with 2N coefficients: squares of frequencies sum to Σ_{i<j} (2i+1)(2j+1)/4.
	sum, all := 0.0, 0.0
	for i := range 2 * N {
		for j := range i {
			all += float64((2*i+1)*(2*j+1)) / 4
		}
	}
	for n := range N {
		sum += l.Im.At(n) * l.Im.At(n)
	}
	if math.Abs(sum-all) > 1e-4*all || l.Im.At(0) < l.Im.At(N-1) || l.Im.At(N-1) < 0 {
		t.Errorf("frequencies %v: squares sum to %v, want %v", l.Im.Data(), sum, all)
	}
}
