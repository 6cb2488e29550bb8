package main

import (
	"math"
	"math/rand/v2"

	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// channels say what a token's channels mean, with d of them for a key:
//
//	key [d] and value [values], of a pair; pair, 1 for a pair
//	question [d], the key that is asked for; asked, 1 for a question
//	begin, 1 for the token before the document
//	mark, zero, for a layer to write in
type channels struct{ d int }

func (c channels) key() int      { return 0 }
func (c channels) value() int    { return c.d }
func (c channels) question() int { return c.d + values }
func (c channels) pair() int     { return 2*c.d + values }
func (c channels) asked() int    { return 2*c.d + values + 1 }
func (c channels) begin() int    { return 2*c.d + values + 2 }
func (c channels) mark() int     { return 2*c.d + values + 3 }
func (c channels) width() int    { return 2*c.d + values + 4 }

// ask makes a document of pairs, keys in random directions with random values,
// and a question after one of them. tokens [ids, width] has the channels of each id.
func (c channels) ask(pairs int, rng *rand.Rand) (tokens *tensor.Tensor, document, question []int, answer int) {
	begin, asking := pairs, pairs+1
	tokens = tensor.New(pairs+2, c.width())
	row := func(id int) []float32 { return tokens.Data()[id*c.width():][:c.width()] }
	which := rng.IntN(pairs)
	document = []int{begin}
	row(begin)[c.begin()] = 1
	for id := range pairs {
		x, norm := row(id), 0.0
		for i := range c.d {
			v := rng.NormFloat64()
			x[c.key()+i] = float32(v)
			norm += v * v
		}
		for i := range c.d {
			x[c.key()+i] /= float32(math.Sqrt(norm))
		}
		value := rng.IntN(values)
		x[c.value()+value], x[c.pair()] = 1, 1
		if id == which {
			answer = value
			copy(row(asking)[c.question():], x[c.key():][:c.d])
		}
		document = append(document, id)
	}
	row(asking)[c.asked()] = 1
	return tokens, document, []int{asking}, answer
}

// wire makes outputs to… of a map be inputs from…, n of them, times scale.
func wire(l *nn.Linear, to, from, n int, scale float64) {
	for i := range n {
		l.Weight.Data()[(to+i)*l.Weight.Dim(1)+from+i] = float32(scale)
	}
}

// clearAll takes the random weights away.
func clearAll(p nn.Params) {
	for _, w := range p {
		clear(w.Data())
	}
}

// newSoftmax makes attention over the last keys, 0 for all, sharp enough to see
// nothing but the key that is like the question's.
func newSoftmax(window int) maker {
	return func(c channels) (nn.Layer, error) {
		dim := max(c.d, values)
		l, err := linattn.NewAttention(linattn.AttentionConfig{DModel: c.width(), NumHeads: 1, HeadDim: dim, Window: window})
		if err != nil {
			return nil, err
		}
		clearAll(l.Params())
		sharp := math.Sqrt(1000 * math.Sqrt(float64(dim))) // scores up to 1000
		wire(l.Q, 0, c.question(), c.d, sharp)
		wire(l.K, 0, c.key(), c.d, sharp)
		wire(l.V, 0, c.value(), values, 1)
		wire(l.O, c.value(), 0, values, 1)
		return l, nil
	}
}

// Strengths of likeness: a query and a key alike give s = strength, and a
// weight 1 + s + s²/2, of which the square is to be by far the most.
const (
	alike  = 100.  // of a pair's key and the question, when pairs are marked
	sink   = 3000. // of every pair and the beginning
	found  = 30.   // of the question and a pair's key, for the answer
	marked = 300.  // of the question and a mark of 1
)

// newAnswer makes the linear layer that answers: the question weighs the values
// of all pairs by their keys, w = 1 + s + s²/2 with s = found·(question·key),
// which falls as the square of the likeness. A mark adds to s.
func newAnswer(c channels) (nn.Layer, error) {
	l, err := linattn.NewBased(linattn.BasedConfig{DModel: c.width(), NumHeads: 1, FeatureDim: c.d + 1, HeadDim: values})
	if err != nil {
		return nil, err
	}
	clearAll(l.Params())
	c.likeness(l.Q, l.K, c.question(), c.key(), found, c.asked(), c.mark(), marked)
	wire(l.V, 0, c.value(), values, 1)
	wire(l.O, c.value(), 0, values, 1)
	return l, nil
}

// newMark makes the linear layer before it, in which pairs look for a question
// that came before them: it gives a pair the square of the likeness of its key
// and the question's, or 0 if it has seen no question. Pairs themselves leave
// nothing in the sum above, and in the one below, the normaliser, what the
// beginning leaves is so much that their number makes no difference.
func newMark(c channels) (nn.Layer, error) {
	l, err := linattn.NewBased(linattn.BasedConfig{DModel: c.width(), NumHeads: 1, FeatureDim: c.d + 1, HeadDim: 1})
	if err != nil {
		return nil, err
	}
	clearAll(l.Params())
	c.marking(l.Q, l.K, l.V, l.O)
	return l, nil
}

// newJRTMark makes the same of a JRT layer, whose every token sees the whole prefix:
// pairs see the question that comes after them.
func newJRTMark(prefix int) maker {
	return func(c channels) (nn.Layer, error) {
		l, err := linattn.NewJRT(linattn.JRTConfig{DModel: c.width(), NumHeads: 1, FeatureDim: c.d + 1, HeadDim: 1, EncLength: prefix})
		if err != nil {
			return nil, err
		}
		clearAll(l.Params())
		c.marking(l.Q, l.K, l.V, l.O)
		c.marking(l.Q, l.KEnc, l.VEnc, l.O)
		return l, nil
	}
}

func (c channels) marking(q, k, v, o *nn.Linear) {
	c.likeness(q, k, c.key(), c.question(), alike, c.pair(), c.begin(), sink)
	wire(v, 0, c.asked(), 1, 1)
	wire(o, c.mark(), 0, 1, (sink/alike)*(sink/alike))
}

// likeness makes s, the product of q and k over √features, strength1 times the
// product of the d channels from q1 on and from k1 on, plus strength2 times that
// of channels q2 and k2.
func (c channels) likeness(q, k *nn.Linear, q1, k1 int, strength1 float64, q2, k2 int, strength2 float64) {
	root := math.Sqrt(float64(c.d + 1))
	for _, side := range []struct {
		l           *nn.Linear
		first, last int
	}{{q, q1, q2}, {k, k1, k2}} {
		wire(side.l, 0, side.first, c.d, math.Sqrt(strength1*root))
		wire(side.l, c.d, side.last, 1, math.Sqrt(strength2*root))
	}
}
