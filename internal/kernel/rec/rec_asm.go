//go:build !purego && (amd64 || arm64)

package rec

import (
	"sync"
	"unsafe"
)

// The assembly is printed by internal/asmgen/rec.go. A function gets a struct
// of pointers, counts and strides in bytes, whose layout the generator repeats;
// "Part" works on the first lanes channels (or columns) of one vector, with NEON
// on one. The files of the architectures say what there is: useAsm, width (the
// floats of a vector), channels, columns, and an …Asm for each of the functions.

type selectiveCall struct {
	h, a, dt, x, y, b, c, d            *float32
	T, N                               int
	hs, as, dts, xs, ys, bs, cs, lanes int
}

type matrixCall struct {
	s, q, k, d, a, b, v, o                       *float32
	T, K                                         int
	ss, qs, ks, ds, as, bs, vs, os, dstep, lanes int
}

type convCall struct {
	dst, x, w, bias, state  *float32
	T                       int
	dsts, xs, ws, ss, lanes int
}

type convRowCall struct {
	dst, x0, x1, x2, x3, w, bias *float32
	ws, n, lanes                 int
}

type wkv4Call struct {
	aa, bb, pp, w, u, k, v, o *float32
	T                         int
	ks, vs, os, lanes         int
}

type complexCall struct {
	sre, sim, are, aim, bre, bim, cre, cim, d, x, y *float32
	T, N                                            int
	stride, xs, ys, lanes                           int
}

type softmaxCall struct {
	s, max, sum, factor, scale *float32
	T, stride, lanes           int
}

type softmaxBackCall struct {
	s, d, lse, delta, scale *float32
	T, stride, lanes        int
}

type diagonalCall struct {
	a, b, h, state    *float32
	T                 int
	as, bs, hs, lanes int
}

// zeros stands for a row of channels that is not given, ones for a decay that is not.
var (
	zeros [convChannels]float32
	one   float32 = 1
)

// at is the address of s[i], or of zeros where there is no s.
func at(s []float32, i int) *float32 {
	if i >= len(s) {
		return &zeros[0]
	}
	return &s[i]
}

// selectiveLocal is the largest number of states of a channel that selective
// keeps side by side: rows of a wide state may all fall on one cache set.
const selectiveLocal = 32

func selective(a *SelectiveArgs) {
	if !useAsm || a.N == 0 {
		selectiveGeneric(a)
		return
	}
	c := selectiveCall{T: a.T, N: a.N, b: at(a.B, 0), c: at(a.C, 0), dts: 4 * a.DtStride, xs: 4 * a.XStride, ys: 4 * a.YStride, bs: 4 * a.BStride, cs: 4 * a.CStride}
	ldh, lda := or(a.HStride, a.E), or(a.AStride, a.E)
	var buf [2*selectiveLocal*16 + 16]float32
	hbuf := aligned(buf[:])
	abuf := hbuf[selectiveLocal*16:]
	local := a.T >= 8 && a.N <= selectiveLocal
	for e := 0; e < a.E; e += c.lanes {
		n, part := channels(a.E - e)
		c.lanes = n
		c.dt, c.x, c.y, c.d = &a.Dt[e], &a.X[e], &a.Y[e], at(a.D, e)
		if local {
			copyRows(hbuf, 16, a.H[e:], ldh, a.N, n)
			copyRows(abuf, 16, a.A[e:], lda, a.N, n)
			c.h, c.a, c.hs, c.as = &hbuf[0], &abuf[0], 64, 64
		} else {
			c.h, c.a, c.hs, c.as = &a.H[e], &a.A[e], 4*ldh, 4*lda
		}
		selectiveAsm(&c, part)
		if local {
			copyRows(a.H[e:], ldh, hbuf, 16, a.N, n)
		}
	}
}

// The forms in which there is a recurrence on a matrix state.
const (
	formToken   = iota
	formGroup   // some tokens at a time
	formRankOne // with a correction
)

func matrix(a *MatrixArgs) {
	if !useAsm || a.K == 0 {
		matrixGeneric(a)
		return
	}
	c := matrixCall{K: a.K, ss: 4 * or(a.SStride, a.V), qs: 4 * a.QStride, ks: 4 * a.KStride, ds: 4 * a.DStride,
		as: 4 * a.AStride, bs: 4 * a.BStride, vs: 4 * a.VStride, os: 4 * a.OStride}
	if a.D == nil {
		c.ds = 0
	} else if !a.DScalar {
		c.dstep = 4
	}
	if a.A != nil {
		matrixTokens(a, &c, formRankOne, 0, a.T)
		return
	}
	grouped := a.T - a.T%groupTokens()
	matrixTokens(a, &c, formGroup, 0, grouped)
	matrixTokens(a, &c, formToken, grouped, a.T)
}

