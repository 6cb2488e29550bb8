package golden

import (
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/tensor"
)

func init() {
	shift := stateGrad{0, "shift_state", "bc", "bc"}
	wkv := stateGrad{1, "wkv_state", "bhkv", "bhkv"}
	for _, v := range []struct {
		name    string
		time    func(c rwkv.Config56) (nn.Layer, error)
		channel func(c rwkv.Config56) (nn.Layer, error)
	}{
		{"rwkv5", func(c rwkv.Config56) (nn.Layer, error) { return rwkv.NewTimeMix5(c) }, func(c rwkv.Config56) (nn.Layer, error) { return rwkv.NewChannelMix5(c) }},
		{"rwkv6", func(c rwkv.Config56) (nn.Layer, error) { return rwkv.NewTimeMix6(c) }, func(c rwkv.Config56) (nn.Layer, error) { return rwkv.NewChannelMix6(c) }},
	} {
		stateGradsOf[v.name+"_time_mix"] = []stateGrad{shift, wkv}
		stateGradsOf[v.name+"_channel_mix"] = []stateGrad{shift}
		layers[v.name+"_time_mix"] = func(c *refCase) *operation {
			cfg := rwkv.Config56{DModel: c.int("n_embd", 0), HeadDim: c.int("head_size", 0)}
			if c.has("w.time_maa_w2") {
				cfg.MixRank, cfg.DecayRank = c.shape("w.time_maa_w2")[1], c.shape("w.time_decay_w1")[1]
			}
			l, err := v.time(cfg)
			o := layer(c, l, err)
			o.newState = func() *tensor.State {
				st := l.NewState(c.shape("in.x")[0])
				o.start(st, 0, "shift_state", "bc", "bc")
				o.start(st, 1, "wkv_state", "bhkv", "bhkv")
				return st
			}
			o.states = []stateCheck{{"state.wkv", partValues(1, "bhkv", "bhkv")}}
			return o
		}
		layers[v.name+"_channel_mix"] = func(c *refCase) *operation {
			l, err := v.channel(rwkv.Config56{DModel: c.int("n_embd", 0), HeadDim: 8, DFF: c.shape("w.key.weight")[0]})
			return shifted(c, l, err)
		}
	}
}
