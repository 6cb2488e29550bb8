//go:build purego || !amd64

package gemm

import "unsafe"

func matvecVector(f form) int { return 0 }

func (q Quant) prepare(s *scratch, x []float32) (y, sums []float32) { return x, x }

func matvecRows(q Quant, n int, w unsafe.Pointer, ldw int, x, sums, y []float32) {
	panic("gemm: no kernel")
}

func matvecStreams(f form, rows, n int, w unsafe.Pointer, ldw, apart int, x, y []float32, yapart int) {
	panic("gemm: no kernel")
}

func matmatRows(nx int, f form, q Quant, rows, n int, w unsafe.Pointer, ldw int, x, y []float32, ldy int) {
	panic("gemm: no kernel")
}
