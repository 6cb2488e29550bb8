package tokenizer_test

import (
	"fmt"
	"testing"

	"github.com/subquad/subquad/lm/tokenizer"
)

func TestBytesRoundTrip(t *testing.T) {
	for _, text := range []string{"", "a", "Öl, 日本\x00\xff"} {
		if got := tokenizer.Decode(tokenizer.Bytes{}, tokenizer.Bytes{}.Encode(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
	if got := (tokenizer.Bytes{}).Append(nil, 256); len(got) != 0 {
		t.Errorf("id 256 gave bytes %v", got)
	}
}

func ExampleBytes() {
	ids := tokenizer.Bytes{}.Encode("né")
	fmt.Println(ids, tokenizer.Decode(tokenizer.Bytes{}, ids))
	// Output: [110 195 169] né
}
