// Package vec has the elementwise maths and the reductions of float32 slices.
//
// The length of dst (of x for reductions) decides how many elements are used;
// the other slices must be at least that long. dst may be the same slice as an
// input, but must not overlap one otherwise. The result of an element depends
// on that element alone, not on its place or on the length, so that work can be
// cut anywhere; a reduction's order depends on the length alone.
package vec

import "github.com/subquad/subquad/hw"

var useAVX512, useAVX2 bool

func init() {
	hw.OnLevel(func(l hw.Level) { useAVX512, useAVX2 = l.Has(hw.AVX512), l.Has(hw.AVX2) })
}

// piece bounds the elements of one assembly call, which cannot be preempted.
const piece = 1 << 15

// next is the length of the next piece of n elements.
func next(n int) int { return min(n, piece) }

// Add: dst[i] = x[i] + y[i].
func Add(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAVX2 {
		addGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			addAVX512(&dst[0], &x[0], &y[0], n)
		} else {
			addAVX2(&dst[0], &x[0], &y[0], n)
		}
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// Sub: dst[i] = x[i] − y[i].
func Sub(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAVX2 {
		subGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			subAVX512(&dst[0], &x[0], &y[0], n)
		} else {
			subAVX2(&dst[0], &x[0], &y[0], n)
		}
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// Mul: dst[i] = x[i] y[i].
func Mul(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAVX2 {
		mulGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			mulAVX512(&dst[0], &x[0], &y[0], n)
		} else {
			mulAVX2(&dst[0], &x[0], &y[0], n)
		}
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// Div: dst[i] = x[i] / y[i].
func Div(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAVX2 {
		divGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			divAVX512(&dst[0], &x[0], &y[0], n)
		} else {
			divAVX2(&dst[0], &x[0], &y[0], n)
		}
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// MulAdd: dst[i] += x[i] y[i].
func MulAdd(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if !useAVX2 {
		mulAddGeneric(dst, x, y)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			mulAddAVX512(&dst[0], &x[0], &y[0], n)
		} else {
			mulAddAVX2(&dst[0], &x[0], &y[0], n)
		}
		dst, x, y = dst[n:], x[n:], y[n:]
	}
}

// SiLUMul: dst[i] = x[i] SiLU(g[i]), a gate.
func SiLUMul(dst, x, g []float32) {
	x, g = x[:len(dst)], g[:len(dst)]
	if !useAVX2 {
		siluMulGeneric(dst, x, g)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			siluMulAVX512(&dst[0], &x[0], &g[0], n)
		} else {
			siluMulAVX2(&dst[0], &x[0], &g[0], n)
		}
		dst, x, g = dst[n:], x[n:], g[n:]
	}
}

// Offset: dst[i] = x[i] + c.
func Offset(dst, x []float32, c float32) {
	x = x[:len(dst)]
	if !useAVX2 {
		offsetGeneric(dst, x, c)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			offsetAVX512(&dst[0], &x[0], c, n)
		} else {
			offsetAVX2(&dst[0], &x[0], c, n)
		}
		dst, x = dst[n:], x[n:]
	}
}

// Scale: dst[i] = a x[i].
func Scale(dst, x []float32, a float32) {
	x = x[:len(dst)]
	if !useAVX2 {
		scaleGeneric(dst, x, a)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			scaleAVX512(&dst[0], &x[0], a, n)
		} else {
			scaleAVX2(&dst[0], &x[0], a, n)
		}
		dst, x = dst[n:], x[n:]
	}
}

// Axpy: dst[i] += a x[i].
func Axpy(dst []float32, a float32, x []float32) {
	x = x[:len(dst)]
	if !useAVX2 {
		axpyGeneric(dst, a, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			axpyAVX512(&dst[0], &x[0], a, n)
		} else {
			axpyAVX2(&dst[0], &x[0], a, n)
		}
		dst, x = dst[n:], x[n:]
	}
}

// Exp: dst[i] = e^x[i].
func Exp(dst, x []float32) {
	x = x[:len(dst)]
	if !useAVX2 {
		expGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			expAVX512(&dst[0], &x[0], n)
		} else {
			expAVX2(&dst[0], &x[0], n)
		}
		dst, x = dst[n:], x[n:]
	}
}

// Sigmoid: dst[i] = 1/(1 + e^−x[i]).
func Sigmoid(dst, x []float32) {
	x = x[:len(dst)]
	if !useAVX2 {
		sigmoidGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			sigmoidAVX512(&dst[0], &x[0], n)
		} else {
			sigmoidAVX2(&dst[0], &x[0], n)
		}
		dst, x = dst[n:], x[n:]
	}
}

// SiLU: dst[i] = x[i] σ(x[i]).
func SiLU(dst, x []float32) {
	x = x[:len(dst)]
	if !useAVX2 {
		siluGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			siluAVX512(&dst[0], &x[0], n)
		} else {
			siluAVX2(&dst[0], &x[0], n)
		}
		dst, x = dst[n:], x[n:]
	}
}

// Softplus: dst[i] = ln(1 + e^x[i]) = max(x, 0) + log1p(e^−|x|).
func Softplus(dst, x []float32) {
	x = x[:len(dst)]
	if !useAVX2 {
		softplusGeneric(dst, x)
		return
	}
	for n := next(len(dst)); n > 0; n = next(len(dst)) {
		if useAVX512 {
			softplusAVX512(&dst[0], &x[0], n)
		} else {
			softplusAVX2(&dst[0], &x[0], n)
		}
		dst, x = dst[n:], x[n:]
	}
}

// Dot is Σ x[i] y[i].
func Dot(x, y []float32) float32 {
	y = y[:len(x)]
	if !useAVX2 || len(x) == 0 {
		return dotGeneric(x, y)
	}
	if useAVX512 {
		return dotAVX512(&x[0], &y[0], len(x))
	}
	return dotAVX2(&x[0], &y[0], len(x))
}

// Sum is Σ x[i].
func Sum(x []float32) float32 {
	if !useAVX2 || len(x) == 0 {
		return sumGeneric(x)
	}
	if useAVX512 {
		return sumAVX512(&x[0], len(x))
	}
	return sumAVX2(&x[0], len(x))
}

// SumSq is Σ x[i]².
func SumSq(x []float32) float32 { return Dot(x, x) }
