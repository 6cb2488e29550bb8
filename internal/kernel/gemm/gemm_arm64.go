//go:build !purego

package gemm

func micro(rows, cols, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	microGeneric(rows, cols, k, a, ars, acs, b, ldb, c, ldc, acc)
}

func wideStep(rows int) int { return blk.wide }

func transpose(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	transposeGeneric(rows, cols, src, lds, dst, ldd)
}

func transposeHalf(f form, rows, cols int, src []uint16, lds int, dst []float32, ldd int) {
	transposeHalfGeneric(f, rows, cols, src, lds, dst, ldd)
}

func copyRows(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	copyRowsGeneric(rows, cols, src, lds, dst, ldd)
}

func dots(nx, nw, k int, x []float32, ldx int, w []float32, ldw int, c []float32, cis, cjs int, acc bool) {
	dotsGeneric(nx, nw, k, x, ldx, w, ldw, c, cis, cjs, acc)
}

func dotsHalf(f form, nx, nw, k int, x []float32, ldx int, w []uint16, ldw int, c []float32, cis, cjs int, acc bool) {
	dotsHalfGeneric(f, nx, nw, k, x, ldx, w, ldw, c, cis, cjs, acc)
}

func peakLoop(n int) float64 { return peakLoopGeneric(n) }

func readLoop(x []float32) float32 { return readLoopGeneric(x) }
