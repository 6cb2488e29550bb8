//go:build !purego

package dft

import "github.com/subquad/subquad/hw"

var useAVX512, useAVX2 bool

func init() {
	hw.OnLevel(func(l hw.Level) { useAVX512, useAVX2 = l.Has(hw.AVX512), l.Has(hw.AVX2) })
}

// butterfly runs one bounded pass; pointers and slices are the same memory, so that neither dispatch nor assembly makes buffers escape.
func butterfly(k pass, blocks, n, stride int, re, im, tw, t4 *float32, res, ims, tws, t4s []float32, b int) {
	switch {
	case useAVX512:
		switch k {
		case fwd2:
			fwd2AVX512(blocks, n, stride, re, im, tw)
		case fwd4:
			fwd4AVX512(blocks, n, stride, re, im, tw)
		case inv2:
			inv2AVX512(blocks, n, stride, re, im, tw)
		case inv4:
			inv4AVX512(blocks, n, stride, re, im, tw)
		case fwd8:
			fwd8AVX512(blocks, n, stride, re, im, tw, t4)
		case inv8:
			inv8AVX512(blocks, n, stride, re, im, tw, t4)
		}
	case useAVX2:
		switch k {
		case fwd2:
			fwd2AVX2(blocks, n, stride, re, im, tw)
		case fwd4:
			fwd4AVX2(blocks, n, stride, re, im, tw)
		case inv2:
			inv2AVX2(blocks, n, stride, re, im, tw)
		case inv4:
			inv4AVX2(blocks, n, stride, re, im, tw)
		case fwd8: // 16 registers do not hold eight streams: two passes
			if n == stride {
				fwd2AVX2(blocks, 4*n, 4*n, re, im, tw)
			} else {
				for c := range 4 * blocks {
					o := (c/4*8 + c%4) * stride
					fwd2AVX2(1, n, 4*stride, &res[o], &ims[o], &tws[c/4*2])
				}
			}
			fwd4AVX2(2*blocks, n, stride, re, im, t4)
		case inv8:
			inv4AVX2(2*blocks, n, stride, re, im, t4)
			if n == stride {
				inv2AVX2(blocks, 4*n, 4*n, re, im, tw)
			} else {
				for c := range 4 * blocks {
					o := (c/4*8 + c%4) * stride
					inv2AVX2(1, n, 4*stride, &res[o], &ims[o], &tws[c/4*2])
				}
			}
		}
	default:
		butterflyGeneric(k, blocks, n, stride, res, ims, tws, t4s, b)
	}
}

func mul(dr, di, ar, ai []float32) {
	switch {
	case useAVX512:
		mulAVX512(len(dr), &dr[0], &di[0], &ar[0], &ai[0])
	case useAVX2:
		mulAVX2(len(dr), &dr[0], &di[0], &ar[0], &ai[0])
	default:
		mulGeneric(dr, di, ar, ai)
	}
}

func mulConj(dr, di, ar, ai []float32) {
	switch {
	case useAVX512:
		mulConjAVX512(len(dr), &dr[0], &di[0], &ar[0], &ai[0])
	case useAVX2:
		mulConjAVX2(len(dr), &dr[0], &di[0], &ar[0], &ai[0])
	default:
		mulConjGeneric(dr, di, ar, ai)
	}
}

func addMulConj(dr, di, ar, ai, br, bi []float32) {
	switch {
	case useAVX512:
		addMulConjAVX512(len(dr), &dr[0], &di[0], &ar[0], &ai[0], &br[0], &bi[0])
	case useAVX2:
		addMulConjAVX2(len(dr), &dr[0], &di[0], &ar[0], &ai[0], &br[0], &bi[0])
	default:
		addMulConjGeneric(dr, di, ar, ai, br, bi)
	}
}

func copyRows(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	switch {
	case useAVX512:
		copyRowsAVX512(rows, lanes, &dst[0], ds, &src[0], ss)
	case useAVX2:
		copyRowsAVX2(rows, lanes, &dst[0], ds, &src[0], ss)
	default:
		copyRowsGeneric(rows, lanes, dst, ds, src, ss)
	}
}

