//go:build !purego

package gemm

import "unsafe"

// The assembly is printed by internal/asmgen/streams.go.

// streams… sets y[i*yapart+r] to row r of the i-th of four matrices that lie apart bytes apart, rows ldw
// bytes apart, times x, for n > 0 vectors of numbers a row.
//
//go:noescape
func streamsF32AVX512(rows, n int, w *byte, ldw, apart int, x, y *float32, yapart int)

//go:noescape
func streamsF32AVX2(rows, n int, w *byte, ldw, apart int, x, y *float32, yapart int)

//go:noescape
func streamsBF16AVX512(rows, n int, w *byte, ldw, apart int, x, y *float32, yapart int)

//go:noescape
func streamsBF16AVX2(rows, n int, w *byte, ldw, apart int, x, y *float32, yapart int)

//go:noescape
func streamsF16AVX512(rows, n int, w *byte, ldw, apart int, x, y *float32, yapart int)

//go:noescape
func streamsF16AVX2(rows, n int, w *byte, ldw, apart int, x, y *float32, yapart int)

func matvecStreams(f form, rows, n int, w unsafe.Pointer, ldw, apart int, x, y []float32, yapart int) {
	b := (*byte)(w)
	switch {
	case f == formCols && useAVX512:
		streamsF32AVX512(rows, n, b, ldw, apart, &x[0], &y[0], yapart)
	case f == formCols:
		streamsF32AVX2(rows, n, b, ldw, apart, &x[0], &y[0], yapart)
	case f == formBF16 && useAVX512:
		streamsBF16AVX512(rows, n, b, ldw, apart, &x[0], &y[0], yapart)
	case f == formBF16:
		streamsBF16AVX2(rows, n, b, ldw, apart, &x[0], &y[0], yapart)
	case useAVX512:
		streamsF16AVX512(rows, n, b, ldw, apart, &x[0], &y[0], yapart)
	default:
		streamsF16AVX2(rows, n, b, ldw, apart, &x[0], &y[0], yapart)
	}
}
