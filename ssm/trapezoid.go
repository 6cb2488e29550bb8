package ssm

import (
	"math"
	"slices"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// TrapezoidInput is what Trapezoid works on: B sequences of length T, H heads
// whose state is N×P. C and Bm (queries and keys) may have fewer heads, G, which divides H.
type TrapezoidInput struct {
	C, Bm        *tensor.Tensor // [B, T, G, N]
	X            *tensor.Tensor // [B, T, H, P]
	ADt, Dt      *tensor.Tensor // [B, T, H]: the log decay and the step, positive
	Trap         *tensor.Tensor // [B, T, H]: the weight of the rule's right end, before σ
	CBias, BBias *tensor.Tensor // [H, N]
	Angles       *tensor.Tensor // [B, T, H, R]: rates of rotation of the first 2R states
}

// Trapezoid is Mamba-3's recurrence (state-spaces/mamba:
// tests/ops/triton/test_mamba3_siso.py#mamba3_siso_step_ref), the
// exponential-trapezoidal rule with states that turn:
//
//	θ_t = θ_{t−1} + π tanh(angles_t) Δ_t;   b, c = rotate(B + bias, θ), rotate(C + bias, θ)
//	h_t = α h_{t−1} + (1−λ) Δ α b_{t−1} x_{t−1}ᵀ + λ Δ b_t x_tᵀ,   y_t = h_tᵀ c_t
//
// with α = e^{AΔ} and λ = σ(trap); adjacent states are a pair. The parts of st
// from first on, if st is not nil, are "angle" [B, H, R], "ssm" [B, H, N, P],
// "k" [B, H·N] (the last b) and "v" [B, H·P] (the last x). The result is [B, T, H, P].
func Trapezoid(in TrapezoidInput, st *tensor.State, first int) *tensor.Tensor {
	const op = "ssm.Trapezoid"
	tensor.Check(op, "X", in.X, -1, -1, -1, -1)
	B, T, H, P := in.X.Dim(0), in.X.Dim(1), in.X.Dim(2), in.X.Dim(3)
	tensor.Check(op, "C", in.C, B, T, -1, -1)
	G, N := in.C.Dim(2), in.C.Dim(3)
	tensor.Check(op, "Bm", in.Bm, B, T, G, N)
	for _, t := range []*tensor.Tensor{in.ADt, in.Dt, in.Trap} {
		tensor.Check(op, "ADt, Dt, Trap", t, B, T, H)
	}
	tensor.Check(op, "CBias", in.CBias, H, N)
	tensor.Check(op, "BBias", in.BBias, H, N)
	tensor.Check(op, "Angles", in.Angles, B, T, H, -1)
	R := in.Angles.Dim(3)
	if G == 0 || H%G != 0 || 2*R > N {
		panic(&tensor.ShapeError{Op: op, Arg: "heads, groups, states, angles", Got: []int{H, G, N, R}, Want: "heads a multiple of groups, at most one angle for two states"})
	}
	part := func(i int) *tensor.Part {
		if st == nil {
			return nil
		}
		return st.Part(first + i)
	}
	turn := tensor.Mul(tensor.Scale(tensor.Tanh(in.Angles), math.Pi), in.Dt.Reshape(B, T, H, 1))
	theta := accumulate(turn, part(0))
	biased := func(x, bias *tensor.Tensor) *tensor.Tensor {
		b := tensor.Enter(x.Scope(), bias).Reshape(G, H/G, N)
		return tensor.Add(x.Reshape(B, T, G, 1, N), b).Reshape(B, T, H, N)
	}
	turns := sincos(theta)
	b, c := rotate(biased(in.Bm, in.BBias), theta, turns), rotate(biased(in.C, in.CBias), theta, turns)

	lambda := tensor.Sigmoid(in.Trap)
	gamma := tensor.Mul(lambda, in.Dt)
	beta := tensor.Mul(tensor.Sub(in.Dt, gamma), tensor.Exp(in.ADt))
	last := func(x *tensor.Tensor, i int) *tensor.Tensor {
		n := x.Dim(2) * x.Dim(3)
		return nn.TokenShift(x.Reshape(B, T, n), part(i)).Reshape(B, T, H, n/H)
	}
	b0 := tensor.Mul(last(b, 2), beta.Reshape(B, T, H, 1))
	x0 := last(in.X, 3)
	b1 := tensor.Mul(b, gamma.Reshape(B, T, H, 1))
	// Two steps of the state for each token, the second without decay.
	if T == 1 && st != nil {
		scan.Matrix(scan.MatrixInput{Q: c, K: b0, V: x0, LogDecay: in.ADt}, part(1))
		return scan.Matrix(scan.MatrixInput{Q: c, K: b1, V: in.X}, part(1))
	}
	pairs := func(x, y *tensor.Tensor) *tensor.Tensor {
		n := x.Len() / (B * T)
		return tensor.Concat(2, x.Reshape(B, T, 1, n), y.Reshape(B, T, 1, n))
	}
	if B*T == 0 {
		return tensor.Mul(in.X, in.Dt.Reshape(B, T, H, 1))
	}
	o := scan.Matrix(scan.MatrixInput{
		Q: pairs(c, c).Reshape(B, 2*T, H, N), K: pairs(b0, b1).Reshape(B, 2*T, H, N), V: pairs(tensor.Contiguous(x0), tensor.Contiguous(in.X)).Reshape(B, 2*T, H, P),
		LogDecay: pairs(tensor.Contiguous(in.ADt), tensor.Scale(in.ADt, 0)).Reshape(B, 2*T, H),
	}, part(1))
	return tensor.Contiguous(o.Reshape(B, T, 2, H*P).Narrow(2, 1, 2)).Reshape(B, T, H, P)
}

// trapezoidState adds Trapezoid's parts.
func trapezoidState(st *tensor.State, batch, H, N, P, R int) *tensor.State {
	return st.Add("angle", tensor.New(batch, H, R)).
		Add("ssm", tensor.New(batch, H, N, P)).
		Add("k", tensor.New(batch, H*N)).
		Add("v", tensor.New(batch, H*P))
}

// accumulate is the running sum of x over time, modulo 2π, in float64: angles
// of a million tokens are as good as those of the first. The gradient of the
// modulus is that of the sum.
func accumulate(x *tensor.Tensor, p *tensor.Part) *tensor.Tensor {
	const op = "ssm.accumulate"
	B, T := x.Dim(0), x.Dim(1)
	n := x.Dim(2) * x.Dim(3)
	y := tensor.Out(op, x.Shape(), x)
	before, after := p.Begin(y.Scope(), op, B, x.Dim(2), x.Dim(3))
	if y.IsFloat64() {
		v, s := slices.Clone(x.Values64()), after.Values64()
		for b := range B {
			for t := range T {
				for i := range n {
					sum := &s[b*n+i]
					*sum = modulo(*sum + v[(b*T+t)*n+i])
					v[(b*T+t)*n+i] = *sum
				}
			}
		}
		y.SetValues64(v)
		after.SetValues64(s)
		p.End(after)
		return y
	}
	x = tensor.Contiguous(x)
	in, out, s := x.Data(), y.Data(), after.Data()
	for b := range B {
		for i := range n {
			sum := float64(s[b*n+i])
			for t := range T {
				sum = modulo(sum + float64(in[(b*T+t)*n+i]))
				out[(b*T+t)*n+i] = float32(sum)
			}
			s[b*n+i] = float32(sum)
		}
	}
	if y.Recording() {
		from := x
		tensor.OnBackward(func() {
			g := make([]float32, B*n)
			if after.HasGrad() {
				copy(g, after.Grad().Data())
			}
			dy := y.Grad().Data()
			var dx []float32
			if from.NeedsGrad() {
				dx = from.Grad().Data()
			}
			for b := range B {
				for t := T - 1; t >= 0; t-- {
					for i := range n {
						g[b*n+i] += dy[(b*T+t)*n+i]
						if dx != nil {
							dx[(b*T+t)*n+i] += g[b*n+i]
						}
					}
				}
			}
			if before.NeedsGrad() {
				d := before.Grad().Data()
				for i, v := range g {
					d[i] += v
				}
			}
		}, y, after)
	}
	p.End(after)
	return y
}

func modulo(a float64) float64 { return a - 2*math.Pi*math.Floor(a/(2*math.Pi)) }

// sincos are the sine and the cosine of each angle, side by side; nil in a Float64 scope.
func sincos(theta *tensor.Tensor) []float32 {
	if theta.IsFloat64() {
		return nil
	}
	turns := theta.Scope().Floats(2 * theta.Len())
	for i, a := range theta.Data() {
		sin, cos := math.Sincos(float64(a))
		turns[2*i], turns[2*i+1] = float32(sin), float32(cos)
	}
	return turns
}

// rotate turns the first R pairs of adjacent elements of x [B, T, H, N] by
// theta [B, T, H, R], contiguous, of which turns are the sines and cosines.
func rotate(x, theta *tensor.Tensor, turns []float32) *tensor.Tensor {
	N, R := x.Dim(3), theta.Dim(3)
	y := tensor.Out("ssm.rotate", x.Shape(), x, theta)
	if y.IsFloat64() {
		v, a := slices.Clone(x.Values64()), theta.Values64()
		for r := range len(v) / max(N, 1) {
			for i := range R {
				sin, cos := math.Sincos(a[r*R+i])
				p, q := v[r*N+2*i], v[r*N+2*i+1]
				v[r*N+2*i], v[r*N+2*i+1] = p*cos-q*sin, p*sin+q*cos
			}
		}
		y.SetValues64(v)
		return y
	}
	x = tensor.Contiguous(x)
	in, out := x.Data(), y.Data()
	copy(out, in)
	for r := range len(in) / max(N, 1) {
		for i := range R {
			sin, cos := turns[2*(r*R+i)], turns[2*(r*R+i)+1]
			p, q := in[r*N+2*i], in[r*N+2*i+1]
			out[r*N+2*i], out[r*N+2*i+1] = p*cos-q*sin, p*sin+q*cos
		}
	}
	if y.Recording() {
		from, angle := x, theta
		tensor.OnBackward(func() {
			dy := y.Grad().Data()
			var dx, da []float32
			if from.NeedsGrad() {
				dx = from.Grad().Data()
			}
			if angle.NeedsGrad() {
				da = angle.Grad().Data()
			}
			for r := range len(dy) / max(N, 1) {
				for i := range N {
					if dx != nil && i >= 2*R {
						dx[r*N+i] += dy[r*N+i]
					}
				}
				for i := range R {
					k := r*N + 2*i
					if dx != nil {
						sin, cos := turns[2*(r*R+i)], turns[2*(r*R+i)+1]
						dx[k] += dy[k]*cos + dy[k+1]*sin
						dx[k+1] += dy[k+1]*cos - dy[k]*sin
					}
					if da != nil {
						da[r*R+i] += dy[k+1]*y.Data()[k] - dy[k]*y.Data()[k+1]
					}
				}
			}
		}, y)
	}
	return y
}
