//go:build !purego

package gemm

import "unsafe"

// The assembly is printed by internal/asmgen/matvec.go.

// matvec… sets y[r] to row r of w, ldw bytes apart, times x, for n blocks a row, n > 0.
// half is halves; sums and x are what prepare leaves; tmp has room for 16.
//
//go:noescape
func matvecQ80AVX2(rows, n int, w *byte, ldw int, x, y, half, sums, tmp *float32)

//go:noescape
func matvecQ40AVX2(rows, n int, w *byte, ldw int, x, y, half, sums, tmp *float32)

//go:noescape
func matvecQ4KAVX2(rows, n int, w *byte, ldw int, x, y, half, sums, tmp *float32)

//go:noescape
func matvecQ6KAVX2(rows, n int, w *byte, ldw int, x, y, half, sums, tmp *float32)

// prepQ40… sets 48 numbers for each block of 32 of x: with x₁ and x₂ its halves, x₁ − x₂/16, −8(x₁+x₂) and x₂/16.
//
//go:noescape
func prepQ40AVX2(dst, x *float32, blocks int)

// sums32AVX2 sets dst[i] to the sum of the i-th 32 numbers of x.
//
//go:noescape
func sums32AVX2(dst, x *float32, groups int)

// prepare brings x into the form that the type's kernel takes, in s: for Q4_0 another vector, for Q4_K the sums of its groups.
func (q Quant) prepare(s *scratch, x []float32) (y, sums []float32) {
	switch {
	case q == Q4_0:
		y = s.bufA(len(x) / 32 * 48)
		prepQ40AVX2(&y[0], &x[0], len(x)/32)
		return y, x
	case q == Q4_K:
		sums = s.bufA(len(x) / 32)
		sums32AVX2(&sums[0], &x[0], len(x)/32)
		return x, sums
	}
	return x, x
}

// matvecVector is the number of terms in a vector, of which a row of plain numbers is a multiple; 0
// for no kernel. Blocks have kernels of AVX2 only: where there is more, they are multiplied from panels.
func matvecVector(f form) int {
	switch {
	case useAVX512 && f != formQuant:
		return 16
	case useAVX2:
		return 8
	}
	return 0
}

// matvecRows sets y[r] to row r of w, ldw bytes apart, times x as prepare left it.
func matvecRows(q Quant, n int, w unsafe.Pointer, ldw int, x, sums, y []float32) {
	var tmp [16]float32
	rows, b, half := len(y), (*byte)(w), &halves()[0]
	switch {
	case q == Q8_0:
		matvecQ80AVX2(rows, n, b, ldw, &x[0], &y[0], half, &sums[0], &tmp[0])
	case q == Q4_0:
		matvecQ40AVX2(rows, n, b, ldw, &x[0], &y[0], half, &sums[0], &tmp[0])
	case q == Q4_K:
		matvecQ4KAVX2(rows, n, b, ldw, &x[0], &y[0], half, &sums[0], &tmp[0])
	default:
		matvecQ6KAVX2(rows, n, b, ldw, &x[0], &y[0], half, &sums[0], &tmp[0])
	}
}

// matmat… sets y[i*ldy+r] to row r of w times the i-th of 2 or 4 vectors, which are
// interleaved: a vector register of each, in turn. n counts blocks, or pairs of vector registers of plain numbers.
//
//go:noescape
func matmatF322AVX512(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatF322AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatF324AVX512(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatF324AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatBF162AVX512(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatBF162AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatBF164AVX512(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatBF164AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatF162AVX512(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatF162AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatF164AVX512(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatF164AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatQ802AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatQ804AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatQ402AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatQ404AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatQ4K2AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatQ4K4AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatQ6K2AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

//go:noescape
func matmatQ6K4AVX2(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)

// matmatRows sets y[i*ldy+r] to row r of w times the i-th of nx vectors.
func matmatRows(nx int, f form, q Quant, rows, n int, w unsafe.Pointer, ldw int, x, y []float32, ldy int) {
	var tmp [16]float32
	b, half := (*byte)(w), &halves()[0]
	k := matmatKind(f, q)
	switch {
	case useAVX512 && f != formQuant && nx == 2:
		switch k {
		case kindF32:
			matmatF322AVX512(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindBF16:
			matmatBF162AVX512(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindF16:
			matmatF162AVX512(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		}
	case useAVX512 && f != formQuant && nx == 4:
		switch k {
		case kindF32:
			matmatF324AVX512(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindBF16:
			matmatBF164AVX512(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindF16:
			matmatF164AVX512(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		}
	case useAVX2 && nx == 2:
		switch k {
		case kindF32:
			matmatF322AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindBF16:
			matmatBF162AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindF16:
			matmatF162AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindQ80:
			matmatQ802AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindQ40:
			matmatQ402AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindQ4K:
			matmatQ4K2AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindQ6K:
			matmatQ6K2AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		}
	case useAVX2 && nx == 4:
		switch k {
		case kindF32:
			matmatF324AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindBF16:
			matmatBF164AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindF16:
			matmatF164AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindQ80:
			matmatQ804AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindQ40:
			matmatQ404AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindQ4K:
			matmatQ4K4AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		case kindQ6K:
			matmatQ6K4AVX2(rows, n, b, ldw, &x[0], &y[0], ldy, half, &tmp[0])
		}
	}
}

// The kinds of weights that have kernels.
const (
	kindF32 = iota
	kindBF16
	kindF16
	kindQ80
	kindQ40
	kindQ4K
	kindQ6K
)

func matmatKind(f form, q Quant) int {
	switch f {
	case formCols:
		return kindF32
	case formBF16:
		return kindBF16
	case formF16:
		return kindF16
	}
	return kindQ80 + int(q)
}
