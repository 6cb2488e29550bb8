// Package dft has the passes that Fourier transforms of many channels are made of.
//
// Data are two planes, real and imaginary, of rows; a row is some number of
// channels ("lanes"), each of which is transformed on its own. A pass sees
// only flat runs of floats, so channels cost no shuffles.
//
// A transform of n points is the polynomial X(z) = Σ x_j z^j at n points. It is
// reached by splitting remainders: X mod (z^(rm) − ρ) into X mod (z^m − t·ω^k),
// k < r, where t^r = ρ and ω = e^(−2πi/r). In place, x_j being the j-th r-th of
// the coefficients,
//
//	y_k = Σ_j x_j (t ω^k)^j ,
//
// with the same t for the whole block: twiddles are broadcast once a block.
// (Bernstein, "Multidigit multiplication for mathematicians", section 3.)
// Streams come out in bit-reversed order of k: 0, 2, 1, 3 for r = 4. ρ = 1 at
// the top gives the discrete Fourier transform; ρ = i gives the convolution of
// real sequences modulo z^(2n) + 1 with no separate handling of real data.
//
// Every result depends only on the numbers of its own lane, never on where the
// lane lies: tails compute the same formula on part of a vector.
package dft

import "fmt"

// chunk bounds the floats of one stream that an assembly call passes over, so
// that it does not hold up the scheduler.
const chunk = 16384

func check(name string, need int, planes ...[]float32) {
	for _, p := range planes {
		if len(p) < need {
			panic(fmt.Sprintf("dft: %s: slice of %d floats, needs %d", name, len(p), need))
		}
	}
}

type pass uint8

const (
	fwd2 pass = iota
	fwd4
	fwd8
	inv2
	inv4
	inv8
)

// Fwd2 splits blocks of two streams of n floats, stride apart; block b starts
// at 2·b·stride. Twiddle t of block b is tw[2b] + i·tw[2b+1].
//
//	y0 = x0 + t x1,  y1 = x0 − t x1
func Fwd2(blocks, n, stride int, re, im, tw []float32) {
	run(fwd2, blocks, n, stride, re, im, tw, nil)
}

// Fwd4 splits blocks of four streams; tw has t, t², t³ of each block.
//
//	y0, y1 = (x0 + t²x2) ± (t x1 + t³x3),  y2, y3 = (x0 − t²x2) ∓ i(t x1 − t³x3)
func Fwd4(blocks, n, stride int, re, im, tw []float32) {
	run(fwd4, blocks, n, stride, re, im, tw, nil)
}

// Fwd8 is Fwd2 (twiddles t2) and then Fwd4 of the 2·blocks halves (twiddles t4) in one pass.
func Fwd8(blocks, n, stride int, re, im, t2, t4 []float32) {
	run(fwd8, blocks, n, stride, re, im, t2, t4)
}

// Inv2 undoes Fwd2, times 2.
func Inv2(blocks, n, stride int, re, im, tw []float32) {
	run(inv2, blocks, n, stride, re, im, tw, nil)
}

// Inv4 undoes Fwd4, times 4.
func Inv4(blocks, n, stride int, re, im, tw []float32) {
	run(inv4, blocks, n, stride, re, im, tw, nil)
}

// Inv8 undoes Fwd8, times 8.
func Inv8(blocks, n, stride int, re, im, t2, t4 []float32) {
	run(inv8, blocks, n, stride, re, im, t2, t4)
}

var radix = [...]int{fwd2: 2, fwd4: 4, fwd8: 8, inv2: 2, inv4: 4, inv8: 8}

func run(k pass, blocks, n, stride int, re, im, tw, t4 []float32) {
	if blocks <= 0 || n <= 0 {
		return
	}
	r := radix[k]
	check("pass", (blocks*r-1)*stride+n, re, im)
	per := 6
	if r != 4 {
		per = 2
	}
	check("twiddles", per*blocks, tw)
	if r == 8 {
		check("twiddles", 12*blocks, t4)
	}
	group := max(1, chunk/n)
	for b := 0; b < blocks; b += group {
		g := min(group, blocks-b)
		for o := 0; o < n; o += chunk {
			w, at := min(chunk, n-o), b*r*stride+o
			var t *float32
			if r == 8 {
				t = &t4[12*b]
			}
			butterfly(k, g, w, stride, &re[at], &im[at], &tw[per*b], t, re[at:], im[at:], tw[per*b:], t4, b)
		}
	}
}

