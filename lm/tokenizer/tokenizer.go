// Package tokenizer turns text into the ids that a model was trained on, and back.
//
//	tok := tokenizer.Bytes{}
//	ids := tok.Encode("The light ")
//	text := tokenizer.Decode(tok, ids)
//
// Bytes is for models whose ids are bytes, such as those in lm/testdata. A
// model with another vocabulary needs its own: anything with the three methods
// of Tokenizer will do, and lm itself only sees ids.
package tokenizer

// A Tokenizer maps text to ids and back.
type Tokenizer interface {
	// Encode gives the ids of text.
	Encode(text string) []int
	// Append appends the bytes of one id to dst. Bytes of several ids may make up one
	// character, so a stream is text only where its bytes are complete UTF-8.
	Append(dst []byte, id int) []byte
	// Size is one more than the largest id.
	Size() int
}

// Bytes is the tokenizer of byte-level models: an id is a byte.
type Bytes struct{}

// Encode gives the bytes of text.
func (Bytes) Encode(text string) []int {
	ids := make([]int, len(text))
	for i := range len(text) {
		ids[i] = int(text[i])
	}
	return ids
}

// Append appends the byte id; ids outside 0…255 have no bytes.
func (Bytes) Append(dst []byte, id int) []byte {
	if id < 0 || id > 255 {
		return dst
	}
	return append(dst, byte(id))
}

// Size is 256.
func (Bytes) Size() int { return 256 }

// Decode is the text of ids, all at once; to print a stream, Append id by id.
func Decode(t Tokenizer, ids []int) string {
	var b []byte
	for _, id := range ids {
		b = t.Append(b, id)
	}
	return string(b)
}
