//go:build !purego

package gemm

// gemmMicro512 computes one tile of C, rows (1…12) by vecs vectors of 16 columns:
//
//	s := 0; for p < k { s += a[i*ars+p*acs] * b[p*ldb+j] }
//	c[i*ldc+j] = s, or += s when acc != 0
//
// Only tail (1…16) lanes of the last vector exist in b and c. vecs is 1 or 2; also 4
// for up to 4 rows and 8 for one; k > 0. c must not overlap a or b. The whole tile of 12×2 has its sums
// in Z0…Z23, b in Z24, Z25 and one element of a in Z26; K1 masks the last vector.
//
//go:noescape
func gemmMicro512(rows, vecs, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, tail, acc int)

// gemmMicro256 is gemmMicro512 with vectors of 8 columns, 1…6 rows, and vecs 1 or 2,
// or 4 for up to 2 rows. The whole tile of 6×2 has its sums in Y0…Y11, b in Y12, Y13 and
// one element of a in Y14; Y15 masks the last vector.
//
//go:noescape
func gemmMicro256(rows, vecs, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, tail, acc int)

// gemmDot512F32 computes out[i*ldo+j] = sum over p < k of x[i*ldx+p]*w[j*ldw+p], or += that when acc != 0. (nx, nw) is one of
// (1,8), (1,4), (1,1), (2,4), (2,1), (4,4), (4,1). Sums are in Z0…Z15, x in Z16…Z19, w in Z20, Z21.
//
//go:noescape
func gemmDot512F32(nx, nw, k int, x *float32, ldx int, w *float32, ldw int, out *float32, ldo, acc int)

// gemmDot512BF16 is gemmDot512F32 for bfloat16 rows, widened in registers.
//
//go:noescape
func gemmDot512BF16(nx, nw, k int, x *float32, ldx int, w *uint16, ldw int, out *float32, ldo, acc int)

// gemmDot512F16 is gemmDot512F32 for half-precision rows, widened in registers.
//
//go:noescape
func gemmDot512F16(nx, nw, k int, x *float32, ldx int, w *uint16, ldw int, out *float32, ldo, acc int)

// gemmDot256F32 is gemmDot512F32 where (nx, nw) is one of (1,8), (1,4), (1,1), (2,4), (2,1),
// (4,2), (4,1). Sums are in Y0…Y7, x in Y8…Y11, w in Y12, Y13; Y15 masks the last terms.
//
//go:noescape
func gemmDot256F32(nx, nw, k int, x *float32, ldx int, w *float32, ldw int, out *float32, ldo, acc int)

// gemmDot256BF16 is gemmDot256F32 for bfloat16 rows; k >= 8.
//
//go:noescape
func gemmDot256BF16(nx, nw, k int, x *float32, ldx int, w *uint16, ldw int, out *float32, ldo, acc int)

// gemmDot256F16 is gemmDot256F32 for half-precision rows; k >= 8.
//
//go:noescape
func gemmDot256F16(nx, nw, k int, x *float32, ldx int, w *uint16, ldw int, out *float32, ldo, acc int)

// gemmCopy512 copies rows of vecs (1 or 2) vectors of 16 from src to dst, first row first. It reads only
// tail lanes of the last vector and writes all of it.
//
//go:noescape
func gemmCopy512(rows, vecs, tail int, src *float32, lds int, dst *float32, ldd int)

// gemmCopy256 is gemmCopy512 with vectors of 8.
//
//go:noescape
func gemmCopy256(rows, vecs, tail int, src *float32, lds int, dst *float32, ldd int)

// gemmTransF32 sets dst[j*ldd+i] = src[i*lds+j] for i < rows, j < cols, and writes i up to the next multiple of 4.
//
//go:noescape
func gemmTransF32(rows, cols int, src *float32, lds int, dst *float32, ldd int)

// gemmTransBF16 is gemmTransF32 from bfloat16.
//
//go:noescape
func gemmTransBF16(rows, cols int, src *uint16, lds int, dst *float32, ldd int)

// gemmTransF16 is gemmTransF32 from half precision.
//
//go:noescape
func gemmTransF16(rows, cols int, src *uint16, lds int, dst *float32, ldd int)

// gemmPeak512 runs n rounds of 12 multiply-adds of 16 lanes.
//
//go:noescape
func gemmPeak512(n int)

// gemmPeak256 runs n rounds of 12 multiply-adds of 8 lanes.
//
//go:noescape
func gemmPeak256(n int)

// gemmRead512 reads n blocks of 128 floats, n > 0.
//
//go:noescape
func gemmRead512(n int, x *float32)

// gemmRead256 reads n blocks of 64 floats, n > 0.
//
//go:noescape
func gemmRead256(n int, x *float32)

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// micro is microGeneric by the level's kernel: it cuts the columns into the widths that
// the kernel has for so many rows.
func micro(rows, cols, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	if !useAVX2 {
		microGeneric(rows, cols, k, a, ars, acs, b, ldb, c, ldc, acc)
		return
	}
	// The kernels trust the sizes.
	_, _, _ = a[(rows-1)*ars+(k-1)*acs], b[(k-1)*ldb+cols-1], c[(rows-1)*ldc+cols-1]
	if useAVX512 {
		for j := 0; j < cols; {
			vecs := (cols - j + 15) / 16
			switch {
			case vecs >= 8 && rows == 1:
				vecs = 8
			case vecs >= 4 && rows <= 4:
				vecs = 4
			case vecs > 2:
				vecs = 2
			}
			w := min(16*vecs, cols-j)
			gemmMicro512(rows, vecs, k, &a[0], ars, acs, &b[j], ldb, &c[j], ldc, w-16*(vecs-1), flag(acc))
			j += w
		}
		return
	}
	for j := 0; j < cols; {
		vecs := (cols - j + 7) / 8
		switch {
		case vecs >= 4 && rows <= 2:
			vecs = 4
		case vecs > 2:
			vecs = 2
		}
		w := min(8*vecs, cols-j)
		gemmMicro256(rows, vecs, k, &a[0], ars, acs, &b[j], ldb, &c[j], ldc, w-8*(vecs-1), flag(acc))
		j += w
	}
}

