// Package vec has the elementwise maths and the reductions of float32 slices.
//
// The length of dst (of x for reductions) decides how many elements are used;
// the other slices must be at least that long. dst may be the same slice as an
// input, but must not overlap one otherwise. The result of an element depends
// on that element alone, not on its place or on the length, so that work can be
// cut anywhere; a reduction's order depends on the length alone.
package vec

// Add: dst[i] = x[i] + y[i].
func Add(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] + y[i]
	}
}

// Sub: dst[i] = x[i] − y[i].
func Sub(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] - y[i]
	}
}

// Mul: dst[i] = x[i] y[i].
func Mul(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}

// Div: dst[i] = x[i] / y[i].
func Div(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] / y[i]
	}
}

// Offset: dst[i] = x[i] + c.
func Offset(dst, x []float32, c float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = x[i] + c
	}
}

// Scale: dst[i] = a x[i].
func Scale(dst, x []float32, a float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = a * x[i]
	}
}

// Axpy: dst[i] += a x[i].
func Axpy(dst []float32, a float32, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += a * x[i]
	}
}

// MulAdd: dst[i] += x[i] y[i].
func MulAdd(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] += x[i] * y[i]
	}
}

// Dot is Σ x[i] y[i].
func Dot(x, y []float32) float32 {
	y = y[:len(x)]
	var s [8]float32
	n := len(x) &^ 7
	for i := 0; i < n; i += 8 {
		a, b := x[i:i+8:i+8], y[i:i+8:i+8]
		for j := range s {
			s[j] += a[j] * b[j]
		}
	}
	for i := n; i < len(x); i++ {
		s[i-n] += x[i] * y[i]
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// Sum is Σ x[i].
func Sum(x []float32) float32 {
	var s [8]float32
	n := len(x) &^ 7
	for i := 0; i < n; i += 8 {
		a := x[i : i+8 : i+8]
		for j := range s {
			s[j] += a[j]
		}
	}
	for i := n; i < len(x); i++ {
		s[i-n] += x[i]
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// SumSq is Σ x[i]².
func SumSq(x []float32) float32 { return Dot(x, x) }
