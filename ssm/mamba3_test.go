package ssm_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// randomised is a layer whose weights all differ.
func randomised(t *testing.T, c ssm.Mamba3Config) *ssm.Mamba3 {
	t.Helper()
	m, err := ssm.NewMamba3(c)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(41, 1))
	for _, p := range m.Params() {
		for i := range p.Data() {
			p.Data()[i] += float32(0.5 * r.NormFloat64())
		}
	}
	return m
}

func noise(shape ...int) *tensor.Tensor {
	r := rand.New(rand.NewPCG(41, 2))
	x := tensor.New(shape...)
	for i := range x.Data() {
		x.Data()[i] = float32(r.NormFloat64())
	}
	return x
}

func inFloat64(l nn.Layer, u *tensor.Tensor, st *tensor.State) []float64 {
	return l.Forward(tensor.Enter(tensor.NewScope(tensor.Float64()), u), st).Float64s()
}

// Mamba-3 token by token as state-spaces/mamba writes it: the layer as
// mamba_ssm/modules/mamba3.py#Mamba3.step, the turning as
// mamba_ssm/ops/triton/mamba3/mamba3_mimo_rotary_step.py#apply_rotary_qk_inference_reference
// and the recurrence as tests/ops/tilelang/test_mamba3_mimo.py#mamba3_MIMO_step_ref.
func TestMamba3IsItsEquation(t *testing.T) {
	for name, c := range map[string]ssm.Mamba3Config{
		"one input":                  {DModel: 4, DState: 8, HeadDim: 2, Groups: 2},
		"one input, norm":            {DModel: 4, DState: 4, HeadDim: 2, OutNorm: true, SoftplusA: true},
		"three inputs":               {DModel: 4, DState: 8, HeadDim: 2, Groups: 2, Rank: 3},
		"two inputs, norm, softplus": {DModel: 4, DState: 6, HeadDim: 4, Rank: 2, RopeFraction: 1, OutNorm: true, SoftplusA: true},
	} {
		m := randomised(t, c)
		const T = 11
		D, E, P, N, G, R := c.DModel, 2*c.DModel, c.HeadDim, c.DState, max(1, c.Groups), max(1, c.Rank)
		H, A := m.H, m.A
		weight := func(w *tensor.Tensor, h, r, p int) float64 {
			if w == nil {
				return 1
			}
			return w.At(h, r, p)
		}
		rms := func(x []float64, w func(i int) float64) (y []float64) {
			sum := 0.0
			for _, v := range x {
				sum += v * v
			}
			for i, v := range x {
				y = append(y, v/math.Sqrt(sum/float64(len(x))+1e-5)*w(i))
			}
			return y
		}
		sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
		softplus := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
		u := noise(1, T, D)
		theta, state := make([]float64, H*A), make([]float64, H*P*N)
		k0, v0 := make([]float64, H*R*N), make([]float64, H*R*P)
		var want []float64
		for t := range T {
			var in []float64
			for o := range m.In.Weight.Dim(0) {
				sum := 0.0
				for i := range D {
					sum += m.In.Weight.At(o, i) * u.At(0, t, i)
				}
				in = append(in, sum)
			}
			next := func(n int) (part []float64) { part, in = in[:n], in[n:]; return part }
			z, x, b, c2, dt, a, trap, angles := next(E), next(E), next(R*G*N), next(R*G*N), next(H), next(H), next(H), next(A)
			y := make([]float64, E)
			for h := range H {
				dt := softplus(dt[h] + m.DtBias.At(h))
				f := softplus(a[h])
				if !c.SoftplusA {
					if f = 1 + a[h]; a[h] < 0 {
						f = 1 / (1 - a[h])
					}
				}
				alpha, lambda := math.Exp(-max(f, 1e-4)*dt), sigmoid(trap[h])
				for i := range A {
					theta[h*A+i] += math.Tanh(angles[i]) * dt * math.Pi
				}
				vectors := func(x []float64, norm *nn.RMSNorm, bias *tensor.Tensor, r int) []float64 {
					g := h / (H / G)
					v := rms(x[(r*G+g)*N:][:N], func(i int) float64 { return norm.Weight.At(i) })
					for i := range N {
						v[i] += bias.At(h, r, i)
					}
					for i := range A {
						p, q := 2*i, 2*i+1
						if c.Rank > 0 {
							p, q = i, i+N/2
						}
						sin, cos := math.Sincos(theta[h*A+i])
						v[p], v[q] = v[p]*cos-v[q]*sin, v[p]*sin+v[q]*cos
					}
					return v
				}
				for i := range P * N {
					state[h*P*N+i] *= alpha
				}
				for r := range R {
					k := vectors(b, m.BNorm, m.BBias, r)
					for p := range P {
						v := x[h*P+p] * weight(m.MimoX, h, r, p)
						for n := range N {
							state[(h*P+p)*N+n] += (1-lambda)*dt*alpha*k0[(h*R+r)*N+n]*v0[(h*R+r)*P+p] + lambda*dt*k[n]*v
						}
						v0[(h*R+r)*P+p] = v
					}
					copy(k0[(h*R+r)*N:], k)
				}
				for r := range R {
					q := vectors(c2, m.CNorm, m.CBias, r)
					out := make([]float64, P)
					for p := range P {
						for n := range N {
							out[p] += state[(h*P+p)*N+n] * q[n]
						}
						out[p] += m.D.At(h) * v0[(h*R+r)*P+p]
					}
					if m.Norm != nil {
						out = rms(out, func(p int) float64 { return m.Norm.Weight.At(h*P + p) })
					}
					for p := range P {
						gate := z[h*P+p] * weight(m.MimoZ, h, r, p)
						y[h*P+p] += out[p] * gate * sigmoid(gate) * weight(m.MimoO, h, r, p)
					}
				}
			}
			for o := range D {
				sum := 0.0
				for i := range E {
					sum += m.Out.Weight.At(o, i) * y[i]
				}
				want = append(want, sum)
			}
		}
		st := m.NewState(1)
		if e := gradcheck.Difference(inFloat64(m, u, st), want); !(e <= 1e-6) { // eps and angles are float32's
			t.Errorf("%s: differs by %.2g", name, e)
		}
		got := st.Parts[1].Value // [1, H, N, P]
		var back []float64
		for h := range H {
			for p := range P {
				for n := range N {
					back = append(back, got.At(0, h, n, p))
				}
			}
		}
		if e := gradcheck.Difference(back, state); !(e <= 1e-6) {
			t.Errorf("%s: the state differs by %.2g", name, e)
		}
	}
}

