package ssm

import (
	"math"
	"slices"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// TrapezoidInput is what Trapezoid works on: B sequences of length T, H heads
// whose state is N×P and which have R inputs and R outputs each; R is 1 but for
// the MIMO form. C and Bm (queries and keys) may have fewer heads, G, which divides H.
type TrapezoidInput struct {
	C, Bm        *tensor.Tensor // [B, T, R, G, N]
	X            *tensor.Tensor // [B, T, R, H, P]
	ADt, Dt      *tensor.Tensor // [B, T, H]: the log decay and the step, positive
	Trap         *tensor.Tensor // [B, T, H]: the weight of the rule's right end, before σ
	CBias, BBias *tensor.Tensor // [H, R, N]
	Angles       *tensor.Tensor // [B, T, H, A], or [B, T, 1, A] for all heads: rates of rotation of the first A pairs of states
	Halves       bool           // pairs are states i and i+N/2 instead of 2i and 2i+1
}

// Trapezoid is Mamba-3's recurrence (state-spaces/mamba:
// tests/ops/triton/test_mamba3_siso.py#mamba3_siso_step_ref,
// tests/ops/tilelang/test_mamba3_mimo.py#mamba3_MIMO_step_ref), the
// exponential-trapezoidal rule with states that turn:
//
//	θ_t = θ_{t−1} + π tanh(angles_t) Δ_t;   b, c = rotate(B + bias, θ), rotate(C + bias, θ)
//	h_t = α h_{t−1} + Σ_r (1−λ) Δ α b_{t−1,r} x_{t−1,r}ᵀ + λ Δ b_{t,r} x_{t,r}ᵀ,   y_{t,r} = h_tᵀ c_{t,r}
//
// with α = e^{AΔ} and λ = σ(trap). The parts of st from first on, if st is not
// nil, are "angle" [B, H, A], "ssm" [B, H, N, P], "k" [B, R·H·N] (the last b) and
// "v" [B, R·H·P] (the last x), and "angle_low" [B, H, A], what float32 has no
// room for in "angle". The result is [B, T, R, H, P].
func Trapezoid(in TrapezoidInput, st *tensor.State, first int) *tensor.Tensor {
	const op = "ssm.Trapezoid"
	tensor.Check(op, "X", in.X, -1, -1, -1, -1, -1)
	B, T, R, H, P := in.X.Dim(0), in.X.Dim(1), in.X.Dim(2), in.X.Dim(3), in.X.Dim(4)
	tensor.Check(op, "C", in.C, B, T, R, -1, -1)
	G, N := in.C.Dim(3), in.C.Dim(4)
	tensor.Check(op, "Bm", in.Bm, B, T, R, G, N)
	for _, t := range []*tensor.Tensor{in.ADt, in.Dt, in.Trap} {
		tensor.Check(op, "ADt, Dt, Trap", t, B, T, H)
	}
	tensor.Check(op, "CBias", in.CBias, H, R, N)
	tensor.Check(op, "BBias", in.BBias, H, R, N)
	each := H
	if in.Angles.Rank() == 4 && in.Angles.Dim(2) == 1 {
		each = 1
	}
	tensor.Check(op, "Angles", in.Angles, B, T, each, -1)
	if A := in.Angles.Dim(3); R == 0 || R > maxRank || G == 0 || H%G != 0 || 2*A > N || in.Halves && N%2 != 0 {
		panic(&tensor.ShapeError{Op: op, Arg: "rank, heads, groups, states, angles", Got: []int{R, H, G, N, A}, Want: "a rank of 1 to 16, heads a multiple of groups, at most one angle for two states, which Halves makes an even number"})
	}
	if B*T == 0 {
		return tensor.Mul(in.X, in.Dt.Reshape(B, T, 1, H, 1))
	}
	part := func(i int) *tensor.Part {
		if st == nil {
			return nil
		}
		return st.Part(first + i)
	}
	turn := tensor.Mul(tensor.Scale(tensor.Tanh(in.Angles), math.Pi), in.Dt.Reshape(B, T, H, 1))
	theta := accumulate(turn, part(0), part(4))
	turns := sincos(theta)
	turned := func(x, bias *tensor.Tensor) *tensor.Tensor {
		b := tensor.Transpose(tensor.Enter(x.Scope(), bias), 0, 1).Reshape(R, G, H/G, N)
		return rotate(tensor.Add(x.Reshape(B, T, R, G, 1, N), b).Reshape(B, T, R, H, N), theta, turns, in.Halves)
	}
	b, c := turned(in.Bm, in.BBias), turned(in.C, in.CBias)

	// With ν = (1−λ)Δ, the left end of the rule counts as soon as it is known
	// that there is a next token: h'_t = h_t + ν_{t+1} Σ_r b_{t,r} x_{t,r}ᵀ, so that
	//
	//	h'_t = α_t h'_{t−1} + (λ_t Δ_t + ν_{t+1}) Σ_r b_{t,r} x_{t,r}ᵀ
	//	y_{t,r} = h'_{t−1}ᵀ α_t c_{t,r} + λ_t Δ_t Σ_q (c_{t,r}·b_{t,q}) x_{t,q}
	//
	// is one recurrence of R writes a token. Token t's reads stand beside the
	// writes of t−1, of which read r follows only the first r; the last token's
	// writes have no read beside them.
	s := in.X.Scope()
	gamma := tensor.Mul(tensor.Sigmoid(in.Trap), in.Dt)
	nu, alpha := tensor.Sub(in.Dt, gamma), tensor.Exp(in.ADt)
	none := s.New(B, 1, H)
	weight := tensor.Add(tensor.Concat(1, none, gamma), tensor.Concat(1, nu, none))
	before := func(x *tensor.Tensor, i int) *tensor.Tensor { // x, and the token before it
		n := x.Len() / (B * T)
		held := nn.TokenShift(x.Narrow(1, T-1, T).Reshape(B, 1, n), part(i))
		return tensor.Concat(1, held.Reshape(B, 1, R, H, n/(R*H)), x)
	}
	q := tensor.Concat(1, tensor.Mul(c, alpha.Reshape(B, T, 1, H, 1)), s.New(B, 1, R, H, N))
	k := tensor.Mul(before(b, 2), weight.Reshape(B, T+1, 1, H, 1))
	v := before(in.X, 3)
	steps := func(x *tensor.Tensor) *tensor.Tensor { return x.Reshape(B, (T+1)*R, H, x.Dim(4)) }
	decay := tensor.Concat(1, none, in.ADt) // at a token's first write
	if R > 1 {
		decay = tensor.Concat(2, decay.Reshape(B, T+1, 1, H), s.New(B, T+1, R-1, H)).Reshape(B, (T+1)*R, H)
	}
	o := scan.Matrix(scan.MatrixInput{Q: steps(q), K: steps(k), V: steps(v), LogDecay: decay}, part(1)).Reshape(B, T+1, R, H, P)
	now := func(x *tensor.Tensor) *tensor.Tensor { return x.Narrow(1, 0, T) }
	y := tensor.Add(now(o), reads(c, b, in.X, gamma, nil))
	if R > 1 {
		y = tensor.Add(y, reads(now(q), now(k), now(v), nil, later[R]))
	}
	return y
}

// reads is what a token's queries read of its own keys and values, Σ_q mask_rq
// (c_r·b_q) x_q, times weight [B, T, H]; nil stands for ones.
func reads(c, b, x, weight *tensor.Tensor, mask []float32) *tensor.Tensor {
	B, T, R, H := c.Dim(0), c.Dim(1), c.Dim(2), c.Dim(3)
	if R == 1 {
		score := tensor.Mul(tensor.Sum(tensor.Mul(c, b), -1, false).Reshape(B, T, H), weight)
		return tensor.Mul(x, score.Reshape(B, T, 1, H, 1))
	}
	heads := func(x *tensor.Tensor) *tensor.Tensor { return tensor.Transpose(x, 2, 3) }
	score := tensor.MatMulT(heads(c), heads(b)) // [B, T, H, R, R]
	if weight != nil {
		score = tensor.Mul(score, weight.Reshape(B, T, H, 1, 1))
	}
	if mask != nil {
		score = tensor.Mul(score, c.Scope().From(mask, R, R))
	}
	return heads(tensor.MatMul(score, heads(x)))
}

const maxRank = 16

// later[R], [R, R], is one where the column is greater than the row.
var later = func() (masks [maxRank + 1][]float32) {
	for R := range masks {
		for i := range R * R {
			one := float32(0)
			if i%R > i/R {
				one = 1
			}
			masks[R] = append(masks[R], one)
		}
	}
	return masks
}()

// trapezoidState adds Trapezoid's parts.
func trapezoidState(st *tensor.State, batch, R, H, N, P, A int) *tensor.State {
	return st.Add("angle", tensor.New(batch, H, A)).
		Add("ssm", tensor.New(batch, H, N, P)).
		Add("k", tensor.New(batch, R*H*N)).
		Add("v", tensor.New(batch, R*H*P)).
		Add("angle_low", tensor.New(batch, H, A))
}

// accumulate is the running sum of x over time, modulo 2π, in float64, of which
// the state is in two parts: rounded to float32, and what that leaves. Angles
// of a million tokens, in one call or in a million, are as good as those of the
// first. The gradient of the modulus is that of the sum.
func accumulate(x *tensor.Tensor, high, low *tensor.Part) *tensor.Tensor {
	const op = "ssm.accumulate"
	B, T := x.Dim(0), x.Dim(1)
	n := x.Dim(2) * x.Dim(3)
	y := tensor.Out(op, x.Shape(), x)
	high0, high1 := high.Begin(y.Scope(), op, B, x.Dim(2), x.Dim(3))
	low0, low1 := low.Begin(y.Scope(), op, B, x.Dim(2), x.Dim(3))
	if y.IsFloat64() {
		v, s := slices.Clone(x.Values64()), slices.Clone(high1.Values64())
		for i, l := range low1.Values64() {
			s[i] += l
		}
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
		high1.SetValues64(s)
		low1.SetValues64(make([]float64, len(s)))
	} else {
		x = tensor.Contiguous(x)
		in, out, h, l := x.Data(), y.Data(), high1.Data(), low1.Data()
		const block = 64 // sums side by side, in the first-level cache and not on the heap
		for b := range B {
			for lo := 0; lo < n; lo += block {
				var sums [block]float64
				hi := min(n, lo+block)
				h, l := h[b*n+lo:b*n+hi], l[b*n+lo:b*n+hi]
				for i := range h {
					sums[i] = float64(h[i]) + float64(l[i])
				}
				for t := range T {
					at := (b*T + t) * n
					to := out[at+lo : at+hi]
					for i, v := range in[at+lo : at+hi] {
						sums[i] = modulo(sums[i] + float64(v))
						to[i] = float32(sums[i])
					}
				}
				for i := range h {
					h[i] = float32(sums[i])
					l[i] = float32(sums[i] - float64(h[i]))
				}
			}
		}
		if y.Recording() {
			from := x
			tensor.OnBackward(func() { accumulateBackward(y, from, high0, low0, high1) }, y, high1)
		}
	}
	high.End(high1)
	low.End(low1)
	return y
}

// accumulateBackward: g_t = dy_t + g_{t+1}, from the gradient of what the state
// is rounded to; what is left of it does not change with the sum.
func accumulateBackward(y, x, high0, low0, high1 *tensor.Tensor) {
	B, T := x.Dim(0), x.Dim(1)
	n := x.Dim(2) * x.Dim(3)
	g := make([]float32, B*n)
	if high1.HasGrad() {
		copy(g, high1.Grad().Data())
	}
	dy := y.Grad().Data()
	var dx []float32
	if x.NeedsGrad() {
		dx = x.Grad().Data()
	}
	for b := range B {
		g := g[b*n:][:n]
		for t := T - 1; t >= 0; t-- {
			row := (b*T + t) * n
			vec.Add(g, g, dy[row:][:n])
			if dx != nil {
				vec.Add(dx[row:][:n], dx[row:][:n], g)
			}
		}
	}
	for _, start := range []*tensor.Tensor{high0, low0} {
		if start.NeedsGrad() {
			vec.Add(start.Grad().Data(), start.Grad().Data(), g)
		}
	}
}

func modulo(a float64) float64 { return a - 2*math.Pi*math.Floor(a/(2*math.Pi)) }

// sincos are the sine and the cosine of each angle, side by side; nil in a Float64 scope.
func sincos(theta *tensor.Tensor) []float32 {
	if theta.IsFloat64() {
		return nil
	}
	angles, turns := theta.Data(), theta.Scope().Floats(2*theta.Len())
	if tasks := hw.Tasks(theta.Scope().Workers(), len(angles), 15); tasks > 1 {
		sincosParallel(theta.Scope().Workers(), tasks, turns, angles)
	} else {
		sincosOf(turns, angles)
	}
	return turns
}

func sincosOf(turns, angles []float32) {
	for i, a := range angles {
		sin, cos := math.Sincos(float64(a))
		turns[2*i], turns[2*i+1] = float32(sin), float32(cos)
	}
}

func sincosParallel(workers, tasks int, turns, angles []float32) {
	hw.Parallel(workers, tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, len(angles))
		sincosOf(turns[2*lo:2*hi], angles[lo:hi])
	})
}

