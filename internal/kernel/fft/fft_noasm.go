//go:build purego || !(amd64 || arm64)

package dft

// butterfly runs one bounded pass; pointers and slices are the same memory, so that neither dispatch nor assembly makes buffers escape.
func butterfly(k pass, blocks, n, stride int, _, _, _, _ *float32, res, ims, tws, t4s []float32, b int) {
	butterflyGeneric(k, blocks, n, stride, res, ims, tws, t4s, b)
}

func mul(dr, di, ar, ai []float32) {
	mulGeneric(dr, di, ar, ai)
}

func mulConj(dr, di, ar, ai []float32) {
	mulConjGeneric(dr, di, ar, ai)
}

func addMulConj(dr, di, ar, ai, br, bi []float32) {
	addMulConjGeneric(dr, di, ar, ai, br, bi)
}

func copyRows(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	copyRowsGeneric(rows, lanes, dst, ds, src, ss)
}

func addRows(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	addRowsGeneric(rows, lanes, dst, ds, src, ss)
}

func gatherRows(rows, lanes int, dst []float32, ds int, src []float32, ss int, idx []int32, scale float32) {
	gatherRowsGeneric(rows, lanes, dst, ds, src, ss, idx, scale)
}

func mulRows(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	mulRowsGeneric(rows, lanes, dst, ds, a, as, b, bs)
}

func addMulRows(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	addMulRowsGeneric(rows, lanes, dst, ds, a, as, b, bs)
}

func dotRows(count int, y, a []float32, ai, as int, b []float32, bi, bs int) {
	dotRowsGeneric(count, y, a, ai, as, b, bi, bs)
}

func pair(pr, pi, qr, qi, ar, ai, br, bi []float32, g *[3]float32) {
	pairGeneric(pr, pi, qr, qi, ar, ai, br, bi, g)
}

func dftRow(r, n, stride int, dr, di, sr, si, mat []float32) {
	dftRowGeneric(r, n, stride, dr, di, sr, si, mat)
}

func fold(blocks, r, n int, dr, di, sr, si, coef []float32) {
	foldGeneric(blocks, r, n, dr, di, sr, si, coef)
}

func unfold(blocks, r, n int, dr, di, sr, si, coef []float32) {
	unfoldGeneric(blocks, r, n, dr, di, sr, si, coef)
}
