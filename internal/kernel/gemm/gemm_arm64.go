//go:build !purego

package gemm

// gemmMicroNEON computes one tile of C, rows (1…8) by vecs vectors of 4 columns:
//
//	s := 0; for p < k { s += a[i*ars+p*acs] * b[p*ldb+j] }
//	c[i*ldc+j] = s, or += s when acc != 0
//
// vecs is 1…3, also 4 for up to 4 rows and 8 for one; k > 0. c must not overlap a or b. The
// tile of 8×3 has its sums in V8…V31, b in V0…V2 and a in V3, V4.
//
//go:noescape
func gemmMicroNEON(rows, vecs, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, acc int)

// gemmDotNEONF32 computes out[i*nw+j] = sum over p < k of x[i*ldx+p]*w[j*ldw+p]. (nx, nw) is one of
// (1,8), (1,4), (1,1), and (2,4), (2,1) and so on to four vectors; k >= 4. Sums are in V0…V15, x and w
// in V16…V29; V30 masks the last terms.
//
//go:noescape
func gemmDotNEONF32(nx, nw, k int, x *float32, ldx int, w *float32, ldw int, out *float32)

// gemmDotNEONBF16 is gemmDotNEONF32 for bfloat16 rows, widened in registers.
//
//go:noescape
func gemmDotNEONBF16(nx, nw, k int, x *float32, ldx int, w *uint16, ldw int, out *float32)

// gemmDotNEONF16 is gemmDotNEONF32 for half-precision rows, widened in registers.
//
//go:noescape
func gemmDotNEONF16(nx, nw, k int, x *float32, ldx int, w *uint16, ldw int, out *float32)

// gemmTransNEONF32 sets dst[j*ldd+i] = src[i*lds+j] for i < rows, j < 4*quads, and writes i up to the
// next multiple of 4; quads > 0.
//
//go:noescape
func gemmTransNEONF32(rows, quads int, src *float32, lds int, dst *float32, ldd int)

// gemmTransNEONBF16 is gemmTransNEONF32 from bfloat16.
//
//go:noescape
func gemmTransNEONBF16(rows, quads int, src *uint16, lds int, dst *float32, ldd int)

// gemmTransNEONF16 is gemmTransNEONF32 from half precision.
//
//go:noescape
func gemmTransNEONF16(rows, quads int, src *uint16, lds int, dst *float32, ldd int)

// gemmPeakNEON runs n rounds of 24 multiply-adds of 4 lanes.
//
//go:noescape
func gemmPeakNEON(n int)

// gemmCopyNEON copies rows of vecs vectors of 4, vecs being 1…3.
//
//go:noescape
func gemmCopyNEON(rows, vecs int, src *float32, lds int, dst *float32, ldd int)

// gemmReadNEON reads n blocks of 32 numbers.
//
//go:noescape
func gemmReadNEON(n int, x *float32)

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// micro is microGeneric by the NEON kernel: it cuts the columns into the widths that
// the kernel has for so many rows.
func micro(rows, cols, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	if !useNEON {
		microGeneric(rows, cols, k, a, ars, acs, b, ldb, c, ldc, acc)
		return
	}
	// The kernel trusts the sizes.
	_, _, _ = a[(rows-1)*ars+(k-1)*acs], b[(k-1)*ldb+cols-1], c[(rows-1)*ldc+cols-1]
	j := 0
	for j+4 <= cols {
		vecs := (cols - j) / 4
		switch {
		case vecs >= 8 && rows == 1:
			vecs = 8
		case vecs >= 4 && rows <= 4:
			vecs = 4
		case vecs > 3:
			vecs = 3
		}
		gemmMicroNEON(rows, vecs, k, &a[0], ars, acs, &b[j], ldb, &c[j], ldc, flag(acc))
		j += 4 * vecs
	}
	if j == cols {
		return
	}
	// Fewer than four columns: the same kernel on a copy, as there are no masks.
	var edge [maxKC * 4]float32
	var tile [8 * 4]float32
	w := cols - j
	if acc {
		copyRowsGeneric(rows, w, c[j:], ldc, tile[:], 4)
	}
	copyRowsGeneric(k, w, b[j:], ldb, edge[:], 4)
	gemmMicroNEON(rows, 1, k, &a[0], ars, acs, &edge[0], 4, &tile[0], 4, flag(acc))
	copyRowsGeneric(rows, w, tile[:], 4, c[j:], ldc)
}

// wideStep is how many columns of an unpacked B a few rows take at once.
func wideStep(rows int) int {
	switch {
	case useNEON && rows == 1:
		return 32
	case useNEON && rows <= 4:
		return 16
	}
	return blk.nr
}

