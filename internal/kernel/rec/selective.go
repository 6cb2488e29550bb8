package rec

// SelectiveArgs describes Mamba's selective scan over E channels with N states each
// (state-spaces/mamba, mamba_ssm/ops/selective_scan_interface.py):
//
//	H[n][e] = exp(dt[e]*A[n][e])*H[n][e] + dt[e]*x[e]*B[n]
//	y[e]    = Σ_n C[n]*H[n][e] + D[e]*x[e]
//
// dt is already positive (after softplus). A is at most MaxA in size; dt*A may be anything: a
// very negative one makes the factor 0.
type SelectiveArgs struct {
	T, E, N int
	H       []float32 // state [N][E], in and out
	A       []float32 // [N][E]
	D       []float32 // [E]; nil means 0
	Dt, X   []float32 // [T][E]
	Y       []float32 // [T][E], written
	B, C    []float32 // [T][N]

	HStride, AStride                             int // between states; 0 means E
	DtStride, XStride, YStride, BStride, CStride int // between tokens
}

// MaxA is the largest size of A. Where dt is larger it counts as MaxA in dt*A.
const MaxA = 1e12

func (a *SelectiveArgs) check() {
	checkSizes(a.T, a.E, a.N)
	check("H", a.H, a.N, or(a.HStride, a.E), a.E)
	check("A", a.A, a.N, or(a.AStride, a.E), a.E)
	checkOpt("D", a.D, 1, 0, a.E)
	check("Dt", a.Dt, a.T, a.DtStride, a.E)
	check("X", a.X, a.T, a.XStride, a.E)
	check("B", a.B, a.T, a.BStride, a.N)
	check("C", a.C, a.T, a.CStride, a.N)
}

// Selective runs the scan. Y must not overlap
// an input. It does not allocate.
func Selective(a *SelectiveArgs) {
	a.check()
	check("Y", a.Y, a.T, a.YStride, a.E)
	if a.T > 0 && a.E > 0 {
		selective(a)
	}
}

// SelectiveGrads are the gradients of Selective.
type SelectiveGrads struct {
	Y []float32 // in: gradient of the output
	H []float32 // in: gradient of the final state; out: of the initial one
	// Added to; nil is not computed.
	Dt, X []float32 // [T][E]
	B, C  []float32 // [T][N], sums over the E channels of the call
	A     []float32 // [N][E]
	D     []float32 // [E]

	HStride, AStride                             int // 0 means E
	YStride, DtStride, XStride, BStride, CStride int

	Scratch []float32 // at least SelectiveScratch(T, N)
}

// selectiveLanes is the number of channels SelectiveBackward takes at a time.
const selectiveLanes = 16

// SelectiveScratch is the number of floats SelectiveBackward needs: states and
// factors, five rows a token and three a state, and two numbers a token and state.
func SelectiveScratch(T, N int) int {
	return (2*T*N+5*T+3*N)*selectiveLanes + 2*T*N
}

// SelectiveBackward adds the gradients of Selective(a). a.H is the state before the T tokens
// and is not changed; a.Y is not used. It does not allocate.
func SelectiveBackward(a *SelectiveArgs, g *SelectiveGrads) {
	a.check()
	check("gradient of Y", g.Y, a.T, g.YStride, a.E)
	check("gradient of H", g.H, a.N, or(g.HStride, a.E), a.E)
	checkOpt("gradient of Dt", g.Dt, a.T, g.DtStride, a.E)
	checkOpt("gradient of X", g.X, a.T, g.XStride, a.E)
	checkOpt("gradient of B", g.B, a.T, g.BStride, a.N)
	checkOpt("gradient of C", g.C, a.T, g.CStride, a.N)
	checkOpt("gradient of A", g.A, a.N, or(g.AStride, a.E), a.E)
	checkOpt("gradient of D", g.D, 1, 0, a.E)
	if len(g.Scratch) < SelectiveScratch(a.T, a.N) {
		panic("rec: Scratch is too short")
	}
	if a.T > 0 && a.E > 0 {
		selectiveBack(a, g)
	}
}
