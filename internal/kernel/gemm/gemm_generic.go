package gemm

// The portable twins: the reference of every kernel, and what runs where there is
// no other.

// microGeneric computes one tile of C: for i < rows, j < cols
//
//	s := 0; for p < k { s += a[i*ars+p*acs] * b[p*ldb+j] }
//	c[i*ldc+j] = s, or += s with acc
func microGeneric(rows, cols, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, acc bool) {
	i := 0
	for ; i+2 <= rows; i += 2 {
		c0, c1 := c[i*ldc:i*ldc+cols], c[(i+1)*ldc:(i+1)*ldc+cols]
		j := 0
		for ; j+4 <= cols; j += 4 {
			var s00, s01, s02, s03, s10, s11, s12, s13 float32
			ia, ib := i*ars, j
			for range k {
				bb := b[ib : ib+4 : ib+4]
				x, y := a[ia], a[ia+ars]
				s00 += x * bb[0]
				s01 += x * bb[1]
				s02 += x * bb[2]
				s03 += x * bb[3]
				s10 += y * bb[0]
				s11 += y * bb[1]
				s12 += y * bb[2]
				s13 += y * bb[3]
				ia += acs
				ib += ldb
			}
			d0, d1 := c0[j:j+4:j+4], c1[j:j+4:j+4]
			if acc {
				s00, s01, s02, s03 = d0[0]+s00, d0[1]+s01, d0[2]+s02, d0[3]+s03
				s10, s11, s12, s13 = d1[0]+s10, d1[1]+s11, d1[2]+s12, d1[3]+s13
			}
			d0[0], d0[1], d0[2], d0[3] = s00, s01, s02, s03
			d1[0], d1[1], d1[2], d1[3] = s10, s11, s12, s13
		}
		for ; j < cols; j++ {
			microOne(k, a[i*ars:], acs, b[j:], ldb, &c0[j], acc)
			microOne(k, a[(i+1)*ars:], acs, b[j:], ldb, &c1[j], acc)
		}
	}
	if i < rows {
		row := c[i*ldc : i*ldc+cols]
		for j := range row {
			microOne(k, a[i*ars:], acs, b[j:], ldb, &row[j], acc)
		}
	}
}

func microOne(k int, a []float32, acs int, b []float32, ldb int, c *float32, acc bool) {
	var s float32
	ia, ib := 0, 0
	for range k {
		s += a[ia] * b[ib]
		ia += acs
		ib += ldb
	}
	if acc {
		s = *c + s
	}
	*c = s
}

// transposeGeneric writes the rows×cols matrix src to dst, cols×rows.
func transposeGeneric(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	for i := range rows {
		row := src[i*lds : i*lds+cols]
		for j, v := range row {
			dst[j*ldd+i] = v
		}
	}
}

// transposeHalfGeneric is transposeGeneric that also widens.
func transposeHalfGeneric(f form, rows, cols int, src []uint16, lds int, dst []float32, ldd int) {
	for i := range rows {
		row := src[i*lds : i*lds+cols]
		for j, v := range row {
			dst[j*ldd+i] = widen(f, v)
		}
	}
}

// copyRowsGeneric copies a rows×cols matrix.
func copyRowsGeneric(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	for i := range rows {
		copy(dst[i*ldd:i*ldd+cols], src[i*lds:i*lds+cols])
	}
}

// dotsGeneric computes, for i < nx and j < nw, the sum over p of
// x[i*ldx+p]*w[j*ldw+p] and stores or adds it at c[i*cis+j*cjs].
func dotsGeneric(nx, nw, k int, x []float32, ldx int, w []float32, ldw int, c []float32, cis, cjs int, acc bool) {
	for j := range nw {
		row := w[j*ldw : j*ldw+k]
		for i := range nx {
			v := x[i*ldx : i*ldx+k][:len(row)]
			var s0, s1, s2, s3 float32
			p := 0
			for ; p+4 <= len(row); p += 4 {
				r, u := row[p:p+4:p+4], v[p:p+4:p+4]
				s0 += r[0] * u[0]
				s1 += r[1] * u[1]
				s2 += r[2] * u[2]
				s3 += r[3] * u[3]
			}
			for ; p < len(row); p++ {
				s0 += row[p] * v[p]
			}
			s := (s0 + s1) + (s2 + s3)
			if acc {
				s = c[i*cis+j*cjs] + s
			}
			c[i*cis+j*cjs] = s
		}
	}
}

// dotsHalfGeneric is dotsGeneric for a W in 16 bits.
func dotsHalfGeneric(f form, nx, nw, k int, x []float32, ldx int, w []uint16, ldw int, c []float32, cis, cjs int, acc bool) {
	for j := range nw {
		row := w[j*ldw : j*ldw+k]
		for i := range nx {
			v := x[i*ldx : i*ldx+k][:len(row)]
			var s float32
			for p, h := range row {
				s += widen(f, h) * v[p]
			}
			if acc {
				s = c[i*cis+j*cjs] + s
			}
			c[i*cis+j*cjs] = s
		}
	}
}
