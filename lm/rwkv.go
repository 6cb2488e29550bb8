package lm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/subquad/subquad/lm/checkpoint"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/tensor"
)

// rwkvBlock is time mixing, then channel mixing, each after a layer norm and
// added to the residual stream.
type rwkvBlock struct {
	kind     string
	norm1    *nn.LayerNorm
	norm2    *nn.LayerNorm
	time     nn.Layer
	channel  nn.Layer
	withV    *rwkv.TimeMix7 // time, if it is of version 7
	optional string         // prefix of weights that a checkpoint may lack
}

func (b *rwkvBlock) Params() nn.Params {
	p := b.norm1.Params().Prefix("ln1")
	p = append(p, b.norm2.Params().Prefix("ln2")...)
	p = append(p, b.time.Params().Prefix("att")...)
	return append(p, b.channel.Params().Prefix("ffn")...)
}

func (b *rwkvBlock) NewState(batch int) *tensor.State {
	st := tensor.NewState(b.kind, batch)
	st.Sub = []*tensor.State{b.time.NewState(batch), b.channel.NewState(batch)}
	return st
}

func (b *rwkvBlock) forward(x, first *tensor.Tensor, st *tensor.State) (out, first2 *tensor.Tensor) {
	st.Check(b.kind, x.Dim(0))
	var y *tensor.Tensor
	if n := b.norm1.Forward(x); b.withV != nil {
		y, first = b.withV.Mix(n, first, st.Inner(0))
	} else {
		y = b.time.Forward(n, st.Inner(0))
	}
	x = tensor.Add(x, y)
	x = tensor.Add(x, b.channel.Forward(b.norm2.Forward(x), st.Inner(1)))
	st.Advance(x.Dim(1))
	return x, first
}

// RWKVConfig has the sizes of an RWKV language model, for NewRWKV. Version,
// Vocab, DModel and NumLayers are needed; the loaders read all of it off a
// checkpoint.
type RWKVConfig struct {
	Version   int // 4, 5, 6 or 7
	Vocab     int
	DModel    int
	NumLayers int
	DAttn     int // version 4; 0 means DModel
	DFF       int // 0 means 4·DModel
	HeadDim   int // versions 5 to 7; 0 means 64

	// Version 5: see rwkv.Config56.
	PerHead, NoGate bool

	// Versions 6 and 7: see rwkv.Config56 and rwkv.Config7.
	MixRank, DecayRank, RateRank, ValueRank, GateRank int

	Seed  uint64 // of the initialisation
	Empty bool   // leave matrices at zero, for a checkpoint to fill
}

