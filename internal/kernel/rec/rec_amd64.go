//go:build !purego

package rec

import "github.com/subquad/subquad/hw"

// The assembly is printed by internal/asmgen/rec.go. A function gets a struct
// of pointers, counts and strides in bytes, whose layout the generator repeats;
// "Part" works on the first lanes channels (or columns) of one vector.

var useAVX512, useAVX2 bool

func init() {
	hw.OnLevel(func(l hw.Level) { useAVX512, useAVX2 = l.Has(hw.AVX512), l.Has(hw.AVX2) })
}

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

type diagonalCall struct {
	a, b, h, state    *float32
	T                 int
	as, bs, hs, lanes int
}

// width is the number of floats in a vector.
func width() int {
	if useAVX512 {
		return 16
	}
	return 8
}

// zeros stands for a row of channels that is not given, ones for a decay that is not.
var (
	zeros [16]float32
	one   float32 = 1
)

// at is the address of s[i], or of zeros where there is no s.
func at(s []float32, i int) *float32 {
	if i >= len(s) {
		return &zeros[0]
	}
	return &s[i]
}

// vectors calls f for each vector of the n channels, the last of which may be a part of one.
// It is inlined, and f with it, so that nothing escapes.
func lanesOf(c, n int) (lanes int, part bool) {
	w := width()
	return min(w, n-c), n-c < w
}

// selectiveLocal is the largest number of states of a channel that selective
// keeps side by side: rows of a wide state may all fall on one cache set.
const selectiveLocal = 32

func selective(a *SelectiveArgs) {
	if !useAVX2 || a.N == 0 {
		selectiveGeneric(a)
		return
	}
	c := selectiveCall{T: a.T, N: a.N, b: at(a.B, 0), c: at(a.C, 0), dts: 4 * a.DtStride, xs: 4 * a.XStride, ys: 4 * a.YStride, bs: 4 * a.BStride, cs: 4 * a.CStride}
	ldh, lda := or(a.HStride, a.E), or(a.AStride, a.E)
	var hbuf, abuf [selectiveLocal * 16]float32
	local := a.T >= 8 && a.N <= selectiveLocal
	for e := 0; e < a.E; e += width() {
		n, part := lanesOf(e, a.E)
		c.lanes = n
		c.dt, c.x, c.y, c.d = &a.Dt[e], &a.X[e], &a.Y[e], at(a.D, e)
		if local {
			copyRows(hbuf[:], 16, a.H[e:], ldh, a.N, n)
			copyRows(abuf[:], 16, a.A[e:], lda, a.N, n)
			c.h, c.a, c.hs, c.as = &hbuf[0], &abuf[0], 64, 64
		} else {
			c.h, c.a, c.hs, c.as = &a.H[e], &a.A[e], 4*ldh, 4*lda
		}
		switch {
		case useAVX512 && part:
			selectiveAVX512Part(&c)
		case useAVX512:
			selectiveAVX512(&c)
		case part:
			selectiveAVX2Part(&c)
		default:
			selectiveAVX2(&c)
		}
		if local {
			copyRows(a.H[e:], ldh, hbuf[:], 16, a.N, n)
		}
	}
}

func matrix(a *MatrixArgs) {
	if !useAVX2 || a.K == 0 {
		matrixGeneric(a)
		return
	}
	c := matrixCall{T: a.T, K: a.K, k: &a.Kk[0], d: &one,
		ss: 4 * or(a.SStride, a.V), ks: 4 * a.KStride, vs: 4 * a.VStride}
	if a.D != nil {
		c.d, c.ds = &a.D[0], 4*a.DStride
		if !a.DScalar {
			c.dstep = 4
		}
	}
	if a.A != nil {
		c.a, c.b, c.as, c.bs = &a.A[0], &a.B[0], 4*a.AStride, 4*a.BStride
	}
	if a.O != nil {
		c.q, c.qs, c.os = &a.Q[0], 4*a.QStride, 4*a.OStride
	}
	w := width()
	for j := 0; j < a.V; {
		c.s, c.v = &a.S[j], &a.Vv[j]
		if a.O != nil {
			c.o = &a.O[j]
		}
		wide := a.V-j >= 4*w
		c.lanes = min(w, a.V-j)
		read := 0
		if a.O != nil {
			read = 1
			if a.ReadBefore {
				read = 2
			}
		}
		switch {
		case useAVX512 && wide:
			matrixAVX512(&c, a.A != nil, read)
		case useAVX512:
			matrixAVX512Part(&c, a.A != nil, read)
		case wide:
			matrixAVX2(&c, a.A != nil, read)
		default:
			matrixAVX2Part(&c, a.A != nil, read)
		}
		if wide {
			j += 4 * w
		} else {
			j += w
		}
	}
}