// matrixTokens runs tokens lo to hi of a in the given form.
func matrixTokens(a *MatrixArgs, c *matrixCall, form, lo, hi int) {
	if lo == hi {
		return
	}
	c.T = hi - lo
	c.k, c.d = &a.Kk[lo*a.KStride], &one
	if a.D != nil {
		c.d = &a.D[lo*a.DStride]
	}
	if form == formRankOne {
		c.a, c.b = &a.A[lo*a.AStride], &a.B[lo*a.BStride]
	}
	read := 0
	if a.O != nil {
		c.q = &a.Q[lo*a.QStride]
		read = 1
		if a.ReadBefore {
			read = 2
		}
	}
	for j := 0; j < a.V; j += c.lanes {
		c.s, c.v = &a.S[j], &a.Vv[lo*a.VStride+j]
		if a.O != nil {
			c.o = &a.O[lo*a.OStride+j]
		}
		c.lanes = columns(a.V-j, form)
		if c.T < matrixCopy || c.ss%512 != 0 || 4*c.lanes == c.ss {
			matrixAsm(c, form, read)
			continue
		}
		mem := panels.Get().(*[]float32)
		if n := a.K*c.lanes + 16; len(*mem) < n {
			*mem = make([]float32, n)
		}
		panel, ss := aligned(*mem)[:a.K*c.lanes], c.ss
		copyRows(panel, c.lanes, a.S[j:], ss/4, a.K, c.lanes)
		c.s, c.ss = &panel[0], 4*c.lanes
		matrixAsm(c, form, read)
		c.ss = ss
		copyRows(a.S[j:], ss/4, panel, c.lanes, a.K, c.lanes)
		panels.Put(mem)
	}
}

// matrixCopy is the number of tokens from which columns of a state whose rows lie
// a multiple of 512 bytes apart, in few sets of the cache, are better side by side:
// for 128×128 that halves the time of a token, and costs that of about ten.
const matrixCopy = 32

var panels = sync.Pool{New: func() any { return new([]float32) }}

// aligned is s from its first cache line on: vectors that cross lines cost half as much again.
func aligned(s []float32) []float32 {
	return s[(-uintptr(unsafe.Pointer(&s[0])))%64/4:]
}

func matrixBack(a *MatrixArgs, g *MatrixGrads, t int, s, next []float32) {
	matrixBackGeneric(a, g, t, s, next)
}

type selectiveBackCall struct {
	h, a, hs, ps, dt, x, dy, ddt, dx, gh, da, b, c, db, dc *float32
	T, N, bs, cs                                           int
}