// NewRWKV makes a model with its authors' initialisation.
func NewRWKV(c RWKVConfig) (*Model, error) {
	const most = 1 << 20
	if c.Vocab < 1 || c.Vocab > most || c.NumLayers < 1 || c.NumLayers > 1024 || c.DModel < 1 || c.DModel > 1<<16 {
		return nil, fmt.Errorf("lm.RWKVConfig: Vocab %d, NumLayers %d, DModel %d: want 1 to %d, 1 to 1024, 1 to %d", c.Vocab, c.NumLayers, c.DModel, most, 1<<16)
	}
	norm := func() *nn.LayerNorm {
		return &nn.LayerNorm{Weight: nn.Full(1, c.DModel), Bias: nn.Full(0, c.DModel), Eps: 1e-5}
	}
	rng := nn.NewRNG(c.Seed)
	weights := func(bound float64) *tensor.Tensor {
		if c.Empty {
			return nn.Full(0, c.Vocab, c.DModel)
		}
		return nn.Uniform(rng, -bound, bound, c.Vocab, c.DModel)
	}
	m := &Model{
		Arch:      fmt.Sprintf("rwkv%d", c.Version),
		Embedding: &nn.Embedding{Weight: weights(1e-4)},
		First:     norm(),
		Norm:      norm(),
		Head:      &nn.Linear{Weight: weights(0.5 / float64(c.DModel))},
		names:     blinkDL,
		kind:      fmt.Sprintf("lm.rwkv%d/1 layers=%d d_model=%d", c.Version, c.NumLayers, c.DModel),
	}
	for i := range c.NumLayers {
		b := &rwkvBlock{kind: fmt.Sprintf("lm.rwkv%d.Block/1", c.Version), norm1: norm(), norm2: norm()}
		var err1, err2 error
		switch c.Version {
		case 4:
			cfg := rwkv.Config4{DModel: c.DModel, DAttn: c.DAttn, DFF: c.DFF, Layer: i, NumLayers: c.NumLayers, Seed: c.Seed + uint64(i) + 1, Empty: c.Empty}
			b.time, err1 = rwkv.NewTimeMix4(cfg)
			b.channel, err2 = rwkv.NewChannelMix4(cfg)
		case 5, 6:
			cfg := rwkv.Config56{DModel: c.DModel, HeadDim: c.HeadDim, DFF: c.DFF, PerHead: c.PerHead, NoGate: c.NoGate, MixRank: c.MixRank, DecayRank: c.DecayRank,
				Layer: i, NumLayers: c.NumLayers, Seed: c.Seed + uint64(i) + 1, Empty: c.Empty}
			if c.Version == 5 {
				b.time, err1 = rwkv.NewTimeMix5(cfg)
				b.channel, err2 = rwkv.NewChannelMix5(cfg)
			} else {
				b.time, err1 = rwkv.NewTimeMix6(cfg)
				b.channel, err2 = rwkv.NewChannelMix6(cfg)
			}
		case 7:
			cfg := rwkv.Config7{DModel: c.DModel, HeadDim: c.HeadDim, DFF: c.DFF, Layer: i, NumLayers: c.NumLayers,
				DecayRank: c.DecayRank, RateRank: c.RateRank, ValueRank: c.ValueRank, GateRank: c.GateRank, Seed: c.Seed + uint64(i) + 1, Empty: c.Empty}
			b.withV, err1 = rwkv.NewTimeMix7(cfg)
			b.time = b.withV
			b.channel, err2 = rwkv.NewChannelMix7(cfg)
			if i == 0 {
				b.optional = "att.v" // the first block's values are nobody's correction
			}
		default:
			return nil, fmt.Errorf("lm.RWKVConfig: Version %d: want 4 to 7", c.Version)
		}
		if err1 != nil {
			return nil, fmt.Errorf("lm: block %d: %w", i, err1)
		}
		if err2 != nil {
			return nil, fmt.Errorf("lm: block %d: %w", i, err2)
		}
		m.Blocks = append(m.Blocks, b)
	}
	m.largePages()
	return m, nil
}

// LoadRWKV loads an RWKV model of version 4 to 7 from a safetensors file, or a
// folder of them, that has the tensor names of BlinkDL's checkpoints. The
// version and all sizes are read off the tensors.
func LoadRWKV(path string) (*Model, error) {
	f, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadRWKV(f)
}

// ReadRWKV is LoadRWKV for an open checkpoint.
func ReadRWKV(f *checkpoint.File) (*Model, error) {
	c, err := sniffRWKV(f)
	if err != nil {
		return nil, err
	}
	c.Empty = true
	m, err := NewRWKV(c)
	if err != nil {
		return nil, err
	}
	optional := func(name string) bool {
		b, ok := m.Blocks[0].(*rwkvBlock)
		return ok && b.optional != "" && strings.HasPrefix(name, "blocks.0."+b.optional) && !strings.HasPrefix(name, "blocks.0.att.value")
	}
	return m, fill(m.Params(), f, optional)
}

