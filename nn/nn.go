package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/subquad/subquad/tensor"
)

// A Layer maps a sequence to one of the same shape, [batch, length, channels].
// A nil state starts from nothing and keeps nothing; otherwise the state is
// continued and updated in place, so that a sequence may be fed whole, in
// pieces of any length, or token by token.
type Layer interface {
	Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor
	NewState(batch int) *tensor.State
	Params() Params
}

// A Param is a weight with its name in checkpoints.
type Param struct {
	Name string
	*tensor.Tensor
	NoDecay bool // optimisers should not decay it: a bias, a norm, a rate
	Matrix  bool // the matrix of a Linear or an Embedding, which may be held in fewer bits
}

// Params lists a layer's weights in a fixed order.
type Params []Param

// Prefix puts name and a dot before each name.
func (p Params) Prefix(name string) Params {
	out := make(Params, len(p))
	for i, x := range p {
		x.Name = name + "." + x.Name
		out[i] = x
	}
	return out
}

// Find is the weight of a name.
func (p Params) Find(name string) (Param, bool) {
	for _, x := range p {
		if x.Name == name {
			return x, true
		}
	}
	return Param{}, false
}

// Count is the number of values in all weights.
func (p Params) Count() int {
	n := 0
	for _, x := range p {
		n += x.Len()
	}
	return n
}

// ZeroGrad forgets the gradients of all weights.
func (p Params) ZeroGrad() {
	for _, x := range p {
		x.Tensor.ZeroGrad()
	}
}