func addRows(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	switch {
	case useAVX512:
		addRowsAVX512(rows, lanes, &dst[0], ds, &src[0], ss)
	case useAVX2:
		addRowsAVX2(rows, lanes, &dst[0], ds, &src[0], ss)
	default:
		addRowsGeneric(rows, lanes, dst, ds, src, ss)
	}
}

func gatherRows(rows, lanes int, dst []float32, ds int, src []float32, ss int, idx []int32, scale float32) {
	switch {
	case useAVX512:
		gatherRowsAVX512(rows, lanes, &dst[0], ds, &src[0], ss, &idx[0], &scale)
	case useAVX2:
		gatherRowsAVX2(rows, lanes, &dst[0], ds, &src[0], ss, &idx[0], &scale)
	default:
		gatherRowsGeneric(rows, lanes, dst, ds, src, ss, idx, scale)
	}
}

func fold(blocks, r, n int, dr, di, sr, si, coef []float32) {
	switch {
	case useAVX512:
		foldAVX512(blocks, r, n, &dr[0], &di[0], &sr[0], &si[0], &coef[0])
	case useAVX2:
		foldAVX2(blocks, r, n, &dr[0], &di[0], &sr[0], &si[0], &coef[0])
	default:
		foldGeneric(blocks, r, n, dr, di, sr, si, coef)
	}
}

func unfold(blocks, r, n int, dr, di, sr, si, coef []float32) {
	switch {
	case useAVX512:
		unfoldAVX512(blocks, r, n, &dr[0], &di[0], &sr[0], &si[0], &coef[0])
	case useAVX2:
		unfoldAVX2(blocks, r, n, &dr[0], &di[0], &sr[0], &si[0], &coef[0])
	default:
		unfoldGeneric(blocks, r, n, dr, di, sr, si, coef)
	}
}

func mulRows(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	switch {
	case useAVX512:
		mulRowsAVX512(rows, lanes, &dst[0], ds, &a[0], as, &b[0], bs)
	case useAVX2:
		mulRowsAVX2(rows, lanes, &dst[0], ds, &a[0], as, &b[0], bs)
	default:
		mulRowsGeneric(rows, lanes, dst, ds, a, as, b, bs)
	}
}

func addMulRows(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	switch {
	case useAVX512:
		addMulRowsAVX512(rows, lanes, &dst[0], ds, &a[0], as, &b[0], bs)
	case useAVX2:
		addMulRowsAVX2(rows, lanes, &dst[0], ds, &a[0], as, &b[0], bs)
	default:
		addMulRowsGeneric(rows, lanes, dst, ds, a, as, b, bs)
	}
}

func dotRows(count int, y, a []float32, ai, as int, b []float32, bi, bs int) {
	switch {
	case useAVX512:
		dotRowsAVX512(len(y), count, &y[0], &a[ai], as, &b[bi], bs)
	case useAVX2:
		dotRowsAVX2(len(y), count, &y[0], &a[ai], as, &b[bi], bs)
	default:
		dotRowsGeneric(count, y, a, ai, as, b, bi, bs)
	}
}

func pair(pr, pi, qr, qi, ar, ai, br, bi []float32, g *[3]float32) {
	switch {
	case useAVX512:
		pairAVX512(len(pr), &ar[0], &ai[0], &br[0], &bi[0], &pr[0], &pi[0], &qr[0], &qi[0], &g[0])
	case useAVX2:
		pairAVX2(len(pr), &ar[0], &ai[0], &br[0], &bi[0], &pr[0], &pi[0], &qr[0], &qi[0], &g[0])
	default:
		pairGeneric(pr, pi, qr, qi, ar, ai, br, bi, g)
	}
}

func dftRow(r, n, stride int, dr, di, sr, si, mat []float32) {
	switch {
	case useAVX512:
		dftAVX512(r, n, stride, &dr[0], &di[0], &sr[0], &si[0], &mat[0])
	case useAVX2:
		dftAVX2(r, n, stride, &dr[0], &di[0], &sr[0], &si[0], &mat[0])
	default:
		dftRowGeneric(r, n, stride, dr, di, sr, si, mat)
	}
}