// wideStep is how many columns of an unpacked B a few rows take at once.
func wideStep(rows int) int {
	switch {
	case useAVX512 && rows == 1:
		return 128
	case useAVX512 && rows <= 4:
		return 64
	case useAVX2 && rows <= 2:
		return 32
	}
	return blk.nr
}

func transpose(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	if !useAVX2 {
		transposeGeneric(rows, cols, src, lds, dst, ldd)
		return
	}
	_, _ = src[(rows-1)*lds+cols-1], dst[(cols-1)*ldd+(rows+3)/4*4-1]
	gemmTransF32(rows, cols, &src[0], lds, &dst[0], ldd)
}

func transposeHalf(f form, rows, cols int, src []uint16, lds int, dst []float32, ldd int) {
	if !useAVX2 {
		transposeHalfGeneric(f, rows, cols, src, lds, dst, ldd)
		return
	}
	_, _ = src[(rows-1)*lds+cols-1], dst[(cols-1)*ldd+(rows+3)/4*4-1]
	if f == formBF16 {
		gemmTransBF16(rows, cols, &src[0], lds, &dst[0], ldd)
	} else {
		gemmTransF16(rows, cols, &src[0], lds, &dst[0], ldd)
	}
}

func copyRows(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	if !useAVX2 {
		copyRowsGeneric(rows, cols, src, lds, dst, ldd)
		return
	}
	_ = src[(rows-1)*lds+cols-1]
	if useAVX512 {
		vecs := (cols + 15) / 16
		_ = dst[(rows-1)*ldd+16*vecs-1]
		gemmCopy512(rows, vecs, cols-16*(vecs-1), &src[0], lds, &dst[0], ldd)
		return
	}
	vecs := (cols + 7) / 8
	_ = dst[(rows-1)*ldd+8*vecs-1]
	gemmCopy256(rows, vecs, cols-8*(vecs-1), &src[0], lds, &dst[0], ldd)
}

// dotShape is how many of nx vectors and nw rows one call of the dot kernel takes.
func dotShape(nx, nw int) (int, int) {
	switch {
	case nx >= 4 && useAVX512 && nw >= 4:
		return 4, 4
	case nx >= 4 && !useAVX512 && nw >= 2:
		return 4, 2
	case nx >= 4:
		return 4, 1
	case nx >= 2 && nw >= 4:
		return 2, 4
	case nx >= 2:
		return 2, 1
	case nw >= 8:
		return 1, 8
	case nw >= 4:
		return 1, 4
	}
	return 1, 1
}

func dots(nx, nw, k int, x []float32, ldx int, w []float32, ldw int, c []float32, cis, cjs int, acc bool) {
	if !useAVX2 {
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
			o, ldo, add := &out[0], dj, 0
			if cjs == 1 {
				o, ldo, add = &c[i*cis+j], cis, flag(acc)
			}
			if useAVX512 {
				gemmDot512F32(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, o, ldo, add)
			} else {
				gemmDot256F32(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, o, ldo, add)
			}
			if cjs != 1 {
				scatter(out[:vi*dj], dj, c[i*cis+j*cjs:], cis, cjs, acc)
			}
			j += dj
		}
		i += di
	}
}

// dotsHalf has no turn for few terms: thinK is more than a vector.
func dotsHalf(f form, nx, nw, k int, x []float32, ldx int, w []uint16, ldw int, c []float32, cis, cjs int, acc bool) {
	if !useAVX2 {
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
			o, ldo, add := &out[0], dj, 0
			if cjs == 1 {
				o, ldo, add = &c[i*cis+j], cis, flag(acc)
			}
			switch {
			case useAVX512 && f == formBF16:
				gemmDot512BF16(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, o, ldo, add)
			case useAVX512:
				gemmDot512F16(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, o, ldo, add)
			case f == formBF16:
				gemmDot256BF16(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, o, ldo, add)
			default:
				gemmDot256F16(vi, dj, k, &x[i*ldx], ldx, &w[j*ldw], ldw, o, ldo, add)
			}
			if cjs != 1 {
				scatter(out[:vi*dj], dj, c[i*cis+j*cjs:], cis, cjs, acc)
			}
			j += dj
		}
		i += di
	}
}

func peakLoop(n int) float64 {
	switch {
	case useAVX512:
		gemmPeak512(n)
		return float64(n) * 12 * 32
	case useAVX2:
		gemmPeak256(n)
		return float64(n) * 12 * 16
	}
	return peakLoopGeneric(n)
}

func readLoop(x []float32) float32 {
	switch {
	case useAVX512 && len(x) >= 128:
		gemmRead512(len(x)/128, &x[0])
		return 0
	case useAVX2 && len(x) >= 64:
		gemmRead256(len(x)/64, &x[0])
		return 0
	}
	return readLoopGeneric(x)
}
