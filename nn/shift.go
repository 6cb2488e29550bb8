package nn

import (
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// TokenShift is the sequence x [batch, length, channels] one token late: row t
// is x_{t−1}, row 0 what st holds, [batch, channels], zeros at the start of a
// sequence (RWKV). st then holds the last row of x.
func TokenShift(x *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	const op = "nn.TokenShift"
	tensor.Check(op, "x", x, -1, -1, -1)
	B, T, C := x.Dim(0), x.Dim(1), x.Dim(2)
	y := tensor.Out(op, x.Shape(), x)
	before, after := st.Begin(y.Scope(), op, B, C)
	switch {
	case T == 0:
	case y.IsFloat64():
		y.Narrow(1, 1, T).SetFrom(x.Narrow(1, 0, T-1))
		y.Select(1, 0).SetFrom(after)
		after.SetFrom(x.Select(1, T-1))
	default:
		from, to, held := rowsOf(x), rowsOf(y), after.Data()
		for b := range B {
			row := held[b*C:][:C]
			copy(to.at(b, 0), row)
			for t := 1; t < T; t++ {
				copy(to.at(b, t), from.at(b, t-1))
			}
			copy(row, from.at(b, T-1))
		}
	}
	if y.Scope().Recording() && before.NeedsGrad() {
		y.Track() // even if x is not
	}
	if y.Recording() {
		tensor.OnBackward(func() { shiftBackward(x, y, before, after) }, y, after)
	}
	st.End(after)
	return y
}

func shiftBackward(x, y, before, after *tensor.Tensor) {
	B, T, C := x.Dim(0), x.Dim(1), x.Dim(2)
	dx, wanted := gradRows(x)
	var first []float32 // gradient of what was held
	if before.NeedsGrad() {
		first = before.Grad().Data()
	}
	add := func(to, d []float32) { vec.Add(to, to, d) }
	if y.HasGrad() && T > 0 {
		dy := rowsOf(y.Grad())
		for b := range B {
			if first != nil {
				add(first[b*C:][:C], dy.at(b, 0))
			}
			for t := 1; wanted && t < T; t++ {
				add(dx.at(b, t-1), dy.at(b, t))
			}
		}
	}
	if after.HasGrad() {
		last := after.Grad().Data()
		switch {
		case T > 0 && wanted:
			for b := range B {
				add(dx.at(b, T-1), last[b*C:][:C])
			}
		case T == 0 && first != nil:
			add(first, last)
		}
	}
}