// rotate turns the first A pairs of elements of x [B, T, R, H, N] by theta
// [B, T, H, A], contiguous, of which turns are the sines and cosines. A pair is
// of elements that stand side by side, or N/2 apart.
func rotate(x, theta *tensor.Tensor, turns []float32, halves bool) *tensor.Tensor {
	R, H, N, A := x.Dim(2), x.Dim(3), x.Dim(4), theta.Dim(3)
	step, apart := pairing(halves, N)
	y := tensor.Out("ssm.rotate", x.Shape(), x, theta)
	if y.IsFloat64() {
		v, a := slices.Clone(x.Values64()), theta.Values64()
		for r := range len(v) / N {
			v, a := v[r*N:][:N], a[A*headOf(r, R, H):][:A]
			for i := range A {
				sin, cos := math.Sincos(a[i])
				p, q := &v[i*step], &v[i*step+apart]
				*p, *q = *p*cos-*q*sin, *p*sin+*q*cos
			}
		}
		y.SetValues64(v)
		return y
	}
	x = tensor.Contiguous(x)
	m := rotation{R, H, N, A, step, apart, turns, x.Data(), y.Data()}
	if rows := x.Len() / N; hw.Tasks(y.Scope().Workers(), rows, float64(N)) > 1 {
		m.parallel(y.Scope().Workers(), rows)
	} else {
		m.run(0, rows)
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
			back := make([]float32, N)
			for r := range len(dy) / N {
				y, dy := y.Data()[r*N:][:N], dy[r*N:][:N]
				copy(back, dy)
				for i := range A {
					k, l, a := i*step, i*step+apart, A*headOf(r, R, H)+i
					sin, cos := turns[2*a], turns[2*a+1]
					back[k], back[l] = dy[k]*cos+dy[l]*sin, dy[l]*cos-dy[k]*sin
					if da != nil {
						da[a] += dy[l]*y[k] - dy[k]*y[l]
					}
				}
				if dx != nil {
					vec.Add(dx[r*N:][:N], dx[r*N:][:N], back)
				}
			}
		}, y)
	}
	return y
}

