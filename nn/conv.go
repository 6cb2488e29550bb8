package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/subquad/subquad/hw"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// ShortConv is a causal convolution of each channel by itself over a few
// tokens, y_t = Σ_j w_j x_{t−W+1+j} + b, with an optional SiLU after it
// (Dao-AILab/causal-conv1d). Its state is the last W−1 inputs, oldest first.
type ShortConv struct {
	Weight *tensor.Tensor // [channels, W]; the last column meets the current token
	Bias   *tensor.Tensor // [channels], or nil
	SiLU   bool
}

// NewShortConv makes a convolution with torch's initialisation, uniform ±1/√width.
func NewShortConv(channels, width int, bias, silu bool, rng *rand.Rand) (*ShortConv, error) {
	if err := checkSizes("NewShortConv", channels, width); err != nil {
		return nil, err
	}
	if width > 1024 {
		return nil, fmt.Errorf("nn.NewShortConv: width %d: want at most 1024; package fft has long convolutions", width)
	}
	bound := 1 / math.Sqrt(float64(width))
	c := &ShortConv{Weight: Uniform(rng, -bound, bound, channels, width), SiLU: silu}
	if bias {
		c.Bias = Uniform(rng, -bound, bound, channels)
	}
	return c, nil
}

// Params are "weight" and, if there is one, "bias". Checkpoints have the weight as [channels, 1, W].
func (c *ShortConv) Params() Params {
	return withBias(Params{{Name: "weight", Tensor: c.Weight}}, c.Bias)
}

// Forward convolves x [batch, length, channels]; st, if not nil, is [batch, W−1, channels].
func (c *ShortConv) Forward(x *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	const op = "nn.ShortConv"
	tensor.Check(op, "x", x, -1, -1, c.Weight.Dim(0))
	m := shortConv{B: x.Dim(0), T: x.Dim(1), C: x.Dim(2), W: c.Weight.Dim(1)}
	y := tensor.Out(op, x.Shape(), x, c.Weight, c.Bias)
	s := y.Scope()
	before, after := st.Begin(s, op, m.B, m.W-1, m.C)
	if y.IsFloat64() {
		m.plain(y, x, after, c.Weight, c.Bias)
	} else {
		x = tensor.Contiguous(x)
		// Tap by tap, so that channels lie side by side.
		taps := s.Floats(m.W * m.C)
		for ch := range m.C {
			for j := range m.W {
				taps[j*m.C+ch] = float32(c.Weight.Raw()[ch*m.W+j])
			}
		}
		var bias []float32
		if c.Bias != nil {
			bias = c.Bias.Data()
		}
		if tasks := hw.Tasks(s.Workers(), m.B*m.T, 0.3*float64(m.C*m.W)); tasks > 1 {
			m.parallel(s.Workers(), tasks, y.Data(), x.Data(), after.Data(), taps, bias)
		} else {
			m.rows(0, m.B*m.T, y.Data(), x.Data(), after.Data(), taps, bias)
		}
		m.shift(after.Data(), x.Data())
		if y.Recording() {
			in, out := x, y // not the SiLU of it
			tensor.OnBackward(func() { m.backward(out, in, before, after, c.Weight, c.Bias, taps) }, out, after)
		}
	}
	st.End(after)
	if c.SiLU {
		y = tensor.SiLU(y)
	}
	return y
}

type shortConv struct{ B, T, C, W int }

func (m shortConv) parallel(workers, tasks int, y, x, past, taps, bias []float32) {
	hw.Parallel(workers, tasks, func(i int) {
		lo, hi := hw.Range(i, tasks, m.B*m.T)
		m.rows(lo, hi, y, x, past, taps, bias)
	})
}

// at is the row of token t of sequence b, in x or, before it, in past.
func (m shortConv) at(x, past []float32, b, t int) []float32 {
	if t < 0 {
		return past[(b*(m.W-1)+m.W-1+t)*m.C:][:m.C]
	}
	return x[(b*m.T+t)*m.C:][:m.C]
}

func (m shortConv) rows(lo, hi int, y, x, past, taps, bias []float32) {
	for r := lo; r < hi; r++ {
		b, t := r/m.T, r%m.T
		out := y[r*m.C:][:m.C]
		vec.Mul(out, m.at(x, past, b, t-m.W+1), taps)
		for j := 1; j < m.W; j++ {
			vec.MulAdd(out, m.at(x, past, b, t-m.W+1+j), taps[j*m.C:])
		}
		if bias != nil {
			vec.Add(out, out, bias)
		}
	}
}

// shift makes past the last W−1 inputs.
func (m shortConv) shift(past, x []float32) {
	n := m.W - 1
	for b := range m.B {
		p := past[b*n*m.C:][:n*m.C]
		if m.T >= n {
			copy(p, x[((b+1)*m.T-n)*m.C:][:n*m.C])
		} else {
			copy(p, p[m.T*m.C:])
			copy(p[(n-m.T)*m.C:], x[b*m.T*m.C:][:m.T*m.C])
		}
	}
}