func butterflyGeneric(k pass, blocks, n, stride int, re, im, tw, t4 []float32, b int) {
	switch k {
	case fwd2:
		fwd2Generic(blocks, n, stride, re, im, tw)
	case fwd4:
		fwd4Generic(blocks, n, stride, re, im, tw)
	case fwd8:
		fwd2Generic8(blocks, n, stride, re, im, tw)
		fwd4Generic(2*blocks, n, stride, re, im, t4[12*b:])
	case inv2:
		inv2Generic(blocks, n, stride, re, im, tw)
	case inv4:
		inv4Generic(blocks, n, stride, re, im, tw)
	case inv8:
		inv4Generic(2*blocks, n, stride, re, im, t4[12*b:])
		inv2Generic8(blocks, n, stride, re, im, tw)
	}
}

// Mul is d = d·a, elementwise complex; all slices have the length of dr.
func Mul(dr, di, ar, ai []float32) {
	n := len(dr)
	check("Mul", n, di, ar, ai)
	for o := 0; o < n; o += 4 * chunk {
		w := min(4*chunk, n-o)
		mul(dr[o:o+w], di[o:o+w], ar[o:], ai[o:])
	}
}

// MulConj is d = d·conj(a).
func MulConj(dr, di, ar, ai []float32) {
	n := len(dr)
	check("MulConj", n, di, ar, ai)
	for o := 0; o < n; o += 4 * chunk {
		w := min(4*chunk, n-o)
		mulConj(dr[o:o+w], di[o:o+w], ar[o:], ai[o:])
	}
}

// AddMulConj is d = d + a·conj(b).
func AddMulConj(dr, di, ar, ai, br, bi []float32) {
	n := len(dr)
	check("AddMulConj", n, di, ar, ai, br, bi)
	for o := 0; o < n; o += 4 * chunk {
		w := min(4*chunk, n-o)
		addMulConj(dr[o:o+w], di[o:o+w], ar[o:], ai[o:], br[o:], bi[o:])
	}
}

// CopyRows copies rows of lanes floats: dst[i·ds+c] = src[i·ss+c].
func CopyRows(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	if rows <= 0 || lanes <= 0 {
		return
	}
	check("CopyRows dst", (rows-1)*ds+lanes, dst)
	check("CopyRows src", (rows-1)*ss+lanes, src)
	step := max(1, 4*chunk/lanes)
	for r := 0; r < rows; r += step {
		copyRows(min(step, rows-r), lanes, dst[r*ds:], ds, src[r*ss:], ss)
	}
}

// AddRows adds rows of lanes floats: dst[i·ds+c] += src[i·ss+c].
func AddRows(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	if rows <= 0 || lanes <= 0 {
		return
	}
	check("AddRows dst", (rows-1)*ds+lanes, dst)
	check("AddRows src", (rows-1)*ss+lanes, src)
	step := max(1, 4*chunk/lanes)
	for r := 0; r < rows; r += step {
		addRows(min(step, rows-r), lanes, dst[r*ds:], ds, src[r*ss:], ss)
	}
}

// MulRows multiplies rows of lanes floats: dst[i·ds+c] = a[i·as+c]·b[i·bs+c].
func MulRows(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	products(rows, lanes, dst, ds, a, as, b, bs, false)
}

// AddMulRows adds products of rows: dst[i·ds+c] += a[i·as+c]·b[i·bs+c].
func AddMulRows(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	products(rows, lanes, dst, ds, a, as, b, bs, true)
}

func products(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int, add bool) {
	if rows <= 0 || lanes <= 0 {
		return
	}
	check("MulRows dst", (rows-1)*ds+lanes, dst)
	check("MulRows a", (rows-1)*as+lanes, a)
	check("MulRows b", (rows-1)*bs+lanes, b)
	step := max(1, 4*chunk/lanes)
	for r := 0; r < rows; r += step {
		if n := min(step, rows-r); add {
			addMulRows(n, lanes, dst[r*ds:], ds, a[r*as:], as, b[r*bs:], bs)
		} else {
			mulRows(n, lanes, dst[r*ds:], ds, a[r*as:], as, b[r*bs:], bs)
		}
	}
}

// Fold sums each block of r rows of n floats times complex coefficients, re
// and im of a row side by side: d_b = Σ_{j<r} coef_(br+j) s_(br+j).
func Fold(blocks, r, n int, dr, di, sr, si, coef []float32) {
	if blocks <= 0 || r <= 0 || n <= 0 {
		return
	}
	check("Fold sums", blocks*n, dr, di)
	check("Fold rows", blocks*r*n, sr, si)
	check("Fold coefficients", 2*blocks*r, coef)
	step := max(1, chunk/(r*n))
	for b := 0; b < blocks; b += step {
		fold(min(step, blocks-b), r, n, dr[b*n:], di[b*n:], sr[b*r*n:], si[b*r*n:], coef[2*b*r:])
	}
}