// NewRNG is the generator that initialisations use: the same numbers for a seed on every machine.
func NewRNG(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

// Uniform is a weight with values from lo to hi.
func Uniform(rng *rand.Rand, lo, hi float64, shape ...int) *tensor.Tensor {
	return fill(func() float64 { return lo + (hi-lo)*rng.Float64() }, shape)
}

// Normal is a weight with normally distributed values.
func Normal(rng *rand.Rand, std float64, shape ...int) *tensor.Tensor {
	return fill(func() float64 { return std * rng.NormFloat64() }, shape)
}

// Full is a weight with one value everywhere.
func Full(c float64, shape ...int) *tensor.Tensor {
	return fill(func() float64 { return c }, shape)
}

func fill(f func() float64, shape []int) *tensor.Tensor {
	t := tensor.New(shape...)
	d := t.Data()
	for i := range d {
		d[i] = float32(f())
	}
	return t.Track()
}

// maxWidth bounds sizes so that a hostile configuration is refused before memory is taken.
const maxWidth = 1 << 24

func checkSizes(op string, sizes ...int) error {
	for _, n := range sizes {
		if n < 1 || n > maxWidth {
			return fmt.Errorf("nn.%s: sizes %v: want each from 1 to %d", op, sizes, maxWidth)
		}
	}
	return nil
}

// Linear is y = x Wᵀ + b over the last axis.
type Linear struct {
	Weight *tensor.Tensor // [out, in], F32, BF16 or F16
	Bias   *tensor.Tensor // [out], or nil
}

// NewLinear makes a Linear with torch's initialisation, uniform ±1/√in.
func NewLinear(in, out int, bias bool, rng *rand.Rand) (*Linear, error) {
	if err := checkSizes("NewLinear", in, out); err != nil {
		return nil, err
	}
	bound := 1 / math.Sqrt(float64(in))
	l := &Linear{Weight: Uniform(rng, -bound, bound, out, in)}
	if bias {
		l.Bias = Uniform(rng, -bound, bound, out)
	}
	return l, nil
}

// Forward maps […, in] to […, out].
func (l *Linear) Forward(x *tensor.Tensor) *tensor.Tensor {
	return l.Then(x, tensor.LinearOptions{})
}

// Then is Forward with something done to the result before it leaves the cache; o has no Bias.
func (l *Linear) Then(x *tensor.Tensor, o tensor.LinearOptions) *tensor.Tensor {
	o.Bias = l.Bias
	return tensor.Linear(x, l.Weight, o)
}

// Params are "weight" and, if there is one, "bias".
func (l *Linear) Params() Params {
	return withBias(Params{{Name: "weight", Tensor: l.Weight, Matrix: true}}, l.Bias)
}

func withBias(p Params, bias *tensor.Tensor) Params {
	if bias != nil {
		p = append(p, Param{Name: "bias", Tensor: bias, NoDecay: true})
	}
	return p
}

// Embedding maps ids to rows of a table.
type Embedding struct {
	Weight *tensor.Tensor // [vocabulary, channels]
}

// Forward gives [batch, length, channels] in scope s for sequences of one length.
func (e *Embedding) Forward(s *tensor.Scope, ids [][]int) *tensor.Tensor {
	if len(ids) == 1 {
		return tensor.GatherIn(s, e.Weight, ids[0], 1, len(ids[0]))
	}
	var flat []int
	length := 0
	for b, seq := range ids {
		if length = len(ids[0]); len(seq) != length {
			panic(&tensor.ShapeError{Op: "nn.Embedding", Arg: fmt.Sprintf("ids[%d]", b), Got: []int{len(seq)}, Want: fmt.Sprintf("%d ids, as the first sequence has", length)})
		}
		flat = append(flat, seq...)
	}
	return tensor.GatherIn(s, e.Weight, flat, len(ids), length)
}

// Params is "weight".
func (e *Embedding) Params() Params { return Params{{Name: "weight", Tensor: e.Weight, Matrix: true}} }

// RMSNorm is x/√(mean x² + Eps) ⊙ Weight over the last axis.
type RMSNorm struct {
	Weight *tensor.Tensor // [channels]; nil for ones
	Eps    float32
}

// Forward keeps the shape of x.
func (n *RMSNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.RMSNorm(x, n.Weight, n.Eps)
}

// Params is "weight".
func (n *RMSNorm) Params() Params { return normParams(n.Weight, nil) }

func normParams(weight, bias *tensor.Tensor) Params {
	var p Params
	if weight != nil {
		p = Params{{Name: "weight", Tensor: weight, NoDecay: true}}
	}
	return withBias(p, bias)
}

// LayerNorm is (x − mean)/√(variance + Eps) ⊙ Weight + Bias over the last axis.
type LayerNorm struct {
	Weight, Bias *tensor.Tensor // [channels]; nil for ones and zeros
	Eps          float32
}

// Forward keeps the shape of x.
func (n *LayerNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.LayerNorm(x, n.Weight, n.Bias, n.Eps)
}

// Params are "weight" and "bias".
func (n *LayerNorm) Params() Params { return normParams(n.Weight, n.Bias) }

// GroupNorm is LayerNorm over each of Groups equal parts of the last axis.
type GroupNorm struct {
	Groups       int
	Weight, Bias *tensor.Tensor // [channels]; nil for ones and zeros
	Eps          float32
}

// Forward keeps the shape of x.
func (n *GroupNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.GroupNorm(x, n.Groups, n.Weight, n.Bias, n.Eps)
}

// Params are "weight" and "bias".
func (n *GroupNorm) Params() Params { return normParams(n.Weight, n.Bias) }

// RMSNormGated is Mamba-2's norm with a gate z (state-spaces/mamba:
// mamba_ssm/ops/triton/layernorm_gated.py): RMS(x ⊙ SiLU(z)) ⊙ Weight, or
// RMS(x) ⊙ Weight ⊙ SiLU(z) with NormBeforeGate, over groups of GroupSize.
type RMSNormGated struct {
	Weight         *tensor.Tensor // [channels]; nil for ones
	Eps            float32
	GroupSize      int // channels that are normed together; 0 means all
	NormBeforeGate bool
}

// Forward keeps the shape of x, which z has too.
func (n *RMSNormGated) Forward(x, z *tensor.Tensor) *tensor.Tensor {
	groups := 1
	if n.GroupSize > 0 {
		if groups = x.Dim(-1) / n.GroupSize; groups*n.GroupSize != x.Dim(-1) {
			panic(&tensor.ShapeError{Op: "nn.RMSNormGated", Arg: "x", Got: slices.Clone(x.Shape()), Want: fmt.Sprintf("a last axis of whole groups of %d", n.GroupSize)})
		}
	}
	if n.NormBeforeGate {
		return tensor.SiLUMul(tensor.GroupRMSNorm(x, groups, n.Weight, n.Eps), z)
	}
	return tensor.GroupRMSNorm(tensor.SiLUMul(x, z), groups, n.Weight, n.Eps)
}

// Params is "weight".
func (n *RMSNormGated) Params() Params { return normParams(n.Weight, nil) }

// Activation is what a gated MLP does.
type Activation uint8

const (
	SwiGLU Activation = iota // W_down (SiLU(W_gate x) ⊙ W_up x)
	GeGLU                    // W_down (GELU(W_gate x) ⊙ W_up x), with GELU's approximation by tanh
	GELU                     // W_down GELU(W_up x), without a gate
	ReLU2                    // W_down max(W_up x, 0)², without a gate
)

// MLPConfig describes an MLP.
type MLPConfig struct {
	DModel     int // channels in and out
	DHidden    int // channels within
	Activation Activation
	Bias       bool
	Seed       uint64
}

// MLP is a layer's feed-forward part.
type MLP struct {
	cfg            MLPConfig
	Gate, Up, Down *Linear // Gate is nil for activations without one
}

// NewMLP makes an MLP with torch's initialisation.
func NewMLP(c MLPConfig) (*MLP, error) {
	if err := checkSizes("MLPConfig", c.DModel, c.DHidden); err != nil {
		return nil, err
	}
	if c.Activation > ReLU2 {
		return nil, fmt.Errorf("nn.MLPConfig: Activation %d: want SwiGLU, GeGLU, GELU or ReLU2", c.Activation)
	}
	rng := NewRNG(c.Seed)
	m := &MLP{cfg: c}
	var err error
	if c.Activation <= GeGLU {
		if m.Gate, err = NewLinear(c.DModel, c.DHidden, c.Bias, rng); err != nil {
			return nil, err
		}
	}
	if m.Up, err = NewLinear(c.DModel, c.DHidden, c.Bias, rng); err != nil {
		return nil, err
	}
	m.Down, err = NewLinear(c.DHidden, c.DModel, c.Bias, rng)
	return m, err
}

// Forward keeps the shape of x.
func (m *MLP) Forward(x *tensor.Tensor) *tensor.Tensor {
	return m.Down.Forward(m.inner(x))
}

// AddTo is residual + Forward(x).
func (m *MLP) AddTo(residual, x *tensor.Tensor) *tensor.Tensor {
	return m.Down.Then(m.inner(x), tensor.LinearOptions{Residual: residual})
}

func (m *MLP) inner(x *tensor.Tensor) *tensor.Tensor {
	then := func(l *Linear, f tensor.Map, gate *tensor.Tensor) *tensor.Tensor {
		return l.Then(x, tensor.LinearOptions{Map: f, Gate: gate})
	}
	switch m.cfg.Activation {
	case SwiGLU:
		return then(m.Gate, tensor.MapSiLU, m.Up.Forward(x))
	case GeGLU:
		return then(m.Gate, tensor.MapGELUTanh, m.Up.Forward(x))
	case GELU:
		return then(m.Up, tensor.MapGELU, nil)
	}
	return then(m.Up, tensor.MapReLU2, nil)
}

// Params are those of "gate_proj", "up_proj" and "down_proj".
func (m *MLP) Params() Params {
	var p Params
	if m.Gate != nil {
		p = m.Gate.Params().Prefix("gate_proj")
	}
	p = append(p, m.Up.Params().Prefix("up_proj")...)
	return append(p, m.Down.Params().Prefix("down_proj")...)
}

// GLU is a ⊙ σ(b) for x = [a, b], halves of the last axis.
func GLU(x *tensor.Tensor) *tensor.Tensor {
	n := x.Dim(-1)
	if n%2 != 0 {
		panic(&tensor.ShapeError{Op: "nn.GLU", Arg: "x", Got: slices.Clone(x.Shape()), Want: "an even last axis"})
	}
	return tensor.Mul(x.Narrow(-1, 0, n/2), tensor.Sigmoid(x.Narrow(-1, n/2, n)))
}
