package dft

// The portable twins: what the assembly computes, one lane at a time.

func fwd2Generic(blocks, n, stride int, re, im, tw []float32) {
	for b := range blocks {
		o := 2 * b * stride
		half2(re[o:], im[o:], stride, n, tw[2*b], tw[2*b+1])
	}
}

// fwd2Generic8 is the first half of Fwd8: streams j and j+4 of each block of eight.
func fwd2Generic8(blocks, n, stride int, re, im, tw []float32) {
	for b := range blocks {
		for j := range 4 {
			o := (8*b + j) * stride
			half2(re[o:], im[o:], 4*stride, n, tw[2*b], tw[2*b+1])
		}
	}
}

func half2(re, im []float32, stride, n int, tr, ti float32) {
	x0r, x0i, x1r, x1i := re[:n], im[:n], re[stride:stride+n], im[stride:stride+n]
	for q := range n {
		br, bi := x1r[q]*tr-x1i[q]*ti, x1i[q]*tr+x1r[q]*ti
		ar, ai := x0r[q], x0i[q]
		x0r[q], x0i[q] = ar+br, ai+bi
		x1r[q], x1i[q] = ar-br, ai-bi
	}
}

func inv2Generic(blocks, n, stride int, re, im, tw []float32) {
	for b := range blocks {
		o := 2 * b * stride
		unhalf2(re[o:], im[o:], stride, n, tw[2*b], tw[2*b+1])
	}
}

func inv2Generic8(blocks, n, stride int, re, im, tw []float32) {
	for b := range blocks {
		for j := range 4 {
			o := (8*b + j) * stride
			unhalf2(re[o:], im[o:], 4*stride, n, tw[2*b], tw[2*b+1])
		}
	}
}

func unhalf2(re, im []float32, stride, n int, tr, ti float32) {
	x0r, x0i, x1r, x1i := re[:n], im[:n], re[stride:stride+n], im[stride:stride+n]
	for q := range n {
		dr, di := x0r[q]-x1r[q], x0i[q]-x1i[q]
		x0r[q], x0i[q] = x0r[q]+x1r[q], x0i[q]+x1i[q]
		x1r[q], x1i[q] = dr*tr+di*ti, di*tr-dr*ti
	}
}

func fwd4Generic(blocks, n, stride int, re, im, tw []float32) {
	for b := range blocks {
		o := 4 * b * stride
		t := tw[6*b : 6*b+6]
		xr, xi := re[o:], im[o:]
		x0r, x1r, x2r, x3r := xr[:n], xr[stride:stride+n], xr[2*stride:2*stride+n], xr[3*stride:3*stride+n]
		x0i, x1i, x2i, x3i := xi[:n], xi[stride:stride+n], xi[2*stride:2*stride+n], xi[3*stride:3*stride+n]
		for q := range n {
			ar, ai := x0r[q], x0i[q]
			br, bi := x1r[q]*t[0]-x1i[q]*t[1], x1i[q]*t[0]+x1r[q]*t[1]
			cr, ci := x2r[q]*t[2]-x2i[q]*t[3], x2i[q]*t[2]+x2r[q]*t[3]
			dr, di := x3r[q]*t[4]-x3i[q]*t[5], x3i[q]*t[4]+x3r[q]*t[5]
			sr, si, er, ei := ar+cr, ai+ci, ar-cr, ai-ci
			ur, ui, vr, vi := br+dr, bi+di, br-dr, bi-di
			x0r[q], x0i[q] = sr+ur, si+ui
			x1r[q], x1i[q] = sr-ur, si-ui
			x2r[q], x2i[q] = er+vi, ei-vr
			x3r[q], x3i[q] = er-vi, ei+vr
		}
	}
}

func inv4Generic(blocks, n, stride int, re, im, tw []float32) {
	for b := range blocks {
		o := 4 * b * stride
		t := tw[6*b : 6*b+6]
		xr, xi := re[o:], im[o:]
		x0r, x1r, x2r, x3r := xr[:n], xr[stride:stride+n], xr[2*stride:2*stride+n], xr[3*stride:3*stride+n]
		x0i, x1i, x2i, x3i := xi[:n], xi[stride:stride+n], xi[2*stride:2*stride+n], xi[3*stride:3*stride+n]
		for q := range n {
			sr, si, ur, ui := x0r[q]+x1r[q], x0i[q]+x1i[q], x0r[q]-x1r[q], x0i[q]-x1i[q]
			er, ei, vr, vi := x2r[q]+x3r[q], x2i[q]+x3i[q], x2r[q]-x3r[q], x2i[q]-x3i[q]
			x0r[q], x0i[q] = sr+er, si+ei
			br, bi := ur-vi, ui+vr
			cr, ci := sr-er, si-ei
			dr, di := ur+vi, ui-vr
			x1r[q], x1i[q] = br*t[0]+bi*t[1], bi*t[0]-br*t[1]
			x2r[q], x2i[q] = cr*t[2]+ci*t[3], ci*t[2]-cr*t[3]
			x3r[q], x3i[q] = dr*t[4]+di*t[5], di*t[4]-dr*t[5]
		}
	}
}

