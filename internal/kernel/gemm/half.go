package gemm

import "math"

// MulBF16 computes C = A·Bᵀ, or C += A·Bᵀ with acc, for a B of n×k bfloat16 numbers
// (the upper halves of float32). A is m×k (stored k×m with transA), C is m×n, both float32; sums are float32.
func MulBF16(workers int, acc, transA bool, m, n, k int, a []float32, lda int, b []uint16, ldb int, c []float32, ldc int) {
	How{}.MulBF16(workers, acc, transA, m, n, k, a, lda, b, ldb, c, ldc)
}

// MulBF16 is the function MulBF16 in this way.
func (h How) MulBF16(workers int, acc, transA bool, m, n, k int, a []float32, lda int, b []uint16, ldb int, c []float32, ldc int) {
	h.mulHalf(formBF16, workers, acc, transA, m, n, k, a, lda, b, ldb, c, ldc)
}

// MulF16 is MulBF16 for a B of IEEE 754 half-precision numbers.
func MulF16(workers int, acc, transA bool, m, n, k int, a []float32, lda int, b []uint16, ldb int, c []float32, ldc int) {
	How{}.MulF16(workers, acc, transA, m, n, k, a, lda, b, ldb, c, ldc)
}

// MulF16 is the function MulF16 in this way.
func (h How) MulF16(workers int, acc, transA bool, m, n, k int, a []float32, lda int, b []uint16, ldb int, c []float32, ldc int) {
	h.mulHalf(formF16, workers, acc, transA, m, n, k, a, lda, b, ldb, c, ldc)
}

func (h How) mulHalf(f form, workers int, acc, transA bool, m, n, k int, a []float32, lda int, b []uint16, ldb int, c []float32, ldc int) {
	check(transA, true, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	p := product{m: m, n: n, k: k, a: a, ars: lda, acs: 1, h: b, ldb: ldb, form: f, c: c, ldc: ldc, acc: acc, prec: h.Precision, after: h.After}
	if transA {
		p.ars, p.acs = 1, lda
	}
	p.run(workers)
}

func widen(f form, h uint16) float32 {
	if f == formBF16 {
		return math.Float32frombits(uint32(h) << 16)
	}
	return widenF16(h)
}

// widenF16 is the float32 equal to a half-precision number. Signalling NaNs
// become quiet, as in the instructions.
func widenF16(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0:
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	case 31:
		if frac != 0 {
			frac |= 0x200
		}
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
