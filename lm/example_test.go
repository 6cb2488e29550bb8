package lm_test

import (
	"fmt"
	"log"

	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/lm/tokenizer"
	"github.com/subquad/subquad/tensor"
)

// A state is what a model knows of a text: it can be forked, and continued from either side.
func ExampleModel_Last() {
	m, err := lm.Load("testdata/rwkv-4v0-660K")
	if err != nil {
		log.Fatal(err)
	}
	tok := tokenizer.Bytes{}
	st, s := m.NewState(1), tensor.NewScope()
	if _, err := m.Last(s, [][]int{tok.Encode("It is ")}, st); err != nil {
		log.Fatal(err)
	}
	for _, next := range []string{"a", "the"} {
		s.Reset() // takes back the memory of the logits before
		logits, err := m.Last(s, [][]int{tok.Encode(next)}, st.Clone())
		if err != nil {
			log.Fatal(err)
		}
		var greedy lm.Sampler
		id, err := greedy.Next(logits.Data())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("It is %s: %q\n", next, rune(id))
	}
	// Output:
	// It is a: 'n'
	// It is the: ' '
}