func mulGeneric(dr, di, ar, ai []float32) {
	for i, r := range dr {
		dr[i], di[i] = r*ar[i]-di[i]*ai[i], di[i]*ar[i]+r*ai[i]
	}
}

func mulConjGeneric(dr, di, ar, ai []float32) {
	for i, r := range dr {
		dr[i], di[i] = r*ar[i]+di[i]*ai[i], di[i]*ar[i]-r*ai[i]
	}
}

func addMulConjGeneric(dr, di, ar, ai, br, bi []float32) {
	for i := range dr {
		dr[i] += ar[i] * br[i]
		dr[i] += ai[i] * bi[i]
		di[i] += ai[i] * br[i]
		di[i] -= ar[i] * bi[i]
	}
}

func copyRowsGeneric(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	for i := range rows {
		copy(dst[i*ds:i*ds+lanes], src[i*ss:])
	}
}

func addRowsGeneric(rows, lanes int, dst []float32, ds int, src []float32, ss int) {
	for i := range rows {
		d, s := dst[i*ds:i*ds+lanes], src[i*ss:]
		for c := range d {
			d[c] += s[c]
		}
	}
}

func gatherRowsGeneric(rows, lanes int, dst []float32, ds int, src []float32, ss int, idx []int32, scale float32) {
	for i := range rows {
		d, s := dst[i*ds:i*ds+lanes], src[int(idx[i])*ss:]
		for c := range d {
			d[c] = s[c] * scale
		}
	}
}

func mulRowsGeneric(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	for i := range rows {
		d, x, y := dst[i*ds:i*ds+lanes], a[i*as:], b[i*bs:]
		for c := range d {
			d[c] = x[c] * y[c]
		}
	}
}

func addMulRowsGeneric(rows, lanes int, dst []float32, ds int, a []float32, as int, b []float32, bs int) {
	for i := range rows {
		d, x, y := dst[i*ds:i*ds+lanes], a[i*as:], b[i*bs:]
		for c := range d {
			d[c] += x[c] * y[c]
		}
	}
}

func dotRowsGeneric(count int, y, a []float32, ai, as int, b []float32, bi, bs int) {
	for i := range count {
		p, q := a[ai+i*as:], b[bi+i*bs:]
		p, q = p[:len(y)], q[:len(y)]
		for c := range y {
			y[c] += p[c] * q[c]
		}
	}
}

func pairGeneric(pr, pi, qr, qi, ar, ai, br, bi []float32, g *[3]float32) {
	for c := range pr {
		er, ei := (ar[c]+br[c])*g[2], (ai[c]-bi[c])*g[2]
		dr, di := ar[c]-br[c], ai[c]+bi[c]
		tr, ti := dr*g[0]-di*g[1], di*g[0]+dr*g[1]
		pr[c], pi[c], qr[c], qi[c] = er+tr, ei+ti, er-tr, ti-ei
	}
}

func dftRowGeneric(r, n, stride int, dr, di, sr, si, mat []float32) {
	for q := range n {
		var rr, ii, ri, ir float32
		for j := range r {
			xr, xi := sr[j*stride+q], si[j*stride+q]
			cr, ci := mat[2*j], mat[2*j+1]
			rr += xr * cr
			ii += xi * ci
			ri += xr * ci
			ir += xi * cr
		}
		dr[q], di[q] = rr-ii, ri+ir
	}
}

func foldGeneric(blocks, r, n int, dr, di, sr, si, coef []float32) {
	for b := range blocks {
		dftRowGeneric(r, n, n, dr[b*n:], di[b*n:], sr[b*r*n:], si[b*r*n:], coef[2*b*r:])
	}
}

func unfoldGeneric(blocks, r, n int, dr, di, sr, si, coef []float32) {
	for b := range blocks {
		xr, xi := sr[b*n:][:n], si[b*n:][:n]
		for i := b * r; i < (b+1)*r; i++ {
			cr, ci := coef[2*i], coef[2*i+1]
			yr, yi := dr[i*n:][:n], di[i*n:][:n]
			for c := range n {
				yr[c], yi[c] = xr[c]*cr+xi[c]*ci, xi[c]*cr-xr[c]*ci
			}
		}
	}
}