// A rank of one with weights of one is the layer without ranks, of which
// states that turn together stand side by side.
func TestMamba3OfRankOne(t *testing.T) {
	c := ssm.Mamba3Config{DModel: 4, DState: 8, HeadDim: 2, Groups: 2, OutNorm: true}
	siso := randomised(t, c)
	c.Rank = 1
	mimo := randomised(t, c)
	for _, w := range []*tensor.Tensor{mimo.MimoX, mimo.MimoZ, mimo.MimoO} {
		for i := range w.Data() {
			w.Data()[i] = 1
		}
	}
	for _, p := range mimo.Params() {
		if from, ok := siso.Params().Find(p.Name); ok {
			copy(p.Data(), from.Data())
		}
	}
	// State 2i becomes i, 2i+1 becomes i+N/2: in rows of B and C, norms and biases.
	const N, E = 8, 8
	reorder := func(to, from *tensor.Tensor, rows, width, first int) {
		for row := range rows {
			for i := range N / 2 {
				for side := range 2 {
					at := func(i int) int { return (first + row*N + i) * width }
					copy(to.Data()[at(i+side*N/2):][:width], from.Data()[at(2*i+side):])
				}
			}
		}
	}
	reorder(mimo.In.Weight, siso.In.Weight, 2*c.Groups, c.DModel, 2*E)
	reorder(mimo.BNorm.Weight, siso.BNorm.Weight, 1, 1, 0)
	reorder(mimo.CNorm.Weight, siso.CNorm.Weight, 1, 1, 0)
	reorder(mimo.BBias, siso.BBias, siso.H, 1, 0)
	reorder(mimo.CBias, siso.CBias, siso.H, 1, 0)
	u := noise(2, 20, c.DModel)
	if e := gradcheck.Difference(mimo.Forward(u, nil).Float64s(), siso.Forward(u, nil).Float64s()); !(e <= 1e-6) {
		t.Errorf("differs by %.2g", e)
	}
}

// Angles do not drift where tokens come one by one: float32 alone would be off
// by 4e-5 after these.
func TestMamba3AnglesDoNotDrift(t *testing.T) {
	T := 50_000
	if testing.Short() {
		T = 5000
	}
	m, err := ssm.NewMamba3(ssm.Mamba3Config{DModel: 2, DState: 2, HeadDim: 4, DtMin: 0.3, DtMax: 1})
	if err != nil {
		t.Fatal(err)
	}
	u := noise(1, T, 2)
	whole, one := m.NewState(1), m.NewState(1)
	s := tensor.NewScope(tensor.Workers(1))
	m.Forward(tensor.Enter(s, u), whole)
	for i := range T {
		s.Reset()
		m.Forward(s.From(u.Data()[2*i:][:2], 1, 1, 2), one)
	}
	for i, a := range one.Parts[0].Value.Float64s() {
		d := math.Abs(a - whole.Parts[0].Value.Float64s()[i])
		if d = min(d, 2*math.Pi-d); !(d <= 1e-6) {
			t.Errorf("angle %d is off by %.2g after %d tokens", i, d, T)
		}
	}
}
