package ssm

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// RGLRUConfig describes Griffin's recurrent block. Zero values mean the defaults, those of RecurrentGemma.
type RGLRUConfig struct {
	DModel   int     // channels of the residual stream
	Width    int     // W, channels of the recurrence; default DModel
	Heads    int     // blocks of the gates' matrices, a divisor of Width; default Width/256, at least 1
	DConv    int     // width of the short convolution; default 4
	OutScale float64 // variance of the initial W_out, times Width; default 1, Griffin takes 2 over the number of layers
	Seed     uint64  // of the initialisation
	Empty    bool    // leave random projections at zero, for a checkpoint to fill
}

func (c RGLRUConfig) withDefaults() (RGLRUConfig, error) {
	orDefault(&c.Width, c.DModel)
	orDefault(&c.Heads, max(1, c.Width/256))
	orDefault(&c.DConv, 4)
	orDefault(&c.OutScale, 1)
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("ssm.RGLRUConfig: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.Width < 1 || c.Width > maxWidth || c.Heads < 1 || c.Width%c.Heads != 0:
		return c, fmt.Errorf("ssm.RGLRUConfig: Width %d, Heads %d: want 1 to %d channels in whole heads", c.Width, c.Heads, maxWidth)
	case c.DConv < 1 || c.DConv > 1024:
		return c, fmt.Errorf("ssm.RGLRUConfig: DConv %d: want 1 to 1024", c.DConv)
	case !(c.OutScale > 0 && c.OutScale < 1e6):
		return c, fmt.Errorf("ssm.RGLRUConfig: OutScale %v: want a positive variance", c.OutScale)
	}
	return c, nil
}

// RGLRU is Griffin's recurrent block around the real-gated linear recurrent
// unit (arXiv 2402.19427; huggingface/transformers:
// models/recurrent_gemma/modeling_recurrent_gemma.py):
//
//	x = conv(W_x u),   r = σ(W_a x + b_a),   i = σ(W_i x + b_i)
//	ln a = −8 softplus(Λ) r,   h_t = a_t h_{t−1} + √(1 − a_t²) i_t x_t     (scan.Diagonal)
//	out = W_out (GELU(W_y u) ⊙ h)
//
// W_a and W_i are block-diagonal, a block for each head. The very first token of
// a sequence counts with 1 in place of the root. The state is W·DConv floats for
// a sequence; a token costs W·(2·W/Heads + DConv) multiply-adds and 4·W
// exponentials or so beside its projections.
type RGLRU struct {
	cfg                              RGLRUConfig
	kind                             string
	X, Y, Out                        *nn.Linear
	Conv                             *nn.ShortConv
	Lambda                           *tensor.Tensor // [W]
	InputGate, RecurrentGate         *tensor.Tensor // [Heads, W/Heads in, W/Heads out]
	InputGateBias, RecurrentGateBias *tensor.Tensor // [Heads, W/Heads]
}

// NewRGLRU makes a block with its authors' initialisation: a = b^{8r} with b from 0.9 to 0.999.
func NewRGLRU(cfg RGLRUConfig) (*RGLRU, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	mk := newMaker(c.Seed, c.Empty)
	W, n := c.Width, c.Width/c.Heads
	linear := func(in, out int, variance float64) *nn.Linear {
		if c.Empty {
			return mk.linear(in, out, true)
		}
		return &nn.Linear{Weight: nn.Normal(mk.rng, math.Sqrt(variance/float64(in)), out, in), Bias: nn.Full(0, out)}
	}
	gate := func() *tensor.Tensor { return nn.Normal(mk.rng, 1/math.Sqrt(float64(n)), c.Heads, n, n) }
	return &RGLRU{
		cfg: c, kind: fmt.Sprintf("ssm.RGLRU/1 width=%d conv=%d", W, c.DConv),
		X: linear(c.DModel, W, 1), Y: linear(c.DModel, W, 1), Out: linear(W, c.DModel, c.OutScale),
		Conv: &nn.ShortConv{Weight: nn.Normal(mk.rng, math.Sqrt(0.01/float64(c.DConv)), W, c.DConv), Bias: nn.Full(0, W)},
		// softplus(Λ) = −ln b, with b² evenly spread over 0.9² to 0.999².
		Lambda: mk.fill(func(int) float64 {
			square := 0.9*0.9 + mk.rng.Float64()*(0.999*0.999-0.9*0.9)
			return math.Log(math.Expm1(-0.5 * math.Log(square)))
		}, W),
		InputGate: gate(), InputGateBias: nn.Full(0, c.Heads, n),
		RecurrentGate: gate(), RecurrentGateBias: nn.Full(0, c.Heads, n),
	}, mk.err
}

