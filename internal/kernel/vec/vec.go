// Package vec has the elementwise maths and the reductions of float32 slices.
//
// The length of dst (of x for reductions) decides how many elements are used;
// the other slices must be at least that long. dst may be the same slice as an
// input, but must not overlap one otherwise. The result of an element depends
// on that element alone, not on its place or on the length, so that work can be
// cut anywhere; a reduction's order depends on the length alone.
package vec

// piece bounds the elements of one assembly call, which cannot be preempted.
const piece = 1 << 15

// next is the length of the next piece of n elements.
func next(n int) int { return min(n, piece) }

// Add: dst[i] = x[i] + y[i].
func Add(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAsm {
		addGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		addAsm(&dst[0], &x[0], &y[0], n)
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// Sub: dst[i] = x[i] − y[i].
func Sub(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAsm {
		subGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		subAsm(&dst[0], &x[0], &y[0], n)
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// Mul: dst[i] = x[i] y[i].
func Mul(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAsm {
		mulGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		mulAsm(&dst[0], &x[0], &y[0], n)
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// Div: dst[i] = x[i] / y[i].
func Div(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAsm {
		divGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		divAsm(&dst[0], &x[0], &y[0], n)
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// MulAdd: dst[i] += x[i] y[i].
func MulAdd(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAsm {
		mulAddGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		mulAddAsm(&dst[0], &x[0], &y[0], n)
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// FMA: dst[i] = x[i] y[i] + z[i].
func FMA(dst, x, y, z []float32) {
	x, y, z = x[:len(dst)], y[:len(dst)], z[:len(dst)]
	if !useAsm {
		fmaGeneric(dst, x, y, z)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		fmaAsm(&dst[0], &x[0], &y[0], &z[0], n)
		dst, x, y, z = dst[n:], x[n:], y[n:], z[n:]
	}
}

// Lerp: dst[i] = x[i] + w[i] (y[i] − x[i]).
func Lerp(dst, x, y, w []float32) {
	x, y, w = x[:len(dst)], y[:len(dst)], w[:len(dst)]
	if !useAsm {
		lerpGeneric(dst, x, y, w)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		lerpAsm(&dst[0], &x[0], &y[0], &w[0], n)
		dst, x, y, w = dst[n:], x[n:], y[n:], w[n:]
	}
}

// SiLUMul: dst[i] = x[i] SiLU(g[i]), a gate.
func SiLUMul(dst, x, g []float32) {
	x, g = x[:len(dst)], g[:len(dst)]
	if !useAsm {
		siluMulGeneric(dst, x, g)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		siluMulAsm(&dst[0], &x[0], &g[0], n)
		dst, x, g = dst[n:], x[n:], g[n:]
	}
}

// Offset: dst[i] = x[i] + c.
func Offset(dst, x []float32, c float32) {
	x = x[:len(dst)]
	if !useAsm {
		offsetGeneric(dst, x, c)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		offsetAsm(&dst[0], &x[0], c, n)
		dst, x = dst[n:], x[n:]
	}
}

// Scale: dst[i] = a x[i].
func Scale(dst, x []float32, a float32) {
	x = x[:len(dst)]
	if !useAsm {
		scaleGeneric(dst, x, a)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		scaleAsm(&dst[0], &x[0], a, n)
		dst, x = dst[n:], x[n:]
	}
}

// Axpy: dst[i] += a x[i].
func Axpy(dst []float32, a float32, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		axpyGeneric(dst, a, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		axpyAsm(&dst[0], &x[0], a, n)
		dst, x = dst[n:], x[n:]
	}
}

// AxpyTo: dst[i] = a x[i] + y[i].
func AxpyTo(dst []float32, a float32, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAsm {
		axpyToGeneric(dst, a, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		axpyToAsm(&dst[0], &x[0], &y[0], a, n)
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// Exp: dst[i] = e^x[i].
func Exp(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		expGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		expAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

// Sigmoid: dst[i] = 1/(1 + e^−x[i]).
func Sigmoid(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		sigmoidGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		sigmoidAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

// SiLU: dst[i] = x[i] σ(x[i]).
func SiLU(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		siluGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		siluAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

// Softplus: dst[i] = ln(1 + e^x[i]) = max(x, 0) + log1p(e^−|x|).
func Softplus(dst, x []float32) {
	x = x[:len(dst)]
	if !useAsm {
		softplusGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		softplusAsm(&dst[0], &x[0], n)
		dst, x = dst[n:], x[n:]
	}
}

// Dot is Σ x[i] y[i].
func Dot(x, y []float32) float32 {
	y = y[:len(x)]
	if !useAsm || len(x) == 0 {
		return dotGeneric(x, y)
	}
	return dotAsm(&x[0], &y[0], len(x))
}

// Sum is Σ x[i].
func Sum(x []float32) float32 {
	if !useAsm || len(x) == 0 {
		return sumGeneric(x)
	}
	return sumAsm(&x[0], len(x))
}

// SumSq is Σ x[i]².
func SumSq(x []float32) float32 { return Dot(x, x) }
