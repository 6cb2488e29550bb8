package nn

import "github.com/subquad/subquad/tensor"

// rows walks a float32 tensor [batch, length, channels], or [batch, length,
// heads, channels], that may be a view: each row is contiguous.
type rows struct {
	data       []float32
	b, t, h, n int // strides, and the length of a row
}

func rowsOf(x *tensor.Tensor) (r rows) {
	s := x.Strides()
	r = rows{data: x.Raw(), b: s[0], t: s[1], n: x.Dim(-1)}
	if len(s) > 3 {
		r.h = s[2]
	}
	return r
}

// gradRows are the rows of x's gradient; ok is false when none is wanted.
func gradRows(x *tensor.Tensor) (r rows, ok bool) {
	if !x.NeedsGrad() {
		return r, false
	}
	return rowsOf(x.Grad()), true
}

func (r rows) at(b, t int) []float32 { return r.data[b*r.b+t*r.t:][:r.n:r.n] }

func (r rows) head(b, t, h int) []float32 { return r.data[b*r.b+t*r.t+h*r.h:][:r.n:r.n] }
