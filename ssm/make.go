package ssm

import (
	"math"
	"math/rand/v2"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// maker makes a layer's weights. The first error is kept, and what comes after
// it is not made.
type maker struct {
	rng   *rand.Rand
	empty bool // leave random weights at zero
	err   error
}

func newMaker(seed uint64, empty bool) *maker { return &maker{rng: nn.NewRNG(seed), empty: empty} }

func (m *maker) linear(in, out int, bias bool) *nn.Linear {
	if m.err != nil {
		return nil
	}
	if !m.empty {
		l, err := nn.NewLinear(in, out, bias, m.rng)
		m.err = err
		return l
	}
	l := &nn.Linear{Weight: tensor.New(out, in).Track()}
	if bias {
		l.Bias = tensor.New(out).Track()
	}
	return l
}

func (m *maker) conv(channels, width int, bias, silu bool) *nn.ShortConv {
	if m.err != nil {
		return nil
	}
	c, err := nn.NewShortConv(channels, width, bias, silu, m.rng)
	m.err = err
	return c
}

// fill is a weight of values from f, called in row-major order.
func (m *maker) fill(f func(i int) float64, shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data() {
		t.Data()[i] = float32(f(i))
	}
	return t.Track()
}

// dtBias is the bias for which softplus(bias) spreads evenly, on a logarithmic
// scale, over the range of steps.
func (m *maker) dtBias(lo, hi, floor float64, n int) *tensor.Tensor {
	return m.fill(func(int) float64 {
		dt := math.Exp(math.Log(lo) + m.rng.Float64()*(math.Log(hi)-math.Log(lo)))
		dt = max(dt, floor)
		return dt + math.Log(-math.Expm1(-dt))
	}, n)
}

// truncated is normally distributed, cut off at two deviations and of deviation
// std after that (jax.nn.initializers.lecun_normal).
func (m *maker) truncated(std float64) float64 {
	for {
		if x := m.rng.NormFloat64(); math.Abs(x) <= 2 {
			return x * std / 0.87962566103423978
		}
	}
}

// orDefault puts v into *p if it is zero.
func orDefault[T int | float64](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// checkSteps says whether lo to hi is a range of initial steps.
func checkSteps(lo, hi float64) bool { return lo > 0 && lo <= hi && hi < 1e3 }
