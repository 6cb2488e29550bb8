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

func diagonalGeneric(a *DiagonalArgs) {
	s := a.State[:a.C]
	for t := range a.T {
		ar, br, h := a.A[t*a.AStride:][:a.C], a.B[t*a.BStride:][:a.C], a.H[t*a.HStride:][:a.C]
		for c := range s {
			s[c] = Flush(ar[c]*s[c] + br[c])
			h[c] = s[c]
		}
	}
}
