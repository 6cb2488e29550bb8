package rec

// MatrixArgs describes a recurrence on a matrix state S of K rows (keys) and V columns
// (values). For each token t, with the rows q, k, d, a, b (K wide) and v, o (V wide) of t:
//
//	z[j]    = Σ_i S[i][j]*a[i]                    with A only
//	o[j]    = Σ_i q[i]*S[i][j]                    with ReadBefore
//	S[i][j] = d[i]*S[i][j] + b[i]*z[j] + k[i]*v[j]
//	o[j]    = Σ_i q[i]*S[i][j]                    without ReadBefore
//
// That covers linear attention and its gated kinds, Mamba-2, RWKV-5/6 (ReadBefore; the
// bonus of the current token is the caller's), RWKV-7 and the delta rules (a, b).
type MatrixArgs struct {
	T, K, V int
	S       []float32 // state, in and out
	SStride int       // between rows of S; 0 means V

	Q, Kk []float32 // queries (nil only without O) and keys
	D     []float32 // decay itself, not its logarithm; nil means 1
	A, B  []float32 // rank-one correction, both or neither
	Vv    []float32
	O     []float32 // output, written; nil runs the state only

	// Elements between tokens.
	QStride, KStride, DStride, AStride, BStride, VStride, OStride int

	DScalar    bool // one decay per token, D[t*DStride]
	ReadBefore bool // o reads the state before the token's update
}

func (a *MatrixArgs) check() {
	checkSizes(a.T, a.K, a.V)
	check("S", a.S, a.K, or(a.SStride, a.V), a.V)
	check("Kk", a.Kk, a.T, a.KStride, a.K)
	check("Vv", a.Vv, a.T, a.VStride, a.V)
	if a.DScalar {
		checkOpt("D", a.D, a.T, a.DStride, 1)
	} else {
		checkOpt("D", a.D, a.T, a.DStride, a.K)
	}
	if (a.A == nil) != (a.B == nil) {
		panic("rec: A without B")
	}
	checkOpt("A", a.A, a.T, a.AStride, a.K)
	checkOpt("B", a.B, a.T, a.BStride, a.K)
}

// Matrix runs the recurrence of a.T tokens. O must not overlap an input. It does not allocate.
func Matrix(a *MatrixArgs) {
	a.check()
	if a.O != nil {
		check("Q", a.Q, a.T, a.QStride, a.K)
		check("O", a.O, a.T, a.OStride, a.V)
	}
	if a.T > 0 && a.V > 0 {
		matrix(a)
	}
}

// MatrixGrads are the gradients of Matrix.
type MatrixGrads struct {
	O []float32 // in: gradient of the output; nil means 0
	S []float32 // in: gradient of the final state; out: of the initial one
	// Added to; nil is not computed. D has the shape of MatrixArgs.D.
	Q, K, D, A, B, V []float32

	SStride                                                       int // 0 means V
	OStride, QStride, KStride, DStride, AStride, BStride, VStride int

	Scratch []float32 // at least MatrixScratch(T, K, V)
}

// MatrixScratch is the number of floats MatrixBackward needs.
func MatrixScratch(T, K, V int) int {
	c := matrixStep(T)
	return ((T+c-1)/c + c + 1) * K * V
}

// matrixStep is the length of the pieces whose states are kept at once, about √T.
func matrixStep(T int) int {
	c := 1
	for c*c < T {
		c++
	}
	return c
}

// MatrixBackward adds the gradients of Matrix(a). a.S is the state before the T tokens and
// is not changed; a.O is not used. It does not allocate.
func MatrixBackward(a *MatrixArgs, g *MatrixGrads) {
	a.check()
	checkOpt("gradient of O", g.O, a.T, g.OStride, a.V)
	check("gradient of S", g.S, a.K, or(g.SStride, a.V), a.V)
	checkOpt("gradient of Q", g.Q, a.T, g.QStride, a.K)
	checkOpt("gradient of K", g.K, a.T, g.KStride, a.K)
	checkOpt("gradient of A", g.A, a.T, g.AStride, a.K)
	checkOpt("gradient of B", g.B, a.T, g.BStride, a.K)
	checkOpt("gradient of V", g.V, a.T, g.VStride, a.V)
	if a.DScalar {
		checkOpt("gradient of D", g.D, a.T, g.DStride, 1)
	} else {
		checkOpt("gradient of D", g.D, a.T, g.DStride, a.K)
	}
	if g.O != nil {
		check("Q", a.Q, a.T, a.QStride, a.K)
	}
	if len(g.Scratch) < MatrixScratch(a.T, a.K, a.V) {
		panic("rec: Scratch is too short")
	}
	if a.T == 0 || a.K == 0 || a.V == 0 {
		return
	}
	// States are kept at every c-th token, then at every token of one piece of c.
	c, kv := matrixStep(a.T), a.K*a.V
	n := (a.T + c - 1) / c
	marks, states := g.Scratch[:n*kv], g.Scratch[n*kv:(n+c+1)*kv]
	run := *a
	run.O, run.SStride = nil, 0
	copyRows(marks[:kv], a.V, a.S, or(a.SStride, a.V), a.K, a.V)
	for i := 1; i < n; i++ {
		copy(marks[i*kv:][:kv], marks[(i-1)*kv:][:kv])
		run.slice(a, (i-1)*c, i*c)
		run.S = marks[i*kv:][:kv]
		matrix(&run)
	}
	for i := n - 1; i >= 0; i-- {
		lo, hi := i*c, min(i*c+c, a.T)
		copy(states[:kv], marks[i*kv:][:kv])
		for t := lo; t < hi; t++ {
			s := states[(t-lo+1)*kv:][:kv]
			copy(s, states[(t-lo)*kv:][:kv])
			run.slice(a, t, t+1)
			run.S = s
			matrix(&run)
		}
		for t := hi - 1; t >= lo; t-- {
			matrixBack(a, g, t, states[(t-lo)*kv:][:kv], states[(t-lo+1)*kv:][:kv])
		}
	}
}

// slice points a at tokens lo to hi of from.
func (a *MatrixArgs) slice(from *MatrixArgs, lo, hi int) {
	a.T = hi - lo
	a.Q, a.Kk, a.Vv = tokens(from.Q, lo, a.QStride), tokens(from.Kk, lo, a.KStride), tokens(from.Vv, lo, a.VStride)
	a.D, a.A, a.B = tokens(from.D, lo, a.DStride), tokens(from.A, lo, a.AStride), tokens(from.B, lo, a.BStride)
}

// tokens is s from token t on; nil and rows past the end of an unused slice stay nil.
func tokens(s []float32, t, stride int) []float32 {
	if len(s) <= t*stride {
		return nil
	}
	return s[t*stride:]
}

func copyRows(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	for i := range rows {
		copy(dst[i*ldd:][:cols], src[i*lds:][:cols])
	}
}