// rotation is one call of rotate in float32.
type rotation struct {
	R, H, N, A, step, apart int
	turns, in, out          []float32
}

func (m *rotation) parallel(workers, rows int) {
	c := *m
	tasks := hw.Tasks(workers, rows, float64(m.N))
	hw.Parallel(workers, tasks, func(i int) { c.run(hw.Range(i, tasks, rows)) })
}

// run turns rows lo to hi.
func (m *rotation) run(lo, hi int) {
	step, apart := m.step, m.apart
	for r := lo; r < hi; r++ {
		in, out, turns := m.in[r*m.N:][:m.N], m.out[r*m.N:][:m.N], m.turns[2*m.A*headOf(r, m.R, m.H):][:2*m.A]
		copy(out, in)
		for i := range m.A {
			sin, cos := turns[2*i], turns[2*i+1]
			p, q := in[i*step], in[i*step+apart]
			out[i*step], out[i*step+apart] = p*cos-q*sin, p*sin+q*cos
		}
	}
}

// pairing says where pair i is: at i·step and, apart from it, its partner.
func pairing(halves bool, N int) (step, apart int) {
	if halves {
		return 1, N / 2
	}
	return 2, 1
}

// headOf is the row of [B, T, H] of a row of [B, T, R, H]: all r turn alike.
func headOf(row, R, H int) int { return row/(R*H)*H + row%H }
