package rec

// DPLRArgs describes the step form of state spaces whose matrix is diagonal plus rank one (S4,
// arXiv 2111.00396), N complex modes in each of C channels:
//
//	z = Σ_n Q[n][c]·s[n][c], s[n][c] = A[n][c]*s[n][c] - P[n][c]*z + B[n][c]*u[c]
//	y[c] = Σ_n C[n][c]·s[n][c] + D[c]*u[c]
//
// where x·s is Re x Re s + Im x Im s. All of [N][C] are Stride apart between modes.
type DPLRArgs struct {
	T, C, N            int
	SRe, SIm           []float32 // state [N][C], in and out
	ARe, AIm, PRe, PIm []float32
	QRe, QIm, BRe, BIm []float32
	CRe, CIm           []float32
	D                  []float32 // [C]
	U                  []float32 // [T][C]
	Y                  []float32 // [T][C], written; must not overlap U

	Stride, UStride, YStride int
}

// arrays are the state and the constants, in the order of dplrCall.
func (a *DPLRArgs) arrays() [12][]float32 {
	return [...][]float32{a.SRe, a.SIm, a.ARe, a.AIm, a.PRe, a.PIm, a.QRe, a.QIm, a.BRe, a.BIm, a.CRe, a.CIm}
}

// DPLR runs the recurrence.
func DPLR(a *DPLRArgs) {
	checkSizes(a.T, a.C, a.N)
	for _, s := range a.arrays() {
		check("a state or constant", s, a.N, a.Stride, a.C)
	}
	check("D", a.D, 1, 0, a.C)
	check("U", a.U, a.T, a.UStride, a.C)
	check("Y", a.Y, a.T, a.YStride, a.C)
	if a.T > 0 && a.C > 0 {
		dplr(a)
	}
}

func dplrGeneric(a *DPLRArgs) {
	for c := 0; c < a.C; c += lanes {
		dplrBlock(a, c, min(lanes, a.C-c))
	}
}

func dplrBlock(a *DPLRArgs, c, w int) {
	var buf [2][lanes]float32
	z, y := buf[0][:w], buf[1][:w]
	for t := range a.T {
		u := a.U[t*a.UStride+c:][:w]
		clear(z)
		for n := range a.N {
			i := n*a.Stride + c
			re, im, qr, qi := a.SRe[i:][:w], a.SIm[i:][:w], a.QRe[i:][:w], a.QIm[i:][:w]
			for l := range z {
				z[l] += qr[l]*re[l] + qi[l]*im[l]
			}
		}
		for l, d := range a.D[c:][:w] {
			y[l] = d * u[l]
		}
		for n := range a.N {
			i := n*a.Stride + c
			re, im, ar, ai := a.SRe[i:][:w], a.SIm[i:][:w], a.ARe[i:][:w], a.AIm[i:][:w]
			pr, pi, br, bi := a.PRe[i:][:w], a.PIm[i:][:w], a.BRe[i:][:w], a.BIm[i:][:w]
			cr, ci := a.CRe[i:][:w], a.CIm[i:][:w]
			for l := range y {
				r := Flush(ar[l]*re[l] - ai[l]*im[l] - pr[l]*z[l] + br[l]*u[l])
				m := Flush(ar[l]*im[l] + ai[l]*re[l] - pi[l]*z[l] + bi[l]*u[l])
				re[l], im[l] = r, m
				y[l] += cr[l]*r + ci[l]*m
			}
		}
		copy(a.Y[t*a.YStride+c:][:w], y)
	}
}
