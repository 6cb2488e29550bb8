//go:build !purego

package dft

import "github.com/subquad/subquad/hw"

var useNEON bool

func init() {
	hw.OnLevel(func(l hw.Level) { useNEON = l.Has(hw.NEON) })
}

// butterfly runs one bounded pass; pointers and slices are the same memory, so that neither dispatch nor assembly makes buffers escape.
func butterfly(k pass, blocks, n, stride int, re, im, tw, t4 *float32, res, ims, tws, t4s []float32, b int) {
	switch {
	case useNEON:
		switch k {
		case fwd2:
			fwd2NEON(blocks, n, stride, re, im, tw)
		case fwd4:
			fwd4NEON(blocks, n, stride, re, im, tw)
		case inv2:
			inv2NEON(blocks, n, stride, re, im, tw)
		case inv4:
			inv4NEON(blocks, n, stride, re, im, tw)
		case fwd8:
			fwd8NEON(blocks, n, stride, re, im, tw, t4)
		case inv8:
			inv8NEON(blocks, n, stride, re, im, tw, t4)
		}
	default:
		butterflyGeneric(k, blocks, n, stride, res, ims, tws, t4s, b)
	}
}

func mul(dr, di, ar, ai []float32) {
	switch {
	case useNEON:
		mulNEON(len(dr), &dr[0], &di[0], &ar[0], &ai[0])
	default:
		mulGeneric(dr, di, ar, ai)
	}
}

func mulConj(dr, di, ar, ai []float32) {
	switch {
	case useNEON:
		mulConjNEON(len(dr), &dr[0], &di[0], &ar[0], &ai[0])
	default:
		mulConjGeneric(dr, di, ar, ai)
	}
}

func addMulConj(dr, di, ar, ai, br, bi []float32) {
	switch {
	case useNEON:
		addMulConjNEON(len(dr), &dr[0], &di[0], &ar[0], &ai[0], &br[0], &bi[0])
	default:
		addMulConjGeneric(dr, di, ar, ai, br, bi)
	}
}

func copyRows(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	switch {
	case useNEON:
		copyRowsNEON(rows, lanes, &dst[0], ds, &src[0], ss)
	default:
		copyRowsGeneric(rows, lanes, dst, ds, src, ss)
	}
}

func addRows(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	switch {
	case useNEON:
		addRowsNEON(rows, lanes, &dst[0], ds, &src[0], ss)
	default:
		addRowsGeneric(rows, lanes, dst, ds, src, ss)
	}
}

func gatherRows(rows, lanes int, dst []float32, ds int, src []float32, ss int, idx []int32, scale float32) {
	switch {
	case useNEON:
		gatherRowsNEON(rows, lanes, &dst[0], ds, &src[0], ss, &idx[0], &scale)
	default:
		gatherRowsGeneric(rows, lanes, dst, ds, src, ss, idx, scale)
	}
}

func fold(blocks, r, n int, dr, di, sr, si, coef []float32) {
	switch {
	case useNEON:
		foldNEON(blocks, r, n, &dr[0], &di[0], &sr[0], &si[0], &coef[0])
	default:
		foldGeneric(blocks, r, n, dr, di, sr, si, coef)
	}
}

func unfold(blocks, r, n int, dr, di, sr, si, coef []float32) {
	switch {
	case useNEON:
		unfoldNEON(blocks, r, n, &dr[0], &di[0], &sr[0], &si[0], &coef[0])
	default:
		unfoldGeneric(blocks, r, n, dr, di, sr, si, coef)
	}
}

func mulRows(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	switch {
	case useNEON:
		mulRowsNEON(rows, lanes, &dst[0], ds, &a[0], as, &b[0], bs)
	default:
		mulRowsGeneric(rows, lanes, dst, ds, a, as, b, bs)
	}
}

func addMulRows(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	switch {
	case useNEON:
		addMulRowsNEON(rows, lanes, &dst[0], ds, &a[0], as, &b[0], bs)
	default:
		addMulRowsGeneric(rows, lanes, dst, ds, a, as, b, bs)
	}
}

func dotRows(count int, y, a []float32, ai, as int, b []float32, bi, bs int) {
	switch {
	case useNEON:
		dotRowsNEON(len(y), count, &y[0], &a[ai], as, &b[bi], bs)
	default:
		dotRowsGeneric(count, y, a, ai, as, b, bi, bs)
	}
}

func pair(pr, pi, qr, qi, ar, ai, br, bi []float32, g *[3]float32) {
	switch {
	case useNEON:
		pairNEON(len(pr), &ar[0], &ai[0], &br[0], &bi[0], &pr[0], &pi[0], &qr[0], &qi[0], &g[0])
	default:
		pairGeneric(pr, pi, qr, qi, ar, ai, br, bi, g)
	}
}