// Params lists the weights under the names of RecurrentGemma's checkpoints.
func (l *RGLRU) Params() nn.Params {
	p := l.Y.Params().Prefix("linear_y")
	p = append(p, l.X.Params().Prefix("linear_x")...)
	p = append(p, l.Out.Params().Prefix("linear_out")...)
	p = append(p, l.Conv.Params().Prefix("conv_1d")...)
	return append(p, nn.Params{
		{Name: "rg_lru.recurrent_param", Tensor: l.Lambda, NoDecay: true},
		{Name: "rg_lru.input_gate_weight", Tensor: l.InputGate},
		{Name: "rg_lru.input_gate_bias", Tensor: l.InputGateBias, NoDecay: true},
		{Name: "rg_lru.recurrent_gate_weight", Tensor: l.RecurrentGate},
		{Name: "rg_lru.recurrent_gate_bias", Tensor: l.RecurrentGateBias, NoDecay: true},
	}...)
}

// NewState has parts "conv" [batch, DConv−1, Width] and "h" [batch, Width].
func (l *RGLRU) NewState(batch int) *tensor.State {
	return tensor.NewState(l.kind, batch).
		Add("conv", tensor.New(batch, l.cfg.DConv-1, l.cfg.Width)).Add("h", tensor.New(batch, l.cfg.Width))
}

// Forward maps u [batch, length, DModel] to the same shape.
func (l *RGLRU) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("ssm.RGLRU", "u", u, -1, -1, l.cfg.DModel)
	st.Check(l.kind, u.Dim(0))
	y := tensor.GELUTanh(l.Y.Forward(u))
	x := l.Conv.Forward(l.X.Forward(u), st.Part(0))
	i := l.gate(x, l.InputGate, l.InputGateBias)
	r := l.gate(x, l.RecurrentGate, l.RecurrentGateBias)
	rate := tensor.Scale(tensor.Softplus(tensor.Enter(u.Scope(), l.Lambda)), -8)
	logA := tensor.Mul(r, rate)
	var pos []int64
	if st != nil {
		pos = st.Pos
	}
	b := tensor.Mul(tensor.Mul(x, i), inputGain(logA, pos))
	h := scan.Diagonal(tensor.Exp(logA), b, st.Part(1))
	st.Advance(u.Dim(1))
	return l.Out.Forward(tensor.Mul(y, h))
}

// gate is σ(x w + b) with a block of w for each head.
func (l *RGLRU) gate(x, w, b *tensor.Tensor) *tensor.Tensor {
	B, T, H, n := x.Dim(0), x.Dim(1), l.cfg.Heads, l.cfg.Width/l.cfg.Heads
	y := tensor.MatMul(tensor.Transpose(x.Reshape(B*T, H, n), 0, 1), w) // [H, B·T, n]
	y = tensor.Add(tensor.Transpose(y, 0, 1), b)
	return tensor.Sigmoid(y).Reshape(B, T, H*n)
}

// inputGain is √(1 − a²) given ln a [batch, T, W], and 1 for a sequence's first
// token; pos is where each sequence stands, nil for its start. With
// t = tanh(ln a), 1 − a² is −2t/(1 − t), which is exact for a near 1 too. As in
// Griffin, the root's derivative is held to 1000.
func inputGain(logA *tensor.Tensor, pos []int64) *tensor.Tensor {
	y := tensor.Out("ssm.RGLRU", logA.Shape(), logA)
	T, W := logA.Dim(1), logA.Dim(2)
	if y.IsFloat64() {
		v := logA.Float64s()
		for i, x := range v {
			if v[i] = math.Sqrt(-math.Expm1(2 * x)); isFirst(i, T, W, pos) {
				v[i] = 1
			}
		}
		y.SetValues64(v)
		return y
	}
	logA = tensor.Contiguous(logA)
	out := y.Data()
	vec.Tanh(out, logA.Data())
	for i, t := range out {
		out[i] = float32(math.Sqrt(float64(-2 * t / (1 - t))))
	}
	for b := range logA.Dim(0) {
		if T > 0 && isFirst(b*T*W, T, W, pos) {
			for i := range W {
				out[b*T*W+i] = 1
			}
		}
	}
	if y.Recording() {
		from, starts := logA, append([]int64(nil), pos...) // the caller's moves on
		tensor.OnBackward(func() {
			if !from.NeedsGrad() {
				return
			}
			dy, dx, x := y.Grad().Data(), from.Grad().Data(), from.Data()
			for i, g := range dy {
				if isFirst(i, T, W, starts) {
					continue
				}
				a2 := math.Exp(2 * float64(x[i]))
				dx[i] -= g * float32(2*a2/max(2*float64(out[i]), 1e-3))
			}
		}, y)
	}
	return y
}

// isFirst says whether element i of [batch, T, W] belongs to a sequence's first token.
func isFirst(i, T, W int, pos []int64) bool {
	return i/W%T == 0 && (len(pos) == 0 || pos[i/(W*T)] == 0)
}
