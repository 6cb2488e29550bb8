package checkpoint_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/subquad/subquad/lm/checkpoint"
)

func Example() {
	var file bytes.Buffer
	err := checkpoint.Write(&file, []checkpoint.Tensor{
		{Name: "head.weight", DType: checkpoint.BF16, Shape: []int{2, 3}, Float32: []float32{1, 2, 3, 4, 5, 6}},
		{Name: "tokens", DType: checkpoint.I32, Shape: []int{2}, Int64: []int64{7, 8}},
	}, map[string]string{"format": "pt"})
	if err != nil {
		log.Fatal(err)
	}

	f, err := checkpoint.NewReader(file.Bytes()) // for a file on disk: checkpoint.Open
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Names() {
		t, _ := f.Info(name)
		fmt.Println(name, t.DType, t.Shape, t.Size, "bytes")
	}
	w := make([]float32, 6)
	if err := f.Float32("head.weight", w); err != nil {
		log.Fatal(err)
	}
	fmt.Println(w)
	fmt.Println(f.Float32("tokens", w[:2]))
	// Output:
	// tokens I32 [2] 8 bytes
	// head.weight BF16 [2 3] 12 bytes
	// [1 2 3 4 5 6]
	// checkpoint: data: tensor "tokens": its dtype is I32, want F64, F32, F16 or BF16
}