// selectiveBack is selectiveBackGeneric on rows of 16 channels side by side,
// missing ones zero.
func selectiveBack(a *SelectiveArgs, g *SelectiveGrads) {
	if !useAsm || a.N == 0 {
		selectiveBackGeneric(a, g)
		return
	}
	const L = selectiveLanes
	T, N := a.T, a.N
	rest := g.Scratch
	take := func(n int) []float32 { s := rest[:n:n]; rest = rest[n:]; return s }
	hs, ps := take(T*N*L), take(T*N*L)
	dt, x, dy, ddt, dx := take(T*L), take(T*L), take(T*L), take(T*L), take(T*L)
	al, gh, da := take(N*L), take(N*L), take(N*L)
	db, dc := take(T*N), take(T*N)
	clear(db)
	clear(dc)
	ldh, lda := or(a.HStride, a.E), or(a.AStride, a.E)
	ldgh, ldga := or(g.HStride, a.E), or(g.AStride, a.E)
	for e := 0; e < a.E; e += L {
		w := min(L, a.E-e)
		if w < L {
			for _, s := range [...][]float32{dt, x, dy, al, gh} {
				clear(s)
			}
		}
		copyRows(dt, L, a.Dt[e:], a.DtStride, T, w)
		copyRows(x, L, a.X[e:], a.XStride, T, w)
		copyRows(dy, L, g.Y[e:], g.YStride, T, w)
		copyRows(al, L, a.A[e:], lda, N, w)
		copyRows(gh, L, g.H[e:], ldgh, N, w)
		clear(da)
		copyRows(da, L, a.H[e:], ldh, N, w) // the running state, for now
		c := selectiveBackCall{hs: &hs[0], ps: &ps[0], T: T, N: N, b: at(a.B, 0), c: at(a.C, 0), bs: 4 * a.BStride, cs: 4 * a.CStride, db: &db[0], dc: &dc[0]}
		for l := 0; l < L; l += width() {
			c.h, c.a, c.hs, c.ps = &da[l], &al[l], &hs[l], &ps[l]
			c.dt, c.x = &dt[l], &x[l]
			selectiveKeepAsm(&c)
		}
		clear(da)
		for l := 0; l < L; l += width() {
			c.a, c.hs, c.ps, c.gh, c.da = &al[l], &hs[l], &ps[l], &gh[l], &da[l]
			c.dt, c.x, c.dy, c.ddt, c.dx = &dt[l], &x[l], &dy[l], &ddt[l], &dx[l]
			selectiveBackAsm(&c)
		}
		copyRows(g.H[e:], ldgh, gh, L, N, w)
		if g.A != nil {
			for n := range N {
				axpy(g.A[n*ldga+e:][:w], 1, da[n*L:])
			}
		}
		for t := range T {
			if g.Dt != nil {
				axpy(g.Dt[t*g.DtStride+e:][:w], 1, ddt[t*L:])
			}
			dyr, xr, dtr := dy[t*L:][:w], x[t*L:][:w], dt[t*L:][:w]
			if g.X != nil {
				to := g.X[t*g.XStride+e:][:w]
				for l, v := range dx[t*L:][:w] {
					to[l] += v * dtr[l]
				}
				if a.D != nil {
					for l, d := range a.D[e:][:w] {
						to[l] += d * dyr[l]
					}
				}
			}
			if g.D != nil {
				for l, d := range g.D[e:][:w] {
					g.D[e+l] = d + dyr[l]*xr[l]
				}
			}
		}
	}
	for t := range T {
		if g.B != nil {
			axpy(g.B[t*g.BStride:][:N], 1, db[t*N:])
		}
		if g.C != nil {
			axpy(g.C[t*g.CStride:][:N], 1, dc[t*N:])
		}
	}
}

func diagonal(a *DiagonalArgs) {
	if !useAsm {
		diagonalGeneric(a)
		return
	}
	c := diagonalCall{T: a.T, as: 4 * a.AStride, bs: 4 * a.BStride, hs: 4 * a.HStride}
	for i := 0; i < a.C; i += c.lanes {
		n, part := channels(a.C - i)
		c.lanes = n
		c.a, c.b, c.h, c.state = &a.A[i], &a.B[i], &a.H[i], &a.State[i]
		diagonalAsm(&c, part)
	}
}

func complexDiagonal(a *ComplexArgs) {
	if !useAsm {
		complexGeneric(a)
		return
	}
	c := complexCall{N: a.N, xs: 4 * a.XStride, ys: 4 * a.YStride}
	from := [...][]float32{a.SRe, a.SIm, a.ARe, a.AIm, a.BRe, a.BIm, a.CRe, a.CIm}
	to := [...]**float32{&c.sre, &c.sim, &c.are, &c.aim, &c.bre, &c.bim, &c.cre, &c.cim}
	eachVector(a.T, a.N, a.C, or(a.Stride, a.C), from[:], to[:], func(i, lanes, stride int, part bool) {
		c.lanes, c.stride, c.d = lanes, stride, at(a.D, i)
		grouped := 0
		if a.N > 0 && !part {
			grouped = a.T - a.T%complexTokens()
		}
		if c.T = grouped; c.T > 0 {
			c.x, c.y = &a.X[i], &a.Y[i]
			complexGroupAsm(&c)
		}
		if c.T = a.T - grouped; c.T > 0 {
			c.x, c.y = &a.X[grouped*a.XStride+i], &a.Y[grouped*a.YStride+i]
			complexAsm(&c, part)
		}
	})
}