func (m shortConv) backward(y, x, before, after, weight, bias *tensor.Tensor, taps []float32) {
	dx, dw, dpast := gradOf(x), gradOf(weight), gradOf(before)
	past := make([]float32, m.B*(m.W-1)*m.C)
	if before != nil {
		copy(past, before.Data())
	}
	if after.HasGrad() { // what was kept came from x or from the past
		d := after.Grad().Data()
		for b := range m.B {
			for i := range m.W - 1 {
				row := d[(b*(m.W-1)+i)*m.C:][:m.C]
				if to := m.gradAt(dx, dpast, b, m.T-m.W+1+i); to != nil {
					vec.Add(to, to, row)
				}
			}
		}
	}
	if !y.HasGrad() {
		return
	}
	dy := y.Grad().Data()
	dtaps := make([]float32, m.W*m.C)
	for r := range m.B * m.T {
		b, t := r/m.T, r%m.T
		d := dy[r*m.C:][:m.C]
		for j := range m.W {
			if to := m.gradAt(dx, dpast, b, t-m.W+1+j); to != nil {
				vec.MulAdd(to, d, taps[j*m.C:])
			}
			if dw != nil {
				vec.MulAdd(dtaps[j*m.C:][:m.C], d, m.at(x.Data(), past, b, t-m.W+1+j))
			}
		}
		if db := gradOf(bias); db != nil {
			vec.Add(db, db, d)
		}
	}
	if dw != nil {
		for c := range m.C {
			for j := range m.W {
				dw[c*m.W+j] += dtaps[j*m.C+c]
			}
		}
	}
}

func (m shortConv) gradAt(dx, dpast []float32, b, t int) []float32 {
	if t < 0 && dpast == nil || t >= 0 && dx == nil {
		return nil
	}
	return m.at(dx, dpast, b, t)
}

func gradOf(t *tensor.Tensor) []float32 {
	if !t.NeedsGrad() {
		return nil
	}
	return t.Grad().Data()
}

func (m shortConv) plain(y, x, after, weight, bias *tensor.Tensor) {
	xs, past, w := x.Values64(), append([]float64(nil), after.Values64()...), weight.Values64()
	out, last := make([]float64, len(xs)), make([]float64, len(past))
	at := func(b, t, c int) float64 {
		if t < 0 {
			return past[(b*(m.W-1)+m.W-1+t)*m.C+c]
		}
		return xs[(b*m.T+t)*m.C+c]
	}
	for b := range m.B {
		for c := range m.C {
			for t := range m.T {
				o := (b*m.T+t)*m.C + c
				for j := range m.W {
					out[o] += w[c*m.W+j] * at(b, t-m.W+1+j, c)
				}
				if bias != nil {
					out[o] += bias.At(c)
				}
			}
			for i := range m.W - 1 {
				last[(b*(m.W-1)+i)*m.C+c] = at(b, m.T-m.W+1+i, c)
			}
		}
	}
	y.SetValues64(out)
	after.SetValues64(last)
}

// TokenShift is the sequence one token late: row t is x_{t−1}, row 0 what st
// holds, [batch, channels], zeros at the start of a sequence (RWKV).
func TokenShift(x *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	const op = "nn.TokenShift"
	tensor.Check(op, "x", x, -1, -1, -1)
	B, T, C := x.Dim(0), x.Dim(1), x.Dim(2)
	y := tensor.Out(op, x.Shape(), x)
	before, after := st.Begin(y.Scope(), op, B, C)
	if T > 0 {
		y.Narrow(1, 1, T).SetFrom(x.Narrow(1, 0, T-1))
		y.Narrow(1, 0, 1).Reshape(B, C).SetFrom(after)
		after.SetFrom(x.Narrow(1, T-1, T).Reshape(B, C))
	}
	if y.Recording() {
		tensor.OnBackward(func() {
			add := func(dst, src *tensor.Tensor) {
				if dst == nil || T == 0 {
					return
				}
				data, n, c, stride, ok := dst.Rows()
				from := src.Float32s()
				if !ok {
					panic("nn: rows of a slice of time do not collapse")
				}
				for i := range n {
					vec.Add(data[i*stride:][:c], data[i*stride:][:c], from[i*c:])
				}
			}
			dx := x.Grad()
			if y.HasGrad() {
				dy := y.Grad()
				for b := range B {
					if T > 0 && dx != nil {
						add(dx.Narrow(0, b, b+1).Narrow(1, 0, T-1), dy.Narrow(0, b, b+1).Narrow(1, 1, T))
					}
				}
				if T > 0 && before.NeedsGrad() {
					add(before.Grad(), dy.Narrow(1, 0, 1))
				}
			}
			if after.HasGrad() && T > 0 && dx != nil {
				add(dx.Narrow(1, T-1, T), after.Grad())
			}
			if after.HasGrad() && T == 0 && before.NeedsGrad() {
				g, d := before.Grad().Data(), after.Grad().Data()
				vec.Add(g, g, d)
			}
		}, y, after)
	}
	st.End(after)
	return y
}
