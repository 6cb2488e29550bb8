package vec

import "math"

func expGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = exp(v)
	}
}

// exp computes in float64, where a Taylor polynomial of degree 7 on
// |r| ≤ ln2/2 has relative error 5e-9, and rounds once: at most 0.55 ulp.
func exp(v float32) float32 {
	x := float64(v)
	switch {
	case x > 89:
		return float32(math.Inf(1))
	case x < -104:
		return 0
	case x != x:
		return v
	}
	k := math.Floor(x*math.Log2E + 0.5)
	r := x - k*math.Ln2
	p := 1 + r*(1+r*(1.0/2+r*(1.0/6+r*(1.0/24+r*(1.0/120+r*(1.0/720+r*(1.0/5040)))))))
	return float32(p * math.Float64frombits(uint64(int64(k)+1023)<<52))
}

// ExpSub: dst[i] = e^(x[i]−m); it returns the sum.
func ExpSub(dst, x []float32, m float32) float32 { return ExpSum(dst, x, 1, -m) }

// ExpSum: dst[i] = e^(a x[i] + c); it returns the sum.
func ExpSum(dst, x []float32, a, c float32) (sum float32) {
	x = x[:len(dst)]
	if !useAsm {
		for i, v := range x {
			dst[i] = a*v + c
		}
		expGeneric(dst, dst)
		return sumGeneric(dst)
	}
	for n := min(len(dst), sumPiece); n > 0; n = min(len(dst), sumPiece) {
		sum += expSumAsm(&dst[0], &x[0], a, c, n)
		dst, x = dst[n:], x[n:]
	}
	return sum
}

// sumPiece is the elements that ExpSum adds up in one vector: sums of sums round less.
const sumPiece = 1 << 12

// Log: dst[i] = ln x[i].
func Log(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		logGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		logAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func logGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = float32(math.Log(float64(v)))
	}
}

// Log1p: dst[i] = ln(1 + x[i]).
func Log1p(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		log1pGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		log1pAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func log1pGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = float32(math.Log1p(float64(v)))
	}
}

func sigmoid(v float32) float32 { return 1 / (1 + exp(-v)) }

func sigmoidGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = sigmoid(v)
	}
}

// silu of −Inf is 0 as the limit is, not the NaN of −Inf·0.
func silu(v float32) float32 {
	if v < -104 {
		return 0
	}
	return v / (1 + exp(-v))
}

func siluGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = silu(v)
	}
}

func siluMulGeneric(dst, x, g []float32) {
	g = g[:len(dst)]
	for i, v := range x[:len(dst)] {
		dst[i] = v * silu(g[i])
	}
}

func softplusGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		a := float64(v)
		if a != a {
			dst[i] = v
			continue
		}
		dst[i] = float32(max(a, 0) + math.Log1p(math.Exp(-math.Abs(a))))
	}
}

// Tanh: dst[i] = tanh x[i].
func Tanh(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		tanhGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		tanhAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func tanhGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = float32(math.Tanh(float64(v)))
	}
}

// GELU: dst[i] = x[i] Φ(x[i]), with the exact Φ.
func GELU(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		geluGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		geluAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func geluGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		a := float64(v)
		if a < -40 {
			dst[i] = 0
			continue
		}
		dst[i] = float32(a * 0.5 * math.Erfc(-a/math.Sqrt2))
	}
}

// GELUTanh is GELU's approximation by tanh, ½x(1 + tanh(√(2/π)(x + 0.044715x³))).
func GELUTanh(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		geluTanhGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		geluTanhAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func geluTanhGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		a := float64(v)
		if a < -40 {
			dst[i] = 0
			continue
		}
		dst[i] = float32(0.5 * a * (1 + math.Tanh(geluC*(a+0.044715*a*a*a))))
	}
}

const geluC = 0.79788456080286535588 // √(2/π)

// ReLU: dst[i] = max(x[i], 0).
func ReLU(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		reluGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		reluAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func reluGeneric(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] = max(v, 0)
	}
}