// Unfold is Fold's adjoint: d_(br+j) = conj(coef_(br+j)) s_b.
func Unfold(blocks, r, n int, dr, di, sr, si, coef []float32) {
	if blocks <= 0 || r <= 0 || n <= 0 {
		return
	}
	check("Unfold rows", blocks*r*n, dr, di)
	check("Unfold sums", blocks*n, sr, si)
	check("Unfold coefficients", 2*blocks*r, coef)
	step := max(1, chunk/(r*n))
	for b := 0; b < blocks; b += step {
		unfold(min(step, blocks-b), r, n, dr[b*r*n:], di[b*r*n:], sr[b*n:], si[b*n:], coef[2*b*r:])
	}
}

// GatherRows copies rows picked by idx, times scale: dst[i·ds+c] = scale·src[idx[i]·ss+c].
// Every idx[i]·ss + lanes must be within src; that is not checked.
func GatherRows(lanes int, dst []float32, ds int, src []float32, ss int, idx []int32, scale float32) {
	if len(idx) == 0 || lanes <= 0 {
		return
	}
	check("GatherRows", (len(idx)-1)*ds+lanes, dst)
	step := max(1, 4*chunk/lanes)
	for r := 0; r < len(idx); r += step {
		gatherRows(min(step, len(idx)-r), lanes, dst[r*ds:], ds, src, ss, idx[r:], scale)
	}
}

// DotRows adds the sum over i < count of products of rows, for each of len(y) lanes:
//
//	y[c] += Σ_i a[ai + i·as + c] · b[bi + i·bs + c]
//
// in order of i, each product fused with its sum where the level has FMA. Strides may be negative.
func DotRows(y []float32, count int, a []float32, ai, as int, b []float32, bi, bs int) {
	lanes := len(y)
	if lanes == 0 || count <= 0 {
		return
	}
	for _, v := range []struct{ first, last, n int }{{ai, ai + (count-1)*as, len(a)}, {bi, bi + (count-1)*bs, len(b)}} {
		if min(v.first, v.last) < 0 || max(v.first, v.last)+lanes > v.n {
			panic(fmt.Sprintf("dft: DotRows: rows from %d to %d of %d lanes in a slice of %d", v.first, v.last, lanes, v.n))
		}
	}
	step := max(1, 16*chunk/lanes)
	for i := 0; i < count; i += step {
		dotRows(min(step, count-i), y, a, ai+i*as, as, b, bi+i*bs, bs)
	}
}

// Pair splits or joins the two halves of a real transform. With E = (A + conj B)/2 and D = (A − conj B)/2,
//
//	P = E + g D,  Q = conj(E − g D)
//
// for each of len(pr) lanes. A and B may not overlap P and Q partly; P may be A and Q may be B.
func Pair(pr, pi, qr, qi, ar, ai, br, bi []float32, gr, gi float32) {
	check("Pair", len(pr), pi, qr, qi, ar, ai, br, bi)
	if len(pr) == 0 {
		return
	}
	g := [3]float32{gr / 2, gi / 2, 0.5}
	pair(pr, pi, qr, qi, ar, ai, br, bi, &g)
}

// DFT is the transform of r streams of n floats, stride apart, by a full r×r
// matrix of coefficients (row k: the r pairs re, im for result k), out of place:
//
//	d_k = Σ_j mat[k][j] s_j
func DFT(r, n, stride int, dr, di, sr, si, mat []float32) {
	if n <= 0 {
		return
	}
	check("DFT", (r-1)*stride+n, dr, di, sr, si)
	check("DFT matrix", 2*r*r, mat)
	for k := range r {
		Row(r, n, stride, dr[k*stride:], di[k*stride:], sr, si, mat[2*r*k:])
	}
}

// Row is one row of DFT, d = Σ_j mat[j] s_j; d may be one of the streams.
func Row(r, n, stride int, dr, di, sr, si, mat []float32) {
	if n <= 0 {
		return
	}
	check("Row", n, dr, di)
	check("Row streams", (r-1)*stride+n, sr, si)
	check("Row coefficients", 2*r, mat)
	for o := 0; o < n; o += chunk / 4 {
		dftRow(r, min(chunk/4, n-o), stride, dr[o:], di[o:], sr[o:], si[o:], mat)
	}
}