func dftRow(r, n, stride int, dr, di, sr, si, mat []float32) {
	switch {
	case useNEON:
		dftNEON(r, n, stride, &dr[0], &di[0], &sr[0], &si[0], &mat[0])
	default:
		dftRowGeneric(r, n, stride, dr, di, sr, si, mat)
	}
}

// Registers: arguments in R0 upwards (butterflies: streams in R0–R15, counts in R19–R21, twiddles R22, R23).
// Pointers may be unaligned; nothing past n floats (lanes) is read or written.

// fwd2NEON: for each block, with t = tw[0]+i·tw[1] (tw advances by 2): x0, x1 = x0+t·x1, x0−t·x1 over n floats, streams stride floats apart.
//
//go:noescape
func fwd2NEON(blocks, n, stride int, re, im, tw *float32)

// inv2NEON: x0, x1 = x0+x1, conj(t)·(x0−x1).
//
//go:noescape
func inv2NEON(blocks, n, stride int, re, im, tw *float32)

// fwd4NEON: radix 4 of the same: see Fwd4; tw has t, t², t³ and advances by 6.
//
//go:noescape
func fwd4NEON(blocks, n, stride int, re, im, tw *float32)

// inv4NEON: the inverse of fwd4, times 4.
//
//go:noescape
func inv4NEON(blocks, n, stride int, re, im, tw *float32)

// fwd8NEON: fwd2 of streams j, j+4 and fwd4 of each half in registers; t2 advances by 2, t4 by 12.
//
//go:noescape
func fwd8NEON(blocks, n, stride int, re, im, t2, t4 *float32)

// inv8NEON: the inverse of fwd8, times 8.
//
//go:noescape
func inv8NEON(blocks, n, stride int, re, im, t2, t4 *float32)

// mulNEON: d[i] *= a[i], complex, i < n.
//
//go:noescape
func mulNEON(n int, dr, di, ar, ai *float32)

// mulConjNEON: d[i] *= conj(a[i]).
//
//go:noescape
func mulConjNEON(n int, dr, di, ar, ai *float32)

// addMulConjNEON: d[i] += a[i]·conj(b[i]).
//
//go:noescape
func addMulConjNEON(n int, dr, di, ar, ai, br, bi *float32)

// copyRowsNEON: dst[i·ds+c] = src[i·ss+c].
//
//go:noescape
func copyRowsNEON(rows, lanes int, dst *float32, ds int, src *float32, ss int)

// addRowsNEON: dst[i·ds+c] += src[i·ss+c].
//
//go:noescape
func addRowsNEON(rows, lanes int, dst *float32, ds int, src *float32, ss int)

// gatherRowsNEON: dst[i·ds+c] = *scale · src[idx[i]·ss+c].
//
//go:noescape
func gatherRowsNEON(rows, lanes int, dst *float32, ds int, src *float32, ss int, idx *int32, scale *float32)

// foldNEON: d_b = Σ_j<r coef[b·r+j]·s_(b·r+j), complex, rows of n floats.
//
//go:noescape
func foldNEON(blocks, r, n int, dr, di, sr, si, coef *float32)

// unfoldNEON: d_(b·r+j) = conj(coef[b·r+j])·s_b.
//
//go:noescape
func unfoldNEON(blocks, r, n int, dr, di, sr, si, coef *float32)

// mulRowsNEON: dst[i·ds+c] = a[i·as+c]·b[i·bs+c].
//
//go:noescape
func mulRowsNEON(rows, lanes int, dst *float32, ds int, a *float32, as int, b *float32, bs int)

// addMulRowsNEON: dst[i·ds+c] += a[i·as+c]·b[i·bs+c].
//
//go:noescape
func addMulRowsNEON(rows, lanes int, dst *float32, ds int, a *float32, as int, b *float32, bs int)

// dotRowsNEON: y[c] += Σ_i a[i·as+c]·b[i·bs+c].
//
//go:noescape
func dotRowsNEON(lanes, count int, y, a *float32, as int, b *float32, bs int)

// pairNEON: see Pair; coef is gr/2, gi/2, 1/2.
//
//go:noescape
func pairNEON(lanes int, ar, ai, br, bi, pr, pi, qr, qi, coef *float32)

// dftNEON: d[q] = Σ_j<r mat[j]·s[j·stride+q], complex, q < n.
//
//go:noescape
func dftNEON(r, n, stride int, dr, di, sr, si, mat *float32)
