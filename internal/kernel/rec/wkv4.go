package rec

import "math"

// WKV4Args describes RWKV-4's recurrence over C channels. The running sums N and D are held
// as AA = N·e^{−PP}, BB = D·e^{−PP}, so that no exponential overflows
// (BlinkDL/ChatRWKV, RWKV_in_150_lines.py):
//
//	y = (N + e^{u+k} v)/(D + e^{u+k});  N = e^w N + e^k v;  D = e^w D + e^k
type WKV4Args struct {
	T, C       int
	W, U       []float32 // [C]; W = −exp(time_decay)
	K, V       []float32 // [T][C]
	Y          []float32 // [T][C], written
	AA, BB, PP []float32 // state [C], in and out

	KStride, VStride, YStride int
}

func (a *WKV4Args) check() {
	checkSizes(a.T, a.C)
	check("W", a.W, 1, 0, a.C)
	check("U", a.U, 1, 0, a.C)
	check("K", a.K, a.T, a.KStride, a.C)
	check("V", a.V, a.T, a.VStride, a.C)
	check("AA", a.AA, 1, 0, a.C)
	check("BB", a.BB, 1, 0, a.C)
	check("PP", a.PP, 1, 0, a.C)
}

// WKV4 runs the recurrence. Y may be K or V. It does not allocate.
func WKV4(a *WKV4Args) {
	a.check()
	check("Y", a.Y, a.T, a.YStride, a.C)
	if a.T > 0 && a.C > 0 {
		wkv4(a)
	}
}

func wkv4Exp(x float32) float32 { return float32(math.Exp(float64(x))) }

func wkv4Generic(a *WKV4Args) {
	for t := range a.T {
		k, v, y := a.K[t*a.KStride:][:a.C], a.V[t*a.VStride:][:a.C], a.Y[t*a.YStride:][:a.C]
		for c := range k {
			kc, vc := k[c], v[c]
			ww := a.U[c] + kc
			q := max(a.PP[c], ww)
			e1, e2 := wkv4Exp(a.PP[c]-q), wkv4Exp(ww-q)
			y[c] = (e1*a.AA[c] + e2*vc) / (e1*a.BB[c] + e2)
			wkv4Update(a.W[c], kc, vc, &a.AA[c], &a.BB[c], &a.PP[c])
		}
	}
}

// wkv4Update takes in one token; e1 and e2 are the weights of the old sums and of the token.
func wkv4Update(w, k, v float32, aa, bb, pp *float32) (e1, e2 float32) {
	ww := *pp + w
	q := max(ww, k)
	e1, e2 = wkv4Exp(ww-q), wkv4Exp(k-q)
	*aa, *bb, *pp = e1**aa+e2*v, e1**bb+e2, q
	return e1, e2
}

// WKV4Grads are the gradients of WKV4.
type WKV4Grads struct {
	Y      []float32 // in: gradient of the output; nil means 0
	AA, BB []float32 // in: gradient of the final sums; out: of the initial ones
	// Added to; nil is not computed.
	W, U []float32 // [C]
	K, V []float32 // [T][C]

	YStride, KStride, VStride int

	Scratch []float32 // at least WKV4Scratch(T, C)
}

// WKV4Scratch is the number of floats WKV4Backward needs.
func WKV4Scratch(T, C int) int { return 3 * (T + 1) * C }

// WKV4Backward adds the gradients of WKV4(a). AA, BB and PP of a are the state before the T
// tokens and are not changed. PP is a shift that nothing depends on and is held constant.
func WKV4Backward(a *WKV4Args, g *WKV4Grads) {
	a.check()
	C := a.C
	at := func(t int) (aa, bb, pp []float32) {
		s := g.Scratch[3*t*C:][:3*C]
		return s[:C], s[C : 2*C], s[2*C:]
	}
	aa, bb, pp := at(0)
	copy(aa, a.AA[:C])
	copy(bb, a.BB[:C])
	copy(pp, a.PP[:C])
	for t := range a.T {
		aa, bb, pp := at(t)
		na, nb, np := at(t + 1)
		copy(na, aa)
		copy(nb, bb)
		copy(np, pp)
		for c := range C {
			wkv4Update(a.W[c], a.K[t*a.KStride+c], a.V[t*a.VStride+c], &na[c], &nb[c], &np[c])
		}
	}
	add := func(dst []float32, i int, x float32) {
		if dst != nil {
			dst[i] += x
		}
	}
	for t := a.T - 1; t >= 0; t-- {
		aa, bb, pp := at(t)
		for c := range C {
			k, v := a.K[t*a.KStride+c], a.V[t*a.VStride+c]
			n, d, q := aa[c], bb[c], pp[c]
			e1, e2 := wkv4Update(a.W[c], k, v, &n, &d, &q)
			gn, gd := g.AA[c], g.BB[c]
			dk, dv := e2*(gn*v+gd), e2*gn
			add(g.W, c, e1*(gn*aa[c]+gd*bb[c]))
			gn, gd = e1*gn, e1*gd
			if g.Y != nil {
				ww := a.U[c] + k
				q := max(pp[c], ww)
				f1, f2 := wkv4Exp(pp[c]-q), wkv4Exp(ww-q)
				below := f1*bb[c] + f2
				y := (f1*aa[c] + f2*v) / below
				dn := g.Y[t*g.YStride+c] / below
				dd := -dn * y
				dv += dn * f2
				du := f2 * (dn*v + dd)
				dk += du
				add(g.U, c, du)
				gn, gd = gn+dn*f1, gd+dd*f1
			}
			add(g.K, t*g.KStride+c, dk)
			add(g.V, t*g.VStride+c, dv)
			g.AA[c], g.BB[c] = gn, gd
		}
	}
}
