package rec

import "github.com/subquad/subquad/internal/kernel/vec"

// ComplexArgs describes the step form of diagonal state spaces with complex modes (S4D,
// state-spaces/s4, models/s4/s4d.py), N modes in each of C channels, conjugates implied:
//
//	s[n][c] = A[n][c]*s[n][c] + B[n][c]*x[c]
//	y[c]    = 2*Re(Σ_n C[n][c]*s[n][c]) + D[c]*x[c]
//
// A and B are already discretised. All of [N][C] is contiguous unless Stride is set.
type ComplexArgs struct {
	T, C, N  int
	SRe, SIm []float32 // state [N][C], in and out
	ARe, AIm []float32
	BRe, BIm []float32
	CRe, CIm []float32
	D        []float32 // [C]; nil means 0
	X        []float32 // [T][C]
	Y        []float32 // [T][C], written; must not overlap X

	Stride           int // between modes of all eight arrays; 0 means C
	XStride, YStride int
}

func (a *ComplexArgs) check() {
	checkSizes(a.T, a.C, a.N)
	ld := or(a.Stride, a.C)
	for _, s := range [...][]float32{a.SRe, a.SIm, a.ARe, a.AIm, a.BRe, a.BIm, a.CRe, a.CIm} {
		check("a state or constant", s, a.N, ld, a.C)
	}
	checkOpt("D", a.D, 1, 0, a.C)
	check("X", a.X, a.T, a.XStride, a.C)
}

// Complex runs the recurrence.
func Complex(a *ComplexArgs) {
	a.check()
	check("Y", a.Y, a.T, a.YStride, a.C)
	if a.T > 0 && a.C > 0 {
		complexDiagonal(a)
	}
}

// ComplexGrads are the gradients of Complex; a complex one is ∂/∂Re + i ∂/∂Im.
type ComplexGrads struct {
	Y        []float32 // in
	SRe, SIm []float32 // in: gradient of the final state; out: of the initial one
	// Added to. nil is not computed; of a complex one, give both parts or neither.
	ARe, AIm []float32
	BRe, BIm []float32
	CRe, CIm []float32
	D, X     []float32

	Stride           int // of [N][C]; 0 means C
	YStride, XStride int

	Scratch []float32 // at least ComplexScratch(T)
}

// complexLanes is the number of channels ComplexBackward takes at a time, complexMode the
// number of a mode's rows: A, B, C, G and the gradients of A, B and C.
const (
	complexLanes = 16
	complexMode  = 14
)

// ComplexScratch is the number of floats ComplexBackward needs: five rows a token, two for
// the first state and those of a mode.
func ComplexScratch(T int) int { return (5*T + 2 + complexMode + 1) * complexLanes }

// ComplexBackward adds the gradients of Complex(a). SRe and SIm of a are the state before the T
// tokens and are not changed; a.Y is not used.
func ComplexBackward(a *ComplexArgs, g *ComplexGrads) {
	a.check()
	ld := or(g.Stride, a.C)
	check("gradient of Y", g.Y, a.T, g.YStride, a.C)
	check("gradient of the state", g.SRe, a.N, ld, a.C)
	check("gradient of the state", g.SIm, a.N, ld, a.C)
	for _, s := range [...][]float32{g.ARe, g.AIm, g.BRe, g.BIm, g.CRe, g.CIm} {
		checkOpt("gradient of a constant", s, a.N, ld, a.C)
	}
	if (g.ARe == nil) != (g.AIm == nil) || (g.BRe == nil) != (g.BIm == nil) || (g.CRe == nil) != (g.CIm == nil) {
		panic("rec: half of a complex gradient")
	}
	checkOpt("gradient of D", g.D, 1, 0, a.C)
	checkOpt("gradient of X", g.X, a.T, g.XStride, a.C)
	if len(g.Scratch) < ComplexScratch(a.T) {
		panic("rec: Scratch is too short")
	}
	for c := 0; c < a.C; c += complexLanes {
		complexBack(a, g, c, min(complexLanes, a.C-c))
	}
	for t := range a.T {
		dy := g.Y[t*g.YStride:][:a.C]
		if g.D != nil {
			vec.MulAdd(g.D[:a.C], dy, a.X[t*a.XStride:])
		}
		if g.X != nil && a.D != nil {
			vec.MulAdd(g.X[t*g.XStride:][:a.C], dy, a.D)
		}
	}
}

