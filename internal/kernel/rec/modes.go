package rec

// ModesArgs describes the recurrence of C complex numbers with complex inputs (LRU, S5):
//
//	h[c] = L[c]*h[c] + K[c]*x[c], y[c] = h[c]
type ModesArgs struct {
	T, C     int
	HRe, HIm []float32 // state [C], in and out
	LRe, LIm []float32 // [C]
	KRe, KIm []float32
	XRe, XIm []float32 // [T][C]
	YRe, YIm []float32 // [T][C], written; must not overlap an input

	XStride, YStride int // between tokens, of both parts
}

func (a *ModesArgs) check() {
	checkSizes(a.T, a.C)
	for _, s := range [...][]float32{a.HRe, a.HIm, a.LRe, a.LIm, a.KRe, a.KIm} {
		check("H, L or K", s, 1, 0, a.C)
	}
	check("X", a.XRe, a.T, a.XStride, a.C)
	check("X", a.XIm, a.T, a.XStride, a.C)
	check("Y", a.YRe, a.T, a.YStride, a.C)
	check("Y", a.YIm, a.T, a.YStride, a.C)
}

// Modes runs the recurrence.
func Modes(a *ModesArgs) {
	a.check()
	if a.T > 0 && a.C > 0 {
		modes(a)
	}
}

// ModesGrads are the gradients of Modes; a complex one is ∂/∂Re + i ∂/∂Im.
type ModesGrads struct {
	YRe, YIm []float32 // in, with Y's stride
	HRe, HIm []float32 // in: gradient of the final state; out: of the initial one
	// Added to.
	LRe, LIm, KRe, KIm []float32
	XRe, XIm           []float32 // with X's stride
}

// ModesBackward adds the gradients of Modes(a). HRe and HIm of a are the state before the T
// tokens and are not changed; Y is what Modes gave.
func ModesBackward(a *ModesArgs, g *ModesGrads) {
	a.check()
	for _, s := range [...][]float32{g.HRe, g.HIm, g.LRe, g.LIm, g.KRe, g.KIm} {
		check("gradient of H, L or K", s, 1, 0, a.C)
	}
	check("gradient of X", g.XRe, a.T, a.XStride, a.C)
	check("gradient of X", g.XIm, a.T, a.XStride, a.C)
	check("gradient of Y", g.YRe, a.T, a.YStride, a.C)
	check("gradient of Y", g.YIm, a.T, a.YStride, a.C)
	if a.T > 0 && a.C > 0 {
		modesBack(a, g)
	}
}

func modesGeneric(a *ModesArgs) {
	for t := range a.T {
		for c := range a.C {
			x, z := a.XRe[t*a.XStride+c], a.XIm[t*a.XStride+c]
			r := Flush(a.KRe[c]*x - a.KIm[c]*z + a.LRe[c]*a.HRe[c] - a.LIm[c]*a.HIm[c])
			i := Flush(a.KRe[c]*z + a.KIm[c]*x + a.LRe[c]*a.HIm[c] + a.LIm[c]*a.HRe[c])
			a.HRe[c], a.HIm[c] = r, i
			a.YRe[t*a.YStride+c], a.YIm[t*a.YStride+c] = r, i
		}
	}
}

// modesBackGeneric has g for the gradient of the state after a token: dL += g conj(h) with the
// state before it, dK += g conj(x), dx += g conj(K), g = g conj(L).
func modesBackGeneric(a *ModesArgs, g *ModesGrads) {
	for t := a.T - 1; t >= 0; t-- {
		hr, hi := a.HRe, a.HIm
		if t > 0 {
			hr, hi = a.YRe[(t-1)*a.YStride:], a.YIm[(t-1)*a.YStride:]
		}
		for c := range a.C {
			o := t*a.XStride + c
			gr, gi := g.HRe[c]+g.YRe[t*a.YStride+c], g.HIm[c]+g.YIm[t*a.YStride+c]
			g.LRe[c] += gr*hr[c] + gi*hi[c]
			g.LIm[c] += gi*hr[c] - gr*hi[c]
			g.KRe[c] += gr*a.XRe[o] + gi*a.XIm[o]
			g.KIm[c] += gi*a.XRe[o] - gr*a.XIm[o]
			g.XRe[o] += gr*a.KRe[c] + gi*a.KIm[c]
			g.XIm[o] += gi*a.KRe[c] - gr*a.KIm[c]
			g.HRe[c] = Flush(gr*a.LRe[c] + gi*a.LIm[c])
			g.HIm[c] = Flush(gi*a.LRe[c] - gr*a.LIm[c])
		}
	}
}