func matrixBack(a *MatrixArgs, g *MatrixGrads, t int, s, next []float32) {
	matrixBackGeneric(a, g, t, s, next)
}

func selectiveBack(a *SelectiveArgs, g *SelectiveGrads) { selectiveBackGeneric(a, g) }

func diagonal(a *DiagonalArgs) {
	if !useAVX2 {
		diagonalGeneric(a)
		return
	}
	c := diagonalCall{T: a.T, as: 4 * a.AStride, bs: 4 * a.BStride, hs: 4 * a.HStride}
	for i := 0; i < a.C; i += width() {
		n, part := lanesOf(i, a.C)
		c.lanes = n
		c.a, c.b, c.h, c.state = &a.A[i], &a.B[i], &a.H[i], &a.State[i]
		switch {
		case useAVX512 && part:
			diagonalAVX512Part(&c)
		case useAVX512:
			diagonalAVX512(&c)
		case part:
			diagonalAVX2Part(&c)
		default:
			diagonalAVX2(&c)
		}
	}
}

func complexDiagonal(a *ComplexArgs) {
	if !useAVX2 {
		complexGeneric(a)
		return
	}
	c := complexCall{T: a.T, N: a.N, stride: 4 * or(a.Stride, a.C), xs: 4 * a.XStride, ys: 4 * a.YStride}
	for i := 0; i < a.C; i += width() {
		n, part := lanesOf(i, a.C)
		c.lanes = n
		c.sre, c.sim, c.are, c.aim = at(a.SRe, i), at(a.SIm, i), at(a.ARe, i), at(a.AIm, i)
		c.bre, c.bim, c.cre, c.cim = at(a.BRe, i), at(a.BIm, i), at(a.CRe, i), at(a.CIm, i)
		c.d, c.x, c.y = at(a.D, i), &a.X[i], &a.Y[i]
		switch {
		case useAVX512 && part:
			complexAVX512Part(&c)
		case useAVX512:
			complexAVX512(&c)
		case part:
			complexAVX2Part(&c)
		default:
			complexAVX2(&c)
		}
	}
}

func wkv4(a *WKV4Args) {
	if !useAVX2 {
		wkv4Generic(a)
		return
	}
	c := wkv4Call{T: a.T, ks: 4 * a.KStride, vs: 4 * a.VStride, os: 4 * a.OStride}
	for i := 0; i < a.C; i += width() {
		n, part := lanesOf(i, a.C)
		c.lanes = n
		c.aa, c.bb, c.pp, c.w, c.u = &a.AA[i], &a.BB[i], &a.PP[i], &a.W[i], &a.U[i]
		c.k, c.v, c.o = &a.K[i], &a.V[i], &a.O[i]
		switch {
		case useAVX512 && part:
			wkv4AVX512Part(&c)
		case useAVX512:
			wkv4AVX512(&c)
		case part:
			wkv4AVX2Part(&c)
		default:
			wkv4AVX2(&c)
		}
	}
}

func conv(a *ConvArgs) {
	if !useAVX2 || a.Width < 2 || a.Width > 4 {
		convGeneric(a)
		return
	}
	c := convCall{T: a.T, dsts: 4 * a.DstStride, xs: 4 * a.XStride, ws: 4 * or(a.WeightStride, a.C), ss: 4 * or(a.StateStride, a.C)}
	for i := 0; i < a.C; i += width() {
		n, part := lanesOf(i, a.C)
		c.lanes = n
		c.dst, c.x, c.w, c.bias, c.state = &a.Dst[i], &a.X[i], &a.Weights[i], at(a.Bias, i), &a.State[i]
		switch {
		case useAVX512 && part:
			convAVX512Part(&c, a.Width, a.SiLU)
		case useAVX512:
			convAVX512(&c, a.Width, a.SiLU)
		case part:
			convAVX2Part(&c, a.Width, a.SiLU)
		default:
			convAVX2(&c, a.Width, a.SiLU)
		}
	}
}