// ReLU2: dst[i] = max(x[i], 0)².
func ReLU2(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		relu2Generic(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		relu2Asm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

func relu2Generic(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		r := max(v, 0)
		dst[i] = r * r
	}
}

// Max is the largest x[i], −Inf for none; NaN if there is one.
func Max(x []float32) float32 {
	if useAsm && len(x) >= 16 {
		return maxAsm(&x[0], len(x))
	}
	m := float32(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

// SigmoidGrad: dst[i] += dy[i] y(1−y), with y = σ(x).
func SigmoidGrad(dst, dy, y []float32) {
	dy, y = dy[:len(dst)], y[:len(dst)]
	if !useAsm {
		sigmoidGradGeneric(dst, dy, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		sigmoidGradAsm(&dst[0], &dy[0], &y[0], n)
		dst, dy, y = dst[n:], dy[n:], y[n:]
	}
}

func sigmoidGradGeneric(dst, dy, y []float32) {
	dy = dy[:len(dst)]
	for i, v := range y[:len(dst)] {
		dst[i] += dy[i] * v * (1 - v)
	}
}

// SiLUGrad: dst[i] += dy[i] SiLU′(x[i]).
func SiLUGrad(dst, dy, x []float32) {
	dy, x = dy[:len(dst)], x[:len(dst)]
	if !useAsm {
		siluGradGeneric(dst, dy, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		siluGradAsm(&dst[0], &dy[0], &x[0], n)
		dst, dy, x = dst[n:], dy[n:], x[n:]
	}
}

func siluGradGeneric(dst, dy, x []float32) {
	dy = dy[:len(dst)]
	for i, v := range x[:len(dst)] {
		v = max(min(v, 104), -104) // where it is 0 or 1
		dst[i] += dy[i] * sigmoid(v) * (1 + v*sigmoid(-v))
	}
}

// SoftplusGrad: dst[i] += dy[i] σ(x[i]).
func SoftplusGrad(dst, dy, x []float32) {
	dy, x = dy[:len(dst)], x[:len(dst)]
	if !useAsm {
		softplusGradGeneric(dst, dy, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		softplusGradAsm(&dst[0], &dy[0], &x[0], n)
		dst, dy, x = dst[n:], dy[n:], x[n:]
	}
}

func softplusGradGeneric(dst, dy, x []float32) {
	dy = dy[:len(dst)]
	for i, v := range x[:len(dst)] {
		dst[i] += dy[i] * sigmoid(v)
	}
}

// TanhGrad: dst[i] += dy[i] (1 − y²), with y = tanh x.
func TanhGrad(dst, dy, y []float32) {
	dy, y = dy[:len(dst)], y[:len(dst)]
	if !useAsm {
		tanhGradGeneric(dst, dy, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		tanhGradAsm(&dst[0], &dy[0], &y[0], n)
		dst, dy, y = dst[n:], dy[n:], y[n:]
	}
}

func tanhGradGeneric(dst, dy, y []float32) {
	dy = dy[:len(dst)]
	for i, v := range y[:len(dst)] {
		dst[i] += dy[i] * (1 - v*v)
	}
}

// GELUGrad: dst[i] += dy[i] (Φ(x) + x φ(x)).
func GELUGrad(dst, dy, x []float32) {
	dy, x = dy[:len(dst)], x[:len(dst)]
	if !useAsm {
		geluGradGeneric(dst, dy, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		geluGradAsm(&dst[0], &dy[0], &x[0], n)
		dst, dy, x = dst[n:], dy[n:], x[n:]
	}
}

func geluGradGeneric(dst, dy, x []float32) {
	dy = dy[:len(dst)]
	for i, v := range x[:len(dst)] {
		a := max(min(float64(v), 40), -40)
		g := 0.5*math.Erfc(-a/math.Sqrt2) + a*math.Exp(-a*a/2)/math.Sqrt(2*math.Pi)
		dst[i] += dy[i] * float32(g)
	}
}

// GELUTanhGrad: dst[i] += dy[i] GELUTanh′(x[i]).
func GELUTanhGrad(dst, dy, x []float32) {
	dy, x = dy[:len(dst)], x[:len(dst)]
	if !useAsm {
		geluTanhGradGeneric(dst, dy, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		geluTanhGradAsm(&dst[0], &dy[0], &x[0], n)
		dst, dy, x = dst[n:], dy[n:], x[n:]
	}
}

func geluTanhGradGeneric(dst, dy, x []float32) {
	dy = dy[:len(dst)]
	for i, v := range x[:len(dst)] {
		a := max(min(float64(v), 40), -40)
		t := math.Tanh(geluC * (a + 0.044715*a*a*a))
		g := 0.5*(1+t) + 0.5*a*(1-t*t)*geluC*(1+3*0.044715*a*a)
		dst[i] += dy[i] * float32(g)
	}
}

// ReLU2Grad: dst[i] += 2 dy[i] max(x[i], 0).
func ReLU2Grad(dst, dy, x []float32) {
	dy, x = dy[:len(dst)], x[:len(dst)]
	if !useAsm {
		relu2GradGeneric(dst, dy, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		relu2GradAsm(&dst[0], &dy[0], &x[0], n)
		dst, dy, x = dst[n:], dy[n:], x[n:]
	}
}

func relu2GradGeneric(dst, dy, x []float32) {
	dy = dy[:len(dst)]
	for i, v := range x[:len(dst)] {
		dst[i] += dy[i] * 2 * max(v, 0)
	}
}