// complexBackGeneric takes w channels from c, one mode at a time: forward, keeping the states, then
// back with G the gradient of the state after the token (for y = 2 Re(Cs), G += 2 dy conj(C)):
//
//	dC += 2 dy conj(s'), dB += G x, dA += G conj(s), dx += Re(conj(B) G), G = conj(A) G
func complexBackGeneric(a *ComplexArgs, g *ComplexGrads, c, w int) {
	const L = complexLanes
	ld, ldg := or(a.Stride, a.C), or(g.Stride, a.C)
	re, im := g.Scratch[:(a.T+1)*L], g.Scratch[(a.T+1)*L:]
	for n := range a.N {
		i, j := n*ld+c, n*ldg+c
		ar, ai, br, bi := a.ARe[i:][:w], a.AIm[i:][:w], a.BRe[i:][:w], a.BIm[i:][:w]
		cr, ci := a.CRe[i:][:w], a.CIm[i:][:w]
		copy(re[:w], a.SRe[i:][:w])
		copy(im[:w], a.SIm[i:][:w])
		for t := range a.T {
			x := a.X[t*a.XStride+c:][:w]
			sr, si, nr, ni := re[t*L:][:w], im[t*L:][:w], re[(t+1)*L:][:w], im[(t+1)*L:][:w]
			for l := range x {
				nr[l] = Flush(ar[l]*sr[l] - ai[l]*si[l] + br[l]*x[l])
				ni[l] = Flush(ar[l]*si[l] + ai[l]*sr[l] + bi[l]*x[l])
			}
		}
		gr, gi := g.SRe[j:][:w], g.SIm[j:][:w]
		var dar, dai, dbr, dbi, dcr, dci [L]float32
		for t := a.T - 1; t >= 0; t-- {
			x, dy := a.X[t*a.XStride+c:][:w], g.Y[t*g.YStride+c:][:w]
			sr, si, nr, ni := re[t*L:][:w], im[t*L:][:w], re[(t+1)*L:][:w], im[(t+1)*L:][:w]
			for l := range x {
				d := 2 * dy[l]
				dcr[l] += d * nr[l]
				dci[l] -= d * ni[l]
				Gr, Gi := gr[l]+d*cr[l], gi[l]-d*ci[l]
				dbr[l] += Gr * x[l]
				dbi[l] += Gi * x[l]
				dar[l] += Gr*sr[l] + Gi*si[l]
				dai[l] += Gi*sr[l] - Gr*si[l]
				gr[l] = Flush(ar[l]*Gr + ai[l]*Gi)
				gi[l] = Flush(ar[l]*Gi - ai[l]*Gr)
				if g.X != nil {
					g.X[t*g.XStride+c+l] += br[l]*Gr + bi[l]*Gi
				}
			}
		}
		if g.ARe != nil {
			axpy(g.ARe[j:][:w], 1, dar[:])
			axpy(g.AIm[j:][:w], 1, dai[:])
		}
		if g.BRe != nil {
			axpy(g.BRe[j:][:w], 1, dbr[:])
			axpy(g.BIm[j:][:w], 1, dbi[:])
		}
		if g.CRe != nil {
			axpy(g.CRe[j:][:w], 1, dcr[:])
			axpy(g.CIm[j:][:w], 1, dci[:])
		}
	}
}

func complexGeneric(a *ComplexArgs) {
	for c := 0; c < a.C; c += lanes {
		complexBlock(a, c, min(lanes, a.C-c))
	}
}

func complexBlock(a *ComplexArgs, c, w int) {
	var ys [lanes]float32
	y, ld := ys[:w], or(a.Stride, a.C)
	for t := range a.T {
		x := a.X[t*a.XStride+c:][:w]
		clear(y)
		for n := range a.N {
			i := n*ld + c
			sr, si, ar, ai := a.SRe[i:][:w], a.SIm[i:][:w], a.ARe[i:][:w], a.AIm[i:][:w]
			br, bi, cr, ci := a.BRe[i:][:w], a.BIm[i:][:w], a.CRe[i:][:w], a.CIm[i:][:w]
			for l, x := range x {
				r := Flush(ar[l]*sr[l] - ai[l]*si[l] + br[l]*x)
				m := Flush(ar[l]*si[l] + ai[l]*sr[l] + bi[l]*x)
				sr[l], si[l] = r, m
				y[l] += cr[l]*r - ci[l]*m
			}
		}
		out := a.Y[t*a.YStride+c:][:w]
		for l := range y {
			y[l] *= 2
		}
		if a.D != nil {
			for l, d := range a.D[c:][:w] {
				y[l] += d * x[l]
			}
		}
		copy(out, y)
	}
}
