package nn

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/tensor"
)

// RoPE turns pairs of channels of x [batch, length, heads, D] by angles that
// grow with the position (RoFormer, arXiv 2104.09864): pair i of position p by
// p·base^(−2i/D). pos is the position of each sequence's first token, nil for 0.
// Pairs are (i, i+D/2), as in Llama and GPT-NeoX, or, interleaved, (2i, 2i+1),
// as in GPT-J. Angles are computed in float64. D must be even.
func RoPE(x *tensor.Tensor, pos []int64, base float64, interleaved bool) *tensor.Tensor {
	const op = "nn.RoPE"
	tensor.Check(op, "x", x, -1, -1, -1, -1)
	r := rope{B: x.Dim(0), T: x.Dim(1), H: x.Dim(2), D: x.Dim(3), interleaved: interleaved}
	if r.D%2 != 0 || pos != nil && len(pos) != r.B {
		panic(&tensor.ShapeError{Op: op, Arg: "x, pos", Got: []int{r.B, r.T, r.H, r.D, len(pos)}, Want: fmt.Sprintf("an even last axis, and %d positions or none", r.B)})
	}
	y := tensor.Out(op, x.Shape(), x)
	s := y.Scope()
	if y.IsFloat64() {
		out := x.Float64s()
		for i := range r.B * r.T {
			for h := range r.H {
				row := out[(i*r.H+h)*r.D:][:r.D]
				for k := range r.D / 2 {
					sin, cos := math.Sincos(r.angle(pos, base, i, k))
					a, b := r.pair(k)
					row[a], row[b] = row[a]*cos-row[b]*sin, row[a]*sin+row[b]*cos
				}
			}
		}
		y.SetValues64(out)
		return y
	}
	// cos and sin of each position and pair, shared by the heads.
	table := s.Floats(r.B * r.T * r.D)
	for i := range r.B * r.T {
		for k := range r.D / 2 {
			sin, cos := math.Sincos(r.angle(pos, base, i, k))
			table[i*r.D+2*k], table[i*r.D+2*k+1] = float32(cos), float32(sin)
		}
	}
	y.SetFrom(x)
	r.turn(y.Data(), table, 1)
	if y.Recording() {
		tensor.OnBackward(func() { // back by the same angles
			g := y.Grad().Float32s()
			r.turn(g, table, -1)
			dx := x.Grad()
			strides, i := dx.Strides(), 0
			for b := range r.B {
				for t := range r.T {
					for h := range r.H {
						row := dx.Raw()[b*strides[0]+t*strides[1]+h*strides[2]:][:r.D]
						for c := range row {
							row[c] += g[i]
							i++
						}
					}
				}
			}
		}, y)
	}
	return y
}

type rope struct {
	B, T, H, D  int
	interleaved bool
}

func (r rope) angle(pos []int64, base float64, i, k int) float64 {
	p := float64(i % r.T)
	if pos != nil {
		p += float64(pos[i/r.T])
	}
	return p * math.Pow(base, -2*float64(k)/float64(r.D))
}

// pair is the two channels of pair k.
func (r rope) pair(k int) (a, b int) {
	if r.interleaved {
		return 2 * k, 2*k + 1
	}
	return k, k + r.D/2
}

// turn rotates rows in place; sign −1 turns back.
func (r rope) turn(x, table []float32, sign float32) {
	for i := range r.B * r.T {
		t := table[i*r.D:][:r.D]
		for h := range r.H {
			row := x[(i*r.H+h)*r.D:][:r.D]
			for k := range r.D / 2 {
				cos, sin := t[2*k], sign*t[2*k+1]
				a, b := r.pair(k)
				row[a], row[b] = row[a]*cos-row[b]*sin, row[a]*sin+row[b]*cos
			}
		}
	}
}
