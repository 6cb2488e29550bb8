package linattn

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// A mixer has the parts that layers of linear attention share:
//
//	q, k, v = W_q x, W_k x, W_v x, each through a short convolution if there is one
//	o       = the layer's own recurrence over [batch, length, heads, …]
//	y       = W_o (RMSNorm(o) ⊙ gate), the norm over each head's channels
//
// A layer embeds it and adds what is its own.
type mixer struct {
	mixerConfig
	kind                string
	Q, K, V             *nn.Linear
	QConv, KConv, VConv *nn.ShortConv // nil for none
	Norm                *nn.RMSNorm   // over the channels of a head; nil for none
	G                   *nn.Linear    // the output gate's projection; nil for none
	O                   *nn.Linear
}

// A mixerConfig says which of a mixer's parts there are and how wide.
type mixerConfig struct {
	layer           string // its name, for messages and states
	dModel          int
	heads, vHeads   int // of q and k; of v and the state
	keyDim, valDim  int // of a head
	conv            int // width of the short convolutions; 0 or less means none
	convBias        bool
	steps           int    // keys and values of a token, DeltaProduct's; 0 means 1
	kName, vName    string // of k and v in checkpoints; "" for "k" and "v"
	normName        string // the norm's name in checkpoints; "" for no norm
	normAll         bool   // norm over all heads together
	eps             float64
	gated, gateBias bool
	seed            uint64
}

