package rwkv

import (
	"fmt"
	"math"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// Config4 describes a layer of RWKV-4.
type Config4 struct {
	DModel    int    // channels C of the residual stream
	DAttn     int    // channels of the recurrence; 0 means DModel
	DFF       int    // hidden channels of the channel mix; 0 means 4·DModel
	Layer     int    // index of the layer, which the initialisation depends on
	NumLayers int    // layers of the model; 0 means 1
	Seed      uint64 // of the initialisation
	Empty     bool   // leave matrices at zero, for a checkpoint to fill
}

func (c Config4) withDefaults() (Config4, error) {
	if c.DAttn == 0 {
		c.DAttn = c.DModel
	}
	if c.DFF == 0 {
		c.DFF = 4 * c.DModel
	}
	if c.NumLayers == 0 {
		c.NumLayers = 1
	}
	return c, validate("rwkv.Config4", c.DModel, c.DAttn, c.DFF, c.Layer, c.NumLayers)
}

func validate(op string, dModel, dAttn, dFF, layer, layers int) error {
	switch {
	case dModel < 1 || dModel > maxWidth || dAttn < 1 || dAttn > maxWidth || dFF < 1 || dFF > 16*maxWidth:
		return fmt.Errorf("%s: DModel %d, DAttn %d, DFF %d: want widths from 1 to %d", op, dModel, dAttn, dFF, maxWidth)
	case layer < 0 || layer >= layers:
		return fmt.Errorf("%s: Layer %d of NumLayers %d: want 0 ≤ Layer < NumLayers", op, layer, layers)
	}
	return nil
}

// maxWidth bounds widths so that a hostile configuration is refused before memory is taken.
const maxWidth = 1 << 16

// TimeMix4 is RWKV-4's time mixing (BlinkDL/ChatRWKV: RWKV_in_150_lines.py#time_mixing):
//
//	r = σ(W_r x_r), k = W_k x_k, v = W_v x_v          x_* = μ_* x_t + (1−μ_*) x_{t−1}
//	wkv_t = (Σ_{i<t} e^{(t−1−i)w + k_i} v_i + e^{u+k_t} v_t) / (the same without v)
//	y = W_o (r ⊙ wkv)
//
// with w = −exp(time_decay) and u = time_first. Its state, per sequence, is the
// last token and the running sums: DModel + 3·DAttn floats.
type TimeMix4 struct {
	cfg                            Config4
	kind                           string
	MixK, MixV, MixR               *tensor.Tensor // [DModel]
	Decay, First                   *tensor.Tensor // [DAttn]
	Key, Value, Receptance, Output *nn.Linear
}

// NewTimeMix4 makes a layer with the initialisation of RWKV-v4neo/src/model.py.
func NewTimeMix4(cfg Config4) (*TimeMix4, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	depth, rest := depths(c.Layer, c.NumLayers)
	rng := seeded(c.Seed, c.Empty)
	m := &TimeMix4{
		cfg:  c,
		kind: kind("rwkv.TimeMix4", c.DModel, c.DAttn),
		MixK: curve(c.DModel, func(x float64) float64 { return math.Pow(x, rest) }),
		MixV: curve(c.DModel, func(x float64) float64 { return math.Pow(x, rest) + 0.3*depth }),
		MixR: curve(c.DModel, func(x float64) float64 { return math.Pow(x, 0.5*rest) }),
		Decay: index(c.DAttn, func(i int) float64 {
			return -5 + 8*math.Pow(ratio(i, c.DAttn), 0.7+1.3*depth)
		}),
		First:      index(c.DAttn, func(i int) float64 { return math.Log(0.3) + 0.5*float64((i+1)%3-1) }),
		Key:        linear(nn.Full(0, c.DAttn, c.DModel)),
		Value:      linear(orthogonal(rng, c.DAttn, c.DModel, 1)),
		Receptance: linear(nn.Full(0, c.DAttn, c.DModel)),
		Output:     linear(nn.Full(0, c.DModel, c.DAttn)),
	}
	return m, nil
}

// Params lists the weights under their names in BlinkDL's checkpoints.
func (m *TimeMix4) Params() nn.Params {
	return nn.Params{
		{Name: "time_decay", Tensor: m.Decay, NoDecay: true},
		{Name: "time_first", Tensor: m.First, NoDecay: true},
		{Name: "time_mix_k", Tensor: m.MixK, NoDecay: true},
		{Name: "time_mix_v", Tensor: m.MixV, NoDecay: true},
		{Name: "time_mix_r", Tensor: m.MixR, NoDecay: true},
		{Name: "key.weight", Tensor: m.Key.Weight, Matrix: true},
		{Name: "value.weight", Tensor: m.Value.Weight, Matrix: true},
		{Name: "receptance.weight", Tensor: m.Receptance.Weight, Matrix: true},
		{Name: "output.weight", Tensor: m.Output.Weight, Matrix: true},
	}
}

// NewState is the state of batch sequences that have seen nothing: parts
// "shift" [batch, DModel] and "aa", "bb", "pp" [batch, DAttn].
func (m *TimeMix4) NewState(batch int) *tensor.State {
	st := tensor.NewState(m.kind, batch).Add("shift", tensor.New(batch, m.cfg.DModel))
	return st.Add("aa", tensor.New(batch, m.cfg.DAttn)).
		Add("bb", tensor.New(batch, m.cfg.DAttn)).
		Add("pp", untracked(nn.Full(wkvEmpty, batch, m.cfg.DAttn)))
}

// wkvEmpty is the exponent of an empty running sum: e^{k−wkvEmpty} is never formed, e^{wkvEmpty−k} is 0.
const wkvEmpty = -1e38

// Forward mixes x [batch, length, DModel], which is expected to be normed, and returns the same shape.
func (m *TimeMix4) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("rwkv.TimeMix4", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	prev := nn.TokenShift(x, st.Part(0))
	r := tensor.Sigmoid(m.Receptance.Forward(blend(x, prev, m.MixR)))
	k := m.Key.Forward(blend(x, prev, m.MixK))
	v := m.Value.Forward(blend(x, prev, m.MixV))
	w := tensor.Neg(tensor.Exp(tensor.Enter(x.Scope(), m.Decay)))
	wkv := scan.WKV4(w, m.First, k, v, st.Part(1), st.Part(2), st.Part(3))
	st.Advance(x.Dim(1))
	return m.Output.Forward(tensor.Mul(r, wkv))
}

// blend is μ x_t + (1−μ) x_{t−1}.
func blend(x, prev, mu *tensor.Tensor) *tensor.Tensor {
	return tensor.Lerp(prev, x, mu)
}

// ChannelMix4 is RWKV-4's channel mixing:
//
//	y = σ(W_r x_r) ⊙ W_v max(W_k x_k, 0)²
//
// Its state is the last token: DModel floats for a sequence.
type ChannelMix4 struct {
	cfg                    Config4
	kind                   string
	MixK, MixR             *tensor.Tensor // [DModel]
	Key, Value, Receptance *nn.Linear
}

// NewChannelMix4 makes a layer with the initialisation of RWKV-v4neo/src/model.py.
func NewChannelMix4(cfg Config4) (*ChannelMix4, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	_, rest := depths(c.Layer, c.NumLayers)
	mix := func() *tensor.Tensor {
		return curve(c.DModel, func(x float64) float64 { return math.Pow(x, rest) })
	}
	return &ChannelMix4{
		cfg: c, kind: kind("rwkv.ChannelMix4", c.DModel),
		MixK: mix(), MixR: mix(),
		Key:        linear(orthogonal(seeded(c.Seed, c.Empty), c.DFF, c.DModel, 1)),
		Value:      linear(nn.Full(0, c.DModel, c.DFF)),
		Receptance: linear(nn.Full(0, c.DModel, c.DModel)),
	}, nil
}

// Params lists the weights under their names in BlinkDL's checkpoints.
func (m *ChannelMix4) Params() nn.Params {
	return nn.Params{
		{Name: "time_mix_k", Tensor: m.MixK, NoDecay: true},
		{Name: "time_mix_r", Tensor: m.MixR, NoDecay: true},
		{Name: "key.weight", Tensor: m.Key.Weight, Matrix: true},
		{Name: "value.weight", Tensor: m.Value.Weight, Matrix: true},
		{Name: "receptance.weight", Tensor: m.Receptance.Weight, Matrix: true},
	}
}

// NewState has one part, "shift" [batch, DModel].
func (m *ChannelMix4) NewState(batch int) *tensor.State {
	return tensor.NewState(m.kind, batch).Add("shift", tensor.New(batch, m.cfg.DModel))
}

// Forward mixes x [batch, length, DModel], which is expected to be normed.
func (m *ChannelMix4) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("rwkv.ChannelMix4", "x", x, -1, -1, m.cfg.DModel)
	st.Check(m.kind, x.Dim(0))
	prev := nn.TokenShift(x, st.Part(0))
	r := tensor.Sigmoid(m.Receptance.Forward(blend(x, prev, m.MixR)))
	k := tensor.ReLU2(m.Key.Forward(blend(x, prev, m.MixK)))
	st.Advance(x.Dim(1))
	return tensor.Mul(r, m.Value.Forward(k))
}
