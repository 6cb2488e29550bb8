package subquad_test

import (
	"fmt"

	"github.com/subquad/subquad"
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// Every family's layers are Layers.
var _ = []subquad.Layer{
	(*ssm.Mamba)(nil), (*ssm.S4D)(nil),
	(*rwkv.TimeMix4)(nil), (*rwkv.ChannelMix4)(nil), (*rwkv.TimeMix7)(nil), (*rwkv.ChannelMix7)(nil),
	(*linattn.Attention)(nil), (*linattn.Based)(nil), (*linattn.BaseConv)(nil), (*linattn.BasedStack)(nil),
}

func Example() {
	mamba, err := ssm.NewMamba(ssm.MambaConfig{DModel: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	state := mamba.NewState(1) // one sequence

	prompt := tensor.New(1, 100, 64)
	y := mamba.Forward(prompt, state) // read a prompt …
	fork := state.Clone()
	token := tensor.New(1, 1, 64)
	mamba.Forward(token, state) // … and go on, token by token, from either copy
	mamba.Forward(token, fork)

	fmt.Println(y.Shape(), state.Pos, state.Bytes(), "bytes")
	// Output: [1 100 64] [101] 9736 bytes
}
