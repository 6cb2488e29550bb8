package rec

// WKV4Args describes RWKV-4's weighted average over C channels in the form that keeps a running
// maximum (BlinkDL/RWKV-LM, RWKV-v4neo/cuda/wkv_cuda.cu). AA*e^PP and BB*e^PP are the sums
// of e^…·v and e^…; a new state has AA = BB = 0 and PP = NewWKV4Max.
//
//	q = max(PP, u+k); wkv = (e^(PP-q)*AA + e^(u+k-q)*v) / (e^(PP-q)*BB + e^(u+k-q))
//	q = max(PP+w, k); AA = e^(PP+w-q)*AA + e^(k-q)*v; BB = e^(PP+w-q)*BB + e^(k-q); PP = q
type WKV4Args struct {
	T, C       int
	AA, BB, PP []float32 // state [C], in and out
	W, U       []float32 // [C]; W is already -exp(time_decay)
	K, V       []float32 // [T][C]
	O          []float32 // [T][C], written; may be K or V

	KStride, VStride, OStride int
}

// NewWKV4Max is PP of an empty state.
const NewWKV4Max = -1e38

func (a *WKV4Args) check() {
	checkSizes(a.T, a.C)
	for _, s := range [...][]float32{a.AA, a.BB, a.PP, a.W, a.U} {
		check("AA, BB, PP, W or U", s, 1, 0, a.C)
	}
	check("K", a.K, a.T, a.KStride, a.C)
	check("V", a.V, a.T, a.VStride, a.C)
}

// WKV4 runs the recurrence.
func WKV4(a *WKV4Args) {
	a.check()
	check("O", a.O, a.T, a.OStride, a.C)
	if a.T > 0 && a.C > 0 {
		wkv4(a)
	}
}

// WKV4Grads are the gradients of WKV4. That of the state is with respect to AA and BB, PP held
// fixed: it belongs to the state's own PP.
type WKV4Grads struct {
	O          []float32 // in
	AA, BB     []float32 // in: gradient of the final state; out: of the initial one
	W, U, K, V []float32 // added to; nil is not computed

	OStride, KStride, VStride int

	Scratch []float32 // at least WKV4Scratch(T)
}

const wkvLanes = 16

// WKV4Scratch is the number of floats WKV4Backward needs: eight rows a token, and nine.
func WKV4Scratch(T int) int { return (8*T + 9 + 1) * wkvLanes }

// WKV4Backward adds the gradients of WKV4(a). AA, BB, PP of a are the state before the T tokens and
// are not changed; a.O is not used.
func WKV4Backward(a *WKV4Args, g *WKV4Grads) {
	a.check()
	check("gradient of O", g.O, a.T, g.OStride, a.C)
	check("gradient of AA", g.AA, 1, 0, a.C)
	check("gradient of BB", g.BB, 1, 0, a.C)
	checkOpt("gradient of W", g.W, 1, 0, a.C)
	checkOpt("gradient of U", g.U, 1, 0, a.C)
	checkOpt("gradient of K", g.K, a.T, g.KStride, a.C)
	checkOpt("gradient of V", g.V, a.T, g.VStride, a.C)
	if len(g.Scratch) < WKV4Scratch(a.T) {
		panic("rec: Scratch is too short")
	}
	for c := 0; c < a.C; c += wkvLanes {
		wkv4Back(a, g, c, min(wkvLanes, a.C-c))
	}
}

// expPair is e^(x-q), e^(y-q) with q = max(x, y): one of the two is 1.
func expPair(x, y float32) (e1, e2, q float32) {
	if x > y {
		return 1, exp32(y - x), x
	}
	return exp32(x - y), 1, y
}

func wkv4Generic(a *WKV4Args) {
	aa, bb, pp := a.AA[:a.C], a.BB[:a.C], a.PP[:a.C]
	w, u := a.W[:a.C], a.U[:a.C]
	for t := range a.T {
		k, v, o := a.K[t*a.KStride:][:a.C], a.V[t*a.VStride:][:a.C], a.O[t*a.OStride:][:a.C]
		for c := range aa {
			kc, vc := k[c], v[c]
			e1, e2, _ := expPair(pp[c], u[c]+kc)
			o[c] = (e1*aa[c] + e2*vc) / (e1*bb[c] + e2)
			e1, e2, pp[c] = expPair(pp[c]+w[c], kc)
			aa[c] = e1*aa[c] + e2*vc
			bb[c] = e1*bb[c] + e2
		}
	}
}

// wkv4BackGeneric takes n channels from c. Every factor is at most 1: the gradients of AA and BB carry
// the scale of the state's own maximum.
func wkv4BackGeneric(a *WKV4Args, g *WKV4Grads, c, n int) {
	const L = wkvLanes
	as, bs, ps := g.Scratch[:a.T*L], g.Scratch[a.T*L:2*a.T*L], g.Scratch[2*a.T*L:3*a.T*L]
	w, u := a.W[c:][:n], a.U[c:][:n]
	for l := range n {
		aa, bb, pp := a.AA[c+l], a.BB[c+l], a.PP[c+l]
		for t := range a.T {
			as[t*L+l], bs[t*L+l], ps[t*L+l] = aa, bb, pp
			k, v := a.K[t*a.KStride+c+l], a.V[t*a.VStride+c+l]
			var e1, e2 float32
			e1, e2, pp = expPair(pp+w[l], k)
			aa, bb = e1*aa+e2*v, e1*bb+e2
		}
	}
	var dw, du [L]float32
	ga, gb := g.AA[c:][:n], g.BB[c:][:n]
	for t := a.T - 1; t >= 0; t-- {
		k, v, do := a.K[t*a.KStride+c:][:n], a.V[t*a.VStride+c:][:n], g.O[t*g.OStride+c:][:n]
		for l := range n {
			aa, bb, pp := as[t*L+l], bs[t*L+l], ps[t*L+l]
			e1, e2, _ := expPair(pp+w[l], k[l])
			dw[l] += e1 * (aa*ga[l] + bb*gb[l])
			dk, dv := e2*(v[l]*ga[l]+gb[l]), e2*ga[l]
			gal, gbl := e1*ga[l], e1*gb[l]
			e1, e2, _ = expPair(pp, u[l]+k[l])
			den := e1*bb + e2
			y, s := (e1*aa+e2*v[l])/den, do[l]/den
			dv += e2 * s
			x := e2 * s * (v[l] - y)
			du[l] += x
			dk += x
			ga[l], gb[l] = gal+e1*s, gbl-e1*y*s
			if g.K != nil {
				g.K[t*g.KStride+c+l] += dk
			}
			if g.V != nil {
				g.V[t*g.VStride+c+l] += dv
			}
		}
	}
	if g.W != nil {
		axpy(g.W[c:][:n], 1, dw[:])
	}
	if g.U != nil {
		axpy(g.U[c:][:n], 1, du[:])
	}
}
