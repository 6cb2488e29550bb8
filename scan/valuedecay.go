package scan

import (
	"github.com/subquad/subquad/internal/kernel/rec"
	"github.com/subquad/subquad/internal/kernel/vec"
)

// A decay for each column of the state commutes with everything that Matrix
// does to its rows. Over tokens lo…hi, with c_t the sum of its logarithms from
// lo+1 to t, the state divided by its columns' decays,
//
//	S̃_t = S_t diag(e^{−c_t}),   S̃_{lo−1} = S_{lo−1} diag(e^{f_lo})
//
// follows the recurrence without it, written with ṽ_t = e^{−c_t} ⊙ v_t, and
// o_t = e^{c_t} ⊙ õ_t. The kernels and products of the others thus serve it, at
// the price of two exponentials a value and two more passes over the state each
// time c leaves its range, or a call ends.

// valueRange bounds |c|. The sums are rounded by up to 1e-6 there, and so are
// the factors; a longer range would cost digits and a shorter one time.
const valueRange = 16

// valueSums fills c for the tokens of unit i from lo on, to end or where c
// leaves its range, and gives the first token that it has not.
func (r *recurrent) valueSums(i, lo, end int) (hi int) {
	clear(r.row(r.c, i, lo))
	for t := lo + 1; t < end; t++ {
		c := r.row(r.c, i, t)
		vec.Add(c, r.row(r.c, i, t-1), r.row(r.f, i, t))
		for _, x := range c {
			if !(x > -valueRange && x < valueRange) {
				return t
			}
		}
	}
	return end
}

// row is token t's row of unit i in x [B, T, H, V].
func (r *recurrent) row(x []float32, i, t int) []float32 {
	return x[((i/r.heads*r.length+t)*r.heads+i%r.heads)*r.cols:][:r.cols]
}

// factor is r's scratch of unit i, filled with e^{sign·x}.
func (r *recurrent) factor(i int, x []float32, sign float32) []float32 {
	e := r.e[i*r.cols:][:r.cols]
	vec.Scale(e, x, sign)
	vec.Exp(e, e)
	return e
}

// scaleColumns multiplies column v of S by e[v].
func scaleColumns(S, e []float32) {
	for V := len(e); len(S) > 0; S = S[V:] {
		vec.Mul(S[:V], S[:V], e)
	}
}

// columnSums fills h with the sums over the columns of x ⊙ y.
func columnSums(h, x, y []float32) {
	clear(h)
	for V := len(h); len(x) > 0; x, y = x[V:], y[V:] {
		vec.MulAdd(h, x[:V], y[:V])
	}
}

// valuePieces is piece where columns decay.
func (r *recurrent) valuePieces(w *chunkWork, i, t, n int, S []float32) {
	for lo, end := t, t+n; lo < end; {
		hi := r.valueSums(i, lo, end)
		scaleColumns(S, r.factor(i, r.row(r.f, i, lo), 1))
		copy(r.row(r.v, i, lo), r.row(r.values, i, lo))
		for x := lo + 1; x < hi; x++ {
			vec.Mul(r.row(r.v, i, x), r.row(r.values, i, x), r.factor(i, r.row(r.c, i, x), -1))
		}
		r.piece(w, i, lo, hi-lo, S)
		for x := lo + 1; x < hi; x++ {
			o := r.row(r.o, i, x)
			vec.Mul(o, o, r.factor(i, r.row(r.c, i, x), 1))
			if x == hi-1 {
				scaleColumns(S, r.factor(i, r.row(r.c, i, x), 1))
			}
		}
		lo = hi
	}
}

// valueGrads are the gradients of unit i's tokens beside those in rec.MatrixGrads.
type valueGrads struct {
	o    []float32 // of the outputs as they were returned [B, T, H, V]
	v, f []float32 // of V and LogValueDecay; nil for none
}

// valueBack is pieceBack where columns decay: tokens t to t+n of unit i, with
// the states before them and after. h, the sum over a column of S ⊙ dS, goes
// back from token to token as
//
//	h ← h + o_t ⊙ do_t − v_t ⊙ dv_t,   df_t = h
//
// but for a segment's first token, whose decay may leave next to nothing to
// subtract from: its h is the sum over S̃ ⊙ dS̃.
func (r *recurrent) valueBack(w *chunkWork, i, t, n int, before, after []float32, g *rec.MatrixGrads, vg *valueGrads) {
	V, size, end := r.cols, r.rows*r.cols, t+n
	los, states := []int{}, [][]float32{} // of each segment: its first token; S̃ before it; S after it
	var ends [][]float32
	for lo := t; lo < end; {
		hi := r.valueSums(i, lo, end)
		at := append([]float32(nil), before...)
		scaleColumns(at, r.factor(i, r.row(r.f, i, lo), 1))
		los, states = append(los, lo), append(states, at)
		if hi < end {
			before = append(make([]float32, 0, size), at...)
			a := r.args(i, lo, hi-lo, before)
			a.O = nil
			rec.Matrix(&a)
			scaleColumns(before, r.factor(i, r.row(r.c, i, hi-1), 1))
			ends = append(ends, before)
		}
		lo = hi
	}
	ends = append(ends, after)
	do, dv, h := make([]float32, n*V), make([]float32, n*V), make([]float32, V)
	for j := len(los) - 1; j >= 0; j-- {
		lo, hi := los[j], end
		if j+1 < len(los) {
			hi = los[j+1]
		}
		columnSums(h, g.S, ends[j])
		scaleColumns(g.S, r.factor(i, r.row(r.c, i, hi-1), 1))
		sg := gradsFrom(g, lo-t)
		for x := lo; x < hi; x++ {
			vec.Mul(do[(x-lo)*V:][:V], sg.O[(x-lo)*g.OStride:][:V], r.factor(i, r.row(r.c, i, x), 1))
		}
		clear(dv)
		sg.O, sg.OStride, sg.V, sg.VStride = do, V, dv, V
		a := r.args(i, lo, hi-lo, states[j])
		r.pieceBack(w, i, lo, &a, &sg)
		for x := hi - 1; x >= lo; x-- {
			d := dv[(x-lo)*V:][:V]
			if vg.f != nil {
				df := r.row(vg.f, i, x)
				vec.MulAdd(h, r.row(vg.o, i, x), r.row(r.o, i, x))
				for v, y := range r.row(r.v, i, x) {
					h[v] -= y * d[v]
				}
				if x == lo {
					columnSums(h, g.S, states[j])
				}
				vec.Add(df, df, h)
			}
			if vg.v != nil {
				vec.MulAdd(r.row(vg.v, i, x), d, r.factor(i, r.row(r.c, i, x), -1))
			}
		}
		scaleColumns(g.S, r.factor(i, r.row(r.f, i, lo), 1))
	}
}