// eachVector calls f for each vector of C channels, with to the addresses of its rows of the
// arrays, [N][C] with ld between modes; f gets the first channel and the bytes between rows.
// The first two arrays are the state. From some tokens on the rows are copied side by side:
// those of many channels may all fall on one cache set.
func eachVector(T, N, C, ld int, arrays [][]float32, to []**float32, f func(i, lanes, stride int, part bool)) {
	const L, tokens = 16, 8
	size := (N + 1) * L // of an array; one row more, lest all start on one cache set
	var local []float32
	if T >= tokens {
		mem := panels.Get().(*[]float32)
		defer panels.Put(mem)
		if n := len(arrays)*size + L; len(*mem) < n {
			*mem = make([]float32, n)
		}
		local = aligned(*mem)
	}
	for i := 0; i < C; {
		lanes, part := channels(C - i)
		stride := 4 * ld
		for k, s := range arrays {
			*to[k] = at(s, i)
			if local != nil {
				copyRows(local[k*size:], L, s[min(i, len(s)):], ld, N, lanes)
				*to[k], stride = &local[k*size], 4*L
			}
		}
		f(i, lanes, stride, part)
		if local != nil {
			for k, s := range arrays[:2] {
				copyRows(s[min(i, len(s)):], ld, local[k*size:], L, N, lanes)
			}
		}
		i += lanes
	}
}

type dplrCall struct {
	sre, sim, are, aim, pre, pim, qre, qim, bre, bim, cre, cim, d, u, y *float32
	T, N                                                                int
	stride, us, ys, lanes                                               int
}

func dplr(a *DPLRArgs) {
	if !useAsm || a.N == 0 {
		dplrGeneric(a)
		return
	}
	c := dplrCall{T: a.T, N: a.N, us: 4 * a.UStride, ys: 4 * a.YStride}
	to := [...]**float32{&c.sre, &c.sim, &c.are, &c.aim, &c.pre, &c.pim, &c.qre, &c.qim, &c.bre, &c.bim, &c.cre, &c.cim}
	from := a.arrays()
	eachVector(a.T, a.N, a.C, a.Stride, from[:], to[:], func(i, lanes, stride int, part bool) {
		c.lanes, c.stride = lanes, stride
		c.d, c.u, c.y = &a.D[i], &a.U[i], &a.Y[i]
		dplrAsm(&c, part)
	})
}

type complexBackCall struct {
	m, re, im, x, dy, dx *float32
	T                    int
}

// complexBack is complexBackGeneric on rows of 16 channels side by side, missing ones zero.
func complexBack(a *ComplexArgs, g *ComplexGrads, c, w int) {
	if !useAsm || a.T == 0 {
		complexBackGeneric(a, g, c, w)
		return
	}
	const L = complexLanes
	rest := aligned(g.Scratch)
	take := func(n int) []float32 { s := rest[:n*L]; rest = rest[n*L:]; return s }
	x, dy, dx, re, im, m := take(a.T), take(a.T), take(a.T), take(a.T+1), take(a.T+1), take(complexMode)
	clear(dx)
	if w < L {
		for _, s := range [...][]float32{x, dy, re[:L], im[:L], m} {
			clear(s)
		}
	}
	copyRows(x, L, a.X[c:], a.XStride, a.T, w)
	copyRows(dy, L, g.Y[c:], g.YStride, a.T, w)
	ld, ldg := or(a.Stride, a.C), or(g.Stride, a.C)
	for n := range a.N {
		i, j := n*ld+c, n*ldg+c
		for r, s := range [...][]float32{a.ARe, a.AIm, a.BRe, a.BIm, a.CRe, a.CIm} {
			copy(m[r*L:][:w], s[i:])
		}
		copy(m[6*L:][:w], g.SRe[j:])
		copy(m[7*L:][:w], g.SIm[j:])
		copy(re[:w], a.SRe[i:])
		copy(im[:w], a.SIm[i:])
		for l := 0; l < L; l += width() {
			call := complexBackCall{m: &m[l], re: &re[l], im: &im[l], x: &x[l], dy: &dy[l], dx: &dx[l], T: a.T}
			complexKeepAsm(&call)
			complexBackAsm(&call)
		}
		copy(g.SRe[j:][:w], m[6*L:])
		copy(g.SIm[j:][:w], m[7*L:])
		for r, s := range [...][]float32{g.ARe, g.AIm, g.BRe, g.BIm, g.CRe, g.CIm} {
			if s != nil {
				axpy(s[j:][:w], 1, m[(8+r)*L:])
			}
		}
	}
	if g.X != nil {
		for t := range a.T {
			axpy(g.X[t*g.XStride+c:][:w], 1, dx[t*L:])
		}
	}
}

type modesCall struct {
	hre, him, lre, lim, kre, kim, xre, xim, yre, yim *float32
	T, xs, ys, lanes                                 int
}

type modesBackCall struct {
	gre, gim, lre, lim, kre, kim, dlre, dlim, dkre, dkim *float32
	hre, him, xre, xim, dyre, dyim, dxre, dxim           *float32
	T, xs, ys, lanes                                     int
}