// Registers: pointers AX, SI, DI, R8–R15 in order of the arguments, counts in BX, CX, DX; the tail's mask in K1 (AVX-512).
// Pointers may be unaligned; nothing past n floats (lanes) is read or written.

// fwd2AVX512: for each block, with t = tw[0]+i·tw[1] (tw advances by 2): x0, x1 = x0+t·x1, x0−t·x1 over n floats, streams stride floats apart.
//
//go:noescape
func fwd2AVX512(blocks, n, stride int, re, im, tw *float32)

// inv2AVX512: x0, x1 = x0+x1, conj(t)·(x0−x1).
//
//go:noescape
func inv2AVX512(blocks, n, stride int, re, im, tw *float32)

// fwd4AVX512: radix 4 of the same: see Fwd4; tw has t, t², t³ and advances by 6.
//
//go:noescape
func fwd4AVX512(blocks, n, stride int, re, im, tw *float32)

// inv4AVX512: the inverse of fwd4, times 4.
//
//go:noescape
func inv4AVX512(blocks, n, stride int, re, im, tw *float32)

// fwd8AVX512: fwd2 of streams j, j+4 and fwd4 of each half in registers; t2 advances by 2, t4 by 12.
//
//go:noescape
func fwd8AVX512(blocks, n, stride int, re, im, t2, t4 *float32)

// inv8AVX512: the inverse of fwd8, times 8.
//
//go:noescape
func inv8AVX512(blocks, n, stride int, re, im, t2, t4 *float32)

// mulAVX512: d[i] *= a[i], complex, i < n.
//
//go:noescape
func mulAVX512(n int, dr, di, ar, ai *float32)

// mulConjAVX512: d[i] *= conj(a[i]).
//
//go:noescape
func mulConjAVX512(n int, dr, di, ar, ai *float32)

// addMulConjAVX512: d[i] += a[i]·conj(b[i]).
//
//go:noescape
func addMulConjAVX512(n int, dr, di, ar, ai, br, bi *float32)

// copyRowsAVX512: dst[i·ds+c] = src[i·ss+c].
//
//go:noescape
func copyRowsAVX512(rows, lanes int, dst *float32, ds int, src *float32, ss int)

// addRowsAVX512: dst[i·ds+c] += src[i·ss+c].
//
//go:noescape
func addRowsAVX512(rows, lanes int, dst *float32, ds int, src *float32, ss int)

// gatherRowsAVX512: dst[i·ds+c] = *scale · src[idx[i]·ss+c].
//
//go:noescape
func gatherRowsAVX512(rows, lanes int, dst *float32, ds int, src *float32, ss int, idx *int32, scale *float32)

// foldAVX512: d_b = Σ_j<r coef[b·r+j]·s_(b·r+j), complex, rows of n floats.
//
//go:noescape
func foldAVX512(blocks, r, n int, dr, di, sr, si, coef *float32)

// unfoldAVX512: d_(b·r+j) = conj(coef[b·r+j])·s_b.
//
//go:noescape
func unfoldAVX512(blocks, r, n int, dr, di, sr, si, coef *float32)

// mulRowsAVX512: dst[i·ds+c] = a[i·as+c]·b[i·bs+c].
//
//go:noescape
func mulRowsAVX512(rows, lanes int, dst *float32, ds int, a *float32, as int, b *float32, bs int)

// addMulRowsAVX512: dst[i·ds+c] += a[i·as+c]·b[i·bs+c].
//
//go:noescape
func addMulRowsAVX512(rows, lanes int, dst *float32, ds int, a *float32, as int, b *float32, bs int)

// dotRowsAVX512: y[c] += Σ_i a[i·as+c]·b[i·bs+c].
//
//go:noescape
func dotRowsAVX512(lanes, count int, y, a *float32, as int, b *float32, bs int)