// or is v, or the default if v is zero.
func or[T int | float64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

func (c *mixerConfig) check() error {
	wrong := func(format string, a ...any) error {
		return fmt.Errorf("linattn."+c.layer+"Config: "+format, a...)
	}
	switch {
	case c.dModel < 1 || c.dModel > maxWidth:
		return wrong("DModel %d: want 1 to %d", c.dModel, maxWidth)
	case c.heads < 1 || c.vHeads < 1 || c.vHeads > maxWidth || c.vHeads%c.heads != 0:
		return wrong("%d heads of keys, %d of values: want the first to divide the second", c.heads, c.vHeads)
	case c.keyDim < 1 || c.keyDim > maxWidth/c.heads || c.valDim < 1 || c.valDim > maxWidth/c.vHeads:
		return wrong("%d heads of %d channels for keys, %d of %d for values: want 1 to %d in all", c.heads, c.keyDim, c.vHeads, c.valDim, maxWidth)
	case c.steps < 0 || c.steps > 64 || max(c.heads*c.keyDim, c.vHeads*c.valDim) > maxWidth/max(1, c.steps):
		return wrong("%d steps a token: want 1 to 64, and at most %d channels in all", c.steps, maxWidth)
	case c.conv > 1024:
		return wrong("ConvSize %d: want at most 1024", c.conv)
	case c.normName != "" && !(c.eps > 0 && c.eps < 1):
		return wrong("NormEps %v: want a number between 0 and 1", c.eps)
	}
	return nil
}

// A maker makes parts from one stream of random numbers and keeps the first error.
type maker struct {
	rng *rand.Rand
	err error
}

func (m *maker) linear(in, out int, bias bool) *nn.Linear {
	l, err := nn.NewLinear(in, out, bias, m.rng)
	m.note(err)
	return l
}

func (m *maker) conv(channels, width int, bias bool) *nn.ShortConv {
	c, err := nn.NewShortConv(channels, width, bias, true, m.rng)
	m.note(err)
	return c
}

func (m *maker) note(err error) {
	if m.err == nil {
		m.err = err
	}
}

// newMixer makes the shared parts; the maker goes on to make the layer's own.
func newMixer(c mixerConfig) (mixer, *maker, error) {
	if err := c.check(); err != nil {
		return mixer{}, nil, err
	}
	c.steps, c.kName, c.vName = max(1, c.steps), cmp.Or(c.kName, "k"), cmp.Or(c.vName, "v")
	m := &maker{rng: nn.NewRNG(c.seed)}
	l := mixer{
		mixerConfig: c,
		kind:        fmt.Sprintf("linattn.%s/1 heads=%d key=%d value=%d conv=%d", c.layer, c.vHeads, c.keyDim, c.valDim, max(0, c.conv)),
		Q:           m.linear(c.dModel, c.heads*c.keyDim, false),
		K:           m.linear(c.dModel, c.steps*c.heads*c.keyDim, false),
		V:           m.linear(c.dModel, c.steps*c.vHeads*c.valDim, false),
		O:           m.linear(c.vHeads*c.valDim, c.dModel, false),
	}
	if c.conv > 0 {
		l.QConv = m.conv(c.heads*c.keyDim, c.conv, c.convBias)
		l.KConv = m.conv(c.steps*c.heads*c.keyDim, c.conv, c.convBias)
		l.VConv = m.conv(c.steps*c.vHeads*c.valDim, c.conv, c.convBias)
	}
	if c.normName != "" {
		n := c.valDim
		if c.normAll {
			n *= c.vHeads
		}
		l.Norm = &nn.RMSNorm{Weight: nn.Full(1, n), Eps: float32(c.eps)}
	}
	if c.gated {
		l.G = m.linear(c.dModel, c.vHeads*c.valDim, c.gateBias)
	}
	return l, m, m.err
}

// Params lists the weights under flash-linear-attention's names.
func (l *mixer) Params() nn.Params {
	var p nn.Params
	p = append(p, l.Q.Params().Prefix("q_proj")...)
	p = append(p, l.K.Params().Prefix(l.kName+"_proj")...)
	p = append(p, l.V.Params().Prefix(l.vName+"_proj")...)
	if l.QConv != nil {
		p = append(p, l.QConv.Params().Prefix("q_conv1d")...)
		p = append(p, l.KConv.Params().Prefix(l.kName+"_conv1d")...)
		p = append(p, l.VConv.Params().Prefix(l.vName+"_conv1d")...)
	}
	if l.G != nil {
		p = append(p, l.G.Params().Prefix("g_proj")...)
	}
	if l.Norm != nil {
		p = append(p, l.Norm.Params().Prefix(l.normName)...)
	}
	return append(p, l.O.Params().Prefix("o_proj")...)
}

// NewState has the part "S" [batch, heads, key, value] and, for each short
// convolution, its last inputs, "q_conv", "k_conv" and "v_conv".
func (l *mixer) NewState(batch int) *tensor.State {
	st := tensor.NewState(l.kind, batch).Add("S", tensor.New(batch, l.vHeads, l.keyDim, l.valDim))
	return l.addConvs(st, batch)
}

func (l *mixer) addConvs(st *tensor.State, batch int) *tensor.State {
	if l.QConv != nil {
		st.Add("q_conv", tensor.New(batch, l.conv-1, l.heads*l.keyDim))
		st.Add("k_conv", tensor.New(batch, l.conv-1, l.steps*l.heads*l.keyDim))
		st.Add("v_conv", tensor.New(batch, l.conv-1, l.steps*l.vHeads*l.valDim))
	}
	return st
}

// project gives q, k [B, T, heads, key] and v [B, T, vHeads, value], k and v
// with all steps of a token one after another on the axis of heads; the
// convolutions' states are parts 1 to 3. Without convolutions SiLU alone may
// stand in for them.
func (l *mixer) project(x *tensor.Tensor, st *tensor.State, silu bool) (q, k, v *tensor.Tensor) {
	tensor.Check(l.layer, "x", x, -1, -1, l.dModel)
	st.Check(l.kind, x.Dim(0))
	q, k, v = l.Q.Forward(x), l.K.Forward(x), l.V.Forward(x)
	if l.QConv != nil {
		q, k, v = l.QConv.Forward(q, st.Part(1)), l.KConv.Forward(k, st.Part(2)), l.VConv.Forward(v, st.Part(3))
	} else if silu {
		q, k, v = tensor.SiLU(q), tensor.SiLU(k), tensor.SiLU(v)
	}
	return headed(q, l.heads), headed(k, l.steps*l.heads), headed(v, l.steps*l.vHeads)
}

// finish turns o [B, T, heads, value] into the layer's output; gate, if not
// nil, [B, T, heads·value], has its activation already.
func (l *mixer) finish(o, gate *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	o = l.normed(o, st)
	if gate != nil {
		o = tensor.Mul(o, gate)
	}
	return l.O.Forward(o)
}

// swish is finish with the usual output gate, SiLU(W_g x), if the layer has one.
func (l *mixer) swish(o, x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	o = l.normed(o, st)
	if l.G != nil {
		o = tensor.SiLUMul(o, l.G.Forward(x))
	}
	return l.O.Forward(o)
}

// normed is o [B, T, heads, value] with its heads side by side, after the norm.
func (l *mixer) normed(o *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	B, T := o.Dim(0), o.Dim(1)
	st.Advance(T)
	if l.Norm != nil && !l.normAll {
		o = l.Norm.Forward(o)
	}
	o = o.Reshape(B, T, l.vHeads*l.valDim)
	if l.normAll {
		o = l.Norm.Forward(o)
	}
	return o
}

// headed splits the last axis into heads.
func headed(x *tensor.Tensor, heads int) *tensor.Tensor {
	return x.Reshape(x.Dim(0), x.Dim(1), heads, x.Dim(2)/heads)
}

// rootOf is 1/√n, the usual scale of queries.
func rootOf(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }

// logSigmoid is ln σ(x) = −softplus(−x).
func logSigmoid(x *tensor.Tensor) *tensor.Tensor { return tensor.Neg(tensor.Softplus(tensor.Neg(x))) }