func modes(a *ModesArgs) {
	if !useAsm {
		modesGeneric(a)
		return
	}
	c := modesCall{T: a.T, xs: 4 * a.XStride, ys: 4 * a.YStride}
	for i := 0; i < a.C; i += c.lanes {
		n, part := channels(a.C - i)
		c.lanes = n
		c.hre, c.him, c.lre, c.lim, c.kre, c.kim = &a.HRe[i], &a.HIm[i], &a.LRe[i], &a.LIm[i], &a.KRe[i], &a.KIm[i]
		c.xre, c.xim, c.yre, c.yim = &a.XRe[i], &a.XIm[i], &a.YRe[i], &a.YIm[i]
		modesAsm(&c, part)
	}
}

func modesBack(a *ModesArgs, g *ModesGrads) {
	if !useAsm {
		modesBackGeneric(a, g)
		return
	}
	c := modesBackCall{xs: 4 * a.XStride, ys: 4 * a.YStride}
	for i := 0; i < a.C; i += c.lanes {
		n, part := channels(a.C - i)
		c.lanes = n
		c.gre, c.gim, c.lre, c.lim, c.kre, c.kim = &g.HRe[i], &g.HIm[i], &a.LRe[i], &a.LIm[i], &a.KRe[i], &a.KIm[i]
		c.dlre, c.dlim, c.dkre, c.dkim = &g.LRe[i], &g.LIm[i], &g.KRe[i], &g.KIm[i]
		// Before each token is the one before it, before the first the initial state.
		if c.T = a.T - 1; c.T > 0 {
			x, y := a.XStride+i, a.YStride+i
			c.hre, c.him, c.xre, c.xim = &a.YRe[i], &a.YIm[i], &a.XRe[x], &a.XIm[x]
			c.dyre, c.dyim, c.dxre, c.dxim = &g.YRe[y], &g.YIm[y], &g.XRe[x], &g.XIm[x]
			modesBackAsm(&c, part)
		}
		c.T = 1
		c.hre, c.him, c.xre, c.xim = &a.HRe[i], &a.HIm[i], &a.XRe[i], &a.XIm[i]
		c.dyre, c.dyim, c.dxre, c.dxim = &g.YRe[i], &g.YIm[i], &g.XRe[i], &g.XIm[i]
		modesBackAsm(&c, part)
	}
}

func wkv4(a *WKV4Args) {
	if !useAsm {
		wkv4Generic(a)
		return
	}
	c := wkv4Call{T: a.T, ks: 4 * a.KStride, vs: 4 * a.VStride, os: 4 * a.OStride}
	for i := 0; i < a.C; i += c.lanes {
		n, part := channels(a.C - i)
		c.lanes = n
		c.aa, c.bb, c.pp, c.w, c.u = &a.AA[i], &a.BB[i], &a.PP[i], &a.W[i], &a.U[i]
		c.k, c.v, c.o = &a.K[i], &a.V[i], &a.O[i]
		wkv4Asm(&c, part)
	}
}

func softmax(a *SoftmaxArgs) {
	if !useAsm {
		softmaxGeneric(a)
		return
	}
	c := softmaxCall{scale: &a.Scale, T: a.T, stride: 4 * a.Stride}
	for i := 0; i < a.C; i += c.lanes {
		n, part := channels(a.C - i)
		c.lanes = n
		c.s, c.max, c.sum, c.factor = &a.S[i], &a.Max[i], &a.Sum[i], &a.Factor[i]
		softmaxAsm(&c, part)
	}
}

func softmaxBack(g *SoftmaxGrads) {
	if !useAsm {
		softmaxBackGeneric(g)
		return
	}
	c := softmaxBackCall{scale: &g.Scale, T: g.T, stride: 4 * g.Stride}
	for i := 0; i < g.C; i += c.lanes {
		n, part := channels(g.C - i)
		c.lanes = n
		c.s, c.d, c.lse, c.delta = &g.S[i], &g.D[i], &g.LSE[i], &g.Delta[i]
		softmaxBackAsm(&c, part)
	}
}

type wkv4BackCall struct {
	aa, bb, pp, w, u, ga, gb, dw, du, k, v, do, as, bs, ps, dk, dv *float32
	T                                                              int
}

