package rec

// DiagonalArgs describes h = a ⊙ h + b over the C channels of T rows.
type DiagonalArgs struct {
	T, C  int
	A, B  []float32 // [T][C]
	H     []float32 // [T][C], written with h of each token; may be A or B
	State []float32 // [C], in and out

	AStride, BStride, HStride int
}

// Diagonal runs the recurrence.
func Diagonal(a *DiagonalArgs) {
	checkSizes(a.T, a.C)
	check("A", a.A, a.T, a.AStride, a.C)
	check("B", a.B, a.T, a.BStride, a.C)
	check("H", a.H, a.T, a.HStride, a.C)
	check("State", a.State, 1, 0, a.C)
	if a.T > 0 && a.C > 0 {
		diagonal(a)
	}
}

// DiagonalGrads are the gradients of Diagonal.
type DiagonalGrads struct {
	H     []float32 // in: gradient of the outputs
	State []float32 // in: gradient of the final state beside that; out: of the initial state
	A, B  []float32 // added to; nil is not computed

	HStride, AStride, BStride int
}

// DiagonalBackward adds the gradients of Diagonal(a). a.H holds its outputs and a.State the
// state before the T tokens; neither is changed.
func DiagonalBackward(a *DiagonalArgs, g *DiagonalGrads) {
	checkSizes(a.T, a.C)
	check("A", a.A, a.T, a.AStride, a.C)
	check("H", a.H, a.T, a.HStride, a.C)
	check("State", a.State, 1, 0, a.C)
	check("gradient of H", g.H, a.T, g.HStride, a.C)
	check("gradient of State", g.State, 1, 0, a.C)
	checkOpt("gradient of A", g.A, a.T, g.AStride, a.C)
	checkOpt("gradient of B", g.B, a.T, g.BStride, a.C)
	gs := g.State[:a.C]
	for t := a.T - 1; t >= 0; t-- {
		axpy(gs, 1, g.H[t*g.HStride:])
		if g.B != nil {
			axpy(g.B[t*g.BStride:][:a.C], 1, gs)
		}
		if g.A != nil {
			h := a.State[:a.C]
			if t > 0 {
				h = a.H[(t-1)*a.HStride:][:a.C]
			}
			ga := g.A[t*g.AStride:][:a.C]
			for c, x := range gs {
				ga[c] += x * h[c]
			}
		}
		for c, d := range a.A[t*a.AStride:][:a.C] {
			gs[c] *= d
		}
	}
}

func diagonalGeneric(a *DiagonalArgs) {
	s := a.State[:a.C]
	for t := range a.T {
		ar, br, h := a.A[t*a.AStride:][:a.C], a.B[t*a.BStride:][:a.C], a.H[t*a.HStride:][:a.C]
		for c := range s {
			s[c] = ar[c]*s[c] + br[c]
			h[c] = s[c]
		}
	}
}
