package linattn

import (
	"math"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// windowSums are softmax attention's sums over a window, not yet divided:
//
//	y_t = Σ_j e^{s_j − max s} v_j,   s_j = q_t·k_j/√D,   t < j ≤ t + window
//
// q is [B, T, H, D]; k and v, [B, window+T, H, …], have a row for each of the
// window tokens before, so that row window+t is token t. The last column of v
// is 1; where it is 0 there is no token, and the row is passed over.
func windowSums(q, k, v *tensor.Tensor, window int) *tensor.Tensor {
	const op = "linattn.LoLCATs"
	w := windowed{B: q.Dim(0), T: q.Dim(1), H: q.Dim(2), D: q.Dim(3), V: v.Dim(3), window: window, scale: rootOf(q.Dim(3))}
	y := tensor.Out(op, []int{w.B, w.T, w.H, w.V}, q, k, v)
	if y.IsFloat64() {
		y.SetValues64(w.plain(q.Values64(), k.Values64(), v.Values64()))
		return y
	}
	q, k, v = tensor.Contiguous(q), tensor.Contiguous(k), tensor.Contiguous(v)
	w.q, w.k, w.v, w.y = q.Data(), k.Data(), v.Data(), y.Data()
	s := y.Scope()
	units, ns := w.B*w.H, float64(w.T*window*(w.D+w.V))/10
	scores := s.Floats(units * window)
	if hw.Tasks(s.Workers(), units, ns) > 1 {
		w.parallel(s.Workers(), scores)
	} else {
		for i := range units {
			w.forward(i, scores)
		}
	}
	if y.Recording() {
		c, qs, ks, vs := w, q, k, v
		tensor.OnBackward(func() {
			g := windowGrads{windowed: c, dy: y.Grad().Data(), dq: gradData(qs), dk: gradData(ks), dv: gradData(vs)}
			hw.Parallel(s.Workers(), units, func(i int) { g.unit(i, scores) })
		}, y)
	}
	return y
}

// gradData is where a contiguous tensor's gradient is added, nil if none is wanted.
func gradData(t *tensor.Tensor) []float32 {
	if !t.NeedsGrad() {
		return nil
	}
	return t.Grad().Data()
}

// windowed is one call of windowSums.
type windowed struct {
	B, T, H, D, V, window int
	scale                 float32
	q, k, v, y            []float32
}

func (w *windowed) parallel(workers int, scores []float32) {
	c := *w
	hw.Parallel(workers, c.B*c.H, func(i int) { c.forward(i, scores) })
}

func (w *windowed) at(b, t, h, length, n int) int { return ((b*length+t)*w.H + h) * n }

// weights fills p with e^{s−max} for token t of unit i, 0 where there is none,
// and gives the place of the largest.
func (w *windowed) weights(p []float32, i, t int) (top int) {
	b, h, L := i/w.H, i%w.H, w.window+w.T
	q := w.q[w.at(b, t, h, w.T, w.D):][:w.D]
	top = -1
	for j := range p {
		p[j] = float32(math.Inf(-1))
		if w.v[w.at(b, t+1+j, h, L, w.V)+w.V-1] == 0 {
			continue
		}
		p[j] = w.scale * vec.Dot(q, w.k[w.at(b, t+1+j, h, L, w.D):][:w.D])
		if top < 0 || p[j] > p[top] {
			top = j
		}
	}
	vec.Offset(p, p, -p[top])
	vec.Exp(p, p)
	return top
}

func (w *windowed) forward(i int, scores []float32) {
	b, h, p := i/w.H, i%w.H, scores[i*w.window:][:w.window]
	for t := range w.T {
		w.weights(p, i, t)
		y := w.y[w.at(b, t, h, w.T, w.V):][:w.V]
		clear(y)
		for j, x := range p {
			if x != 0 {
				vec.Axpy(y, x, w.v[w.at(b, t+1+j, h, w.window+w.T, w.V):][:w.V])
			}
		}
	}
}

type windowGrads struct {
	windowed
	dy, dq, dk, dv []float32
}

func (g *windowGrads) unit(i int, scores []float32) {
	b, h, p := i/g.H, i%g.H, scores[i*g.window:][:g.window]
	for t := range g.T {
		top, total := g.weights(p, i, t), float32(0)
		dy := g.dy[g.at(b, t, h, g.T, g.V):][:g.V]
		for j, x := range p { // p becomes the gradient of the scores
			if x == 0 {
				continue
			}
			row := g.at(b, t+1+j, h, g.window+g.T, g.V)
			p[j] = x * vec.Dot(dy, g.v[row:][:g.V])
			total += p[j]
			if g.dv != nil {
				vec.Axpy(g.dv[row:][:g.V], x, dy)
			}
		}
		p[top] -= total // through the maximum
		query := g.at(b, t, h, g.T, g.D)
		for j, d := range p {
			if d == 0 {
				continue
			}
			row := g.at(b, t+1+j, h, g.window+g.T, g.D)
			if g.dq != nil {
				vec.Axpy(g.dq[query:][:g.D], g.scale*d, g.k[row:][:g.D])
			}
			if g.dk != nil {
				vec.Axpy(g.dk[row:][:g.D], g.scale*d, g.q[query:][:g.D])
			}
		}
	}
}

// plain is the equation in float64.
func (w *windowed) plain(q, k, v []float64) []float64 {
	y := make([]float64, w.B*w.T*w.H*w.V)
	L := w.window + w.T
	for b := range w.B {
		for t := range w.T {
			for h := range w.H {
				s, top := make([]float64, w.window), math.Inf(-1)
				for j := range s {
					s[j] = math.Inf(-1)
					if v[w.at(b, t+1+j, h, L, w.V)+w.V-1] != 0 {
						s[j] = 0
						for d := range w.D {
							s[j] += q[w.at(b, t, h, w.T, w.D)+d] * k[w.at(b, t+1+j, h, L, w.D)+d] / math.Sqrt(float64(w.D))
						}
					}
					top = max(top, s[j])
				}
				for j := range s {
					for c := range w.V {
						y[w.at(b, t, h, w.T, w.V)+c] += math.Exp(s[j]-top) * v[w.at(b, t+1+j, h, L, w.V)+c]
					}
				}
			}
		}
	}
	return y
}