// sniffRWKV reads version and sizes off names and shapes.
func sniffRWKV(f *checkpoint.File) (c RWKVConfig, err error) {
	shape := func(name string, rank int) []int {
		if err != nil {
			return make([]int, rank)
		}
		t, ok := f.Info(name)
		if !ok {
			err = fmt.Errorf("lm: the checkpoint has no tensor %q: want an RWKV model under BlinkDL's names", name)
			return make([]int, rank)
		}
		s := squeeze(t.Shape)
		if len(s) != rank {
			err = fmt.Errorf("lm: tensor %q has shape %v: want %d axes", name, t.Shape, rank)
			return make([]int, rank)
		}
		return s
	}
	emb := shape("emb.weight", 2)
	c.Vocab, c.DModel = emb[0], emb[1]
	for {
		if _, ok := f.Info(fmt.Sprintf("blocks.%d.ln1.weight", c.NumLayers)); !ok {
			break
		}
		c.NumLayers++
	}
	c.DFF = shape("blocks.0.ffn.key.weight", 2)[0]
	has := func(name string) bool { _, ok := f.Info("blocks.0.att." + name); return ok }
	switch {
	case has("r_k"):
		c.Version = 7
		if rk, _ := f.Info("blocks.0.att.r_k"); len(rk.Shape) == 2 {
			c.HeadDim = rk.Shape[1]
		}
		c.DecayRank = shape("blocks.0.att.w1", 2)[1]
		c.RateRank = shape("blocks.0.att.a1", 2)[1]
		c.GateRank = shape("blocks.0.att.g1", 2)[1]
		if c.NumLayers > 1 {
			c.ValueRank = shape("blocks.1.att.v1", 2)[1]
		} else if has("v1") {
			c.ValueRank = shape("blocks.0.att.v1", 2)[1]
		}
	case has("time_maa_x"):
		c.Version = 6
		c.HeadDim = shape("blocks.0.att.time_faaaa", 2)[1]
		if w2, _ := f.Info("blocks.0.att.time_maa_w2"); len(w2.Shape) == 3 {
			c.MixRank = w2.Shape[1]
		}
		c.DecayRank = shape("blocks.0.att.time_decay_w1", 2)[1]
	case has("ln_x.weight"):
		c.Version, c.NoGate, c.PerHead = 5, !has("gate.weight"), !has("time_faaaa")
		if c.PerHead {
			if u, _ := f.Info("blocks.0.att.time_first"); len(u.Shape) > 0 && u.Shape[0] > 0 {
				c.HeadDim = c.DModel / u.Shape[0]
			}
		} else {
			c.HeadDim = shape("blocks.0.att.time_faaaa", 2)[1]
		}
	case has("time_decay"):
		c.Version = 4
		c.DAttn = shape("blocks.0.att.key.weight", 2)[0]
	default:
		err = fmt.Errorf("lm: no tensor of blocks.0.att tells an RWKV version (time_decay: 4, ln_x: 5, time_maa_x: 6, r_k: 7)")
	}
	return c, err
}

func squeeze(shape []int) []int {
	for len(shape) > 0 && shape[0] == 1 {
		shape = shape[1:]
	}
	return shape
}

// fill copies a checkpoint's tensors into params of the same names. Every
// parameter must be there, but for optional ones, every tensor must be asked
// for, sizes must agree and values be finite.
func fill(params nn.Params, f *checkpoint.File, optional func(name string) bool) error {
	known := make(map[string]bool, len(params))
	for _, p := range params {
		known[p.Name] = true
		t, ok := f.Info(p.Name)
		if !ok {
			if optional(p.Name) {
				continue
			}
			return fmt.Errorf("lm: the checkpoint has no tensor %q, of shape %v", p.Name, p.Shape())
		}
		if !sameShape(t.Shape, p.Shape()) {
			if optional(p.Name) {
				continue
			}
			return fmt.Errorf("lm: tensor %q has shape %v: want %v", p.Name, t.Shape, p.Shape())
		}
		if err := f.CheckFinite(p.Name); err != nil {
			return fmt.Errorf("lm: %w", err)
		}
		if err := f.Float32(p.Name, p.Data()); err != nil {
			return fmt.Errorf("lm: %w", err)
		}
	}
	for _, name := range f.Names() {
		if !known[name] {
			return fmt.Errorf("lm: the checkpoint has a tensor %q that this model does not know", name)
		}
	}
	return nil
}

// sameShape compares shapes but for axes of length 1: checkpoints differ in them.
func sameShape(a, b []int) bool {
	one := func(d int) bool { return d == 1 }
	a, b = slices.DeleteFunc(slices.Clone(a), one), slices.DeleteFunc(slices.Clone(b), one)
	if slices.Equal(a, b) {
		return true
	}
	// A vector per head may be flattened.
	return len(a) == 1 && len(b) == 2 && a[0] == b[0]*b[1]
}
