package linattn_test

import (
	"fmt"

	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/tensor"
)

func ExampleNewGatedDeltaNet() {
	l, err := linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: 128, NumHeads: 2, HeadDim: 32})
	if err != nil {
		fmt.Println(err)
		return
	}
	st := l.NewState(1)
	l.Forward(tensor.New(1, 1000, 128), st)   // a prompt
	y := l.Forward(tensor.New(1, 1, 128), st) // one more token
	fmt.Println(y.Shape(), st.Pos, st.Bytes())
	// Output: [1 1 128] [1001] 19464
}

func ExampleNewLinearAttention() {
	l, err := linattn.NewLinearAttention(linattn.LinearAttentionConfig{DModel: 64, NumHeads: 2, FeatureMap: tensor.ReLU})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Forward(tensor.New(2, 10, 64), nil).Shape(), l.NewState(1).Bytes())
	// Output: [2 10 64] 8456
}

func ExampleJRTPrompt() {
	document, question := []int{10, 11, 12}, []int{7}
	fmt.Println(linattn.JRTPrompt(document, question))
	// Output: [10 11 12 7 10 11 12 7]
}