// wkv4Back is wkv4BackGeneric on rows of 16 channels side by side, missing ones zero.
func wkv4Back(a *WKV4Args, g *WKV4Grads, c, n int) {
	if !useAsm || a.T == 0 {
		wkv4BackGeneric(a, g, c, n)
		return
	}
	const L = wkvLanes
	rest := aligned(g.Scratch)
	take := func(rows int) []float32 { s := rest[:rows*L]; rest = rest[rows*L:]; return s }
	k, v, do, as, bs, ps, dk, dv := take(a.T), take(a.T), take(a.T), take(a.T), take(a.T), take(a.T), take(a.T), take(a.T)
	one := take(9) // AA, BB, PP, W, U and the gradients of AA, BB, W, U
	clear(one)
	if n < L {
		for _, s := range [...][]float32{k, v, do} {
			clear(s)
		}
	}
	copyRows(k, L, a.K[c:], a.KStride, a.T, n)
	copyRows(v, L, a.V[c:], a.VStride, a.T, n)
	copyRows(do, L, g.O[c:], g.OStride, a.T, n)
	for i, s := range [...][]float32{a.AA, a.BB, a.PP, a.W, a.U, g.AA, g.BB} {
		copy(one[i*L:][:n], s[c:])
	}
	for l := 0; l < L; l += width() {
		at := func(i int) *float32 { return &one[i*L+l] }
		call := wkv4BackCall{aa: at(0), bb: at(1), pp: at(2), w: at(3), u: at(4), ga: at(5), gb: at(6), dw: at(7), du: at(8),
			k: &k[l], v: &v[l], do: &do[l], as: &as[l], bs: &bs[l], ps: &ps[l], dk: &dk[l], dv: &dv[l], T: a.T}
		wkv4KeepAsm(&call)
		wkv4BackAsm(&call)
	}
	copy(g.AA[c:][:n], one[5*L:])
	copy(g.BB[c:][:n], one[6*L:])
	if g.W != nil {
		axpy(g.W[c:][:n], 1, one[7*L:])
	}
	if g.U != nil {
		axpy(g.U[c:][:n], 1, one[8*L:])
	}
	for t := range a.T {
		if g.K != nil {
			axpy(g.K[t*g.KStride+c:][:n], 1, dk[t*L:])
		}
		if g.V != nil {
			axpy(g.V[t*g.VStride+c:][:n], 1, dv[t*L:])
		}
	}
}

func conv(a *ConvArgs) {
	if !useAsm || a.Width < 2 || a.Width > 4 {
		convGeneric(a)
		return
	}
	if a.T >= convTokens && &a.Dst[0] != &a.X[0] {
		convRows(a)
		return
	}
	c := convCall{T: a.T, dsts: 4 * a.DstStride, xs: 4 * a.XStride, ws: 4 * or(a.WeightStride, a.C), ss: 4 * or(a.StateStride, a.C)}
	for i := 0; i < a.C; i += c.lanes {
		n, part := channels(a.C - i)
		c.lanes = n
		c.dst, c.x, c.w, c.bias, c.state = &a.Dst[i], &a.X[i], &a.Weights[i], at(a.Bias, i), &a.State[i]
		convAsm(&c, a.Width, a.SiLU, part)
	}
}

// With convTokens or more, conv goes token by token through convChannels at a
// time: rows of a whole layer lie too far apart to go down one vector after the
// other, and so few channels' taps and last inputs stay in the first-level cache.
const (
	convTokens   = 8
	convChannels = 512
)

func convRows(a *ConvArgs) {
	m, lds, ldw := a.Width-1, or(a.StateStride, a.C), or(a.WeightStride, a.C)
	c := convRowCall{ws: 4 * ldw}
	xs := [...]**float32{&c.x0, &c.x1, &c.x2, &c.x3}
	for lo := 0; lo < a.C; lo += convChannels {
		hi := min(lo+convChannels, a.C)
		for t := range a.T {
			for i := lo; i < hi; {
				n, part := channels(hi - i)
				if !part {
					n = (hi - i) / n * n
				}
				c.lanes, c.n = n, 4*n
				for j := range a.Width {
					if at := t - m + j; at < 0 {
						*xs[j] = &a.State[(at+m)*lds+i]
					} else {
						*xs[j] = &a.X[at*a.XStride+i]
					}
				}
				c.dst, c.w, c.bias = &a.Dst[t*a.DstStride+i], &a.Weights[i], &zeros[0]
				if a.Bias != nil {
					c.bias = &a.Bias[i]
				}
				convRowAsm(&c, a.Width, a.SiLU, part)
				i += n
			}
		}
	}
	for i := range m {
		copy(a.State[i*lds:][:a.C], a.X[(a.T-m+i)*a.XStride:])
	}
}
