package nn

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
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
	r := rope{B: x.Dim(0), T: x.Dim(1), H: x.Dim(2), D: x.Dim(3), pos: pos, base: base, interleaved: interleaved}
	if r.D%2 != 0 || pos != nil && len(pos) != r.B {
		panic(&tensor.ShapeError{Op: op, Arg: "x, pos", Got: []int{r.B, r.T, r.H, r.D, len(pos)}, Want: fmt.Sprintf("an even last axis, and %d positions or none", r.B)})
	}
	y := tensor.Out(op, x.Shape(), x)
	if y.IsFloat64() {
		out := x.Float64s()
		for i := range r.B * r.T {
			for h := range r.H {
				row := out[(i*r.H+h)*r.D:][:r.D]
				for k := range r.D / 2 {
					sin, cos := math.Sincos(r.position(i) * r.frequency(k))
					a, b := r.pair(k)
					row[a], row[b] = row[a]*cos-row[b]*sin, row[a]*sin+row[b]*cos
				}
			}
		}
		y.SetValues64(out)
		return y
	}
	r.run(y.Scope().Workers(), rowsOf(y), rowsOf(x), 1, false)
	if y.Recording() {
		back := r
		back.pos = append([]int64(nil), pos...) // the caller's may move on
		tensor.OnBackward(func() {              // back by the same angles
			back.run(y.Scope().Workers(), rowsOf(x.Grad()), rowsOf(y.Grad()), -1, true)
		}, y)
	}
	return y
}

type rope struct {
	B, T, H, D  int
	pos         []int64
	base        float64
	interleaved bool
}

func (r *rope) position(i int) float64 {
	p := i % r.T
	if len(r.pos) > 0 {
		return float64(r.pos[i/r.T] + int64(p))
	}
	return float64(p)
}

func (r *rope) frequency(k int) float64 { return math.Pow(r.base, -2*float64(k)/float64(r.D)) }

// pair is the two channels of pair k.
func (r *rope) pair(k int) (a, b int) {
	if r.interleaved {
		return 2 * k, 2*k + 1
	}
	return k, k + r.D/2
}

// run rotates the rows of src into those of dst, or adds them; sign −1 turns back.
func (r *rope) run(workers int, dst, src rows, sign float64, add bool) {
	n := r.B * r.T
	if tasks := hw.Tasks(workers, n, float64(r.D)*(8+float64(r.H))); tasks > 1 {
		r.parallel(workers, tasks, dst, src, sign, add)
	} else {
		r.turn(0, n, dst, src, sign, add)
	}
}

func (r *rope) parallel(workers, tasks int, dst, src rows, sign float64, add bool) {
	c := *r
	hw.Parallel(workers, tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, c.B*c.T)
		c.turn(lo, hi, dst, src, sign, add)
	})
}

// ropeBlock pairs share their sines among the heads of a token.
const ropeBlock = 64

// ropeStride is the distance of positions whose sines are computed; those
// between follow by the addition theorem in float64, so that they depend on the position alone.
const ropeStride = 32

// angles are the sines of a block of pairs at one position.
type angles struct{ sin, cos [ropeBlock]float64 }

func (a *angles) set(position float64, freq []float64) {
	for k, f := range freq {
		a.sin[k], a.cos[k] = math.Sincos(position * f)
	}
}

// turn takes tokens lo to hi, of all sequences one after the other.
func (r *rope) turn(lo, hi int, dst, src rows, sign float64, add bool) {
	var freq [ropeBlock]float64
	var far angles                        // at the last multiple of ropeStride
	var near [ropeStride]angles           // at 0 … ropeStride−1, as they are needed
	var sin, cos, back [ropeBlock]float32 // back is −sin
	for first := 0; first < r.D/2; first += ropeBlock {
		n := min(ropeBlock, r.D/2-first)
		for k := range n {
			freq[k] = sign * r.frequency(first+k)
		}
		at, have := math.NaN(), uint32(0)
		for i := lo; i < hi; i++ {
			p := r.position(i)
			base := math.Floor(p/ropeStride) * ropeStride
			if base != at {
				at = base
				far.set(base, freq[:n])
			}
			step := int(p - base)
			if have>>step&1 == 0 {
				have |= 1 << step
				near[step].set(float64(step), freq[:n])
			}
			b := &near[step]
			for k := range n {
				s := far.sin[k]*b.cos[k] + far.cos[k]*b.sin[k]
				sin[k], back[k] = float32(s), float32(-s)
				cos[k] = float32(far.cos[k]*b.cos[k] - far.sin[k]*b.sin[k])
			}
			for h := range r.H {
				from, to := src.head(i/r.T, i%r.T, h), dst.head(i/r.T, i%r.T, h)
				if !r.interleaved {
					x, y := from[first:first+n], from[r.D/2+first:][:n]
					u, v := to[first:first+n], to[r.D/2+first:][:n]
					if !add {
						clear(u)
						clear(v)
					}
					vec.MulAdd(u, x, cos[:n])
					vec.MulAdd(u, y, back[:n])
					vec.MulAdd(v, x, sin[:n])
					vec.MulAdd(v, y, cos[:n])
					continue
				}
				for k := range n {
					a, b := r.pair(first + k)
					u := from[a]*cos[k] + from[b]*back[k]
					v := from[a]*sin[k] + from[b]*cos[k]
					if add {
						to[a] += u
						to[b] += v
					} else {
						to[a], to[b] = u, v
					}
				}
			}
		}
	}
}
