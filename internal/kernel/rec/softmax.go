package rec

import "math"

// SoftmaxArgs describes the running softmax of C columns: T rows of numbers become weights
// under the largest number so far, with what was summed up before brought to it (attention
// in blocks, arXiv 2205.14135):
//
//	m = max(Max, max_t S[t]), Factor = e^(Scale (Max − m)), S[t] = e^(Scale (S[t] − m))
//	Sum = Factor*Sum + Σ_t S[t], Max = m
//
// −Inf in S is a weight of zero. Max is −Inf and Sum zero before the first row.
type SoftmaxArgs struct {
	T, C             int
	S                []float32 // [T][C], in and out
	Stride           int       // between rows
	Max, Sum, Factor []float32 // [C]; Factor is written
	Scale            float32   // from MinSoftmaxScale to MaxA
}

// MinSoftmaxScale is the smallest Scale.
const MinSoftmaxScale = 1e-6

func checkScale(s float32) {
	if !(s >= MinSoftmaxScale && s <= MaxA) {
		panic("rec: the scale of a softmax is out of range")
	}
}

// Softmax runs it.
func Softmax(a *SoftmaxArgs) {
	checkSizes(a.T, a.C)
	checkScale(a.Scale)
	check("S", a.S, a.T, a.Stride, a.C)
	for _, s := range [...][]float32{a.Max, a.Sum, a.Factor} {
		check("Max, Sum or Factor", s, 1, 0, a.C)
	}
	if a.T > 0 && a.C > 0 {
		softmax(a)
	}
}

// SoftmaxGrads describes the gradient, once Max and Sum of all rows are known: with
// LSE = Max + ln(Sum)/Scale,
//
//	S[t] = e^(Scale (S[t] − LSE)), D[t] = Scale*S[t]*(D[t] − Delta)
//
// where D is the gradient of the weights S, Delta the mean of D under them; D becomes the
// gradient of the numbers.
type SoftmaxGrads struct {
	T, C       int
	S, D       []float32 // [T][C], in and out
	Stride     int       // between rows of both
	LSE, Delta []float32 // [C]
	Scale      float32
}

// SoftmaxBackward runs it.
func SoftmaxBackward(g *SoftmaxGrads) {
	checkSizes(g.T, g.C)
	checkScale(g.Scale)
	check("S", g.S, g.T, g.Stride, g.C)
	check("D", g.D, g.T, g.Stride, g.C)
	check("LSE", g.LSE, 1, 0, g.C)
	check("Delta", g.Delta, 1, 0, g.C)
	if g.T > 0 && g.C > 0 {
		softmaxBack(g)
	}
}

func softmaxGeneric(a *SoftmaxArgs) {
	for i := range a.C {
		m := a.Max[i]
		for t := range a.T {
			m = max(m, a.S[t*a.Stride+i])
		}
		low := max(m, -3e38) // where nothing has been seen yet
		f := exp32(a.Scale * (a.Max[i] - low))
		sum := f * a.Sum[i]
		for t := range a.T {
			s := &a.S[t*a.Stride+i]
			*s = exp32(a.Scale * (*s - low))
			sum += *s
		}
		a.Max[i], a.Sum[i], a.Factor[i] = m, sum, f
	}
}

func softmaxBackGeneric(g *SoftmaxGrads) {
	for t := range g.T {
		s, d := g.S[t*g.Stride:][:g.C], g.D[t*g.Stride:][:g.C]
		for i, l := range g.LSE[:g.C] {
			s[i] = exp32(g.Scale * (s[i] - l))
			d[i] = g.Scale * s[i] * (d[i] - g.Delta[i])
		}
	}
}

// NewSoftmaxMax is Max of no rows.
var NewSoftmaxMax = float32(math.Inf(-1))