func transpose(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	quads := cols / 4
	if !useNEON {
		quads = 0
	}
	if quads > 0 {
		_, _ = src[(rows-1)*lds+cols-1], dst[(cols-1)*ldd+(rows+3)/4*4-1]
		gemmTransNEONF32(rows, quads, &src[0], lds, &dst[0], ldd)
	}
	if 4*quads < cols {
		transposeGeneric(rows, cols-4*quads, src[4*quads:], lds, dst[4*quads*ldd:], ldd)
	}
}

func transposeHalf(f form, rows, cols int, src []uint16, lds int, dst []float32, ldd int) {
	quads := cols / 4
	if !useNEON {
		quads = 0
	}
	if quads > 0 {
		_, _ = src[(rows-1)*lds+cols-1], dst[(cols-1)*ldd+(rows+3)/4*4-1]
		if f == formBF16 {
			gemmTransNEONBF16(rows, quads, &src[0], lds, &dst[0], ldd)
		} else {
			gemmTransNEONF16(rows, quads, &src[0], lds, &dst[0], ldd)
		}
	}
	if 4*quads < cols {
		transposeHalfGeneric(f, rows, cols-4*quads, src[4*quads:], lds, dst[4*quads*ldd:], ldd)
	}
}

func copyRows(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	vecs := min(cols/4, 3)
	if !useNEON {
		vecs = 0
	}
	if vecs > 0 {
		_, _ = src[(rows-1)*lds+4*vecs-1], dst[(rows-1)*ldd+4*vecs-1]
		gemmCopyNEON(rows, vecs, &src[0], lds, &dst[0], ldd)
	}
	if 4*vecs < cols {
		copyRowsGeneric(rows, cols-4*vecs, src[4*vecs:], lds, dst[4*vecs:], ldd)
	}
}

// dotShape is how many of nx vectors and nw rows one call of the dot kernel takes.
func dotShape(nx, nw int) (int, int) {
	switch {
	case nx >= 2 && nw >= 4:
		return min(nx, 4), 4
	case nx >= 2:
		return min(nx, 4), 1
	case nw >= 8:
		return 1, 8
	case nw >= 4:
		return 1, 4
	}
	return 1, 1
}

func dots(nx, nw, k int, x []float32, ldx int, w []float32, ldw int, c []float32, cis, cjs int, acc bool) {
	if !useNEON {
		dotsGeneric(nx, nw, k, x, ldx, w, ldw, c, cis, cjs, acc)
		return
	}
	_, _, _ = x[(nx-1)*ldx+k-1], w[(nw-1)*ldw+k-1], c[(nx-1)*cis+(nw-1)*cjs]
	var out [16]float32
	for i := 0; i < nx; {
		di := 0
		for j := 0; j < nw; {
			vi, dj := dotShape(nx-i, nw-j)
			di = vi
			gemmDotNEONF32(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, &out[0])
			scatter(out[:vi*dj], dj, c[i*cis+j*cjs:], cis, cjs, acc)
			j += dj
		}
		i += di
	}
}

// dotsHalf has no turn for few terms: thinK is more than a vector.
func dotsHalf(f form, nx, nw, k int, x []float32, ldx int, w []uint16, ldw int, c []float32, cis, cjs int, acc bool) {
	if !useNEON {
		dotsHalfGeneric(f, nx, nw, k, x, ldx, w, ldw, c, cis, cjs, acc)
		return
	}
	_, _, _ = x[(nx-1)*ldx+k-1], w[(nw-1)*ldw+k-1], c[(nx-1)*cis+(nw-1)*cjs]
	var out [16]float32
	for i := 0; i < nx; {
		di := 0
		for j := 0; j < nw; {
			vi, dj := dotShape(nx-i, nw-j)
			di = vi
			if f == formBF16 {
				gemmDotNEONBF16(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, &out[0])
			} else {
				gemmDotNEONF16(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, &out[0])
			}
			scatter(out[:vi*dj], dj, c[i*cis+j*cjs:], cis, cjs, acc)
			j += dj
		}
		i += di
	}
}

func peakLoop(n int) float64 {
	if useNEON {
		gemmPeakNEON(n)
		return float64(n) * 24 * 8
	}
	return peakLoopGeneric(n)
}

func readLoop(x []float32) float32 {
	if useNEON && len(x) >= 32 {
		gemmReadNEON(len(x)/32, &x[0])
		return 0
	}
	return readLoopGeneric(x)
}