// pairAVX512: see Pair; coef is gr/2, gi/2, 1/2.
//
//go:noescape
func pairAVX512(lanes int, ar, ai, br, bi, pr, pi, qr, qi, coef *float32)

// dftAVX512: d[q] = Σ_j<r mat[j]·s[j·stride+q], complex, q < n.
//
//go:noescape
func dftAVX512(r, n, stride int, dr, di, sr, si, mat *float32)

// fwd2AVX2: for each block, with t = tw[0]+i·tw[1] (tw advances by 2): x0, x1 = x0+t·x1, x0−t·x1 over n floats, streams stride floats apart.
//
//go:noescape
func fwd2AVX2(blocks, n, stride int, re, im, tw *float32)

// inv2AVX2: x0, x1 = x0+x1, conj(t)·(x0−x1).
//
//go:noescape
func inv2AVX2(blocks, n, stride int, re, im, tw *float32)

// fwd4AVX2: radix 4 of the same: see Fwd4; tw has t, t², t³ and advances by 6.
//
//go:noescape
func fwd4AVX2(blocks, n, stride int, re, im, tw *float32)

// inv4AVX2: the inverse of fwd4, times 4.
//
//go:noescape
func inv4AVX2(blocks, n, stride int, re, im, tw *float32)

// mulAVX2: d[i] *= a[i], complex, i < n.
//
//go:noescape
func mulAVX2(n int, dr, di, ar, ai *float32)

// mulConjAVX2: d[i] *= conj(a[i]).
//
//go:noescape
func mulConjAVX2(n int, dr, di, ar, ai *float32)

// addMulConjAVX2: d[i] += a[i]·conj(b[i]).
//
//go:noescape
func addMulConjAVX2(n int, dr, di, ar, ai, br, bi *float32)

// copyRowsAVX2: dst[i·ds+c] = src[i·ss+c].
//
//go:noescape
func copyRowsAVX2(rows, lanes int, dst *float32, ds int, src *float32, ss int)

// addRowsAVX2: dst[i·ds+c] += src[i·ss+c].
//
//go:noescape
func addRowsAVX2(rows, lanes int, dst *float32, ds int, src *float32, ss int)

// gatherRowsAVX2: dst[i·ds+c] = *scale · src[idx[i]·ss+c].
//
//go:noescape
func gatherRowsAVX2(rows, lanes int, dst *float32, ds int, src *float32, ss int, idx *int32, scale *float32)

// foldAVX2: d_b = Σ_j<r coef[b·r+j]·s_(b·r+j), complex, rows of n floats.
//
//go:noescape
func foldAVX2(blocks, r, n int, dr, di, sr, si, coef *float32)

// unfoldAVX2: d_(b·r+j) = conj(coef[b·r+j])·s_b.
//
//go:noescape
func unfoldAVX2(blocks, r, n int, dr, di, sr, si, coef *float32)

// mulRowsAVX2: dst[i·ds+c] = a[i·as+c]·b[i·bs+c].
//
//go:noescape
func mulRowsAVX2(rows, lanes int, dst *float32, ds int, a *float32, as int, b *float32, bs int)

// addMulRowsAVX2: dst[i·ds+c] += a[i·as+c]·b[i·bs+c].
//
//go:noescape
func addMulRowsAVX2(rows, lanes int, dst *float32, ds int, a *float32, as int, b *float32, bs int)

// dotRowsAVX2: y[c] += Σ_i a[i·as+c]·b[i·bs+c].
//
//go:noescape
func dotRowsAVX2(lanes, count int, y, a *float32, as int, b *float32, bs int)

// pairAVX2: see Pair; coef is gr/2, gi/2, 1/2.
//
//go:noescape
func pairAVX2(lanes int, ar, ai, br, bi, pr, pi, qr, qi, coef *float32)

// dftAVX2: d[q] = Σ_j<r mat[j]·s[j·stride+q], complex, q < n.
//
//go:noescape
func dftAVX2(r, n, stride int, dr, di, sr, si, mat *float32)
